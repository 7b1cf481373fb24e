package kinds

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

// What servers answer with settings of all kinds: "holds 4; silence 1m" and the like,
// ? where that is unknown and - where it is n/a.
func TestServerAnswers(t *testing.T) {
	files := map[string]string{
		"srv/h.toml":                 "backlog = 500\nworkers = 2\nread_timeout = 90\nkeep_alive_timeout = f()\n[section]\nbacklog = 1\n",
		"srv/u.ini":                  "[other]\nthreads = 9\n[uwsgi]\n; x\nthreads = 4\nprocesses=2\nlimit-post = 1000000\nharakiri = 30\n",
		"srv/computed.ini":           "[uwsgi]\nthreads = %(t)\n",
		"srv/condition.ini":          "[uwsgi]\nif-env = A\nthreads = 4\nendif =\nprocesses = 3\n",
		"srv/more.ini":               "[uwsgi]\ninclude = u.ini\nthreads = 8\n",
		"srv/circle.ini":             "[uwsgi]\nini = circle.ini\n",
		"srv/else.ini":               "[uwsgi]\nyaml = x.yml\n",
		"srv/c.yaml":                 "combiner:\n  max_clients: 200 # x\n",
		"srv/a.yaml":                 "server_configs:\n  comm_configs:\n    grpc_configs:\n      max_workers: 300\n",
		"srv/twice.yaml":             "max_workers: 1\nmax_workers: 2\n",
		"srv/flow.yaml":              "grpc_configs: {max_workers: 3}\n",
		"w/local/comm_config.json":   `{"grpc": {"max_workers": 500}}`,
		"aio/local/comm_config.json": `{"use_aio_grpc": true}`,
		"bad/local/comm_config.json": `{`,
	}
	root := write(t, files)
	for _, c := range []struct{ args, env, want string }{
		{"uvicorn app:app", "", "holds ∞; connections -; tasks 0; silence ∞; keepalive 5s; restart ∞; state 1; backlog 2048"},
		{"uvicorn --limit-concurrency 200 app:app", "", "holds 199; connections 99/199"},
		{"uvicorn --limit-concurrency=0 app:app", "", "holds 0"},
		{"uvicorn --limit-concurrency many app:app", "", "holds ?; connections ?"},
		{"uvicorn app:app", "UVICORN_LIMIT_CONCURRENCY=50", "holds 49"},
		{"uvicorn app:app", "UVICORN_LIMIT_CONCURRENCY=", "holds ∞"},
		{"uvicorn app:app", "WEB_CONCURRENCY=4", "state 4"},
		{"uvicorn --workers 1 app:app", "WEB_CONCURRENCY=4", "state 1"},
		{"uvicorn --limit app:app --interface wsgi", "", "holds 10; tasks 1"},
		{"uvicorn --limit-max-requests 1000 --timeout-graceful-shutdown 20 app:app", "", "restart 20s after 1000 requests"},
		{"fastapi run --workers 2 app.py", "", "holds ∞; state 2"},
		{"hypercorn app:app", "", "holds ∞; connections -; silence ∞; body ∞; keepalive 5s; restart 3s; state 1; backlog 100"},
		{"hypercorn -w3 --read-timeout 60 --keep-alive 30 --max-requests 5 app:app", "", "silence 1m; keepalive 30s; restart 3s after 5 requests; state 3"},
		{"hypercorn --config h.toml app:app", "", "silence 1m30s; keepalive ?; state 2; backlog 500"},
		{"hypercorn -c none.toml --workers 1 app:app", "", "silence ?; state 1; backlog ?"},
		{"hypercorn -c file:conf.py app:app", "", "backlog ?"},
		{"hypercorn wsgi:app:app", "", "holds ?; tasks ?; body ?; state 1"},
		{"waitress-serve app:app", "", "holds 4; connections 49/98; tasks 1; silence ∞; body 1.1GB; keepalive 2m; state 1; backlog 1024"},
		{"waitress-serve --threads=2000 --connection-limit=4000 app:app", "", "holds 2000; connections 505/1011"},
		{"waitress-serve --connection-limit=4000 --asyncore-use-poll app:app", "", "connections 1999/3998"},
		{"waitress-serve --connection-limit=1 app:app", "", "connections 0"},
		{"uwsgi --http-socket :5000 --processes 4 --threads 2 --wsgi-file app.py", "", "holds 8; connections -; tasks 1; silence ∞; body ∞; keepalive 0s; restart 1m; state 4; backlog 100"},
		{"uwsgi --http :5000 -p4", "", "holds 4; silence 1m; keepalive 0s; state 4"},
		{"uwsgi --http :5000 --http-timeout 600 --harakiri=300 --http-keepalive=75", "", "silence 5m; keepalive 1m15s"},
		{"uwsgi --http-socket :5000 --gevent 500 --workers 2", "", "holds 500/1000; tasks 0; state 2"},
		{"uwsgi --http-socket :5000 --async 10", "", "holds ?"},
		{"uwsgi --ini u.ini", "", "holds 8; silence 30s; body 1MB; state 2"},
		{"uwsgi --ini u.ini --threads 40 -R 1000", "", "holds 80; restart 1m after 1000 requests"},
		{"uwsgi u.ini --threads 40", "", "holds 8"},
		{"uwsgi --ini u.ini:other", "", "holds 9"},
		{"uwsgi --threads 9", "UWSGI_THREADS=3", "holds 9"},
		{"uwsgi", "UWSGI_THREADS=3", "holds 3"},
		{"uwsgi --ini computed.ini", "", "holds ?; state 1"},
		{"uwsgi --ini condition.ini", "", "holds ?; state 3"},
		{"uwsgi --ini more.ini", "", "holds 16; silence 30s"},
		{"uwsgi --ini circle.ini", "", "holds ?"},
		{"uwsgi --ini else.ini", "", "holds ?; state ?; backlog ?"},
		{"uwsgi --ini none.ini --threads 4 --processes 1 --gevent 0", "", "state 1; silence ?"},
		{"uwsgi --emperor /etc/uwsgi/vassals", "", "holds ?; state ?"},
		{"uwsgi --yaml x.yml", "", "holds ?"},
		{"uwsgi --reload-on-rss 200", "", "restart 1m above 200 MB of memory"},
		{"flask --app app run", "", "holds ∞; tasks 1; keepalive 0s; state 1; backlog 128"},
		{"flask run --without-threads", "", "holds 1; tasks 0"},
		{"flask run", "FLASK_RUN_WITH_THREADS=0", "holds 1"},
		{"flask run --with-threads", "FLASK_RUN_WITH_THREADS=0", "holds ∞"},
		{"flask run --with-threads --without-threads", "", "holds ?"},
		{"python3 manage.py runserver 0:5000", "", "holds ∞; keepalive ∞; backlog 10"},
		{"python3 manage.py runserver --nothreading", "", "holds 1; keepalive 0s"},
		{"python3 -m wsgiref.simple_server", "", "holds 1; tasks 0; backlog 5"},
		{"python3 -m bottle --server wsgiref app:app", "", "holds 1"},
		{"python3 -m http.server", "", "holds 0"},
		{"python3 -u -m nvflare.private.fed.app.server.server_train -m /none -s fed_server.json", "", "holds 100; tasks 1"},
		{"python3 -u -m nvflare.private.fed.app.server.server_train -m /w -s fed_server.json", "", "holds 500"},
		{"python3 -u -m nvflare.private.fed.app.server.server_train -m /aio", "", "holds ?"},
		{"python3 -u -m nvflare.private.fed.app.server.server_train -m /bad", "", "holds ?"},
		{"python3 -u -m nvflare.private.fed.app.server.server_train", "", "holds ?"},
		{"fedn run combiner", "", "holds 30; body ∞"},
		{"fedn combiner start -c 1000", "", "holds 350"},
		{"fedn run combiner -in c.yaml", "", "holds 200"},
		{"fedn run combiner --init none.yaml", "", "holds ?"},
		{"flower-superlink --insecure", "", "holds 1000; body 536.9MB"},
		{"flower-superlink --fleet-api-type rest", "", "holds ?"},
		{"python3 /opt/APPFL/examples/run_server.py", "", "holds 128"},
		{"python3 /opt/APPFL/examples/run_server.py --config a.yaml", "", "holds 300"},
		{"python3 /opt/APPFL/examples/run_server.py --config twice.yaml", "", "holds ?"},
		{"python3 /opt/APPFL/examples/run_server.py --config flow.yaml", "", "holds ?"},
		{"gunicorn -k tornado app:app", "", "holds ?; silence ?"},
		{"gunicorn -k uvicorn.workers.UvicornWorker --keep-alive 75 app:app", "", "holds ∞; connections -; keepalive 1m15s"},
		{"gunicorn -k eventlet app:app", "", "holds ∞; connections 468/1000; silence -"},
		{"gunicorn --max-requests 1000 -k gevent app:app", "", "restart 30s after 1000 requests"},
	} {
		h := asStarted(t, root, commandOf(c.args, strings.Fields(c.env)...))
		said := answersOf(h)
		for _, want := range strings.Split(c.want, "; ") {
			q, v, _ := strings.Cut(want, " ")
			if got := said[Question(q)]; got != v {
				t.Errorf("%s %s: %s is %s, want %s", c.env, c.args, q, got, v)
			}
		}
	}
}

// What can't be seen of a program is unknown, and what its command line says is not.
func TestHiddenServers(t *testing.T) {
	hidden := errors.New("hidden")
	for _, c := range []struct {
		args   string
		change func(*facts.Program)
		want   string
	}{
		{"uvicorn --workers 1 app:app", func(p *facts.Program) { p.EnvErr = hidden }, "holds ?; state 1; backlog ?"},
		{"flask run", func(p *facts.Program) { p.EnvErr = hidden }, "holds ?"},
		{"flask run --without-threads", func(p *facts.Program) { p.EnvErr = hidden }, "holds 1"},
		{"uwsgi --threads 4", func(p *facts.Program) { p.EnvErr = hidden }, "holds ?; state ?"},
		{"uwsgi --ini x.ini --listen 5", func(p *facts.Program) { p.FilesErr = hidden }, "holds ?; backlog 5"},
		{"hypercorn -c x.toml --backlog 5 app:app", func(p *facts.Program) { p.CwdErr = hidden }, "state ?; backlog 5"},
		{"fedn combiner start --init x.yaml", func(p *facts.Program) { p.FilesErr = hidden }, "holds ?"},
		{"waitress-serve --threads ${N} --backlog 5 app:app", func(p *facts.Program) { p.Unexpanded = true }, "holds ?; backlog 5"},
		{"waitress-serve $OPTS --backlog 5 app:app", func(p *facts.Program) { p.Unexpanded = true }, "holds ?; backlog 5"},
		{"uvicorn --port ${PORT} app:app", func(p *facts.Program) { p.Unexpanded = true }, "holds ∞; state 1"},
		{"uwsgi --ini /etc/uwsgi/%i.ini", func(p *facts.Program) { p.Unexpanded = true }, "holds ?"},
		{"uwsgi --http-socket :5000 --uid ${USER} --threads 4", func(p *facts.Program) { p.Unexpanded = true }, "holds 4"},
	} {
		p := commandOf(c.args)
		c.change(&p)
		said := answersOf(asStarted(t, write(t, nil), p))
		for _, want := range strings.Split(c.want, "; ") {
			q, v, _ := strings.Cut(want, " ")
			if got := said[Question(q)]; got != v {
				t.Errorf("%s: %s is %s, want %s", c.args, q, got, v)
			}
		}
	}
}

// Servers that no command line tells are known by what they have loaded, or by their
// title.
func TestLooks(t *testing.T) {
	root := write(t, map[string]string{
		"proc/7/maps": "7f00-7f01 r-xp 0 0 0 /usr/lib/python3/dist-packages/grpc/_cython/cygrpc.cpython-311-x86_64-linux-gnu.so\n",
		"proc/8/maps": "7f00-7f01 r-xp 0 0 0 /usr/lib/libc.so\n",
	})
	for _, c := range []struct {
		pid  int
		args string
		want bool
	}{{7, "python3 server.py", true}, {7, "ruby server.rb", false}, {8, "python3 server.py", false}, {9, "python3 server.py", false}} {
		if got := GRPC.Look(root, facts.Program{PID: c.pid, Args: strings.Fields(c.args)}); got != c.want {
			t.Errorf("%d %s: %v", c.pid, c.args, got)
		}
	}
	h := Hop{Kind: UWSGI, Settings: UWSGI.Read(root, facts.Program{Args: []string{"uWSGI master"}, From: "cmdline"}).Settings}
	if a := h.Holds(); a.Status != Unknown || !h.Text("hidden").Known() {
		t.Errorf("of a title: %+v", a)
	}
}

// answersOf writes what a hop answers, shortly.
func answersOf(h Hop) map[Question]string {
	number := func(n int64) string {
		if n == Unlimited {
			return "∞"
		}
		return fmt.Sprint(n)
	}
	bounds := func(b Bound) string {
		if b.Safe == b.Hard {
			return number(b.Safe)
		}
		return number(b.Safe) + "/" + number(b.Hard)
	}
	size := func(n int64) string {
		if n == Unlimited {
			return "∞"
		}
		return strings.ReplaceAll(facts.Bytes(n), " ", "")
	}
	short := func(d any) string { return strings.ReplaceAll(fmt.Sprint(d), "for ever", "∞") }
	out := map[Question]string{
		Holds: text(h.Holds(), bounds), Connections: text(h.Connections(), bounds), Tasks: text(h.Tasks(), number), Body: text(h.Body(), size),
		State: text(h.State(), number), Backlog: text(h.Backlog(), number),
	}
	if a := h.Silence(); true {
		out[Silence] = text(Answer[string]{V: short(Short(a.V)), Status: a.Status}, func(s string) string { return s })
	}
	if a := h.Keepalive(); true {
		out[Keepalive] = text(Answer[string]{V: short(Short(a.V)), Status: a.Status}, func(s string) string { return s })
	}
	out[Restart] = text(h.Restart(), func(e Ending) string { return strings.TrimSpace(short(Short(e.Grace)) + " " + e.Recycled) })
	return out
}

func text[T any](a Answer[T], known func(T) string) string {
	switch a.Status {
	case Known:
		return known(a.V)
	case NA:
		return "-"
	}
	return "?"
}
