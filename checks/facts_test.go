package checks

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// is is a known fact.
func is[T any](v T) facts.Value[T] { return facts.Value[T]{V: v, Source: "test"} }

// no is an unknown fact.
func no[T any]() facts.Value[T] { return facts.Value[T]{Err: "removed"} }

// demand is what the tables ask for.
var demand = reports.Demand{Workers: 1000, HoldSeconds: 3600, ModelBytes: 20e6, ModelAssumed: true}

const (
	port     = 5000
	gunicorn = "gunicorn"
)

func listener(addr string, established int) facts.Listener {
	return facts.Listener{Addr: netip.MustParseAddrPort(addr), Established: established}
}

// tuned is a host on which all is well for 1000 workers: systemd, gunicorn with
// gevent as fl.service, nginx with two workers.
func tuned() facts.Facts {
	limits := facts.Limits{NoFile: facts.Bound{Soft: 65536, Hard: 65536}, NProc: facts.Bound{Soft: 63000, Hard: 63000}}
	free := facts.Cgroup{
		Memory: facts.CgroupLimit{Max: 4 << 30, InUse: 100 << 20, Source: "memory.max", Hits: is(int64(0))},
		PIDs:   facts.CgroupLimit{Max: 4096, InUse: 10, Source: "pids.max"},
	}
	process := func(pid, ppid int, kind, part, unit string) facts.Process {
		p := facts.Process{
			PID: pid, PPID: ppid, Kind: kind, Role: kinds.ByName(kind).Role, Part: part, Name: kind,
			User: is("fl"), Limits: is(limits), FDs: is(16), RSSBytes: is(int64(50 << 20)), Threads: is(2),
			Listen: is([]facts.Listener{}), Unit: is(unit), Cgroup: is(free),
			Origin: is(facts.Origin{By: facts.ByUnit, Name: unit}),
		}
		if part == "worker" {
			p.Listen = facts.Value[[]facts.Listener]{Err: "told of the master"} // as Gather does
		}
		return p
	}
	app := process(10, 1, gunicorn, "master", "fl.service")
	app.Listen = is([]facts.Listener{listener("127.0.0.1:5000", 3)})
	app.Settings = facts.Settings{}
	for name, v := range map[string]string{
		"worker_class": "gevent", "worker_connections": "4096", "workers": "1", "threads": "1", "timeout": "30",
		"graceful_timeout": "7200", "keepalive": "75", "backlog": "2048", "max_requests": "0", "heeds": "GUNICORN_CMD_ARGS",
	} {
		app.Settings[name] = is(v)
	}
	nginx := process(20, 1, facts.KindNginx, "master", "nginx.service")
	nginx.Listen = is([]facts.Listener{listener("0.0.0.0:443", 3)})
	unit := func(name string) *facts.Unit {
		return &facts.Unit{
			Name: name, Files: []string{"/etc/systemd/system/" + name}, NoFile: is(limits.NoFile), NoFileSet: true,
			TasksMax: is(facts.Limit(4096)), MemoryMax: is(facts.Limit(4 << 30)), RuntimeMax: is(time.Duration(0)), MainPID: 10,
		}
	}
	return facts.Facts{
		Schema: facts.Schema, Gathered: "2027-01-31T12:00:00Z", Root: "/", Asked: facts.Asked{Port: port},
		Host:      facts.Host{Hostname: is("h"), Kernel: is("Linux 6.1"), Distro: is("Debian"), CPU: is("cpu"), CPUs: is(2), MemoryBytes: is(int64(8 << 30))},
		Memory:    is(facts.Memory{TotalBytes: 8 << 30, AvailableBytes: 6 << 30}),
		Ports:     is(facts.PortRange{Lo: 32768, Hi: 60999}),
		Files:     is(facts.OpenFiles{Allocated: 2000}),
		Sockets:   is(facts.Sockstat{InUse: 10, PageBytes: 4096}),
		Listen:    is(facts.ListenCounters{}),
		IPVS:      is([]facts.VirtualService{}),
		Conntrack: is(&facts.Conntrack{Max: 262144, Count: 100}),
		MayRaise:  is(true),
		Ceiling:   is(facts.Limits{NoFile: facts.Bound{Soft: 1024, Hard: 524288}}),
		Systemd:   is(true),
		OS:        is(facts.OS{ID: "debian", Version: "12"}),
		Container: is(false),
		SELinux:   is(facts.SELinux{}),
		Session:   is(facts.Session{Service: "sshd", Limited: true, Why: "/etc/pam.d/sshd:1"}),
		TimeWait:  is(0),
		Persisted: is([]facts.Persisted{{Key: "net.core.somaxconn", Value: "4096", Source: "/etc/sysctl.d/60-fl.conf:1", Running: is("4096")}}),
		KubeProxy: is(false),
		Restarts:  is([]facts.Restart{{Service: "postfix", Source: "/etc/cron.d/mail:1"}}),
		Processes: is([]facts.Process{
			app, process(11, 10, gunicorn, "worker", "fl.service"),
			nginx, process(21, 20, facts.KindNginx, "worker", "nginx.service"), process(22, 20, facts.KindNginx, "worker", "nginx.service"),
		}),
		Service:   is(unit("fl.service")),
		NginxUnit: is(unit("nginx.service")),
		HasNginx:  is(true),
		Nginx:     tunedNginx(tunedConfig),
		Logins:    is([]facts.LimitLine{{Domain: "*", Type: "-", Item: "nofile", Value: 65536, Source: "/etc/security/limits.conf:5"}}),
		Login:     is[*facts.Login](nil),
		Fixed:     is(false),
		Shell:     is(&facts.Shell{PID: 5, Limits: limits, Cgroup: is(free)}),
		Own:       is(map[string]string{}),
		Probe:     is(tunedProbe()),
		Sysctls: facts.Sysctls{
			NROpen: is(int64(1048576)), FileMax: is(int64(800000)), SoMaxConn: is(int64(4096)), SynBacklog: is(int64(2048)),
			SynCookies: is(int64(1)), TWReuse: is(int64(2)), KeepaliveTime: is(int64(300)), TCPMem: is([3]int64{90000, 120000, 180000}),
			PIDMax: is(int64(4194304)), ThreadsMax: is(int64(60000)),
		},
	}
}

// copied is a deep copy, by way of JSON, which also shows that facts survive it.
func copied(t testing.TB, f facts.Facts) facts.Facts {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var out facts.Facts
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// app is the n-th process that serves, to be changed in place.
func processes(f *facts.Facts, kind string) []*facts.Process {
	var out []*facts.Process
	for i := range f.Processes.V {
		if p := &f.Processes.V[i]; p.Kind == kind {
			out = append(out, p)
		}
	}
	return out
}

func nofile(f *facts.Facts, kind string, soft, hard facts.Limit) {
	for _, p := range processes(f, kind) {
		p.Limits.V.NoFile = facts.Bound{Soft: soft, Hard: hard}
	}
}

// set changes a setting of the application, and hide makes it unknown.
func set(f *facts.Facts, name, value string) { processes(f, gunicorn)[0].Settings[name] = is(value) }

func hide(f *facts.Facts, name string) { processes(f, gunicorn)[0].Settings[name] = no[string]() }

// without leaves nothing of a kind running.
func without(f *facts.Facts, kind string) {
	var left []facts.Process
	for _, p := range f.Processes.V {
		if p.Kind != kind {
			left = append(left, p)
		}
	}
	f.Processes.V = left
}

func noNginx(f *facts.Facts) {
	without(f, facts.KindNginx)
	f.HasNginx.V, f.NginxUnit.V, f.Nginx.V = false, nil, nil
}

// unseen makes the processes unknown.
func unseen(f *facts.Facts) { f.Processes = no[[]facts.Process]() }

func goServer(f *facts.Facts) {
	p := *processes(f, gunicorn)[0]
	p.Kind, p.Part, p.Settings = facts.KindFltool, "", facts.Settings{"max-hold": is("0"), "max-update": is("100MB"), "keep-updates": is("")}
	without(f, gunicorn)
	f.Processes.V = append(f.Processes.V, p)
}

// nobody leaves no server, running or to be started.
func nobody(f *facts.Facts) {
	without(f, gunicorn)
	f.Service.V = nil
}

// front puts a proxy before nginx of which just so much is stated.
func front(stated string) change {
	return func(f *facts.Facts) { f.Asked.Hops = []string{"gateway " + stated} }
}

// behind does so behind a balancer.
func behind(stated string) change {
	return func(f *facts.Facts) {
		front(stated)(f)
		f.Asked.Balancers = []string{"aws-alb"}
	}
}

// haproxy puts a running HAProxy before the application, in the place of nginx.
func haproxy(edit func(p *facts.Process)) change {
	return func(f *facts.Facts) {
		p := *processes(f, facts.KindNginx)[0]
		noNginx(f)
		p.PID, p.Kind, p.Part, p.Name, p.Unit = 700, "haproxy", "", "haproxy", is("haproxy.service")
		p.Listen = is([]facts.Listener{listener("0.0.0.0:80", 0)})
		way := facts.Settings{"frontend.mode": is("http"), "frontend.backlog": is(""), "frontend.maxconn": is(""), "bind.maxconn": is(""),
			"server.maxconn": is(""), "server.minconn": is(""), "closes": is(""), "timeout.client": is("50s"), "timeout.server": is("2h"),
			"timeout.tunnel": is(""), "timeout.http-keep-alive": is(""), "timeout.http-request": is(""), "timeout.queue": is(""), "timeout.connect": is("5s"), "peers": is("1"), "sticky": is("")}
		p.Settings = facts.Settings{"maxconn": is("20000"), "ulimit-n": is(""), "hard-stop-after": is("")}
		p.Passes = is([]facts.Pass{{To: "127.0.0.1:5000", From: []string{":80"}, Settings: way, Source: "/etc/haproxy/haproxy.cfg:9"}})
		if edit != nil {
			edit(&p)
		}
		f.Processes.V = append(f.Processes.V, p)
	}
}
