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

	"github.com/fltool/fltool/reports"
)

var (
	experiments = flag.Int("experiments", 20, "of each fault")
	runsOfEach  = flag.Int("runs", 8, "of each side of an experiment")
	tableFile   = flag.String("table", "", "write the table to this `file`, too")
)

// plantedFaults and the metric that each must be found in, and no other.
var plantedFaults = []struct{ name, what, metric string }{
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
		run := func(side, server, fault string, i, command int) {
			file := filepath.Join(dir, fmt.Sprintf("%d-%s-%d-%d.json", n, side, i, command))
			// As regress does, a run that tells nothing is made again.
			for range mostTries {
				code := simulateOnce(t, good, fault, slices.Concat([]string{"--server-binary", server, "--out", file}, defaultRuns[command][2:]))
				if code != exitCant {
					break
				}
			}
			files[side] = append(files[side], file)
		}
		for i := range *runsOfEach {
			for command := range defaultRuns {
				run("base", good, "", i, command)
				for _, f := range plantedFaults {
					run(f.name, faulty, f.name, i, command)
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

// simulateOnce makes a run and gives its exit code, which is no other than that
// of a verdict.
func simulateOnce(t *testing.T, fltool, fault string, args []string) int {
	cmd := exec.Command(fltool, append([]string{"simulate"}, args...)...)
	cmd.Env = append(os.Environ(), "FLTOOL_FAULT="+fault)
	out, err := cmd.CombinedOutput()
	code := cmd.ProcessState.ExitCode()
	if err != nil && code != exitFail && code != exitCant {
		t.Fatalf("%v: %v: %s", cmd, err, out)
	}
	return code
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
