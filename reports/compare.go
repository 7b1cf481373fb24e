package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Trend is how something changed from base to new.
type Trend string

// The trends. Inconclusive is no verdict: too few runs, or too much noise.
const (
	TrendSame         Trend = "same"
	TrendBetter       Trend = "better"
	TrendWorse        Trend = "worse"
	TrendInconclusive Trend = "inconclusive"
	TrendUnmeasured   Trend = "not measured" // of a metric that should have been; the whole is inconclusive then
)

// Comparison is what changed between two sets of runs.
type Comparison struct {
	Trend        Trend    `json:"outcome"`               // of the gated metrics: the worst
	Reasons      []string `json:"reasons,omitempty"`     // why, one a metric that decided
	Environment  []string `json:"environment,omitempty"` // how the two sets differ in where and how they were made
	Runs         []string `json:"runs"`                  // when they were made, of what demand, and what all have in common
	Warnings     []string `json:"warnings,omitempty"`    // what was left out
	Unmeasured   []string `json:"unmeasured,omitempty"`  // metrics of the gate that runs of this kind don't measure
	BaseRuns     int      `json:"baseRuns"`
	NewRuns      int      `json:"newRuns"`
	Metrics      []Change `json:"metrics"`                // the gated first
	RunsNeeded   int      `json:"runsNeeded,omitempty"`   // on each side, where there are too few
	GatedMetrics int      `json:"gatedMetrics,omitempty"` // that Holm's correction is over
}

// Compare tells how new runs differ from base runs. A metric of the gate (nil:
// DefaultGate) is worse, or better, if that is significant after Holm's
// correction over the gated metrics and more than its limit; it is inconclusive
// if there are too few runs to tell, if either side lacks it, or if it got worse
// by more than its limit without that being significant. Runs of rounds and
// holds may be mixed: each kind is compared with its own.
//
// Runs whose verdict is refused are left out: their figures are not the
// server's. A new run that failed is worse in itself if none of the base did.
// Looks is how often the sets are compared while they grow, one at least: the chance
// of calling a change where there is none is shared among all looks (Bonferroni's
// correction). The error says what can't be compared at all.
func Compare(base, new []Report, gate Gate, looks int) (Comparison, error) {
	if gate == nil {
		gate = DefaultGate()
	}
	var c Comparison
	if err := canCompare(base, new); err != nil {
		return c, err
	}
	var same map[string]string
	c.Environment, same = environments(base, new)
	c.Runs = describe(base, new, same)
	base, leftOfBase := usable(base, "base")
	new, leftOfNew := usable(new, "new")
	c.Warnings = slices.Concat(leftOfBase, leftOfNew)
	c.BaseRuns, c.NewRuns = len(base), len(new)

	could := map[string]bool{} // be measured by some of the runs
	kinds := kindsOf(slices.Concat(base, new))
	for _, kind := range kinds {
		is := func(r Report) bool { return KindOfRun(r.Demand) == kind.name }
		for _, name := range MetricNames() {
			b, unitB := values(base, name, is)
			n, unitN := values(new, name, is)
			limit, gated := gate[name]
			wanted := gated && (needs[name] == nil || needs[name](kind.demand))
			could[name] = could[name] || wanted || len(b)+len(n) > 0
			if len(b)+len(n) == 0 && !wanted {
				continue
			}
			ch := change(b, n, absolute[name])
			ch.Metric, ch.Unit, ch.Gated = name, cmp.Or(unitB, unitN), gated
			if len(kinds) > 1 {
				ch.Of = kind.name
			}
			if gated {
				ch.Limit = limit.Share
			}
			c.Metrics = append(c.Metrics, ch)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(gate)) {
		switch {
		case could[name]:
		case gate[name].Required || len(kinds) == 0:
			c.Metrics = append(c.Metrics, Change{Metric: name, Gated: true, Limit: gate[name].Share, P: 1})
		case name == "capacity" || absolute[name]:
		default:
			c.Unmeasured = append(c.Unmeasured, name)
		}
	}
	slices.SortStableFunc(c.Metrics, func(x, y Change) int {
		return cmp.Or(cmp.Compare(b2i(y.Gated), b2i(x.Gated)), cmp.Compare(x.Metric, y.Metric))
	})
	for _, ch := range c.Metrics {
		c.GatedMetrics += b2i(ch.Gated)
	}
	c.judge(looks)
	c.judgeFailures(base, new)
	return c, nil
}

// MoreMayTell says whether more runs of the same may end in a verdict.
func (c Comparison) MoreMayTell() bool {
	return c.Trend == TrendInconclusive && c.GatedMetrics > 0 &&
		!slices.ContainsFunc(c.Metrics, func(ch Change) bool { return ch.Gated && (ch.BaseRuns == 0 || ch.NewRuns == 0) })
}

// Missing lists the metrics of the gate (nil: DefaultGate) that a run of its kind
// measures, and this one did not.
func Missing(r Report, gate Gate) (names []string) {
	if gate == nil {
		gate = DefaultGate()
	}
	for _, name := range slices.Sorted(maps.Keys(gate)) {
		if needs[name] != nil && !needs[name](r.Demand) {
			continue
		}
		if _, _, ok, err := r.Metric(name); err != nil || !ok {
			names = append(names, name)
		}
	}
	return names
}

// CompareError says why runs can't be compared. Of counts, from 0, the reports that
// are to blame, as they were given: those of the base, then the new.
type CompareError struct {
	Reason string
	Of     []int
	base   int // how many of the base there are
}

func (e *CompareError) Error() string {
	var names []string
	for _, i := range e.Of {
		if i < e.base {
			names = append(names, fmt.Sprintf("base run %d", i+1))
		} else {
			names = append(names, fmt.Sprintf("new run %d", i-e.base+1))
		}
	}
	if len(names) == 0 {
		return e.Reason
	}
	return strings.Join(names, " and ") + ": " + e.Reason
}

// canCompare says why runs can't be compared.
func canCompare(base, new []Report) error {
	type run struct {
		started, host string
		seed          uint64
	}
	cannot := func(of []int, format string, a ...any) error {
		return &CompareError{Reason: fmt.Sprintf(format, a...), Of: of, base: len(base)}
	}
	switch {
	case len(base) == 0:
		return cannot(nil, "no base runs to compare")
	case len(new) == 0:
		return cannot(nil, "no new runs to compare")
	}
	seen := map[run]int{}
	for i, r := range slices.Concat(base, new) {
		switch {
		case r.Shard != nil:
			return cannot([]int{i}, "it is shard %d of %d alone: merge the shards first", r.Shard.Index, r.Shard.Count)
		case r.Kind != base[0].Kind:
			return cannot([]int{0, i}, "one is a %s report, the other a %s report", base[0].Kind, r.Kind)
		case r.Kind != KindSimulate && r.Kind != KindCapacity:
			return cannot([]int{i}, "a %s report has no runs to compare: simulate and capacity make them", r.Kind)
		}
		// One run counted twice would make noise look like evidence.
		key := run{r.Env.Started, r.Env.Hostname, r.Env.Seed}
		if other, twice := seen[key]; twice && key.started != "" {
			return cannot([]int{other, i}, "both are the same run")
		}
		seen[key] = i
	}
	return nil
}

// runKind is what runs do, with the demand of one of them.
type runKind struct {
	name   string
	demand Demand
}

// KindOfRun says what a run does: "rounds", "hold", or both.
func KindOfRun(d Demand) string {
	switch {
	case makesRounds(d) && holds(d):
		return "rounds and hold"
	case holds(d):
		return "hold"
	}
	return "rounds"
}

// kindsOf gives the kinds of runs that there are, in the order of their names.
func kindsOf(rs []Report) []runKind {
	by := map[string]Demand{}
	for _, r := range rs {
		by[KindOfRun(r.Demand)] = r.Demand
	}
	var kinds []runKind
	for _, name := range slices.Sorted(maps.Keys(by)) {
		kinds = append(kinds, runKind{name, by[name]})
	}
	return kinds
}

func usable(rs []Report, side string) (ok []Report, warnings []string) {
	for i, r := range rs {
		if r.Verdict == VerdictRefused {
			warnings = append(warnings, fmt.Sprintf("%s run %d is left out, its verdict is refused: %s", side, i+1, strings.Join(r.Reasons, "; ")))
			continue
		}
		ok = append(ok, r)
	}
	return ok, warnings
}

func values(rs []Report, name string, of func(Report) bool) (vs []float64, unit string) {
	for _, r := range rs {
		if !of(r) {
			continue
		}
		v, u, ok, err := r.Metric(name)
		if err == nil && ok {
			vs = append(vs, v)
			unit = u
		}
	}
	return vs, unit
}
