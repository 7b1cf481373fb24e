package checks

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/reports"
)

// A change makes the tuned host one that a check answers otherwise.
type change func(f *facts.Facts)

// cases hold, for every check, facts that it passes, fails, can't judge and has
// nothing to say of. tuned is the passing set where pass is nil; never says why
// a check is never n/a.
var cases = map[string]struct {
	pass, fail, unknown, na change
	never                   string
	workers                 int // supported by the failing facts; -1: the check limits no number
}{
	"app/found": {
		fail:    func(f *facts.Facts) { without(f, gunicorn) },
		unknown: unseen, never: "there is or there is not", workers: -1,
	},
	"app/unit-pending": {
		fail:    func(f *facts.Facts) { nofile(f, gunicorn, 1024, 524288) },
		unknown: func(f *facts.Facts) { f.Service = no[*facts.Unit]() },
		na:      func(f *facts.Facts) { f.Service.V = nil }, workers: -1,
	},
	"app/nofile": {
		fail:    func(f *facts.Facts) { nofile(f, gunicorn, 1000, 524288) },
		unknown: func(f *facts.Facts) { processes(f, gunicorn)[1].Limits = no[facts.Limits]() },
		never:   "a server always has a limit", workers: 987,
	},
	"app/limits-conf": {
		fail:    func(f *facts.Facts) { nofile(f, gunicorn, 1024, 524288) },
		unknown: func(f *facts.Facts) { f.Logins = no[[]facts.LimitLine]() },
		na:      func(f *facts.Facts) { f.Logins.V = nil }, workers: -1,
	},
	"app/worker-class": {
		fail:    func(f *facts.Facts) { set(f, "worker_class", "sync"); set(f, "workers", "4") },
		unknown: func(f *facts.Facts) { hide(f, "worker_class") },
		na:      nobody, workers: 4,
	},
	"app/worker-connections": {
		fail:    func(f *facts.Facts) { set(f, "worker_connections", "1000") },
		unknown: func(f *facts.Facts) { hide(f, "worker_connections") },
		na:      goServer, workers: 468,
	},
	"app/processes": {
		fail:    func(f *facts.Facts) { set(f, "workers", "2") },
		unknown: func(f *facts.Facts) { hide(f, "workers") },
		na:      nobody, workers: -1,
	},
	"app/timeout": {
		pass:    func(f *facts.Facts) { set(f, "worker_class", "sync"); set(f, "timeout", "0") },
		fail:    func(f *facts.Facts) { set(f, "worker_class", "sync") },
		unknown: func(f *facts.Facts) { set(f, "worker_class", "sync"); hide(f, "timeout") },
		na:      func(*facts.Facts) {}, workers: -1,
	},
	"app/keepalive": {
		pass:    noNginx,
		fail:    func(f *facts.Facts) { noNginx(f); set(f, "keepalive", "2") },
		unknown: func(f *facts.Facts) { noNginx(f); hide(f, "keepalive") },
		na:      func(*facts.Facts) {}, workers: -1,
	},
	"app/graceful-timeout": {
		fail:    func(f *facts.Facts) { set(f, "graceful_timeout", "30") },
		unknown: func(f *facts.Facts) { hide(f, "graceful_timeout") },
		na:      nobody, workers: -1,
	},
	"app/recycling": {
		fail:    func(f *facts.Facts) { set(f, "max_requests", "1000") },
		unknown: func(f *facts.Facts) { hide(f, "max_requests") },
		na:      nobody, workers: -1,
	},
	"app/body": {
		fail: func(f *facts.Facts) {
			goServer(f)
			processes(f, facts.KindFltool)[0].Settings["max-update"] = is("1MB")
		},
		unknown: func(f *facts.Facts) {
			goServer(f)
			processes(f, facts.KindFltool)[0].Settings["max-update"] = no[string]()
		},
		na: nobody, workers: -1,
	},
	"proxy/holds": {
		pass: front("holds=2000"), fail: front("holds=50"), unknown: front(""), na: func(*facts.Facts) {}, workers: 50,
	},
	"lb/holds": {
		pass: func(f *facts.Facts) {
			f.Asked.Balancers = []string{"cloud-run"}
			f.Asked.Hops = []string{"cloud-run holds=1000"}
		},
		fail:    func(f *facts.Facts) { f.Asked.Balancers = []string{"cloud-run"} },
		unknown: func(f *facts.Facts) { f.Asked.Balancers = []string{"?"} },
		na:      func(f *facts.Facts) { f.Asked.Balancers = []string{"aws-alb"} }, workers: 80,
	},
	"proxy/connections": {
		pass: front("connections=2000"), fail: front("connections=50"), unknown: front(""), na: func(*facts.Facts) {}, workers: 50,
	},
	"proxy/nofile": {
		pass: haproxy(nil), na: func(*facts.Facts) {}, workers: 498,
		fail:    haproxy(func(p *facts.Process) { p.Limits.V.NoFile = facts.Bound{Soft: 1024, Hard: 1024} }),
		unknown: haproxy(func(p *facts.Process) { p.Limits = no[facts.Limits]() }),
	},
	"app/stated": {
		pass: func(f *facts.Facts) { f.Asked.Holds = 4096 },
		fail: func(f *facts.Facts) { f.Asked.Hops = []string{"gunicorn connections=5000"} },
		unknown: func(f *facts.Facts) {
			f.Asked.Holds = 4096
			f.Processes = no[[]facts.Process]()
		},
		na: func(*facts.Facts) {}, workers: -1,
	},
	"proxy/peers": {
		pass: front("peers=1"), fail: front("peers=2"), na: func(*facts.Facts) {}, workers: -1,
		unknown: haproxy(func(p *facts.Process) { delete(p.Passes.V[0].Settings, "peers") }),
	},
	"proxy/access": {
		pass: front("access=open"), na: func(*facts.Facts) {}, workers: -1,
		fail: haproxy(func(p *facts.Process) {
			p.Passes.V[0].Settings["access"] = facts.Value[string]{V: "http-request deny lets no worker in", Source: "/etc/haproxy/haproxy.cfg:9"}
		}),
		unknown: haproxy(func(p *facts.Process) { delete(p.Passes.V[0].Settings, "access") }),
	},
	"proxy/timeout": {
		pass: front("silence=2h"), fail: front("silence=15s"), unknown: front(""), na: func(*facts.Facts) {}, workers: -1,
	},
	"proxy/body": {
		pass: front("body=100MB"), fail: front("body=1MB"), unknown: front(""), na: func(*facts.Facts) {}, workers: -1,
	},
	"proxy/keepalive": {
		pass: behind("keepalive=2h"), fail: behind("keepalive=15s"), unknown: behind(""), na: func(*facts.Facts) {}, workers: -1,
	},
	"lb/body": {
		pass: func(f *facts.Facts) { f.Asked.Balancers = []string{"aws-alb"} },
		fail: func(f *facts.Facts) {
			f.Asked.Balancers, f.Asked.Hops = []string{"aws-alb"}, []string{"aws-alb body=10MB"}
		},
		unknown: func(f *facts.Facts) { f.Asked.Balancers = []string{"soon"} }, na: func(*facts.Facts) {}, workers: -1,
	},
	"proxy/restart": {
		pass: front("restart=2h"), fail: front("restart=15s"), unknown: front(""), na: func(*facts.Facts) {}, workers: -1,
	},
	"proxy/accept-queue": {
		pass: front("backlog=4096"), fail: front("backlog=128"), unknown: front(""), na: func(*facts.Facts) {}, workers: -1,
	},
	"app/accept-queue": {
		fail:    func(f *facts.Facts) { f.Sysctls.SoMaxConn.V = 128 },
		unknown: func(f *facts.Facts) { f.Sysctls.SoMaxConn = no[int64]() },
		never:   "every listener has a queue", workers: -1,
	},
	"app/pids": {
		fail:    func(f *facts.Facts) { processes(f, gunicorn)[1].Cgroup.V.PIDs.Max = 20 },
		unknown: func(f *facts.Facts) { processes(f, gunicorn)[1].Cgroup = no[facts.Cgroup]() },
		na: func(f *facts.Facts) {
			without(f, gunicorn)
			f.Service.V, f.Shell.V = nil, nil
		}, workers: -1,
	},
	"nginx/unit-pending": {
		fail:    func(f *facts.Facts) { nofile(f, facts.KindNginx, 1024, 524288) },
		unknown: func(f *facts.Facts) { f.NginxUnit = no[*facts.Unit]() },
		na:      noNginx, workers: -1,
	},
	"nginx/nofile": {
		fail:    func(f *facts.Facts) { nofile(f, facts.KindNginx, 1024, 524288) },
		unknown: func(f *facts.Facts) { processes(f, facts.KindNginx)[2].Limits = no[facts.Limits]() },
		na:      noNginx, workers: 506,
	},
	"nginx/selinux": {
		pass:    func(f *facts.Facts) { f.SELinux.V = facts.SELinux{Enforcing: true, NetConnect: is(true)} },
		fail:    func(f *facts.Facts) { f.SELinux.V = facts.SELinux{Enforcing: true, NetConnect: is(false)} },
		unknown: func(f *facts.Facts) { f.SELinux.V = facts.SELinux{Enforcing: true, NetConnect: no[bool]()} },
		na:      func(*facts.Facts) {}, workers: -1,
	},
	"nginx/draining": {
		fail:    func(f *facts.Facts) { processes(f, facts.KindNginx)[2].Draining = true },
		unknown: unseen,
		na:      noNginx, workers: -1,
	},
	"host/renewal": {
		fail: func(f *facts.Facts) {
			f.Restarts.V = []facts.Restart{{Service: "nginx", Source: "/etc/letsencrypt/renewal/fl.conf:9"}}
		},
		unknown: func(f *facts.Facts) { f.Restarts = no[[]facts.Restart]() },
		never:   "there are such jobs or none", workers: -1,
	},
	"host/nr-open": {
		fail:    func(f *facts.Facts) { f.Sysctls.NROpen.V = 1500 },
		unknown: func(f *facts.Facts) { f.Sysctls.NROpen = no[int64]() },
		never:   "every kernel has it", workers: 745,
	},
	"host/file-max": {
		fail:    func(f *facts.Facts) { f.Sysctls.FileMax.V = 4800 },
		unknown: func(f *facts.Facts) { f.Files = no[facts.OpenFiles]() },
		never:   "every kernel has it", workers: 960,
	},
	"host/port-range": {
		fail:    func(f *facts.Facts) { f.Ports.V = facts.PortRange{Lo: 40000, Hi: 40499, Reserved: 10} },
		unknown: func(f *facts.Facts) { f.Ports = no[facts.PortRange]() },
		na:      func(f *facts.Facts) { processes(f, gunicorn)[0].Listen.V = nil }, workers: 490,
	},
	"host/time-wait": {
		fail:    func(f *facts.Facts) { f.Sysctls.TWReuse.V, f.Ports.V.Lo = 0, 60000 },
		unknown: func(f *facts.Facts) { f.Sysctls.TWReuse = no[int64]() },
		na:      noNginx, workers: -1,
	},
	"host/conntrack": {
		fail:    func(f *facts.Facts) { f.Conntrack.V.Max = 5000 },
		unknown: func(f *facts.Facts) { f.Conntrack = no[*facts.Conntrack]() },
		na:      func(f *facts.Facts) { f.Conntrack.V = nil }, workers: 613,
	},
	"host/memory": {
		fail:    func(f *facts.Facts) { f.Memory.V.AvailableBytes = 20 << 20 },
		unknown: func(f *facts.Facts) { f.Memory = no[facts.Memory]() },
		never:   "every host has memory", workers: 425,
	},
	"host/cgroup-memory": {
		fail: func(f *facts.Facts) {
			for i := range f.Processes.V {
				f.Processes.V[i].Cgroup.V.Memory.Max = 110 << 20
			}
		},
		unknown: func(f *facts.Facts) { processes(f, facts.KindNginx)[2].Cgroup = no[facts.Cgroup]() },
		na: func(f *facts.Facts) {
			for i := range f.Processes.V {
				f.Processes.V[i].Cgroup.V.Memory = facts.CgroupLimit{Max: facts.Unlimited}
			}
		}, workers: 214,
	},
	"host/oom-kills": {
		fail:    func(f *facts.Facts) { processes(f, gunicorn)[1].Cgroup.V.Memory.Hits.V = 2 },
		unknown: func(f *facts.Facts) { processes(f, gunicorn)[1].Cgroup.V.Memory.Hits = no[int64]() },
		na: func(f *facts.Facts) {
			for i := range f.Processes.V {
				f.Processes.V[i].Cgroup.V.Memory = facts.CgroupLimit{Max: facts.Unlimited}
			}
		}, workers: -1,
	},
	"host/sysctl-pending": {
		fail:    func(f *facts.Facts) { f.Persisted.V[0].Running.V = "128" },
		unknown: func(f *facts.Facts) { f.Persisted.V[0].Running = no[string]() },
		na:      func(f *facts.Facts) { f.Persisted.V = nil }, workers: -1,
	},
	"host/tcp-mem": {
		fail:    func(f *facts.Facts) { f.Sysctls.TCPMem.V = [3]int64{1000, 1500, 2000} },
		unknown: func(f *facts.Facts) { f.Sockets = no[facts.Sockstat]() },
		never:   "every kernel has it", workers: -1,
	},
	"host/syn-backlog": {
		fail:    func(f *facts.Facts) { f.Sysctls.SynCookies.V, f.Sysctls.SynBacklog.V = 0, 128 },
		unknown: func(f *facts.Facts) { f.Sysctls.SynCookies = no[int64]() },
		never:   "every kernel has it", workers: -1,
	},
	"host/listen-overflows": {
		fail:    func(f *facts.Facts) { f.Listen.V.Overflows = 7 },
		unknown: func(f *facts.Facts) { f.Listen = no[facts.ListenCounters]() },
		never:   "every kernel has it", workers: -1,
	},
	"host/tcp-keepalive": {
		fail:    func(f *facts.Facts) { f.Sysctls.KeepaliveTime.V = 7200 },
		unknown: func(f *facts.Facts) { f.Sysctls.KeepaliveTime = no[int64]() },
		never:   "every kernel has it", workers: -1,
	},
}

func TestEveryCheck(t *testing.T) {
	for id := range cases {
		if _, ok := ByID(id); !ok {
			t.Errorf("the table has %s, which is no check", id)
		}
	}
	for _, check := range All() {
		c, ok := cases[check.ID]
		if !ok || c.fail == nil || c.unknown == nil || c.na == nil && c.never == "" || c.na != nil && c.never != "" {
			t.Errorf("%s: the table lacks a failing, an unknown or an n/a set of facts", check.ID)
			continue
		}
		if c.pass == nil {
			c.pass = func(*facts.Facts) {}
		}
		for status, change := range map[reports.Status]change{
			reports.StatusPass: c.pass, reports.StatusFail: c.fail, reports.StatusUnknown: c.unknown, reports.StatusNA: c.na,
		} {
			if change == nil {
				continue
			}
			f := tuned()
			change(&f)
			o := check.Eval(check.cases(OneHost(f), demand)[0])
			if o.Status != status {
				t.Errorf("%s: %s, want %s: %+v", check.ID, o.Status, status, o)
				continue
			}
			switch status {
			case reports.StatusUnknown, reports.StatusNA:
				if o.Reason == "" {
					t.Errorf("%s: %s without a reason", check.ID, status)
				}
				if o.Capacity != nil {
					t.Errorf("%s: %s, and yet it supports %d workers", check.ID, status, o.Capacity.Safe)
				}
			case reports.StatusPass:
				if o.Got == "" || o.Source == "" {
					t.Errorf("%s: passes without what was seen and where: %+v", check.ID, o)
				}
			case reports.StatusFail:
				if o.Got == "" || o.Want == "" || o.Source == "" || o.Remedy.Text == "" {
					t.Errorf("%s: fails without got, want, source or remedy: %+v", check.ID, o)
				}
				if n := workersOf(o); n != c.workers {
					t.Errorf("%s: supports %d workers, want %d", check.ID, n, c.workers)
				}
			}
		}
	}
}

func workersOf(o Judgement) int {
	if o.Capacity == nil {
		return -1
	}
	return o.Capacity.Safe
}

// The ids are for ever; what a check says of itself is there.
func TestCheckData(t *testing.T) {
	kebab := regexp.MustCompile(`^(app|nginx|proxy|host|lb|tls|probe)/[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := make(map[string]bool)
	used := make(map[string]bool)
	for _, c := range All() {
		if !kebab.MatchString(c.ID) || seen[c.ID] {
			t.Errorf("id %q is doubled or no kebab", c.ID)
		}
		seen[c.ID] = true
		if c.Title == "" || c.Why == "" || c.Symptom == "" || c.Mend == "" || len(c.Reads) == 0 || c.Severity == "" {
			t.Errorf("%s: something is not said of it", c.ID)
		}
		if c.Formula != "" {
			used[c.Formula] = true
			if !slices.ContainsFunc(Formulas(), func(f Formula) bool { return f.Name == c.Formula }) {
				t.Errorf("%s: no formula %s", c.ID, c.Formula)
			}
		}
	}
	for _, f := range Formulas() {
		if !used[f.Name] {
			t.Errorf("formula %s has no check", f.Name)
		}
		if f.Source == "" || f.Proof == "" {
			t.Errorf("formula %s has no source or proof", f.Name)
		}
	}
	for _, c := range All() {
		for _, cause := range c.After {
			if !seen[cause] || cause == c.ID {
				t.Errorf("%s is after %s, which is no other check", c.ID, cause)
			}
		}
	}
	for _, s := range symptoms.All() {
		for _, cause := range s.Causes {
			for _, id := range cause.Checks {
				if !seen[id] {
					t.Errorf("symptom %q: there is no check %s", s.Title, id)
				}
			}
		}
	}
}

func TestTunedHostPasses(t *testing.T) {
	findings, capacity := Run(OneHost(tuned()), demand, nil, time.Time{})
	verdict, reasons := Verdict(findings, reports.SeverityError)
	if verdict != reports.VerdictPass || len(reasons) > 0 {
		t.Errorf("%s: %q", verdict, reasons)
	}
	if capacity.Workers != 2016 || capacity.Limit != "app/worker-connections" {
		t.Errorf("capacity %d by %s", capacity.Workers, capacity.Limit)
	}
	for _, r := range capacity.Ledger {
		if r.Workers == nil || *r.Workers < capacity.Workers {
			t.Errorf("%s has %v, below the answer", r.Limit, r.Workers)
		}
	}
}

// A unit that is not running and starts Python may be dc_federated's server,
// which runs gunicorn inside: nothing is promised of it.
func TestScriptedUnit(t *testing.T) {
	f := tuned()
	without(&f, gunicorn)
	f.Service.V.Executable, f.Service.V.Scripted = "python3", true
	findings, capacity := Run(OneHost(f), demand, nil, time.Time{})
	if v, _ := Verdict(findings, reports.SeverityError); v != reports.VerdictRefused || capacity.AtMost == nil {
		t.Errorf("%s, %+v", v, capacity)
	}
	for _, x := range findings {
		if x.Check == "app/worker-connections" && (x.Status != reports.StatusUnknown || !strings.Contains(x.Reason, "fl.service starts python3")) {
			t.Errorf("%+v", x)
		}
	}
	f.Service.V.Executable, f.Service.V.Scripted = "fltool", false
	f.Service.V.Kind, f.Service.V.Role = facts.KindFltool, facts.RoleServer
	f.Service.V.Settings = facts.Settings{"max-hold": is("0"), "max-update": is("100MB"), "keep-updates": is("")}
	findings, _ = Run(OneHost(f), demand, nil, time.Time{})
	if v, reasons := Verdict(findings, reports.SeverityError); v != reports.VerdictPass {
		t.Errorf("fltool serve: %s, %q", v, reasons)
	}
}

// With threads that block, the tasks that are left are the polls that are held.
func TestThreadsNeedTasks(t *testing.T) {
	check, _ := ByID("app/pids")
	for _, tt := range []struct {
		name   string
		change change
		want   int
		status reports.Status
	}{
		{"control group", func(f *facts.Facts) {
			processes(f, gunicorn)[1].Cgroup.V.PIDs = facts.CgroupLimit{Max: 500, InUse: 12, Source: "pids.max"}
		}, 500 - 12 + 3, reports.StatusFail}, // 3 are held
		{"NPROC", func(f *facts.Facts) {
			for _, p := range processes(f, gunicorn) {
				p.Limits.V.NProc = facts.Bound{Soft: 300, Hard: 300}
			}
		}, 300 - 10 + 3, reports.StatusFail}, // its five processes have two threads each
		{"NPROC of a user of its own", func(f *facts.Facts) {
			for _, p := range processes(f, gunicorn) {
				p.Limits.V.NProc, p.User.V = facts.Bound{Soft: 300, Hard: 300}, "app"
			}
		}, 300 - 4 + 3, reports.StatusFail},
		{"the kernel's", func(f *facts.Facts) { f.Sysctls.PIDMax.V = 400 }, 400 - 10 + 3, reports.StatusFail},
		{"unit", func(f *facts.Facts) {
			f.Service.V.Kind, f.Service.V.Role, f.Service.V.Settings = gunicorn, facts.RoleServer, processes(f, gunicorn)[0].Settings
			f.Service.V.TasksMax.V = 800
			without(f, gunicorn)
		}, 800, reports.StatusFail},
		{"plenty", func(*facts.Facts) {}, 4096 - 10 + 3, reports.StatusPass},
	} {
		f := tuned()
		set(&f, "worker_class", "gthread")
		set(&f, "threads", "5000")
		tt.change(&f)
		o := check.Eval(check.cases(OneHost(f), demand)[0])
		if o.Status != tt.status || o.Capacity == nil || o.Capacity.Safe != tt.want {
			t.Errorf("%s: %s %s, %+v; want %d workers", tt.name, o.Status, o.Got, o.Capacity, tt.want)
		}
	}
}

// What was killed or refused at a limit is told beside it.
func TestHits(t *testing.T) {
	f := tuned()
	for i := range f.Processes.V {
		g := &f.Processes.V[i].Cgroup.V
		g.Memory.Hits, g.PIDs.Hits = is(int64(2)), is(int64(1))
	}
	for id, want := range map[string]string{"app/pids": "; 1 fork was refused at it", "host/oom-kills": "2 processes were killed at the memory limit"} {
		check, _ := ByID(id)
		if o := check.Eval(check.cases(OneHost(f), demand)[0]); !strings.HasSuffix(o.Got, want) {
			t.Errorf("%s: %q", id, o.Got)
		}
	}
}

// Lines of a unit that systemd skips are named where its limit is too low.
func TestSkippedLines(t *testing.T) {
	f := tuned()
	f.Service.V.Ignored = []string{"/etc/systemd/system/fl.service:7"}
	nofile(&f, gunicorn, 1000, 1000)
	check, _ := ByID("app/nofile")
	if o := check.Eval(check.cases(OneHost(f), demand)[0]); !strings.Contains(o.Got, "skips /etc/systemd/system/fl.service:7") {
		t.Errorf("%q", o.Got)
	}
}

// Where a container can't write the kernel's settings, the remedy is for those
// who can.
func TestSettingsOfContainers(t *testing.T) {
	f := tuned()
	f.Fixed = is(true)
	f.Sysctls.SoMaxConn.V, f.Conntrack.V.Max = 128, 1000
	for id, want := range map[string]string{
		"app/accept-queue": "start this container with --sysctl net.core.somaxconn='1024'",
		"host/conntrack":   "set net.netfilter.nf_conntrack_max = 16384 on the host of this container",
	} {
		check, _ := ByID(id)
		o := check.Eval(check.cases(OneHost(f), demand)[0])
		if !strings.Contains(o.Remedy.Text, want) || len(o.Remedy.Files)+len(o.Remedy.Commands) > 0 {
			t.Errorf("%s: %+v", id, o.Remedy)
		}
	}
}

// A poll is one tracked connection, and behind nginx several.
func TestFlows(t *testing.T) {
	check, _ := ByID("host/conntrack")
	for name, tt := range map[string]struct {
		change     change
		role       string
		safe, hard int
	}{
		"nginx":           {func(*facts.Facts) {}, "", 125, 1000},
		"no nginx":        {noNginx, "", 500, 1000},
		"app of a pair":   {func(*facts.Facts) {}, "app", 166, 1000},
		"nginx of a pair": {func(*facts.Facts) {}, "proxy", 125, 500},
	} {
		f := tuned()
		tt.change(&f)
		f.Conntrack.V = &facts.Conntrack{Max: 1100, Count: 100 + Case{Facts: f}.held(true) + Case{Facts: f}.held(false)}
		d := OneHost(f)
		o := check.Eval(Case{Facts: f, Role: tt.role, Deployment: d, Demand: demand})
		if o.Capacity == nil || o.Capacity.Safe != tt.safe || o.Capacity.Hard != tt.hard {
			t.Errorf("%s: %+v", name, o.Capacity)
		}
	}
}

func TestUnknownLimitPromisesNothing(t *testing.T) {
	f := tuned()
	f.Ports = no[facts.PortRange]()
	findings, capacity := Run(OneHost(f), demand, nil, time.Time{})
	if v, _ := Verdict(findings, reports.SeverityError); v != reports.VerdictRefused {
		t.Errorf("verdict %s, want refused", v)
	}
	if capacity.Workers != 0 || capacity.Limit != "host/port-range" || capacity.AtMost == nil || *capacity.AtMost != 2016 {
		t.Errorf("capacity %+v", capacity)
	}
}

func TestCausesMuteConsequences(t *testing.T) {
	f := tuned()
	nofile(&f, gunicorn, 1024, 524288)
	d := demand
	d.Workers = 2000
	findings, _ := Run(OneHost(f), d, nil, time.Time{})
	for _, x := range findings {
		if x.Check == "app/nofile" {
			if x.Because != "app/unit-pending" || x.Status != reports.StatusFail {
				t.Errorf("app/nofile is %s because %q", x.Status, x.Because)
			}
			if len(x.Remedy.Files) != 0 || !slices.Contains(x.Remedy.Commands, "systemctl restart fl.service") {
				t.Errorf("the unit has it right already, and the remedy is %+v", x.Remedy)
			}
		}
	}
}

func TestNoImpossibleRemedy(t *testing.T) {
	for _, kind := range []string{gunicorn, facts.KindNginx} {
		f := tuned()
		f.MayRaise.V = false
		f.Ceiling.V.NoFile.Hard = 20000
		nofile(&f, kind, 20000, 20000)
		d := demand
		d.Workers = 30000
		findings, _ := Run(OneHost(f), d, nil, time.Time{})
		for _, x := range findings {
			if strings.HasSuffix(x.Check, "/nofile") && x.Status == reports.StatusFail {
				if len(x.Remedy.Files)+len(x.Remedy.Commands) > 0 || !strings.Contains(x.Remedy.Text, "no process here may raise") {
					t.Errorf("%s on a limit that can't be raised: %+v", x.Check, x.Remedy)
				}
			}
		}
		// What the hard limit does allow may be asked for.
		nofile(&f, kind, 1024, 20000)
		d.Workers = 5000
		findings, _ = Run(OneHost(f), d, nil, time.Time{})
		for _, x := range findings {
			for _, file := range x.Remedy.Files {
				for _, l := range file.Lines {
					if strings.Contains(l, "LimitNOFILE=") && !strings.HasSuffix(l, "=20000") {
						t.Errorf("%s asks for %q above the hard limit of 20000", x.Check, l)
					}
				}
			}
		}
	}
}

// Where the shell that starts servers has more than a server was started with,
// that much may be asked for.
func TestShellHasMore(t *testing.T) {
	f := tuned()
	f.MayRaise.V, f.Systemd.V, f.Service.V = false, false, nil
	for _, p := range processes(&f, gunicorn) {
		p.Unit.V = ""
	}
	nofile(&f, gunicorn, 100, 100)
	f.Shell.V.Limits.NoFile = facts.Bound{Soft: 1024, Hard: 20000}
	check, _ := ByID("app/nofile")
	for workers, want := range map[int]string{1000: "ulimit -n 20000", 19000: "ulimit -n 20000", 30000: ""} {
		d := demand
		d.Workers = workers
		o := check.Eval(check.cases(OneHost(f), d)[0])
		if got := strings.Join(o.Remedy.Commands, ";"); o.Status != reports.StatusFail || got != want {
			t.Errorf("%d workers: %s, %q; want %q", workers, o.Status, got, want)
		}
	}
}

func TestWaivers(t *testing.T) {
	f := tuned()
	set(&f, "worker_connections", "1000")
	now := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	w, err := ParseWaiver("app/worker-connections until 2027-01-31 = known")
	if err != nil {
		t.Fatal(err)
	}
	status := func(now time.Time) (reports.Finding, reports.Capacity, reports.Verdict) {
		findings, capacity := Run(OneHost(f), demand, []Waiver{w}, now)
		v, _ := Verdict(findings, reports.SeverityError)
		i := slices.IndexFunc(findings, func(f reports.Finding) bool { return f.Check == w.ID })
		return findings[i], capacity, v
	}
	x, capacity, v := status(now)
	if x.Status != reports.StatusWaived || x.Was != reports.StatusFail || x.Reason != "known" || v != reports.VerdictPass {
		t.Errorf("on its last day: %+v, %s", x, v)
	}
	if capacity.Limit == w.ID || !slices.ContainsFunc(capacity.Ledger, func(r reports.Row) bool { return r.Limit == w.ID && r.Waived }) {
		t.Errorf("a waived limit is shown and does not bind: %+v", capacity)
	}
	x, capacity, v = status(now.AddDate(0, 0, 1))
	if x.Status != reports.StatusFail || !strings.Contains(x.Reason, "2027-01-31") || v != reports.VerdictFail || capacity.Limit != w.ID {
		t.Errorf("a day later: %+v, %s", x, v)
	}
	for _, bad := range []string{"", "app/nofile", "app/nofile=", "app/nofile= ", "app/none=x", "=x", "app/nofile until=x", "app/nofile until soon=x", "app/nofile before 2027-01-01=x"} {
		if w, err := ParseWaiver(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, w)
		}
	}
}

func TestTwoHosts(t *testing.T) {
	app, proxy := tuned(), tuned()
	noNginx(&app)
	without(&proxy, gunicorn)
	proxy.Service.V = nil
	proxy.Sysctls.FileMax.V = 3000
	findings, capacity := Run(Deployment{App: &app, Proxy: &proxy}, demand, nil, time.Time{})
	count := make(map[string]int)
	for _, f := range findings {
		count[f.Check+" "+f.Host]++
		if f.Check == "host/file-max" && (f.Host == "proxy") != (f.Status == reports.StatusFail) {
			t.Errorf("host/file-max on %s: %s", f.Host, f.Status)
		}
	}
	for _, want := range []string{"app/nofile app", "nginx/nofile proxy", "host/memory app", "host/memory proxy", "host/port-range proxy"} {
		if count[want] != 1 {
			t.Errorf("%d findings of %s", count[want], want)
		}
	}
	if count["app/nofile proxy"] > 0 || count["nginx/nofile app"] > 0 {
		t.Error("a check is asked on the wrong host")
	}
	if capacity.Limit != "host/file-max" {
		t.Errorf("%s binds", capacity.Limit)
	}
}
