package facts

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/fltool/fltool/nginx"
)

// twoReadings are of a host with gunicorn and nginx, the second by another start.
func twoReadings() (was, is Facts) {
	read := func(pid, fds int) Facts {
		f := Facts{Schema: Schema, Gathered: "2026-01-01T00:00:00Z"}
		f.Host.Hostname = known("web", "/proc")
		f.Memory = known(Memory{TotalBytes: 1 << 30, AvailableBytes: int64(1<<29 + fds)}, "/proc/meminfo")
		f.Sysctls.SoMaxConn = known(int64(4096), "/proc/sys/net/core/somaxconn")
		f.Files = known(OpenFiles{Allocated: int64(fds)}, "/proc")
		f.Conntrack = known(&Conntrack{Max: 100, Count: int64(fds)}, "/proc")
		f.TimeWait = known(fds, "/proc")
		p := Process{PID: pid, PPID: pid - 1, Kind: "gunicorn", Role: RoleServer, Name: "gunicorn", FDs: known(fds, "/proc")}
		p.Limits = known(Limits{NoFile: Bound{Soft: 1024, Hard: 4096}}, "/proc/1/limits")
		p.Exe = Value[string]{Err: "readlink /proc/" + string(rune('0'+pid)) + "/exe: permission denied"}
		p.Listen = known([]Listener{{Addr: netip.MustParseAddrPort("127.0.0.1:5000"), Established: fds}}, "/proc/net/tcp")
		f.Processes = known([]Process{p, p}, "/proc")
		n := &Nginx{Master: pid}
		n.Events.WorkerConnections = Value[int64]{V: 768, Source: "/etc/nginx/nginx.conf:7"}
		f.Nginx = known(n, "/etc/nginx/nginx.conf")
		return f
	}
	return read(7, 20), read(9, 900)
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Facts)
		want   []Drift
	}{
		{"what passes by itself is no drift", func(*Facts) {}, nil},
		{"a line that moved is none", func(f *Facts) { f.Nginx.V.Events.WorkerConnections.Source = "/etc/nginx/nginx.conf:9" }, nil},
		{"a kernel setting", func(f *Facts) { f.Sysctls.SoMaxConn.V = 128 },
			[]Drift{{"sysctls.net.core.somaxconn", "4096", "128", "/proc/sys/net/core/somaxconn"}}},
		{"a limit of both processes, told once", func(f *Facts) {
			for i := range f.Processes.V {
				f.Processes.V[i].Limits.V.NoFile.Soft = Unlimited
			}
		}, []Drift{{"processes.gunicorn.limits.nofile.soft", "1024", "unlimited", "/proc/1/limits"}}},
		{"what can't be told any more", func(f *Facts) { f.Ports = Value[PortRange]{Err: "no such file"} },
			[]Drift{{"ports", "", "unknown: no such file", ""}}},
		{"a process less", func(f *Facts) { f.Processes.V = f.Processes.V[:1] },
			[]Drift{{"processes.gunicorn #2", "there", "", "/proc"}}},
		{"nginx gone as a whole", func(f *Facts) { f.Nginx.V = nil },
			[]Drift{{"nginx", "there", "", "/etc/nginx/nginx.conf"}}},
		{"a setting of nginx's", func(f *Facts) {
			f.Nginx.V.Events.WorkerConnections = nginx.Value[int64]{V: 512, Source: "/etc/nginx/nginx.conf:7"}
		}, []Drift{{"nginx.events.workerConnections", "768", "512", "/etc/nginx/nginx.conf:7"}}},
	} {
		was, is := twoReadings()
		c.change(&is)
		if got := Compare(was, is); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%+v, want\n%+v", c.name, got, c.want)
		}
	}
}
