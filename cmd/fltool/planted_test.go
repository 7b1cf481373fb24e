//go:build planted

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fltool/fltool/reports"
)

var (
	experiments = flag.Int("experiments", 20, "of each fault")
	runsOfEach  = flag.Int("runs", 8, "of each side of an experiment")
	tableFile   = flag.String("table", "", "write the table to this `file`, too")
)

type plantedFault struct{ name, what, metric string }

// plantedFaults and the metric that each must be found in, and no other.
var plantedFaults = []plantedFault{
	{"none", "no fault", ""},
	{"slow", "20 % slower handler", "server.cpuRatio"},
	{"memory", "30 % more memory per poll", "server.rssPerWorker"},
	{"descriptor", "one extra descriptor per poll", "server.fdsPerWorker"},
	{"errors", "one error in 500", "errors"},
}

// tally is what became of one fault so far.
type tally struct {
	right, wrong, unclear int
	change                []float64      // of the right metric
	seen                  map[string]int // wrong metrics
}

// TestPlanted is the experiment that shows what fltool regress finds on a real,
// noisy machine. An experiment is: runs of the server as it is and of one with
// each fault, in turn, and the comparison of each fault's runs with those of the
// server as it is. The comparison is that of fltool compare with the gate of
// fltool regress.
func TestPlanted(t *testing.T) {
	dir := t.TempDir()
	good, faulty := filepath.Join(dir, "fltool"), filepath.Join(dir, "faulty")
	for path, tags := range map[string]string{good: "", faulty: "faulty"} {
		build := exec.Command("go", "build", "-tags", tags, "-o", path, ".")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	tallies := map[string]*tally{}
	for _, f := range plantedFaults {
		tallies[f.name] = &tally{seen: map[string]int{}}
	}
	began := time.Now()
	for n := range *experiments {
		files := map[string][]string{}
		for i := range *runsOfEach {
			for command := range defaultRuns {
				var runs []plantedRun
				for _, f := range slices.Insert(slices.Clone(plantedFaults), 0, plantedFault{name: "base"}) {
					r := plantedRun{server: faulty, fault: f.name, args: defaultRuns[command][2:],
						file: filepath.Join(dir, fmt.Sprintf("%d-%s-%d-%d.json", n, f.name, i, command))}
					if f.name == "base" {
						r.server = good
					}
					runs = append(runs, r)
					files[f.name] = append(files[f.name], r.file)
				}
				if err := makePlanted(good, runs, atOnce[command]); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, f := range plantedFaults {
			c := compareFiles(t, good, files["base"], files[f.name])
			tl := tallies[f.name]
			right := f.metric == ""
			for _, ch := range c.Metrics {
				switch {
				case !ch.Gated:
				case ch.Metric == f.metric:
					if ch.Metric != "errors" || ch.Of == "rounds" {
						tl.change = append(tl.change, ch.Change)
					}
					right = right || ch.Outcome == reports.OutcomeWorse
				case ch.Outcome == reports.OutcomeWorse:
					tl.wrong++
					tl.seen[ch.Name()]++
				}
			}
			if right {
				tl.right++
			}
			if c.Outcome == reports.OutcomeInconclusive {
				tl.unclear++
			}
			t.Logf("experiment %d, %s: %s %v %v", n+1, f.what, c.Outcome, c.Reasons, c.Warnings)
		}
		// After each, so that an interrupted one leaves what it has.
		table := plantedTable(tallies, n+1)
		t.Logf("%d of %d experiments, %d runs of each side, %s\n\n%s", n+1, *experiments, *runsOfEach, time.Since(began).Round(time.Minute), table)
		if *tableFile != "" {
			if err := os.WriteFile(*tableFile, []byte(table), 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	for _, f := range plantedFaults {
		if tl := tallies[f.name]; tl.right != *experiments || tl.wrong > 0 {
			t.Errorf("%s: found in %d of %d experiments, wrong metrics %v", f.what, tl.right, *experiments, tl.seen)
		}
	}
}

// plantedTable is the outcome of the experiments in Markdown.
func plantedTable(tallies map[string]*tally, done int) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| planted | must be worse | is | a wrong metric is | inconclusive | change, median (least to most) |\n|---|---|---|---|---|---|")
	for _, f := range plantedFaults {
		tl := tallies[f.name]
		right, change := "", ""
		if f.metric != "" {
			slices.Sort(tl.change)
			right = fmt.Sprintf("%d of %d", tl.right, done)
			change = fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", 100*tl.change[len(tl.change)/2], 100*tl.change[0], 100*tl.change[len(tl.change)-1])
		}
		wrong := fmt.Sprint(tl.wrong)
		if tl.wrong > 0 {
			wrong += ": " + strings.Join(slices.Sorted(maps.Keys(tl.seen)), ", ")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %s |\n", f.what, f.metric, right, wrong, tl.unclear, change)
	}
	return b.String()
}

// atOnce is how many runs of each of the default commands share the machine:
// rounds show CPU and have it to themselves; holds, which mostly wait, show memory
// and descriptors.
var atOnce = []int{1, 4}

type plantedRun struct {
	server, fault, file string
	args                []string
}

// makePlanted makes runs in their order, so many at once.
func makePlanted(fltool string, runs []plantedRun, atOnce int) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, r := range runs {
		g.Go(func() error {
			// As regress does, a run that tells nothing is made again.
			for range mostTries {
				cmd := exec.Command(fltool, slices.Concat([]string{"simulate", "--server-binary", r.server, "--out", r.file}, r.args)...)
				cmd.Env = append(os.Environ(), "FLTOOL_FAULT="+r.fault)
				out, err := cmd.CombinedOutput()
				switch code := cmd.ProcessState.ExitCode(); {
				case err == nil || code == exitFail:
					return nil
				case code != exitCant:
					return fmt.Errorf("%v: %w: %s", cmd, err, out)
				}
			}
			return nil // compare leaves it out, and says so
		})
	}
	return g.Wait()
}

func compareFiles(t *testing.T, fltool string, base, new []string) reports.Comparison {
	gate := slices.Sorted(maps.Keys(reports.QuietGate()))
	cmd := exec.Command(fltool, slices.Concat([]string{"compare", "--format", "json", "--gate", strings.Join(gate, ",")}, base, []string{"--"}, new)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var c reports.Comparison
	if err := json.Unmarshal(out, &c); err != nil {
		t.Fatalf("%v: %v: %s", cmd, err, exit.Stderr)
	}
	return c
}
