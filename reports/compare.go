package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"
)

// Outcome is how something changed from base to new.
type Outcome string

// The outcomes. Inconclusive is no verdict: too few runs, or too much noise.
const (
	OutcomeSame         Outcome = "same"
	OutcomeBetter       Outcome = "better"
	OutcomeWorse        Outcome = "worse"
	OutcomeInconclusive Outcome = "inconclusive"
	OutcomeUnmeasured   Outcome = "not measured" // of a metric that should have been; the whole is inconclusive then
)

// alpha is the chance, over all gated metrics together, of calling a change
// where there is none.
const alpha = .05

// Comparison is what changed between two sets of runs.
type Comparison struct {
	Outcome      Outcome  `json:"outcome"`               // of the gated metrics: the worst
	Reasons      []string `json:"reasons,omitempty"`     // why, one a metric that decided
	Environment  []string `json:"environment,omitempty"` // how the two sets differ in where and how they were made
	Warnings     []string `json:"warnings,omitempty"`    // what was left out
	Unmeasured   []string `json:"unmeasured,omitempty"`  // metrics of the gate that runs of this kind don't measure
	BaseRuns     int      `json:"baseRuns"`
	NewRuns      int      `json:"newRuns"`
	Metrics      []Change `json:"metrics"`                // the gated first
	RunsNeeded   int      `json:"runsNeeded,omitempty"`   // on each side, where there are too few
	GatedMetrics int      `json:"gatedMetrics,omitempty"` // that Holm's correction is over
}

// Change is what became of one metric. The run is the unit: a value a run.
type Change struct {
	Metric   string  `json:"metric"`
	Of       string  `json:"of,omitempty"` // "rounds" or "hold", the kind of run, where there are several
	Unit     string  `json:"unit,omitempty"`
	Gated    bool    `json:"gated"`
	Outcome  Outcome `json:"outcome"`
	Base     float64 `json:"base"`               // median of the runs
	New      float64 `json:"new"`                // median of the runs
	Absolute bool    `json:"absolute,omitempty"` // change and limit are differences in the unit; else shares of the base
	Change   float64 `json:"change"`             // Hodges-Lehmann: the median over all pairs of a new and a base run
	Low      float64 `json:"low"`                // its interval, of 95 % confidence where there are runs enough
	High     float64 `json:"high"`
	P        float64 `json:"p"`               // Mann-Whitney, two-sided
	PHolm    float64 `json:"pHolm,omitempty"` // of a gated metric: after Holm's correction
	Limit    float64 `json:"limit,omitempty"` // of a gated metric
	Why      string  `json:"why,omitempty"`   // of an inconclusive one
	BaseRuns int     `json:"baseRuns"`        // that have this metric
	NewRuns  int     `json:"newRuns"`
}

// Name is the metric's with the kind of run, where there are several.
func (ch Change) Name() string {
	if ch.Of == "" {
		return ch.Metric
	}
	return ch.Metric + " (" + ch.Of + ")"
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
// The error says what can't be compared at all.
func Compare(base, new []Report, gate Gate) (Comparison, error) {
	if gate == nil {
		gate = DefaultGate()
	}
	var c Comparison
	if err := canCompare(base, new); err != nil {
		return c, err
	}
	c.Environment = environments(base, new)
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
			ch := change(b, n, name == "errors")
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
	c.judge()
	c.judgeFailures(base, new)
	return c, nil
}

// canCompare says why runs can't be compared.
func canCompare(base, new []Report) error {
	type run struct {
		started, host string
		seed          uint64
	}
	seen := map[run]string{}
	for _, set := range []struct {
		side string
		runs []Report
	}{{"base", base}, {"new", new}} {
		if len(set.runs) == 0 {
			return fmt.Errorf("no %s runs to compare", set.side)
		}
		for i, r := range set.runs {
			name := fmt.Sprintf("%s run %d", set.side, i+1)
			switch {
			case r.Shard != nil:
				return fmt.Errorf("%s is shard %d of %d alone: merge the shards first", name, r.Shard.Index, r.Shard.Count)
			case r.Kind != base[0].Kind:
				return fmt.Errorf("%s is a %s report, the first a %s report", name, r.Kind, base[0].Kind)
			case r.Kind != KindSimulate:
				return fmt.Errorf("a %s report has no runs to compare: simulate makes them", r.Kind)
			}
			// One run counted twice would make noise look like evidence.
			key := run{r.Env.Started, r.Env.Hostname, r.Env.Seed}
			if other := seen[key]; other != "" && key.started != "" {
				return fmt.Errorf("%s is the same run as %s", name, other)
			}
			seen[key] = name
		}
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

// judgeFailures tells of runs that failed: lost workers are no noise.
func (c *Comparison) judgeFailures(base, new []Report) {
	failed := func(rs []Report) (n int, why string) {
		for _, r := range rs {
			if r.Verdict == VerdictFail {
				n++
				why = cmp.Or(why, strings.Join(r.Reasons, "; "), "it says no reason")
			}
		}
		return n, why
	}
	b, whyBase := failed(base)
	n, why := failed(new)
	switch {
	case n > 0 && b == 0:
		c.Outcome = OutcomeWorse
		c.Reasons = slices.Insert(c.Reasons, 0, fmt.Sprintf("%d of %d new runs failed, of the base none: %s", n, len(new), why))
	case b > 0:
		c.Warnings = append(c.Warnings, fmt.Sprintf("%d of %d base runs and %d of %d new ones failed, such as: %s", b, len(base), n, len(new), whyBase))
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
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

// change measures a metric, without judging it.
func change(b, n []float64, absolute bool) Change {
	ch := Change{BaseRuns: len(b), NewRuns: len(n), Absolute: absolute, P: 1}
	if len(b) == 0 || len(n) == 0 {
		return ch
	}
	// Of nothing there is no share.
	ch.Absolute = absolute || slices.Min(b) <= 0
	t := benchmath.DefaultThresholds
	sb, sn := benchmath.NewSample(slices.Clone(b), &t), benchmath.NewSample(slices.Clone(n), &t)
	ch.Base, ch.New = median(sb.Values), median(sn.Values)
	ch.P = benchmath.AssumeNothing.Compare(sb, sn).P

	var pairs []float64
	for _, y := range n {
		for _, x := range b {
			if ch.Absolute {
				pairs = append(pairs, y-x)
			} else {
				pairs = append(pairs, y/x-1)
			}
		}
	}
	slices.Sort(pairs)
	ch.Change = median(pairs)
	// The interval that fits the test: the pairs between the ranks at which it
	// would reject (normal approximation).
	nb, nn := float64(len(b)), float64(len(n))
	const z = 1.959964 // of 95 %
	k := max(int(math.Floor(nb*nn/2-z*math.Sqrt(nb*nn*(nb+nn+1)/12))), 0)
	ch.Low, ch.High = pairs[k], pairs[len(pairs)-1-k]
	return ch
}

// median of ascending values.
func median(vs []float64) float64 {
	m := len(vs) / 2
	if len(vs)%2 == 1 {
		return vs[m]
	}
	return (vs[m-1] + vs[m]) / 2
}

// smallestP is the least p that the Mann-Whitney test can give to n runs
// against m: all of one side above all of the other.
func smallestP(n, m int) float64 {
	// 2 / (n+m over n), in logarithms.
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return 2 * math.Exp(lg(n)+lg(m)-lg(n+m))
}

// judge gives every metric and the whole their outcome.
func (c *Comparison) judge() {
	holm(c.Metrics)
	c.Outcome = OutcomeSame
	needed := 1
	for smallestP(needed, needed)*float64(max(c.GatedMetrics, 1)) >= alpha {
		needed++
	}
	decided := 0
	outcomes := map[Outcome]bool{}
	for i := range c.Metrics {
		ch := &c.Metrics[i]
		better := -ch.Change
		if ch.Metric == "held" {
			better = ch.Change
		}
		p, limit := ch.P, ch.Limit
		if ch.Gated {
			p = ch.PHolm
			if ch.Absolute && ch.Metric != "errors" {
				limit *= math.Abs(ch.Base)
			}
		}
		corrections := 1
		if ch.Gated {
			corrections = c.GatedMetrics
		}
		switch {
		case ch.BaseRuns == 0 && ch.NewRuns == 0:
			ch.Outcome, ch.Why = OutcomeUnmeasured, unmeasured(ch.Metric)
		case ch.BaseRuns == 0 || ch.NewRuns == 0:
			ch.Outcome, ch.Why = OutcomeInconclusive, "only one side has it"
		case smallestP(ch.BaseRuns, ch.NewRuns)*float64(corrections) >= alpha:
			ch.Outcome, ch.Why = OutcomeInconclusive, fmt.Sprintf("too few runs to tell: %d and %d, %d on each side are needed", ch.BaseRuns, ch.NewRuns, needed)
			if ch.Gated {
				c.RunsNeeded = needed
			}
		case p < alpha && better < -limit:
			ch.Outcome = OutcomeWorse
		case p < alpha && better > limit:
			ch.Outcome = OutcomeBetter
		case p >= alpha && better < -limit && ch.Gated:
			ch.Outcome, ch.Why = OutcomeInconclusive, "it got worse by more than its limit, but within the noise of these runs: more runs would tell"
		default:
			ch.Outcome = OutcomeSame
		}
		if ch.Gated {
			outcomes[ch.Outcome] = true
			decided += b2i(ch.BaseRuns+ch.NewRuns > 0)
		}
	}
	if outcomes[OutcomeUnmeasured] {
		outcomes[OutcomeInconclusive] = true
	}
	for _, o := range []Outcome{OutcomeBetter, OutcomeInconclusive, OutcomeWorse} {
		if outcomes[o] {
			c.Outcome = o
		}
	}
	if decided == 0 {
		c.Outcome = OutcomeInconclusive
		c.Reasons = append(c.Reasons, "no run has a metric that decides")
	}
	c.Reasons = append(c.Reasons, c.because(c.Outcome)...)
	if c.Outcome == OutcomeInconclusive {
		c.Reasons = append(c.Reasons, c.because(OutcomeUnmeasured)...)
	}
}

// because says which metrics had an outcome and why, those of one reason in one
// sentence.
func (c *Comparison) because(o Outcome) []string {
	if o == OutcomeSame {
		return nil
	}
	by := map[string][]string{}
	var whys, reasons []string
	for _, ch := range c.Metrics {
		if ch.Gated && ch.Outcome == o {
			if len(by[ch.Why]) == 0 {
				whys = append(whys, ch.Why)
			}
			by[ch.Why] = append(by[ch.Why], ch.Name())
		}
	}
	for _, why := range whys {
		verb := map[bool]string{true: "is", false: "are"}[len(by[why]) == 1]
		reason := fmt.Sprintf("%s %s %s", list(by[why], len(by[why])), verb, o)
		if why != "" {
			reason += ": " + why
		}
		reasons = append(reasons, reason)
	}
	return reasons
}

// unmeasured says how a metric would have been measured.
func unmeasured(name string) string {
	does := "runs of this kind measure it"
	if needs[name] != nil {
		does = "runs of rounds measure it"
		if needs[name](Demand{HoldSeconds: 1}) {
			does = "runs that hold measure it"
		}
	}
	if strings.HasPrefix(name, "server.") {
		does += ", where they see the server's process"
	}
	return does
}

// holm corrects the p of the gated metrics for their number: step down from
// the smallest, each times the number of those not yet passed.
// S. Holm, A simple sequentially rejective multiple test procedure, 1979.
func holm(changes []Change) {
	var gated []*Change
	for i := range changes {
		if changes[i].Gated {
			gated = append(gated, &changes[i])
		}
	}
	slices.SortStableFunc(gated, func(a, b *Change) int { return cmp.Compare(a.P, b.P) })
	var last float64
	for i, ch := range gated {
		last = min(max(last, ch.P*float64(len(gated)-i)), 1)
		ch.PHolm = last
	}
}

// environments lists in what the runs differ that makes figures differ.
func environments(base, new []Report) []string {
	of := func(rs []Report, f func(Report) string) string {
		set := map[string]bool{}
		for _, r := range rs {
			set[cmp.Or(f(r), "unknown")] = true
		}
		return strings.Join(slices.Sorted(maps.Keys(set)), " or ")
	}
	var differ []string
	for _, x := range []struct {
		name string
		of   func(Report) string
	}{
		{"tool", func(r Report) string { return r.Env.Tool }},
		{"go", func(r Report) string { return r.Env.Go }},
		{"CPU", func(r Report) string { return r.Env.CPU }},
		{"CPUs", func(r Report) string { return fmt.Sprint(r.Env.CPUs) }},
		{"kernel", func(r Report) string { return r.Env.Kernel }},
		{"host", func(r Report) string { return r.Env.Hostname }},
	} {
		if b, n := of(base, x.of), of(new, x.of); b != n {
			differ = append(differ, fmt.Sprintf("%s: base %s, new %s", x.name, b, n))
		}
	}
	return append(differ, DemandDifferences(base, new)...)
}

// DemandDifferences lists in what the demands of runs of one kind differ.
func DemandDifferences(base, new []Report) []string {
	first := map[string]Demand{}
	differ := map[string]bool{}
	for _, r := range slices.Concat(base, new) {
		kind := KindOfRun(r.Demand)
		if _, seen := first[kind]; !seen {
			first[kind] = r.Demand
		}
		for _, d := range Differences(first[kind], r.Demand) {
			differ["demand: "+d] = true
		}
	}
	return slices.Sorted(maps.Keys(differ))
}
