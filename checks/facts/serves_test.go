package facts_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/checks/kinds"
)

const port5000 = "0100007F:1388"

func host(t testing.TB, procs ...factstest.Process) facts.Root {
	t.Helper()
	return facts.NewRoot(factstest.Host(t, procs...))
}

func gather(t testing.TB, r facts.Root, a facts.Asked) facts.Facts {
	t.Helper()
	f, err := facts.Gather(r, facts.Scope{Asked: a, Specs: kinds.Specs(), Now: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func who(f facts.Facts) string {
	var out []string
	for _, p := range f.Processes.V {
		s := fmt.Sprintf("%d:%s", p.PID, p.Kind)
		if p.Part != "" {
			s += ":" + p.Part
		}
		if p.Draining {
			s += ":draining"
		}
		out = append(out, s)
	}
	if !f.Processes.Known() {
		return "unknown"
	}
	return strings.Join(out, " ")
}

func TestWhoServes(t *testing.T) {
	python := []string{"/usr/bin/python3", "/usr/bin/gunicorn", "-k", "gevent", "app:app"}
	master := factstest.Process{PID: 10, Args: python, Listen: []string{port5000}, Cwd: "/srv"}
	worker := factstest.Process{PID: 11, PPID: 10, Args: python}
	other := factstest.Process{PID: 40, Args: []string{"/usr/bin/python3", "/usr/bin/gunicorn", "x:y"}, Listen: []string{"0100007F:1F40"}}
	nginx := []factstest.Process{
		{PID: 20, Args: []string{"nginx: master process /usr/sbin/nginx"}},
		{PID: 21, PPID: 20, UID: 33, Args: []string{"nginx: worker process"}},
		{PID: 22, PPID: 20, UID: 33, Args: []string{"nginx: worker process is shutting down"}},
	}
	embedded := factstest.Process{PID: 30, Args: []string{"python3", "server.py"}, Listen: []string{port5000}, Links: []string{"/tmp/wgunicorn-abc (deleted)"}}
	child := factstest.Process{PID: 31, PPID: 30, Args: []string{"python3", "server.py"}}
	for _, c := range []struct {
		name  string
		procs []factstest.Process
		asked facts.Asked
		want  string
	}{
		{"nobody", nil, facts.Asked{}, ""},
		{"gunicorn", []factstest.Process{master, worker}, facts.Asked{}, "10:gunicorn:master 11:gunicorn:worker"},
		{"a worker with a child of its own", []factstest.Process{master, worker, {PID: 12, PPID: 11, Args: []string{"train"}}}, facts.Asked{}, "10:gunicorn:master 11:gunicorn:worker 12:gunicorn:worker"},
		{"gunicorn and nginx", append([]factstest.Process{master, worker}, nginx...), facts.Asked{}, "10:gunicorn:master 11:gunicorn:worker 20:nginx:master 21:nginx:worker 22:nginx:worker:draining"},
		{"the one on the port", []factstest.Process{master, worker, other}, facts.Asked{}, "10:gunicorn:master 11:gunicorn:worker"},
		{"another port", []factstest.Process{master, worker, other}, facts.Asked{Port: 8000}, "40:gunicorn"},
		{"no one on the port", []factstest.Process{other}, facts.Asked{}, "40:gunicorn"},
		{"by pid", []factstest.Process{master, worker, other}, facts.Asked{PID: 40}, "40:gunicorn"},
		{"several on other ports", []factstest.Process{other, {PID: 41, Args: []string{"gunicorn", "y:z"}, Listen: []string{"0100007F:1F41"}}}, facts.Asked{}, "unclear"},
		{"a stranger on the port, and one that is known elsewhere", []factstest.Process{other, {PID: 50, Args: []string{"/srv/server"}, Listen: []string{port5000}}}, facts.Asked{}, "unclear"},
		{"a stranger on the asked port", []factstest.Process{other, {PID: 50, Args: []string{"/srv/server"}, Listen: []string{port5000}}}, facts.Asked{Port: 5000}, "50:other"},
		{"gunicorn inside a program", []factstest.Process{embedded, child}, facts.Asked{}, "30:gunicorn:master 31:gunicorn:worker"},
		{"titles of setproctitle", []factstest.Process{{PID: 10, Args: []string{"gunicorn: master [app]"}}, {PID: 11, PPID: 10, Args: []string{"gunicorn: worker [app]"}}}, facts.Asked{}, "10:gunicorn:master 11:gunicorn:worker"},
		{"fltool", []factstest.Process{{PID: 60, Args: []string{"/usr/bin/fltool", "serve"}}, {PID: 61, Args: []string{"fltool", "preflight"}}}, facts.Asked{}, "60:fltool"},
		{"by service", []factstest.Process{{PID: 70, Args: []string{"python3", "x.py"}, Cgroup: "0::/system.slice/fl.service"}, other}, facts.Asked{Service: "fl"}, "70:other"},
		{"a proxy that nobody knows", []factstest.Process{master, worker, {PID: 90, Args: []string{"/opt/gate"}, Listen: []string{"00000000:0050"}, Connected: []string{port5000}}}, facts.Asked{}, "10:gunicorn:master 11:gunicorn:worker 90:other"},
		{"a client of the application's own host", []factstest.Process{master, worker, {PID: 90, Args: []string{"/opt/train"}, Connected: []string{port5000}}}, facts.Asked{}, "10:gunicorn:master 11:gunicorn:worker"},
		{"an editor of a file named gunicorn", []factstest.Process{{PID: 80, Args: []string{"vi", "gunicorn"}}}, facts.Asked{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := host(t, c.procs...)
			if c.asked.Service != "" {
				unit := filepath.Join(r.String(), "etc/systemd/system/fl.service")
				os.MkdirAll(filepath.Dir(unit), 0o755)
				if err := os.WriteFile(unit, []byte("[Service]\nExecStart=/usr/bin/python3 x.py\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			f, err := facts.Gather(r, facts.Scope{Asked: c.asked, Specs: kinds.Specs(), Now: time.Unix(0, 0)})
			if err != nil {
				t.Fatal(err)
			}
			got := who(f)
			if strings.HasSuffix(f.Processes.Why(), facts.NameIt) {
				got = "unclear"
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	r := host(t, master)
	for _, a := range []facts.Asked{{PID: 99}, {Service: "none"}} {
		if _, err := facts.Gather(r, facts.Scope{Asked: a, Specs: kinds.Specs()}); err == nil {
			t.Errorf("%+v is not there, and no error", a)
		}
	}
}

func TestProcessFacts(t *testing.T) {
	r := host(t, factstest.Process{
		PID: 10, UID: 1000, Args: []string{"gunicorn", "--worker-connections", "2064"}, Soft: "4096", Hard: "unlimited",
		Cgroup: "0::/system.slice/fl.service", Cwd: "/srv", Listen: []string{port5000}, Env: []string{"SECRET=hunter2", "WEB_CONCURRENCY=2"},
	})
	p := gather(t, r, facts.Asked{}).Processes.V[0]
	if p.Limits.V.NoFile != (facts.Bound{Soft: 4096, Hard: facts.Unlimited}) || p.FDs.V != 4 || p.User.V != "fl" || p.Unit.V != "fl.service" || p.RSSBytes.V != 5000*4096 || p.Threads.V != 2 {
		t.Errorf("%+v", p)
	}
	if len(p.Listen.V) != 1 || p.Listen.V[0].Addr.String() != "127.0.0.1:5000" {
		t.Errorf("listens on %+v", p.Listen)
	}
	if s := p.Settings; s.Get("worker_connections").V != "2064" || s.Get("workers").V != "2" {
		t.Errorf("gunicorn %+v", s)
	}
}

// setproctitle writes over the arguments; what the unit starts is known then.
func TestHiddenArguments(t *testing.T) {
	procs := []factstest.Process{
		{PID: 10, Args: []string{"gunicorn: master [app]"}, Cgroup: "0::/system.slice/fl.service", Listen: []string{port5000}},
		{PID: 11, PPID: 10, Args: []string{"gunicorn: worker [app]"}, Cgroup: "0::/system.slice/fl.service"},
	}
	r := host(t, procs...)
	if s := gather(t, r, facts.Asked{}).Processes.V[0].Settings; s.Get("worker_class").Known() {
		t.Errorf("%+v", s)
	}
	unit := filepath.Join(r.String(), "etc/systemd/system/fl.service")
	if err := os.MkdirAll(filepath.Dir(unit), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unit, []byte("[Service]\nExecStart=/usr/bin/gunicorn -k gevent x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if v := gather(t, r, facts.Asked{}).Processes.V[0].Settings.Get("worker_class"); v.V != "gevent" || v.Source != "/etc/systemd/system/fl.service:2" {
		t.Errorf("%+v", v)
	}
}

// No secret of a command line or an environment is saved.
func TestNoSecrets(t *testing.T) {
	r := host(t, factstest.Process{
		PID: 10, Args: []string{"gunicorn", "--env", "DCF_SERVER_ADMIN_PASSWORD=hunter2", "-k", "gevent", "app:app('hunter2')"},
		Env: []string{"DCF_SERVER_ADMIN_PASSWORD=hunter2", "GUNICORN_CMD_ARGS=--env P=hunter2 --timeout 5"}, Listen: []string{port5000},
	})
	var b bytes.Buffer
	if err := gather(t, r, facts.Asked{}).Write(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hunter2") {
		t.Error("the facts hold a secret")
	}
	if !strings.Contains(b.String(), "gevent") {
		t.Error("the facts hold no setting either")
	}
}

// What can't be read is unknown with its reason, and the rest goes on.
func TestGarbledProc(t *testing.T) {
	for file, text := range map[string]string{
		"limits": "Max open files many few files", "status": "Uid:\tx\n", "cgroup": "nonsense",
	} {
		r := host(t, factstest.Process{PID: 10, Args: []string{"gunicorn"}})
		if err := os.WriteFile(filepath.Join(r.String(), "proc/10", file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		f := gather(t, r, facts.Asked{})
		if len(f.Processes.V) != 1 {
			t.Fatalf("%s garbled: %s", file, who(f))
		}
		p := f.Processes.V[0]
		unknown := map[string]string{"limits": p.Limits.Why(), "status": p.User.Why(), "cgroup": p.Cgroup.Why()}
		for name, why := range unknown {
			if (name == file) != (why != "") {
				t.Errorf("%s garbled: %s is unknown because %q", file, name, why)
			}
		}
	}
}

// Where what a unit starts may run gunicorn inside, nobody can say what its
// settings are.
func TestScripted(t *testing.T) {
	for start, want := range map[string]bool{
		"/usr/bin/python3 server.py":         true,
		"/opt/venv/bin/python3.11 server.py": true,
		"/usr/bin/env python3 server.py":     true,
		"/bin/bash -c 'exec gunicorn a:a'":   true,
		"/srv/start":                         true,
		"/srv/absent":                        true,
		"/srv/binary":                        false,
		"-/usr/local/bin/fltool serve":       false,
		"/usr/bin/gunicorn app:app":          false, // its settings are read
		"/usr/bin/python3 -m gunicorn app:a": false,
	} {
		r := host(t)
		for name, text := range map[string]string{
			"etc/systemd/system/fl.service": "[Service]\nExecStart=" + start + "\n",
			"srv/start":                     "#!/bin/sh\n", "srv/binary": "\x7fELF\x02\x01\x01",
		} {
			file := filepath.Join(r.String(), name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if u := gather(t, r, facts.Asked{Service: "fl"}).Service.V; u.Scripted != want {
			t.Errorf("%s: scripted %v, of kind %q", start, u.Scripted, u.Kind)
		}
	}
}
