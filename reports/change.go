package reports

import (
	"cmp"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

// alpha is the chance, over all gated metrics together, of calling a change
// where there is none.
const alpha = .05

// Change is what became of one metric. The run is the unit: a value a run.
type Change struct {
	Metric   string  `json:"metric"`
	Of       string  `json:"of,omitempty"` // "rounds" or "hold", the kind of run, where there are several
	Unit     string  `json:"unit,omitempty"`
	Gated    bool    `json:"gated"`
	Trend    Trend   `json:"outcome"`
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

// holm corrects the p of the gated metrics for their number: step down from
// the smallest, each times the number of those not yet passed, and of looks.
// S. Holm, A simple sequentially rejective multiple test procedure, 1979.
func holm(changes []Change, looks int) {
	var gated []*Change
	for i := range changes {
		if changes[i].Gated {
			gated = append(gated, &changes[i])
		}
	}
	slices.SortStableFunc(gated, func(a, b *Change) int { return cmp.Compare(a.P, b.P) })
	var last float64
	for i, ch := range gated {
		last = min(max(last, ch.P*float64((len(gated)-i)*looks)), 1)
		ch.PHolm = last
	}
}
