package checks

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// startedBy makes a host whose application has too few descriptors and was started
// by somebody.
func startedBy(o facts.Origin, change func(*facts.Facts)) facts.Facts {
	f := tuned()
	nofile(&f, gunicorn, 500, 500)
	for _, p := range processes(&f, gunicorn) {
		p.Origin.V = o
		if o.By != facts.ByUnit && o.By != facts.ByUserUnit {
			p.Unit.V = ""
		}
	}
	if o.By != facts.ByUnit && o.By != facts.ByUserUnit {
		f.Service.V = nil
	}
	if change != nil {
		change(&f)
	}
	return f
}

// The remedy of too few descriptors is where who started the application sets
// limits; a file of fltool's is proposed only where it would win.
func TestNoFileRemedies(t *testing.T) {
	unit := facts.Origin{By: facts.ByUnit, Name: "fl.service"}
	login := facts.Origin{By: facts.ByLogin}
	set := func(source string) func(*facts.Facts) {
		return func(f *facts.Facts) {
			f.Service.V.NoFile = facts.Value[facts.Bound]{V: facts.Bound{Soft: 500, Hard: 500}, Source: source}
		}
	}
	for name, c := range map[string]struct {
		origin facts.Origin
		change func(*facts.Facts)
		want   string // within the text
		file   string // "": by hand
	}{
		"a service":              {unit, set("/etc/systemd/system/fl.service:3"), "by a drop-in", "/etc/systemd/system/fl.service.d/zz-fltool.conf"},
		"an earlier drop-in":     {unit, set("/etc/systemd/system/fl.service.d/override.conf:2"), "by a drop-in", "/etc/systemd/system/fl.service.d/zz-fltool.conf"},
		"a later drop-in":        {unit, set("/etc/systemd/system/fl.service.d/zzz.conf:2"), "zzz.conf:2 is read after", ""},
		"a unit that was edited": {unit, func(f *facts.Facts) {}, "restart it", ""},
		"ulimit in ExecStart":    {unit, func(f *facts.Facts) { f.Service.V.Setter = "ulimit at /etc/systemd/system/fl.service:8" }, "ulimit at /etc/systemd/system/fl.service:8 sets the limit after systemd does", ""},
		"PAMName":                {unit, func(f *facts.Facts) { set("/etc/security/limits.conf:3")(f); f.Service.V.PAM = "login" }, "raise it at /etc/security/limits.conf:3", ""},
		"NixOS":                  {unit, func(f *facts.Facts) { set("/etc/systemd/system/fl.service:3")(f); f.OS.V.ID = "nixos" }, "systemd.services.fl.serviceConfig.LimitNOFILE", ""},
		"systemd-run": {unit, func(f *facts.Facts) {
			set("/run/systemd/transient/fl.service:3")(f)
			f.Service.V.Files = []string{"/run/systemd/transient/fl.service"}
		}, "-p LimitNOFILE=", ""},
		"a quadlet": {unit, func(f *facts.Facts) {
			f.Service.V.Container, f.Service.V.Template = "podman", "/etc/containers/systemd/fl.container"
		}, "Ulimit=nofile=65536:65536", ""},
		"podman in a unit": {unit, func(f *facts.Facts) { f.Service.V.Container = "podman" }, "--ulimit nofile=65536:65536", ""},
		"a user's service": {facts.Origin{By: facts.ByUserUnit, Name: "fl.service", User: "fl"}, set("/srv/fl/.config/systemd/user/fl.service:3"), "systemctl --user edit fl.service", ""},
		"docker":           {facts.Origin{By: facts.ByContainer}, nil, "--ulimit nofile=65536", ""},
		"a pod":            {facts.Origin{By: facts.ByPod}, nil, "containerd.service", ""},
		"LXC":              {facts.Origin{By: facts.ByLXC}, nil, "lxc.prlimit.nofile = 65536", ""},
		"OpenRC":           {facts.Origin{By: facts.ByOpenRC, Name: "fl", Source: "/etc/conf.d/fl:1"}, nil, `rc_ulimit="-n 65536" in /etc/conf.d/fl:1`, ""},
		"runit":            {facts.Origin{By: facts.ByRunit, Name: "fl", Source: "/etc/sv/fl/run"}, nil, "ulimit -n 65536", ""},
		"s6":               {facts.Origin{By: facts.ByS6, Name: "fl"}, nil, "s6-softlimit -o 65536", ""},
		"supervisord":      {facts.Origin{By: facts.BySupervisor, Source: "/etc/supervisord.conf:4"}, nil, "minfds = 65536 below [supervisord] of /etc/supervisord.conf:4", ""},
		"pm2":              {facts.Origin{By: facts.ByPM2}, nil, "pm2 kill", ""},
		"a login":          {login, nil, "logins", "/etc/security/limits.d/zz-fltool.conf"},
		"a login without PAM": {login, func(f *facts.Facts) {
			f.Session.V = facts.Session{Service: "sshd", Why: "/etc/ssh/sshd_config:3: UsePAM no"}
		}, "set UsePAM yes", ""},
		"a login without pam_limits": {login, func(f *facts.Facts) {
			f.Session.V = facts.Session{Service: "sshd", Why: "/etc/pam.d/sshd has no pam_limits"}
		}, "/etc/pam.d/sshd has no pam_limits", ""},
		"a login with a file of its own": {login, func(f *facts.Facts) { f.Session.V.Conf = "/srv/limits" }, "reads /srv/limits alone", ""},
		"a login that is lifted out": {login, func(f *facts.Facts) {
			f.Logins.V = append(f.Logins.V, facts.LimitLine{Domain: "fl", Type: "-", Source: "/etc/security/limits.conf:9"})
		}, "/etc/security/limits.conf:9 lifts fl out", ""},
		"a login on NixOS": {login, func(f *facts.Facts) { f.OS.V.ID = "nixos" }, "security.pam.loginLimits", ""},
	} {
		f := startedBy(c.origin, c.change)
		check, _ := ByID("app/nofile")
		o := check.Eval(check.cases(OneHost(f), demand)[0])
		if o.Status != reports.StatusFail || !strings.Contains(o.Remedy.Text, c.want) {
			t.Errorf("%s: %s with %q, want %q", name, o.Status, o.Remedy.Text, c.want)
		}
		file := ""
		if len(o.Remedy.Files) > 0 {
			file = o.Remedy.Files[0].Path
		}
		if file != c.file {
			t.Errorf("%s: writes %q, want %q", name, file, c.file)
		}
	}
}

// A restart is asked for only where nothing else explains what runs.
func TestPendingLimit(t *testing.T) {
	bound := func(soft, hard facts.Limit) facts.Bound { return facts.Bound{Soft: soft, Hard: hard} }
	for name, c := range map[string]struct {
		unit    facts.Unit
		got     facts.Bound
		by      string
		pending bool
		other   string
	}{
		"as the unit has it":         {facts.Unit{NoFileSet: true}, bound(65536, 65536), facts.ByUnit, false, ""},
		"of before the edit":         {facts.Unit{NoFileSet: true}, bound(1024, 524288), facts.ByUnit, true, ""},
		"it raised its own":          {facts.Unit{NoFileSet: true, NoFile: is(bound(1024, 65536))}, bound(65536, 65536), facts.ByUnit, false, "itself"},
		"nothing is set":             {facts.Unit{}, bound(4096, 4096), facts.ByUnit, false, "sets none"},
		"ulimit in what it starts":   {facts.Unit{NoFileSet: true, Setter: "ulimit at x:1"}, bound(4096, 4096), facts.ByUnit, false, "ulimit at x:1"},
		"a container":                {facts.Unit{NoFileSet: true, Container: "podman"}, bound(4096, 4096), facts.ByUnit, false, "runtime"},
		"supervisord":                {facts.Unit{NoFileSet: true}, bound(1024, 1024), facts.BySupervisor, false, "supervisord"},
		"cron":                       {facts.Unit{NoFileSet: true}, bound(1024, 1024), facts.ByCron, false, "cron"},
		"a user's manager with less": {facts.Unit{NoFileSet: true, User: "fl"}, bound(4096, 4096), facts.ByUserUnit, false, "manager"},
	} {
		u := c.unit
		if !u.NoFile.Known() {
			u.NoFile = is(bound(65536, 65536))
		}
		pending, other := pendingLimit(&u, facts.Process{Limits: is(facts.Limits{NoFile: c.got}), Origin: is(facts.Origin{By: c.by})})
		if pending != c.pending || !strings.Contains(other, c.other) || (other != "") != (c.other != "") {
			t.Errorf("%s: %v, %q", name, pending, other)
		}
	}
}

// A restart that would lower the limit is not advised.
func TestPendingDownwards(t *testing.T) {
	f := tuned()
	f.Service.V.NoFile.V = facts.Bound{Soft: 1024, Hard: 4096}
	check, _ := ByID("app/unit-pending")
	o := check.Eval(check.cases(OneHost(f), demand)[0])
	if o.Status != reports.StatusFail || len(o.Remedy.Commands) > 0 || !strings.Contains(o.Remedy.Text, "the next restart lowers it") {
		t.Errorf("%+v", o)
	}
	f.Service.V.Refused = "NOFILE 9 is above fs.nr_open 8"
	if o = check.Eval(check.cases(OneHost(f), demand)[0]); !strings.Contains(o.Remedy.Text, "would not start again") {
		t.Errorf("%+v", o)
	}
}

// A file of sysctl.d that is read later wins, and ports that are kept stay kept.
func TestSysctlRemedies(t *testing.T) {
	f := tuned()
	f.Ports.V = facts.PortRange{Lo: 40000, Hi: 40099, Kept: "8080,9000-9010"}
	check, _ := ByID("host/port-range")
	o := check.Eval(check.cases(OneHost(f), demand)[0])
	if got := strings.Join(o.Remedy.Files[0].Lines, "; "); !strings.HasSuffix(got, "ip_local_reserved_ports = 8080,9000-9010,5000") {
		t.Errorf("writes %s", got)
	}
	f.Persisted.V = []facts.Persisted{{Key: "net.ipv4.ip_local_port_range", Value: "40000 40099", Source: "/etc/sysctl.d/zzz.conf:1", Running: is("40000\t40099")}}
	if o = check.Eval(check.cases(OneHost(f), demand)[0]); len(o.Remedy.Files) > 0 || !strings.Contains(o.Remedy.Text, "zzz.conf:1 is read after") {
		t.Errorf("%+v", o.Remedy)
	}
	f.OS.V.ID = "nixos"
	if o = check.Eval(check.cases(OneHost(f), demand)[0]); len(o.Remedy.Files) > 0 || !strings.Contains(o.Remedy.Text, `boot.kernel.sysctl."net.ipv4.ip_local_port_range"`) {
		t.Errorf("%+v", o.Remedy)
	}
	f = tuned()
	f.KubeProxy.V, f.Conntrack.V.Max = true, 1000
	check, _ = ByID("host/conntrack")
	if o = check.Eval(check.cases(OneHost(f), demand)[0]); len(o.Remedy.Files) > 0 || !strings.Contains(o.Remedy.Text, "conntrack.min") {
		t.Errorf("%+v", o.Remedy)
	}
	for kept, want := range map[string]string{"": "5000", "80": "80,5000", "4000-6000": "4000-6000", "5000": "5000", "4999,5001-5002": "4999,5001-5002,5000"} {
		if got := reservedWith(kept, 5000); got != want {
			t.Errorf("%q with 5000 is %q, want %q", kept, got, want)
		}
	}
}

// Of a remedy with a file and a half for hands neither is lost.
func TestBothHalves(t *testing.T) {
	f := tuned()
	f.Sysctls.SoMaxConn.V = 128
	for _, id := range []string{"app/accept-queue", "nginx/listen-backlog"} {
		check, _ := ByID(id)
		d := demand
		d.Workers = 3000
		o := check.Eval(check.cases(OneHost(f), d)[0])
		lines := ""
		for _, file := range o.Remedy.Files {
			lines += strings.Join(file.Lines, " ") + " "
		}
		if !strings.Contains(lines, "somaxconn") || !strings.Contains(lines+o.Remedy.Hand, "backlog") {
			t.Errorf("%s: files %q, by hand %q", id, lines, o.Remedy.Hand)
		}
	}
}

// TIME_WAIT is counted: ports that connections just closed keep are not free.
func TestTimeWaitInUse(t *testing.T) {
	f := tuned()
	f.Nginx = tunedNginx(strings.Replace(tunedConfig, "server 127.0.0.1:5000", "server 10.0.0.9:5000", 1))
	f.Sysctls.TWReuse.V = 0
	check, _ := ByID("host/time-wait")
	for used, want := range map[int]reports.Status{0: reports.StatusPass, 27000: reports.StatusPass, 27900: reports.StatusFail} {
		f.TimeWait.V = used
		if o := check.Eval(check.cases(OneHost(f), demand)[0]); o.Status != want {
			t.Errorf("%d kept: %s, want %s", used, o.Status, want)
		}
	}
}

// nginx's own limit is judged by its master's hard one: a config line that lowered
// the workers' is not blamed on a container.
func TestNginxHardLimit(t *testing.T) {
	f := tuned()
	f.MayRaise.V = false
	f.Systemd.V = false
	f.NginxUnit.V = nil
	nofile(&f, facts.KindNginx, 1024, 524288)
	for _, p := range processes(&f, facts.KindNginx)[1:] {
		p.Limits.V.NoFile = facts.Bound{Soft: 256, Hard: 256}
	}
	f.Nginx = tunedNginx(strings.Replace(tunedConfig, "worker_rlimit_nofile", "worker_rlimit_nofile 256; #", 1))
	check, _ := ByID("nginx/nofile")
	o := check.Eval(check.cases(OneHost(f), demand)[0])
	if o.Status != reports.StatusFail || strings.Contains(o.Remedy.Text, "no process here may raise") {
		t.Errorf("%s: %q", o.Status, o.Remedy.Text)
	}
	// SELinux may be what keeps it from raising its limit.
	f = tuned()
	f.SELinux.V = facts.SELinux{Enforcing: true, SetRlimit: is(false)}
	nofile(&f, facts.KindNginx, 1024, 524288)
	for _, id := range []string{"nginx/nofile", "nginx/rlimit-pending"} {
		check, _ := ByID(id)
		if o := check.Eval(check.cases(OneHost(f), demand)[0]); !strings.Contains(o.Remedy.Text, "setsebool -P httpd_setrlimit on") {
			t.Errorf("%s: %q", id, o.Remedy.Text)
		}
	}
}

// Why a login has less than a line promises is told for the login to come.
func TestWhyLess(t *testing.T) {
	for want, c := range map[string]struct {
		line  facts.LimitLine
		login facts.Login
	}{
		"a soft line as well":                  {facts.LimitLine{Domain: "fl", Type: "hard"}, facts.Login{Lines: []string{"conf:1"}}},
		"a hard line as well":                  {facts.LimitLine{Domain: "fl", Type: "soft"}, facts.Login{Lines: []string{"conf:1", "conf:2"}}},
		"conf:2 decides":                       {facts.LimitLine{Domain: "*", Type: "-"}, facts.Login{Lines: []string{"conf:2"}}},
		"does not mean":                        {facts.LimitLine{Domain: "bob", Type: "-"}, facts.Login{}},
		"so that pam_limits refuses the login": {facts.LimitLine{Domain: "fl", Type: "-"}, facts.Login{Refused: "hard nofile 9 is above fs.nr_open 8"}},
		"so that nothing is set":               {facts.LimitLine{Domain: "fl", Type: "-"}, facts.Login{Kept: "hard nofile 9 is above fs.nr_open 8"}},
		"lifts fl out":                         {facts.LimitLine{Domain: "*", Type: "-"}, facts.Login{Lines: []string{"conf:2"}, Lifted: true}},
	} {
		f := tuned()
		c.line.Item, c.line.Value, c.line.Source = "nofile", 65536, "conf:1"
		c.login.User, c.login.Limits.NoFile = "fl", facts.Bound{Soft: 1024, Hard: 4096}
		f.Asked.User, f.Login, f.Logins.V = "fl", is(&c.login), []facts.LimitLine{c.line}
		check, _ := ByID("app/limits-conf")
		if o := check.Eval(check.cases(OneHost(f), demand)[0]); !strings.Contains(o.Remedy.Text, want) {
			t.Errorf("%q, want %q", o.Remedy.Text, want)
		}
	}
}

// A package's default and what an image brought ask for nothing.
func TestSysctlPendingOfNobody(t *testing.T) {
	check, _ := ByID("host/sysctl-pending")
	for name, change := range map[string]change{
		"a package's": func(f *facts.Facts) { f.Persisted.V[0].Source = "/usr/lib/sysctl.d/50-default.conf:1" },
		"an image's":  func(f *facts.Facts) { f.Container.V = true },
	} {
		f := tuned()
		f.Persisted.V[0].Running.V = "128"
		change(&f)
		if o := check.Eval(check.cases(OneHost(f), demand)[0]); o.Status != reports.StatusNA {
			t.Errorf("%s: %s, %s", name, o.Status, o.Got)
		}
	}
}
