package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/kinds"
)

// Rows of the tests alone, played in rooms by the test binary.
var testRows = []row{
	{id: "test-good", run: func(r *room) (Measurement, error) {
		if err := r.tell(Prediction{10, 10}); err != nil {
			return Measurement{}, err
		}
		if _, err := r.start(nil, 50, "sleep", "1000"); err != nil {
			return Measurement{}, err
		}
		return Measurement{10, "a line"}, os.WriteFile(filepath.Join(r.dir, "file"), nil, 0o600)
	}},
	{id: "test-bad", run: func(*room) (Measurement, error) { return Measurement{}, errors.New("no luck") }},
	{id: "test-hangs", run: func(r *room) (Measurement, error) {
		if _, err := r.start(nil, 0, "sleep", "1000"); err != nil {
			return Measurement{}, err
		}
		if err := r.tell(Prediction{}); err != nil {
			return Measurement{}, err
		}
		select {}
	}},
	{id: "test-cannot", run: func(r *room) (Measurement, error) {
		return Measurement{}, fmt.Errorf("a group: %w", &cannot{"no cgroup"})
	}},
	{id: "test-group", run: func(r *room) (Measurement, error) {
		g, err := r.group("pids")
		if err != nil {
			return Measurement{}, err
		}
		r.join = g.dir
		if _, err := r.start(nil, 0, "sleep", "1000"); err != nil {
			return Measurement{}, err
		}
		return Measurement{1, g.dir}, r.until("the process to be in its group", time.Minute, func() (bool, error) {
			n, err := readNumber(filepath.Join(g.dir, "pids.current"))
			return n == 1, err
		})
	}},
	{id: "test-dies", run: func(*room) (Measurement, error) { os.Exit(5); panic("unreachable") }},
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == roomArg {
		rows = append(rows, testRows...)
		main()
		return
	}
	os.Exit(m.Run())
}

// TestRooms plays rows that end well, badly, never and suddenly: none leaves a
// file or a process.
func TestRooms(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	for _, tt := range []struct{ id, want string }{
		{"test-good", ""},
		{"test-bad", "no luck"},
		{"test-hangs", context.Canceled.Error()},
		{"test-dies", "exit status 5"},
	} {
		t.Run(tt.id, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var said string
			var netns string
			err := play(ctx, tt.id, "fltool", func(m message) {
				switch {
				case m.NetNS != "":
					netns = m.NetNS
				case m.Error != "":
					said = m.Error
				case m.Prediction != nil && tt.id == "test-hangs":
					cancel()
				}
			})
			if err != nil {
				said = err.Error()
			}
			if strings.Contains(said, "make a room") && os.Getenv("CI") == "" {
				t.Skip(said)
			}
			if tt.want == "" && said != "" || !strings.Contains(said, tt.want) {
				t.Errorf("got %q, want %q", said, tt.want)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("left %v, %v", left, err)
			}
			if err := leftBehind(netns); netns == "" || err != nil {
				t.Errorf("namespace %q: %v", netns, err)
			}
		})
	}
}

// TestProveAll has two rows wait for each other: they run side by side, and the results
// are in the order of the rows. What has not ended when the context does gives none.
func TestProveAll(t *testing.T) {
	all := []row{{id: "a"}, {id: "b"}, {id: "c"}}
	met := make(chan struct{})
	var progress strings.Builder
	results := proveAll(t.Context(), all, 2, &progress, func(r row, note func(string)) result {
		note(r.id + " begins")
		switch r.id {
		case "a":
			<-met
		case "b":
			met <- struct{}{}
		}
		return result{row: r}
	})
	if len(results) != 3 || results[0].id != "a" || results[1].id != "b" || results[2].id != "c" {
		t.Errorf("%+v", results)
	}
	for _, line := range []string{"1/3 a begins\n", "1/3 a: ", "2/3 b: ", "3/3 c: "} {
		if !strings.Contains(progress.String(), line) {
			t.Errorf("no %q in\n%s", line, progress.String())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	results = proveAll(ctx, all, 1, io.Discard, func(r row, _ func(string)) result {
		if r.id == "b" {
			cancel()
		}
		return result{row: r}
	})
	if len(results) != 1 || results[0].id != "a" {
		t.Errorf("interrupted: %+v", results)
	}
}

// TestCannot tells a row that can't be run here from one that failed.
func TestCannot(t *testing.T) {
	res := prove(t.Context(), row{id: "test-cannot"}, "fltool", false, func(string) {})
	if res.err != nil && strings.Contains(res.err.Error(), "make a room") && os.Getenv("CI") == "" {
		t.Skip(res.err)
	}
	if !res.skipped() || res.why() != "cannot be run here: no cgroup" || outcome(res) != res.why() {
		t.Errorf("%+v: %q", res, outcome(res))
	}
}

// TestGroup has a row's control group gone with the row.
func TestGroup(t *testing.T) {
	res := prove(t.Context(), row{id: "test-group"}, "fltool", false, func(string) {})
	if (res.skipped() || res.err != nil && strings.Contains(res.err.Error(), "make a room")) && os.Getenv("CI") == "" {
		t.Skip(res.why())
	}
	if res.err != nil {
		t.Fatal(res.err)
	}
	if dir := res.measured.Symptom; dir == "" || exists(dir) {
		t.Errorf("group %q is left behind", dir)
	}
}

// TestLeftBehind finds this very process.
func TestLeftBehind(t *testing.T) {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if err := leftBehind(own); err == nil {
		t.Error("not found")
	}
}

func TestHolds(t *testing.T) {
	for _, tt := range []struct {
		p        Prediction
		measured float64
		want     bool
	}{
		{Prediction{100, 100}, 97, true},
		{Prediction{100, 100}, 96.9, false},
		{Prediction{100, 100}, 103, true},
		{Prediction{100, 100}, 103.1, false},
		{Prediction{239, 255}, 239, true},
		{Prediction{239, 255}, 255, true},
		{Prediction{239, 255}, 238, false},
		{Prediction{239, 255}, 256, false},
		{Prediction{239, 255}.scale(mutation), 255, false},
		{Prediction{187, 187}.scale(mutation), 187, false},
		{both.of(Prediction{2, 4}, 1), 3, true},
		{safe.of(Prediction{100, 400}, 1), 300, false},
		{hard.of(Prediction{100, 400}, 1), 400, true},
		{hard.of(Prediction{100, 400}, 2), 800, true},
	} {
		if got := tt.p.holds(tt.measured); got != tt.want {
			t.Errorf("%v holds %v: %v", tt.p, tt.measured, got)
		}
	}
}

func TestVerdict(t *testing.T) {
	good := result{row: row{id: "good"}, predicted: Prediction{50, 50}, told: true, measured: Measurement{50, "a line"}}
	cannot := result{row: row{id: "cannot"}, cannot: "no cgroup"}
	left := cannot
	left.err = errors.New("left behind")
	off, mute, broken, untold := good, good, good, good
	off.measured.Value = 60
	mute.measured.Symptom = ""
	broken.err = errors.New("no gunicorn")
	untold.told = false
	for _, tt := range []struct {
		name    string
		results []result
		asked   int
		mutate  bool
		want    int
	}{
		{"all good", []result{good, good}, 2, false, exitGood},
		{"none run", nil, 2, false, exitFail},
		{"cut short", []result{good}, 2, false, exitFail},
		{"one off", []result{good, off}, 2, false, exitFail},
		{"no symptom", []result{mute}, 1, false, exitFail},
		{"broken", []result{broken}, 1, false, exitFail},
		{"untold", []result{untold}, 1, false, exitFail},
		{"one cannot be run here", []result{good, cannot}, 2, false, exitCant},
		{"none can be run here", []result{cannot}, 1, false, exitCant},
		{"one failed, one cannot be run here", []result{off, cannot}, 2, false, exitFail},
		{"one cannot be run here and left something", []result{good, left}, 2, false, exitFail},
		{"cut short, and one cannot be run here", []result{cannot}, 2, false, exitFail},
		{"mutated, one cannot be run here", []result{off, cannot}, 2, true, exitCant},
		{"mutated, one passes, one cannot be run here", []result{good, cannot}, 2, true, exitFail},
		{"mutated, all off", []result{off, off}, 2, true, exitGood},
		{"mutated, one passes", []result{off, good}, 2, true, exitFail},
		{"mutated, one broken proves nothing", []result{off, broken}, 2, true, exitFail},
		{"mutated, one for want of a symptom", []result{off, mute}, 2, true, exitFail},
	} {
		if got := verdict(&bytes.Buffer{}, tt.results, tt.asked, tt.mutate); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestTable has the longest of everything fit into 80 columns.
func TestTable(t *testing.T) {
	var results []result
	for _, r := range rows {
		results = append(results, result{row: r, predicted: Prediction{12345.6, 67890.1}, told: true, measured: Measurement{123456.7, "x"}})
	}
	var b bytes.Buffer
	table(&b, results)
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// TestProofs holds checks, kinds, rows and their page in step: what a formula names as
// its proof is a row of its own, and every row is named by its formula.
func TestProofs(t *testing.T) {
	page, err := os.ReadFile("../../docs/proofs.md")
	if err != nil {
		t.Fatal(err)
	}
	proofs := map[string][]string{}
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.id] {
			t.Errorf("two rows are named %s", r.id)
		}
		seen[r.id] = true
		check, ok := checks.ByID(r.check)
		if !ok {
			t.Errorf("%s: no check %q", r.id, r.check)
		}
		if r.formula != "" && r.formula != check.Formula {
			t.Errorf("%s proves %s, and %s rests on %s", r.id, r.formula, r.check, check.Formula)
		}
		if r.formula != "" {
			proofs[r.formula] = append(proofs[r.formula], r.id)
		}
		if !strings.Contains(string(page), "\n| "+r.id+" |") {
			t.Errorf("docs/proofs.md does not describe %s", r.id)
		}
	}
	for _, k := range kinds.All() {
		for id := range strings.SplitSeq(k.Proof, ", ") {
			if id != "" && !seen[id] {
				t.Errorf("kind %s names as its proof %s, which is no row", k.Kind, id)
			}
		}
	}
	for _, f := range checks.Formulas() {
		if f.Proof == checks.Itself {
			continue
		}
		want := checks.Unproven
		if p := proofs[f.Name]; p != nil {
			want = strings.Join(p, ", ")
		}
		if f.Proof != want {
			t.Errorf("formula %s names as its proof %q, want %q", f.Name, f.Proof, want)
		}
		if f.Proof == checks.Unproven && !strings.Contains(string(page), "`"+f.Name+"`") {
			t.Errorf("docs/proofs.md does not say that %s is unproven", f.Name)
		}
	}
}

func TestChoose(t *testing.T) {
	all, err := choose(nil, false)
	if err != nil || len(all) != len(rows) {
		t.Errorf("%d of %d rows, %v", len(all), len(rows), err)
	}
	quick, err := choose(nil, true)
	if err != nil || len(quick) == 0 || slices.ContainsFunc(quick, func(r row) bool { return !r.quick }) {
		t.Errorf("%d quick rows, %v", len(quick), err)
	}
	if one, err := choose([]string{"nginx-ports"}, false); err != nil || len(one) != 1 || one[0].id != "nginx-ports" {
		t.Errorf("%v, %v", one, err)
	}
	for _, ids := range [][]string{{"nginx-port"}, {"nginx-ports", "x"}} {
		if _, err := choose(ids, false); err == nil {
			t.Errorf("%v: chosen", ids)
		}
	}
	if _, err := choose([]string{"nginx-ports"}, true); err == nil {
		t.Error("-quick and a row: chosen")
	}
}
