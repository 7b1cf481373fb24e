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
	"node": {Body: "the program's parser bounds it", State: "a cluster is the program's"},
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

// Every kind has an answer to every question, and a server's is known or n/a with its
// default settings, but for those that are listed as open; and a listed one is open.
func TestEveryQuestionIsAnswered(t *testing.T) {
	root := write(t, nil)
	asked := 0
	for _, k := range All() {
		h := Hop{Kind: k}
		if k.Holds == nil {
			t.Errorf("nobody says what %s holds", k.Kind)
		}
		if k.Role != facts.RoleServer { // its settings are in files
			for q, a := range h.Answers() {
				if _, listed := open[k.Kind][q]; !listed && strings.HasSuffix(a[1], fmt.Sprintf("state it by --hop '%s %s=…'", k.Kind, q)) {
					t.Errorf("%s has no answer to %s", k.Kind, q)
				}
			}
			continue
		}
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
