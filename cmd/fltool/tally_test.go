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
	done                  int            // experiments
	right, wrong, unclear int            // of them; right: worse in the right metric, or without a fault the same
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
	tl.done++
	right := f.metric == "" && c.Trend == reports.TrendSame
	for _, ch := range c.Metrics {
		switch {
		case !ch.Gated:
		case ch.Metric == f.metric:
			if ch.Metric != "errors" || ch.Of == "rounds" {
				tl.change = append(tl.change, ch.Change)
			}
			right = right || ch.Trend == reports.TrendWorse
		case ch.Trend == reports.TrendWorse && !slices.Contains(f.follow, ch.Metric):
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

// publish tells how far the experiments are: a test that is interrupted leaves what it has.
func (all tallies) publish(t *testing.T, faults []plantedFault, began time.Time) {
	table := all.table(faults)
	t.Logf("of %d experiments, %d runs of each side, after %s\n\n%s", *experiments, *runsOfEach, time.Since(began).Round(time.Minute), table)
	if *tableFile != "" {
		if err := os.WriteFile(*tableFile, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// check wants every fault found in each experiment, and nothing else; without a fault 19
// of 20 are to be the same.
func (all tallies) check(t *testing.T, faults []plantedFault) {
	for _, f := range faults {
		least := *experiments
		if f.metric == "" {
			least = *experiments * 19 / 20
		}
		if tl := all[f.name]; tl.right < least || tl.wrong > 0 {
			t.Errorf("%s: right in %d of %d experiments, wrong metrics %v", f.what, tl.right, *experiments, tl.seen)
		}
	}
}

// table is the outcome of the experiments in Markdown.
func (all tallies) table(faults []plantedFault) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| planted | must be | is | a wrong metric is | inconclusive | change, median (least to most) |\n|---|---|---|---|---|---|")
	for _, f := range faults {
		tl := all[f.name]
		outcome, change := string(reports.TrendSame), ""
		if f.metric != "" {
			outcome = f.metric + " worse"
		}
		if len(tl.change) > 0 {
			slices.Sort(tl.change)
			change = fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", 100*tl.change[len(tl.change)/2], 100*tl.change[0], 100*tl.change[len(tl.change)-1])
		}
		wrong := fmt.Sprint(tl.wrong)
		if tl.wrong > 0 {
			wrong += ": " + strings.Join(slices.Sorted(maps.Keys(tl.seen)), ", ")
		}
		fmt.Fprintf(&b, "| %s | %s | %d of %d | %s | %d | %s |\n", f.what, outcome, tl.right, tl.done, wrong, tl.unclear, change)
	}
	return b.String()
}
