//go:build planted

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
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

// plantedRuns are the commands of an experiment.
var plantedRuns = [][]string{
	{"--workers", "200", "--rounds", "10"},
	{"--workers", "600", "--ramp", "1200ms", "--hold", "500ms"},
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
	type tally struct {
		right, wrong, same, unclear int
		change                      []float64 // of the right metric
		seen                        map[string]int
	}
	tallies := map[string]*tally{}
	for _, f := range plantedFaults {
		tallies[f.name] = &tally{seen: map[string]int{}}
	}
	began := time.Now()
	done := 0
	for n := range *experiments {
		files := map[string][]string{}
		run := func(side, server, fault string, i, command int) {
			file := filepath.Join(dir, fmt.Sprintf("%d-%s-%d-%d.json", n, side, i, command))
			cmd := exec.Command(good, slices.Concat([]string{"simulate", "--server-binary", server, "--out", file}, plantedRuns[command])...)
			cmd.Env = append(os.Environ(), "FLTOOL_FAULT="+fault)
			if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != exitFail && cmd.ProcessState.ExitCode() != exitCant {
				t.Fatalf("%v: %v: %s", cmd, err, out)
			}
			files[side] = append(files[side], file)
		}
		for i := range *runsOfEach {
			for command := range plantedRuns {
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
			switch c.Outcome {
			case reports.OutcomeInconclusive:
				tl.unclear++
			case reports.OutcomeSame, reports.OutcomeBetter:
				tl.same++
			}
			t.Logf("experiment %d, %s: %s %v %v", n+1, f.what, c.Outcome, c.Reasons, c.Warnings)
		}
		done++
		t.Logf("experiment %d of %d after %s", n+1, *experiments, time.Since(began).Round(time.Second))
	}

	var b strings.Builder
	fmt.Fprintf(&b, "| planted | must be worse | found | a wrong metric worse | outcome same or better | inconclusive | measured change, median (least to most) |\n|---|---|---|---|---|---|---|\n")
	for _, f := range plantedFaults {
		tl := tallies[f.name]
		change, found := "", "none to find"
		if f.metric != "" {
			found = fmt.Sprintf("%d of %d", tl.right, done)
			slices.Sort(tl.change)
			unit := 100.
			change = fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", unit*tl.change[len(tl.change)/2], unit*tl.change[0], unit*tl.change[len(tl.change)-1])
		}
		wrong := fmt.Sprint(tl.wrong)
		if tl.wrong > 0 {
			wrong += fmt.Sprintf(" %v", slices.Sorted(maps.Keys(tl.seen)))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d of %d | %d | %s |\n", f.what, f.metric, found, wrong, tl.same, done, tl.unclear, change)
		if tl.right != done || tl.wrong > 0 {
			t.Errorf("%s: found in %d of %d experiments, wrong metrics %v", f.what, tl.right, done, tl.seen)
		}
	}
	fmt.Printf("\n%d experiments, %d runs of each side, %s\n\n%s\n", done, *runsOfEach, time.Since(began).Round(time.Minute), b.String())
	if *tableFile != "" {
		if err := os.WriteFile(*tableFile, []byte(b.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
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
	for _, ch := range c.Metrics {
		if math.IsNaN(ch.Change) {
			t.Fatalf("%s changed by NaN", ch.Metric)
		}
	}
	return c
}
