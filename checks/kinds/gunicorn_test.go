package kinds

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// write makes a host of files.
func write(t testing.TB, files map[string]string) facts.Root {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return facts.NewRoot(dir)
}

// set says what settings are, and ? where that is unknown.
func set(s facts.Settings, names ...string) string {
	var out []string
	for _, n := range names {
		v := s.Get(n)
		if !v.Known() {
			v.V = "?"
		}
		out = append(out, v.V)
	}
	return strings.Join(out, " ")
}

func brief4(s facts.Settings) string {
	if s == nil {
		return "none"
	}
	return set(s, "worker_class", "worker_connections", "workers", "timeout")
}

// env is an environment's variables as facts keep them.
func env(list []string) map[string]facts.Value[string] {
	out := map[string]facts.Value[string]{}
	for _, e := range list {
		name, v, _ := strings.Cut(e, "=")
		out[name] = known(v, "environ "+name)
	}
	return out
}

func TestGunicornSettings(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   string
		env    []string
		config string // of /srv/gunicorn.conf.py
		want   string // class, connections, workers, timeout
	}{
		{"defaults", "app:app", nil, "", "sync 1000 1 30"},
		{"flags", "-k gevent --worker-connections 2064 -w 1 --timeout=0 app:app", nil, "", "gevent 2064 1 0"},
		{"glued", "-kgevent -w4 app:app", nil, "", "gevent 1000 4 30"},
		{"the last flag counts", "-w 2 -w 3", nil, "", "sync 1000 3 30"},
		{"egg and path", "-k egg:gunicorn#gevent", nil, "", "gevent 1000 1 30"},
		{"a class path", "--worker-class=gunicorn.workers.ggevent.GeventWorker", nil, "", "gevent 1000 1 30"},
		{"gevent's own server", "-k gevent_pywsgi", nil, "", "gevent 1000 1 30"},
		{"an egg of another", "-k egg:meinheld#gunicorn_worker", nil, "", "egg:meinheld#gunicorn_worker 1000 1 30"},
		{"eventlet's path", "-k gunicorn.workers.geventlet.EventletWorker", nil, "", "eventlet 1000 1 30"},
		{"tornado's path", "-k gunicorn.workers.gtornado.TornadoWorker", nil, "", "tornado 1000 1 30"},
		{"threads make gthread", "--threads 4", nil, "", "gthread 1000 1 30"},
		{"abbreviated", "--worker-con 5", nil, "", "sync ? 1 30"},
		{"no value", "--timeout", nil, "", "sync 1000 1 ?"},
		{"garbage", "--timeout never -w -3", nil, "", "sync 1000 -3 never"},
		{"concurrency", "", []string{"WEB_CONCURRENCY=8"}, "", "sync 1000 8 30"},
		{"flag over concurrency", "-w 1", []string{"WEB_CONCURRENCY=8"}, "", "sync 1000 1 30"},
		{"environment", "", []string{"GUNICORN_CMD_ARGS=--worker-connections '2064' -k gevent"}, "", "gevent 2064 1 30"},
		{"flag over environment", "--worker-connections 7", []string{"GUNICORN_CMD_ARGS=--worker-connections 2064"}, "", "sync 7 1 30"},
		{"unclosed quote", "", []string{"GUNICORN_CMD_ARGS=--timeout '5"}, "", "? ? ? ?"},
		{"config", "", nil, "worker_class = 'gevent'\nworker_connections=2_064 # x\n", "gevent 2064 1 30"},
		{"environment over config", "", []string{"GUNICORN_CMD_ARGS=-k eventlet"}, "worker_class = 'gevent'\ntimeout = 5\n", "eventlet 1000 1 5"},
		{"sums and products", "", nil, "worker_connections = 1000 * 4 + 64\nworkers = 2*1 # two\n", "sync 4064 2 30"},
		{"a huge product", "", nil, "workers = 99999999 * 99999999\n", "sync 1000 ? 30"},
		{"uvicorn's", "-k uvicorn.workers.UvicornWorker", nil, "", "uvicorn 1000 1 30"},
		{"computed", "", nil, "import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\n", "sync 1000 ? 30"},
		{"conditional", "", nil, "timeout = 5\nif x:\n    timeout = 6\n", "sync 1000 1 ?"},
		{"set again by a literal", "", nil, "timeout = f()\ntimeout = 6\n", "sync 1000 1 6"},
		{"augmented", "", nil, "workers = 1\nworkers += 1\n", "sync 1000 ? 30"},
		{"two in a line", "", nil, "x = 1; workers = 9\n", "sync 1000 ? 30"},
		{"in a text", "", nil, "\"\"\"\nworkers = 9\n\"\"\"\ntimeout = 7\n", "sync 1000 1 7"},
		{"imported", "", nil, "timeout = 7\nfrom base import *\n", "? ? ? ?"},
		{"marks of a text in a comment", "", nil, "# see \"\"\" there\nworkers = 9\n", "sync 1000 9 30"},
		{"marks of a text in a text", "", nil, "quote = '\"\"\"'\nworkers = 9\n", "sync 1000 9 30"},
		{"behind a text of lines", "", nil, "\"\"\"doc\"\"\"; workers = 9\n", "sync 1000 ? 30"},
		{"several at once", "", nil, "workers, timeout = 9, 8\n", "sync 1000 ? ?"},
		{"one after another", "", nil, "workers = timeout = 9\n", "sync 1000 ? ?"},
		{"of a loop", "", nil, "for workers in (9,): pass\n", "sync 1000 ? 30"},
		{"of a context", "", nil, "with f() as workers: pass\n", "sync 1000 ? 30"},
		{"deleted", "", nil, "workers = 9\ndel workers\n", "sync 1000 ? 30"},
		{"by its name", "", nil, "def on_starting(server):\n    server.cfg.set('timeout', 9)\n", "sync 1000 1 ?"},
		{"by vars", "", nil, "vars()['workers'] = 9\n", "? ? ? ?"},
		{"by setattr", "", nil, "setattr(module, name, 9)\n", "? ? ? ?"},
		{"in a call of several lines", "", nil, "x = dict(\nworkers = 9\n)\ntimeout = 7\n", "sync 1000 ? 7"},
		{"a line that goes on", "", nil, "workers \\\n  = 9\n", "sync 1000 9 30"},
		{"read by another", "", nil, "workers = 9\nx = workers * 2\n", "sync 1000 9 30"},
		{"named in a text", "", nil, "bind = '/run/workers.sock'\nworkers = 9\n", "sync 1000 9 30"},
		{"after a byte order mark", "", nil, "\ufeffworkers = 9\n", "sync 1000 9 30"},
		{"annotated", "", nil, "workers: int = 9\n", "sync 1000 ? 30"},
		{"from another file", "-c /srv/other.py", nil, "workers = 9\n", "sync 1000 3 30"},
		{"from a file that is not there", "-c /srv/none.py", nil, "", "? ? ? ?"},
		{"from a module", "-c python:settings", nil, "", "? ? ? ?"},
		{"flags beat an unread file", "-c python:settings -w 2 -k gevent --worker-connections=5 -t 1", nil, "", "gevent 5 2 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"srv/other.py": "workers = 3\n"}
			if c.config != "" {
				files["srv/gunicorn.conf.py"] = c.config
			}
			d := readGunicorn(write(t, files), facts.Program{PID: 7, Args: append([]string{"gunicorn"}, strings.Fields(c.args)...), From: "/proc/7/cmdline", Env: env(c.env), Cwd: "/srv"})
			if got := brief4(d.Settings); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	d := readGunicorn(write(t, nil), facts.Program{Args: []string{"gunicorn", "-w", "2"}, From: "x", EnvErr: fmt.Errorf("denied"), Cwd: "/"})
	if got := brief4(d.Settings); got != "? ? 2 ?" {
		t.Errorf("an environment that can't be read: %s", got)
	}
}

func TestUnitGunicorn(t *testing.T) {
	files := map[string]string{
		"srv/fl/gunicorn.conf.py": "worker_class = 'gevent'\n",
		"etc/default/fl":          "# x\nSECRET=hunter2\nGUNICORN_CMD_ARGS=\"--worker-connections 2064\"\n",
	}
	for text, want := range map[string]string{
		"ExecStart=/usr/bin/gunicorn -w 2 app:app":                                                                      "sync 1000 2 30",
		"WorkingDirectory=/srv/fl\nExecStart=/usr/bin/gunicorn app:app":                                                 "gevent 1000 1 30",
		"EnvironmentFile=/etc/default/fl\nExecStart=/usr/bin/python3 -m gunicorn app:app":                               "sync 2064 1 30",
		"EnvironmentFile=/etc/default/none\nExecStart=/usr/bin/gunicorn -w 1":                                           "? ? 1 ?",
		"EnvironmentFile=-/etc/default/none\nExecStart=/usr/bin/gunicorn -w 1":                                          "sync 1000 1 30",
		"Environment=A=b \"GUNICORN_CMD_ARGS=-k gevent --timeout 5\" WEB_CONCURRENCY=3\nExecStart=!/usr/bin/gunicorn x": "gevent 1000 3 5",
		"ExecStart=/usr/bin/gunicorn --worker-connections ${N} x":                                                       "sync ? 1 30",
		"ExecStart=/usr/bin/python3 server.py":                                                                          "none",
		"ExecStart=":                                                                                                    "none",
		"ExecStart=/usr/bin/gunicorn --chdir /srv/fl x":                                                                 "gevent 1000 1 30",
		// What systemd is yet to expand may set anything that is not set after it.
		"ExecStart=/usr/bin/gunicorn $OPTS -w 2 app:app":                                                            "? ? 2 ?",
		"ExecStart=/usr/bin/gunicorn -w 2 $OPTS app:app":                                                            "? ? ? ?",
		"ExecStart=/usr/bin/gunicorn -w 2 ${APP}":                                                                   "? ? ? ?",
		"ExecStart=/usr/bin/gunicorn -w $N app:app":                                                                 "? ? ? ?",
		"ExecStart=/usr/bin/gunicorn -w${N} -t5 app:app":                                                            "sync 1000 ? 5",
		"ExecStart=/usr/bin/gunicorn -w${N} --${X} -k gevent app:app":                                               "gevent ? ? ?",
		"ExecStart=/usr/bin/gunicorn --timeout=%i -k gevent app:app":                                                "gevent 1000 1 ?",
		"ExecStart=/usr/bin/gunicorn --bind ${HOST}:${PORT} -b ${ADDR} -n %p --pid=/run/%p.pid app:app":             "sync 1000 1 30",
		"ExecStart=/usr/bin/gunicorn --bind $ADDR app:app":                                                          "? ? ? ?",
		"ExecStart=/usr/bin/gunicorn -c /srv/%i.py -w 2 app:app":                                                    "? ? 2 ?",
		"ExecStart=/usr/bin/gunicorn --chdir %h app:app":                                                            "? ? ? ?",
		"ExecStart=/usr/bin/gunicorn -n a%%b -u $$x app:app":                                                        "sync 1000 1 30",
		"WorkingDirectory=~\nExecStart=/usr/bin/gunicorn -w 2 app:app":                                              "? ? 2 ?",
		"WorkingDirectory=/srv/%i\nExecStart=/usr/bin/gunicorn -w 2 app:app":                                        "? ? 2 ?",
		"WorkingDirectory=/srv/fl\nWorkingDirectory=\nExecStart=/usr/bin/gunicorn app:app":                          "sync 1000 1 30",
		"Environment=\"GUNICORN_CMD_ARGS=-w %i\"\nExecStart=/usr/bin/gunicorn -t 5 app:app":                         "? ? ? 5",
		"Environment=WEB_CONCURRENCY=%i\nExecStart=/usr/bin/gunicorn app:app":                                       "sync 1000 ? 30",
		"EnvironmentFile=/etc/default/fl\nEnvironment=GUNICORN_CMD_ARGS=--timeout=5\nExecStart=/usr/bin/gunicorn a": "sync 2064 1 30",
		"Environment=GUNICORN_CMD_ARGS=--timeout=5\nEnvironmentFile=/etc/default/fl\nExecStart=/usr/bin/gunicorn a": "sync 2064 1 30",
		"Environment=WEB_CONCURRENCY=3\nEnvironment=\nExecStart=/usr/bin/gunicorn a":                                "sync 1000 1 30",
		"EnvironmentFile=/etc/default/none\nEnvironmentFile=\nExecStart=/usr/bin/gunicorn a":                        "sync 1000 1 30",
		"EnvironmentFile=/etc/default/*\nExecStart=/usr/bin/gunicorn -w 1 a":                                        "? ? 1 ?",
	} {
		files["etc/systemd/system/fl.service"] = "[Service]\n" + text + "\n"
		f, err := facts.Gather(write(t, files), facts.Scope{Asked: facts.Asked{Service: "fl"}, Specs: Specs(), Now: time.Unix(0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		if got := brief4(f.Service.V.Settings); got != want {
			t.Errorf("%s\ngot %s, want %s", text, got, want)
		}
	}
}

// What bottle 0.13 and newer make of gunicorn inside a program.
func TestEmbeddedGunicorn(t *testing.T) {
	for _, c := range []struct{ bottle, want string }{
		{"__version__ = '0.12.25'\n", "gevent 4096 1 ?"},
		{"__version__ = '0.13.2'\n", "gevent 1000 1 ?"},
		{"", "gevent ? 1 ?"},
	} {
		files := map[string]string{"proc/7/maps": "7f00-7f01 r-xp 0 0 0 /usr/lib/python3/dist-packages/gevent/_event.so\n"}
		if c.bottle != "" {
			files["srv/bottle.py"] = c.bottle
		}
		d := readGunicorn(write(t, files), facts.Program{PID: 7, Args: []string{"python3", "server.py"}, From: "/proc/7/cmdline",
			Env: env([]string{"GUNICORN_CMD_ARGS=--worker-connections 4096"}), Cwd: "/srv"})
		if got := brief4(d.Settings); got != c.want {
			t.Errorf("%q: %s, want %s", c.bottle, got, c.want)
		}
	}
}

func FuzzGunicornArgs(f *testing.F) {
	f.Add("-k gevent --worker-connections=5 -w2 -c x -- y", "--timeout '3'")
	f.Fuzz(func(t *testing.T, args, vars string) {
		words, err := facts.SplitWords(args)
		if err != nil {
			words = strings.Fields(args)
		}
		p := facts.Program{Args: append([]string{"gunicorn"}, words...), From: "a", Unexpanded: len(args)%2 == 0, Cwd: "/",
			Env: env([]string{"GUNICORN_CMD_ARGS=" + vars, "WEB_CONCURRENCY=" + args})}
		h := Hop{Kind: Gunicorn, Settings: readGunicorn(facts.NewRoot("/nonexistent"), p).Settings}
		for _, f := range gunicornFlags {
			if v := h.Count(f.name); v.Known() && v.V < 0 {
				t.Errorf("%s: %+v", f.name, v)
			}
		}
		h.Answers()
	})
}

func FuzzGunicornConfig(f *testing.F) {
	f.Add("worker_class = 'gevent'\nworkers = 2*3\n'''\ntimeout=1\n'''\nif a: timeout = 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, v := range parseGunicornConfig(text, "f") {
			if v.Known() == (v.Err != "") {
				t.Errorf("%s: %+v", name, v)
			}
		}
	})
}
