package trend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is appended is read, in order, after what was there.
func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	all, _ := history(1, 2, noise, flat(3))
	for _, part := range [][]Entry{all[:2], all[2:]} {
		if err := Append(path, part); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(all, got); d != "" {
		t.Error(d)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n != len(all) {
		t.Errorf("%d lines for %d runs", n, len(all))
	}
}

func TestRefusedLines(t *testing.T) {
	good := `{"schema":"fltool.history/v1","kind":"simulate","demand":{"workers":1,"rounds":1},"metrics":{"errors":0}}`
	for text, want := range map[string]string{
		good + "\n\nnonsense":            "line 3: it is no JSON of a run",
		`{}`:                             "line 1: it names no schema",
		`{"schema":"fltool.history/v9"}`: `its schema is "fltool.history/v9"; this fltool reads`,
		strings.Replace(good, "simulate", "preflight", 1): "a preflight report is no run",
		good[:40]: "line 1: it is no JSON of a run",
		`{"schema":"` + strings.Repeat("x", 1<<20) + `"}`: "a line is longer than the 1 MiB",
	} {
		if _, err := Decode(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
	if all, err := Decode(strings.NewReader(good + "\n\n" + good)); err != nil || len(all) != 2 {
		t.Errorf("%d runs, %v", len(all), err)
	}
}
