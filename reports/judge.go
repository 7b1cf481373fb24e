package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// judgeFailures tells of runs that failed: lost workers are no noise. They are a
// regression only if base runs are left that did not fail.
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
	case n > 0 && b == 0 && len(base) > 0:
		c.Trend = TrendWorse
		c.Reasons = slices.Insert(c.Reasons, 0, fmt.Sprintf("%d of %d new runs failed, of the base none: %s", n, len(new), why))
	case n > 0 || b > 0:
		c.Warnings = append(c.Warnings, fmt.Sprintf("%d of %d base runs and %d of %d new ones failed, such as: %s", b, len(base), n, len(new), cmp.Or(whyBase, why)))
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// judge gives every metric and the whole their outcome.
func (c *Comparison) judge(looks int) {
	holm(c.Metrics, looks)
	c.Trend = TrendSame
	decided := false
	outcomes := map[Trend]bool{}
	for i := range c.Metrics {
		ch := &c.Metrics[i]
		corrections := 1
		if ch.Gated {
			corrections = c.GatedMetrics * looks
		}
		needed := ch.judge(corrections)
		if ch.Gated {
			c.RunsNeeded = max(c.RunsNeeded, needed)
			outcomes[ch.Trend] = true
			decided = decided || ch.BaseRuns+ch.NewRuns > 0
		}
	}
	if outcomes[TrendUnmeasured] {
		outcomes[TrendInconclusive] = true
	}
	for _, o := range []Trend{TrendBetter, TrendInconclusive, TrendWorse} {
		if outcomes[o] {
			c.Trend = o
		}
	}
	if !decided {
		c.Trend = TrendInconclusive
		c.Reasons = append(c.Reasons, "no run has a metric that decides")
	}
	c.Reasons = append(c.Reasons, c.because(c.Trend)...)
	if c.Trend == TrendInconclusive {
		c.Reasons = append(c.Reasons, c.because(TrendUnmeasured)...)
	}
}

// judge gives the metric its outcome, by a p that is corrected for so many metrics.
// Where there are too few runs, it tells how many are needed on each side.
func (ch *Change) judge(corrections int) (needed int) {
	better := -ch.Change
	if MoreIsBetter(ch.Metric) {
		better = ch.Change
	}
	p, limit := ch.P, ch.Limit
	if ch.Gated {
		p = ch.PHolm
		if ch.Absolute && !absolute[ch.Metric] {
			limit *= math.Abs(ch.Base)
		}
	}
	switch {
	case ch.BaseRuns == 0 && ch.NewRuns == 0:
		ch.Trend, ch.Why = TrendUnmeasured, unmeasured(ch.Metric)
	case ch.BaseRuns == 0 || ch.NewRuns == 0:
		ch.Trend, ch.Why = TrendInconclusive, "only one side has it"
	case tooFew(ch.BaseRuns, ch.NewRuns, corrections):
		needed = runsNeeded(corrections)
		ch.Trend, ch.Why = TrendInconclusive, fmt.Sprintf("too few runs to tell: %d and %d, %d on each side are needed", ch.BaseRuns, ch.NewRuns, needed)
	case p < alpha && better < -limit:
		ch.Trend = TrendWorse
	case p < alpha && better > limit:
		ch.Trend = TrendBetter
	case p >= alpha && better < -limit && ch.Gated:
		ch.Trend, ch.Why = TrendInconclusive, "it got worse by more than its limit, but within the noise of these runs: more runs would tell"
	default:
		ch.Trend = TrendSame
	}
	return needed
}

// tooFew says whether not even runs that all lie apart would be significant.
func tooFew(base, new, corrections int) bool {
	return smallestP(base, new)*float64(corrections) >= alpha
}

// runsNeeded is how many runs on each side are enough for a change of one of so
// many metrics to be significant.
func runsNeeded(corrections int) int {
	n := 1
	for tooFew(n, n, corrections) {
		n++
	}
	return n
}

// RunsNeeded is how many runs of each kind, on each side, it takes to tell of a
// change by this gate (nil: DefaultGate), where the runs do what these do.
func RunsNeeded(rs []Report, gate Gate, looks int) int {
	if gate == nil {
		gate = DefaultGate()
	}
	decide := 0
	for _, kind := range kindsOf(rs) {
		of := func(r Report) bool { return KindOfRun(r.Demand) == kind.name }
		for name := range gate {
			measured, _ := values(rs, name, of)
			if len(measured) > 0 || needs[name] == nil || needs[name](kind.demand) {
				decide++
			}
		}
	}
	return runsNeeded(max(decide, 1) * looks)
}

// because says which metrics had an outcome and why, those of one reason in one
// sentence.
func (c *Comparison) because(o Trend) []string {
	if o == TrendSame {
		return nil
	}
	by := map[string][]string{}
	var whys, reasons []string
	for _, ch := range c.Metrics {
		if ch.Gated && ch.Trend == o {
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
