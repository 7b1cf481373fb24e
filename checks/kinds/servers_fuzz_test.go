package kinds

import (
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

// Whatever stands on a command line, reading it ends, and no count is negative.
func FuzzServers(f *testing.F) {
	var commands []string
	for _, k := range All() {
		commands = append(commands, k.Commands...)
	}
	f.Add(uint8(2), "--limit-concurrency 5 --workers 2 -w3 --ini x.ini:y x.yml --config c.toml", true)
	f.Add(uint8(9), "-m local -c 3 -p4 --http=:5000 run combiner start runserver --without-threads", false)
	root := facts.NewRoot("/nonexistent")
	f.Fuzz(func(t *testing.T, n uint8, args string, unit bool) {
		command := commands[int(n)%len(commands)]
		p := commandOf(command + " " + args)
		p.Unexpanded = unit
		h := asStarted(t, root, p)
		for q, a := range h.Answers() {
			if Status(a[0]) == Unknown && a[1] == "" {
				t.Errorf("%s: %s is unknown for no reason", h.Kind.Kind, q)
			}
		}
		if b := h.Holds(); b.Is() && b.V.Safe != b.V.Hard && (b.V.Safe < 0 || b.V.Hard < b.V.Safe) {
			t.Errorf("%s %s: %+v", command, args, b)
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
