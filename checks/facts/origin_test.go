package facts

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts/factstest"
)

// Who started a process, by its control group and its parents.
func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		name, cgroup string
		parent       []string // its parent's command line
		want         Origin
	}{
		{"a service", "0::/system.slice/fl.service", nil, Origin{By: ByUnit, Name: "fl.service"}},
		{"of v1", "1:name=systemd:/system.slice/fl.service\n4:memory:/system.slice/fl.service", nil, Origin{By: ByUnit, Name: "fl.service"}},
		{"a user's service", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/fl.service", nil, Origin{By: ByUserUnit, Name: "fl.service", User: "fl"}},
		{"a user's terminal", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope", nil, Origin{By: ByLogin}},
		{"a session", "0::/user.slice/user-1000.slice/session-4.scope", nil, Origin{By: ByLogin}},
		{"a shell of sshd without control groups", "0::/", []string{"sshd"}, Origin{By: ByLogin}},
		{"docker", "0::/system.slice/docker-0123456789abcdef.scope", nil, Origin{By: ByContainer}},
		{"docker with cgroupfs", "4:memory:/docker/0123456789abcdef0123\n0::/docker/0123456789abcdef0123", nil, Origin{By: ByContainer}},
		{"a quadlet", "0::/system.slice/fl.service/libpod-payload-8c3f", nil, Origin{By: ByContainer, Name: "fl.service"}},
		{"a pod", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-0123abcd.scope", nil, Origin{By: ByPod}},
		{"LXC", "0::/lxc.payload.fl/system.slice/fl.service", nil, Origin{By: ByLXC, Name: "fl"}},
		{"OpenRC by its group", "0::/openrc.fl", nil, Origin{By: ByOpenRC, Name: "fl", Source: "/etc/conf.d/fl:2"}},
		{"OpenRC of v1", "1:name=openrc:/fl", nil, Origin{By: ByOpenRC, Name: "fl", Source: "/etc/conf.d/fl:2"}},
		{"OpenRC by its supervisor", "0::/", []string{"supervise-daemon", "fl", "--start"}, Origin{By: ByOpenRC, Name: "fl", Source: "/etc/conf.d/fl:2"}},
		{"runit", "0::/", []string{"runsv", "fl"}, Origin{By: ByRunit, Name: "fl", Source: "/etc/sv/fl/run:2"}},
		{"s6", "0::/", []string{"s6-supervise", "fl"}, Origin{By: ByS6, Name: "fl", Source: "/run/service/fl/run"}},
		{"supervisord in a service", "0::/system.slice/supervisor.service", []string{"/usr/bin/python3", "/usr/bin/supervisord", "-n"}, Origin{By: BySupervisor, Source: "/etc/supervisor/supervisord.conf:2"}},
		{"cron", "0::/system.slice/cron.service", []string{"/usr/sbin/cron"}, Origin{By: ByCron}},
		{"pm2", "0::/user.slice/user-1000.slice/session-4.scope", []string{"PM2 v5.3.0: God Daemon (/root/.pm2)"}, Origin{By: ByPM2}},
		{"nobody that tells", "0::/", nil, Origin{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := c.parent
			if parent == nil {
				parent = []string{"idle"}
			}
			r := host(t, factstest.Process{PID: 50, Args: parent}, factstest.Process{PID: 100, PPID: 50, Args: []string{"python3"}, Cgroup: c.cgroup})
			add(t, r, map[string]string{
				"etc/conf.d/fl":                   "# limits\nrc_ulimit=\"-n 4096\"\n",
				"etc/sv/fl/run":                   "#!/bin/sh\nulimit -n 4096\nexec gunicorn\n",
				"etc/supervisor/supervisord.conf": "[supervisord]\nminfds = 2048\n",
				"proc/50/comm":                    nameOf(parent) + "\n",
			})
			o, err := readOrigin(r, 100)
			if err != nil {
				t.Fatal(err)
			}
			if got := o.locate(r); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func nameOf(args []string) string {
	name := args[0][strings.LastIndexByte(args[0], '/')+1:]
	return name[:min(len(name), 15)]
}

func FuzzOrigin(f *testing.F) {
	f.Add("0::/user.slice/user-1000.slice/user@1000.service/app.slice/fl.service", "runsv", "runsv fl")
	f.Add("1:name=openrc:/../..\n0::/openrc.", "supervise-daemo", "supervise-daemon ../../etc/passwd")
	f.Fuzz(func(t *testing.T, group, name, args string) {
		originOfGroup(parseCgroupPaths(group))
		if o := originOfParent(name, strings.Fields(args)); strings.Contains(o.Name, "/") {
			t.Errorf("a name with a path: %q", o.Name)
		}
	})
}

// A service of OpenRC that does not run is what its script and conf.d would start.
func TestOpenRC(t *testing.T) {
	r := write(t, map[string]string{
		"etc/init.d/fl":  "#!/sbin/openrc-run\ncommand=\"/usr/bin/gunicorn\"\ncommand_args=\"-k gevent --worker-connections 4096 app:app\"\ndirectory=/srv\n",
		"etc/conf.d/fl":  "#rc_ulimit=\"-n 9\"\nrc_ulimit=\"-u 100 -n 4096\"\n",
		"etc/rc.conf":    "rc_ulimit=\"-n 7\"\n",
		"etc/init.d/old": "#!/bin/sh\n",
		"proc/1/comm":    "init\n",
	})
	f := gather(t, r, Asked{Service: "fl"})
	u := f.Service.V
	if u == nil || u.NoFile.V != (Bound{4096, 4096}) || u.NoFile.Source != "/etc/conf.d/fl:2" {
		t.Errorf("%+v", u)
	}
	specs := []Spec{{Kind: "gunicorn", Match: func(args []string) bool { return args[0] == "/usr/bin/gunicorn" }, Read: func(_ Root, p Program) Details {
		return Details{Settings: Settings{"args": known(strings.Join(p.Args[1:], " ")+" in "+p.Cwd, p.From)}}
	}}}
	if identify(r, specs, u); u.Kind != "gunicorn" || u.Settings["args"].V != "-k gevent --worker-connections 4096 app:app in /srv" {
		t.Errorf("%+v", u)
	}
	if _, err := Gather(r, Scope{Asked: Asked{Service: "old"}}); err == nil {
		t.Error("a script that is not OpenRC's was read as one")
	}
	for args, want := range map[string]Bound{
		"-n 65536": {65536, 65536}, "-Hn 5000": {1024, 5000}, "-S -n 2000": {2000, 524288}, "-n unlimited": {Unlimited, Unlimited}, "-u 9": {1024, 524288}, "-n": {1024, 524288}, "-Hn 100": {100, 100},
	} {
		if b, _ := parseUlimit(args, Bound{1024, 524288}); b != want {
			t.Errorf("%s: %v, want %v", args, b, want)
		}
	}
}

func FuzzOpenRC(f *testing.F) {
	f.Add("export rc_ulimit=\"-Hn 5 -u 9\"\ncommand='/usr/bin/x'\n", "-n 5")
	f.Fuzz(func(t *testing.T, text, args string) {
		parseShellSettings(text)
		if b, _ := parseUlimit(args, Bound{1024, 4096}); less(b.Hard, b.Soft) {
			t.Errorf("soft above hard: %v", b)
		}
	})
}
