//go:build planted

package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/reports"
)

// tally is what became of one fault so far.
type tally struct {
	right, wrong, unclear int
	change                []float64      // of the right metric
	seen                  map[string]int // wrong metrics
}

// tallies are those of all faults, by name.
type tallies map[string]*tally

func newTallies(faults []plantedFault) tallies {
	all := tallies{}
	for _, f := range faults {
		all[f.name] = &tally{seen: map[string]int{}}
	}
	return all
}

// add counts the comparison of an experiment.
func (all tallies) add(t *testing.T, f plantedFault, experiment int, c reports.Comparison) {
	tl := all[f.name]
	right := f.metric == ""
	for _, ch := range c.Metrics {
		switch {
		case !ch.Gated:
		case ch.Metric == f.metric:
			if ch.Metric != "errors" || ch.Of == "rounds" {
				tl.change = append(tl.change, ch.Change)
			}
			right = right || ch.Trend == reports.TrendWorse
		case ch.Trend == reports.TrendWorse:
			tl.wrong++
			tl.seen[ch.Name()]++
		}
	}
	if right {
		tl.right++
	}
	if c.Trend == reports.TrendInconclusive {
		tl.unclear++
	}
	t.Logf("experiment %d, %s: %s of %d and %d runs %v %v", experiment+1, f.what, c.Trend, c.BaseRuns, c.NewRuns, c.Reasons, c.Warnings)
}

// publish tells how far the experiments are, after each: one that is interrupted leaves
// what it has.
func (all tallies) publish(t *testing.T, faults []plantedFault, done int, began time.Time) {
	table := all.table(faults, done)
	t.Logf("%d of %d experiments, %d runs of each side, %s\n\n%s", done, *experiments, *runsOfEach, time.Since(began).Round(time.Minute), table)
	if *tableFile != "" {
		if err := os.WriteFile(*tableFile, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// check wants every fault found in each experiment, and nothing else.
func (all tallies) check(t *testing.T, faults []plantedFault) {
	for _, f := range faults {
		if tl := all[f.name]; tl.right != *experiments || tl.wrong > 0 {
			t.Errorf("%s: found in %d of %d experiments, wrong metrics %v", f.what, tl.right, *experiments, tl.seen)
		}
	}
}

// table is the outcome of the experiments in Markdown.
func (all tallies) table(faults []plantedFault, done int) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| planted | must be worse | is | a wrong metric is | inconclusive | change, median (least to most) |\n|---|---|---|---|---|---|")
	for _, f := range faults {
		tl := all[f.name]
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
