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
)

// alpha is the chance, over all gated metrics together, of calling a change
// where there is none.
const alpha = .05

// DefaultLimits are the gated metrics and how much worse each may get before
// that counts: as a share of the base, of "errors" as a difference of shares.
var DefaultLimits = map[string]float64{
	"round.mean":          .10,
	"fanout.mean":         .10,
	"server.cpuPerRound":  .05,
	"server.rssPerWorker": .05,
	"server.fdsPerWorker": .05,
	"errors":              .001,
}

// limitShorthands are the names that people use for the gated metrics.
var limitShorthands = map[string]string{
	"round": "round.mean", "fanout": "fanout.mean", "server.cpu": "server.cpuPerRound",
	"server.rss": "server.rssPerWorker", "server.fds": "server.fdsPerWorker",
}

// ParseLimit reads a limit of a gated metric: "round=10%", "errors=0.1%".
func ParseLimit(s string) (metric string, limit float64, err error) {
	metric, value, ok := strings.Cut(s, "=")
	if full, short := limitShorthands[metric]; short {
		metric = full
	}
	if _, gated := DefaultLimits[metric]; !ok || !gated {
		names := slices.Sorted(maps.Keys(DefaultLimits))
		return "", 0, fmt.Errorf("limit %q: want METRIC=SHARE, such as round=10%%; the metrics are %s", s, strings.Join(names, ", "))
	}
	// The grammar of a share is that of a threshold's.
	t, err := ParseThreshold("errors<" + value)
	if err != nil {
		return "", 0, fmt.Errorf("limit %q: %q is no share, such as 10%%", s, value)
	}
	return metric, t.Limit, nil
}

// Comparison is what changed between two sets of runs.
type Comparison struct {
	Outcome      Outcome  `json:"outcome"`               // of the gated metrics: the worst
	Reasons      []string `json:"reasons,omitempty"`     // why, one a metric that decided
	Environment  []string `json:"environment,omitempty"` // how the two sets differ in where and how they were made
	Warnings     []string `json:"warnings,omitempty"`    // what was left out
	BaseRuns     int      `json:"baseRuns"`
	NewRuns      int      `json:"newRuns"`
	Metrics      []Change `json:"metrics"`                // the gated first
	RunsNeeded   int      `json:"runsNeeded,omitempty"`   // on each side, where there are too few
	GatedMetrics int      `json:"gatedMetrics,omitempty"` // that Holm's correction is over
}

// Change is what became of one metric. The run is the unit: a value a run.
type Change struct {
	Metric   string  `json:"metric"`
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

// Compare tells how new runs differ from base runs. Limits overrides those of
// DefaultLimits by metric. A gated metric is worse, or better, if that is
// significant after Holm's correction over the gated metrics and more than its
// limit; it is inconclusive if there are too few runs to tell, if either side
// lacks it, or if it moved more than its limit without being significant.
//
// Runs whose verdict is refused are left out: their figures are not the
// server's. The error says what can't be compared at all.
func Compare(base, new []Report, limits map[string]float64) (Comparison, error) {
	var c Comparison
	for _, set := range []struct {
		side string
		runs []Report
	}{{"base", base}, {"new", new}} {
		side := set.side
		if len(set.runs) == 0 {
			return c, fmt.Errorf("no %s runs to compare", side)
		}
		for i, r := range set.runs {
			if r.Shard != nil {
				return c, fmt.Errorf("%s run %d is shard %d of %d alone: merge the shards first", side, i+1, r.Shard.Index, r.Shard.Count)
			}
			if r.Kind != base[0].Kind {
				return c, fmt.Errorf("%s run %d is a %s report, the first a %s report", side, i+1, r.Kind, base[0].Kind)
			}
			if r.Kind != KindSimulate {
				return c, fmt.Errorf("a %s report has no runs to compare: simulate makes them", r.Kind)
			}
		}
	}
	c.Environment = environments(base, new)
	base, leftOfBase := usable(base, "base")
	new, leftOfNew := usable(new, "new")
	c.Warnings = slices.Concat(leftOfBase, leftOfNew)
	c.BaseRuns, c.NewRuns = len(base), len(new)

	for _, name := range MetricNames() {
		b, unit := values(base, name)
		n, _ := values(new, name)
		limit, gated := DefaultLimits[name]
		if l, given := limits[name]; given {
			limit = l
		}
		if len(b) == 0 && len(n) == 0 {
			continue
		}
		ch := change(b, n, name == "errors")
		ch.Metric, ch.Unit, ch.Gated = name, unit, gated
		if gated {
			ch.Limit = limit
		}
		c.Metrics = append(c.Metrics, ch)
	}
	slices.SortStableFunc(c.Metrics, func(x, y Change) int {
		return cmp.Compare(b2i(y.Gated), b2i(x.Gated))
	})
	c.GatedMetrics = 0
	for _, ch := range c.Metrics {
		c.GatedMetrics += b2i(ch.Gated)
	}
	c.judge()
	return c, nil
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

func values(rs []Report, name string) (vs []float64, unit string) {
	for _, r := range rs {
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
		case p >= alpha && math.Abs(better) > limit && ch.Gated:
			ch.Outcome, ch.Why = OutcomeInconclusive, "it moved more than its limit, but within the noise of these runs: more runs would tell"
		default:
			ch.Outcome = OutcomeSame
		}
		if ch.Gated {
			outcomes[ch.Outcome] = true
		}
	}
	for _, o := range []Outcome{OutcomeBetter, OutcomeInconclusive, OutcomeWorse} {
		if outcomes[o] {
			c.Outcome = o
		}
	}
	if c.GatedMetrics == 0 {
		c.Outcome = OutcomeInconclusive
		c.Reasons = append(c.Reasons, "no run has a metric that decides")
	}
	by := map[string][]string{}
	var whys []string
	for _, ch := range c.Metrics {
		if ch.Gated && ch.Outcome == c.Outcome && c.Outcome != OutcomeSame {
			if len(by[ch.Why]) == 0 {
				whys = append(whys, ch.Why)
			}
			by[ch.Why] = append(by[ch.Why], ch.Metric)
		}
	}
	for _, why := range whys {
		verb := map[bool]string{true: "is", false: "are"}[len(by[why]) == 1]
		reason := fmt.Sprintf("%s %s %s", list(by[why], len(by[why])), verb, c.Outcome)
		if why != "" {
			reason += ": " + why
		}
		c.Reasons = append(c.Reasons, reason)
	}
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
	demands := map[string]bool{}
	for _, r := range slices.Concat(base, new) {
		for _, d := range Differences(base[0].Demand, r.Demand) {
			demands["demand: "+d] = true
		}
	}
	return append(differ, slices.Sorted(maps.Keys(demands))...)
}
