package kinds

import (
	goflag "flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

// open are the questions that a kind leaves open whatever it is set to, and why.
var open = map[string]map[Question]string{
	"node": {Memory: "not measured", Body: "the program's parser bounds it", State: "a cluster is the program's"},
	"go":   {Silence: "the program's WriteTimeout", Keepalive: "the program's IdleTimeout", Restart: "the program's"},
	"grpc": {Holds: "the program's pool", Body: "the program's"},
}

// commandOf is a program that was started by a command line.
func commandOf(text string, vars ...string) facts.Program {
	return facts.Program{PID: 7, Args: strings.Fields(text), From: "/proc/7/cmdline", Cwd: "/srv", Env: env(vars)}
}

// asStarted is the hop of a command line, as facts would find it.
func asStarted(t testing.TB, root facts.Root, p facts.Program) Hop {
	t.Helper()
	for _, k := range All() {
		if k.Match == nil || !k.Match(p.Args) {
			continue
		}
		h := Hop{Kind: k}
		if k.Read != nil {
			h.Settings = k.Read(root, p).Settings
		}
		return h
	}
	return Hop{Kind: Other}
}

// Every kind of server answers every question in one of three ways with its default
// settings, but for those that are listed as open; and a listed one is open.
func TestEveryQuestionIsAnswered(t *testing.T) {
	root := write(t, nil)
	asked := 0
	for _, k := range All() {
		if k.Role != facts.RoleServer {
			continue
		}
		h := Hop{Kind: k}
		if len(k.Commands) > 0 {
			h = asStarted(t, root, commandOf(k.Commands[0]))
		}
		if h.Kind != k {
			t.Errorf("%s: %s is known as %s", k.Kind, k.Commands[0], h.Kind.Kind)
			continue
		}
		if k.Source == "" {
			t.Errorf("%s cites no source", k.Kind)
		}
		for q, a := range h.Answers() {
			asked++
			status, why := Status(a[0]), a[1]
			reason, listed := open[k.Kind][q]
			switch {
			case status == Unknown && !listed:
				t.Errorf("%s leaves %s open: %s", k.Kind, q, why)
			case status != Unknown && listed:
				t.Errorf("%s answers %s (%s), and is listed as open: %s", k.Kind, q, status, reason)
			case status != Known && why == "":
				t.Errorf("%s: %s is %q without a reason", k.Kind, q, status)
			}
		}
	}
	if want := len(Questions) * 15; asked < want {
		t.Errorf("%d questions were asked, want %d at least", asked, want)
	}
	for name := range open {
		if ByName(name) == Other {
			t.Errorf("%s is listed as open, and is no kind", name)
		}
	}
}

// Every command line of the catalogue is known as what it is, however Python starts it.
func TestCommands(t *testing.T) {
	root := write(t, nil)
	for _, k := range All() {
		if k.Role == facts.RoleServer && len(k.Commands) == 0 && k.Look == nil {
			t.Errorf("nobody is told how %s is known", k.Kind)
		}
		for _, text := range k.Commands {
			forms := []string{"", "/usr/bin/"}
			switch {
			case strings.HasPrefix(text, "python3 "):
				text = strings.TrimPrefix(text, "python3 ")
				forms = []string{"python3 ", "/srv/venv/bin/python3.11 -X dev -u "}
			case k != Node && k != Fltool: // scripts of Python, perhaps of env
				forms = append(forms, "/usr/bin/python3 /usr/bin/", "/usr/bin/env ", "/usr/bin/env LANG=C ")
			}
			for _, form := range forms {
				if h := asStarted(t, root, commandOf(form+text)); h.Kind != k {
					t.Errorf("%s%s is known as %s, want %s", form, text, h.Kind.Kind, k.Kind)
				}
			}
		}
	}
	for _, text := range []string{"python3 app.py", "python3 client.py uvicorn", "python3 -c uvicorn", "python3 -m pip install uvicorn", "flask shell", "python3 manage.py migrate",
		"fedn client start", "flower-supernode", "python3 -m bottle -s paste app:app", "uvicornish app:app", "python3 -m nvflare.private.fed.app.client.client_train", "fastapi login"} {
		if h := asStarted(t, root, commandOf(text)); h.Kind != Other {
			t.Errorf("%s is known as %s", text, h.Kind.Kind)
		}
	}
}

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
		{"python3 -m http.server", "", "holds ∞"},
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

// Removing any one setting makes no answer better: known where it was unknown, or n/a.
func TestLessSettingsAreNeverMore(t *testing.T) {
	root := write(t, nil)
	for _, k := range All() {
		for _, command := range k.Commands {
			h := asStarted(t, root, commandOf(command))
			before := h.Answers()
			for _, name := range slices.Sorted(maps.Keys(h.Settings)) {
				less := maps.Clone(h.Settings)
				delete(less, name)
				for q, a := range (Hop{Kind: h.Kind, Settings: less}).Answers() {
					if before[q][0] != a[0] && Status(a[0]) != Unknown {
						t.Errorf("%s without %s: %s goes from %q to %q", command, name, q, before[q][0], a[0])
					}
				}
			}
		}
	}
}

// Whatever stands on a command line, reading it ends, and no count is negative.
func FuzzServers(f *testing.F) {
	f.Add("--limit-concurrency 5 --workers 2 -w3 --ini x.ini:y x.yml --config c.toml", true)
	f.Add("-m local -c 3 -p4 --http=:5000 run combiner start runserver --without-threads", false)
	root := facts.NewRoot("/nonexistent")
	f.Fuzz(func(t *testing.T, args string, unit bool) {
		for _, k := range All() {
			for _, command := range k.Commands {
				p := commandOf(command + " " + args)
				p.Unexpanded = unit
				h := asStarted(t, root, p)
				for q, a := range h.Answers() {
					if Status(a[0]) == Unknown && a[1] == "" {
						t.Errorf("%s: %s is unknown for no reason", h.Kind.Kind, q)
					}
				}
				if b := h.Holds(); b.Is() && (b.V.Safe < Unlimited || b.V.Hard < Unlimited || b.V.Hard != Unlimited && b.V.Safe > b.V.Hard) {
					t.Errorf("%s %s: %+v", command, args, b)
				}
			}
		}
	})
}

func FuzzUWSGI(f *testing.F) {
	f.Add("[uwsgi]\nthreads = 4\nif-env = A\nprocesses = %(x)\nendif =\nini = y.ini\n; x\nmaster\n")
	f.Fuzz(func(t *testing.T, text string) {
		u := uwsgiReader{r: facts.NewRoot("/nonexistent"), p: facts.Program{Cwd: "/"}}
		for name, v := range u.ini(text, "f", "uwsgi", 0) {
			if v.Known() == (v.Err != "") {
				t.Errorf("%s: %+v", name, v)
			}
		}
	})
}

func FuzzTOML(f *testing.F) {
	f.Add("backlog = 5\nworkers = '''\n[x]\n'''\n[y]\nbacklog=6\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, v := range parseTOML(text, "f", hypercornFlags) {
			if v.Known() == (v.Err != "") {
				t.Errorf("%s: %+v", name, v)
			}
		}
	})
}

func FuzzYAML(f *testing.F) {
	f.Add("a:\n  - max_workers: 5 # x\nmax_workers : '6'\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, v := range parseYAMLNumber(text, "f", "max_workers") {
			if v.Known() == (v.Err != "") {
				t.Errorf("%s: %+v", name, v)
			}
		}
	})
}

func FuzzNVFlare(f *testing.F) {
	f.Add(`{"grpc": {"max_workers": 500}, "use_aio_grpc": false}`)
	f.Fuzz(func(t *testing.T, text string) {
		if v, set := nvflareWorkers(text, "f"); set && v.Known() == (v.Err != "") {
			t.Errorf("%+v", v)
		}
	})
}

var update = goflag.Bool("update", false, "rewrite docs/kinds.md")

func TestPage(t *testing.T) {
	const name = "../../docs/kinds.md"
	if *update {
		if err := os.WriteFile(name, []byte(Page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Page() {
		t.Errorf("%s is out of step: go test ./checks/kinds -run TestPage -update", name)
	}
}
