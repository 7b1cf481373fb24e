package facts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// brief says what is set, and ? where that is unknown.
func brief(g *Gunicorn) string {
	if g == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s %s %s", orUnknown(g.WorkerClass), orUnknown(g.WorkerConnections), orUnknown(g.Workers), orUnknown(g.Timeout))
}

func orUnknown[T any](v Value[T]) string {
	if !v.Known() {
		return "?"
	}
	return fmt.Sprint(v.V)
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
		{"threads make gthread", "--threads 4", nil, "", "gthread 1000 1 30"},
		{"abbreviated", "--worker-con 5", nil, "", "sync ? 1 30"},
		{"no value", "--timeout", nil, "", "sync 1000 1 ?"},
		{"garbage", "--timeout never -w -3", nil, "", "sync 1000 ? ?"},
		{"concurrency", "", []string{"WEB_CONCURRENCY=8"}, "", "sync 1000 8 30"},
		{"flag over concurrency", "-w 1", []string{"WEB_CONCURRENCY=8"}, "", "sync 1000 1 30"},
		{"environment", "", []string{"GUNICORN_CMD_ARGS=--worker-connections '2064' -k gevent"}, "", "gevent 2064 1 30"},
		{"flag over environment", "--worker-connections 7", []string{"GUNICORN_CMD_ARGS=--worker-connections 2064"}, "", "sync 7 1 30"},
		{"unclosed quote", "", []string{"GUNICORN_CMD_ARGS=--timeout '5"}, "", "? ? ? ?"},
		{"config", "", nil, "worker_class = 'gevent'\nworker_connections=2_064 # x\n", "gevent 2064 1 30"},
		{"environment over config", "", []string{"GUNICORN_CMD_ARGS=-k eventlet"}, "worker_class = 'gevent'\ntimeout = 5\n", "eventlet 1000 1 5"},
		{"computed", "", nil, "import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\n", "sync 1000 ? 30"},
		{"conditional", "", nil, "timeout = 5\nif x:\n    timeout = 6\n", "sync 1000 1 ?"},
		{"set again by a literal", "", nil, "timeout = f()\ntimeout = 6\n", "sync 1000 1 6"},
		{"augmented", "", nil, "workers = 1\nworkers += 1\n", "sync 1000 ? 30"},
		{"two in a line", "", nil, "x = 1; workers = 9\n", "sync 1000 ? 30"},
		{"in a text", "", nil, "\"\"\"\nworkers = 9\n\"\"\"\ntimeout = 7\n", "sync 1000 1 7"},
		{"imported", "", nil, "timeout = 7\nfrom base import *\n", "? ? ? ?"},
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
			g := resolveGunicorn(write(t, files), gunicornSource{args: strings.Fields(c.args), argsFrom: "/proc/1/cmdline", env: pickEnv(c.env, "environ"), cwd: "/srv"})
			if got := brief(g); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	g := resolveGunicorn(write(t, nil), gunicornSource{args: []string{"-w", "2"}, argsFrom: "x", envErr: fmt.Errorf("denied"), cwd: "/"})
	if got := brief(g); got != "? ? 2 ?" {
		t.Errorf("an environment that can't be read: %s", got)
	}
}

func TestUnitGunicorn(t *testing.T) {
	r := write(t, map[string]string{
		"srv/fl/gunicorn.conf.py": "worker_class = 'gevent'\n",
		"etc/default/fl":          "# x\nSECRET=hunter2\nGUNICORN_CMD_ARGS=\"--worker-connections 2064\"\n",
	})
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
		if got := brief(unitGunicorn(r, parseUnit("[Service]\n"+text, "u"))); got != want {
			t.Errorf("%s\ngot %s, want %s", text, got, want)
		}
	}
}

func TestSplitWords(t *testing.T) {
	for s, want := range map[string][]string{
		"":                   nil,
		" a  b\t":            {"a", "b"},
		`'a b' "c \"d" e\ f`: {"a b", `c "d`, "e f"},
		`a''b`:               {"ab"},
		`''`:                 {""},
	} {
		got, err := splitWords(s)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", s, got, err, want)
		}
	}
	for _, bad := range []string{`'`, `"a`, `a\`} {
		if got, err := splitWords(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func FuzzGunicornArgs(f *testing.F) {
	f.Add("-k gevent --worker-connections=5 -w2 -c x -- y", "--timeout '3'")
	f.Fuzz(func(t *testing.T, args, env string) {
		src := gunicornSource{argsFrom: "a", env: pickEnv([]string{"GUNICORN_CMD_ARGS=" + env, "WEB_CONCURRENCY=" + args}, "e"), cwd: "/"}
		var err error
		if src.args, err = splitWords(args); err != nil {
			src.args = strings.Fields(args)
		}
		src.unit = len(args)%2 == 0
		g := resolveGunicorn(NewRoot("/nonexistent"), src)
		for _, v := range []Value[int]{g.WorkerConnections, g.Workers, g.Threads, g.Backlog} {
			if v.Known() && v.V < 0 {
				t.Errorf("%+v", v)
			}
		}
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

func FuzzEnvFile(f *testing.F) {
	f.Add("A=b\n#x\nGUNICORN_CMD_ARGS='--timeout 5'\nWEB_CONCURRENCY=\"\n")
	f.Fuzz(func(t *testing.T, text string) { pickEnv(parseEnvFile(text), "f") })
}
