package checks

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "rewrite docs/checks")

// The page of symptoms is generated, too.
func TestSymptomsPage(t *testing.T) {
	const name = "../docs/symptoms.md"
	if *update {
		if err := os.WriteFile(name, []byte(Symptoms()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Symptoms() {
		t.Errorf("%s is out of step: go test ./checks -run TestSymptomsPage -update", name)
	}
}

// The manual's pages are generated from the checks (go test ./checks -update)
// and nothing else is in their folder.
func TestDocs(t *testing.T) {
	const dir = "../docs/checks"
	want := map[string]string{"README.md": Index()}
	for _, c := range All() {
		want[filepath.Base(c.Doc())] = Page(c)
	}
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("%s is the page of no check", e.Name())
		}
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if string(got) != text {
			t.Errorf("%s is out of step: go test ./checks -run TestDocs -update", name)
		}
		for line := range strings.Lines(text) {
			if name != "README.md" && !strings.HasPrefix(line, "    ") && utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 {
				t.Errorf("%s: wider than 80 columns: %s", name, line)
			}
		}
	}
}
