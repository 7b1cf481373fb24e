package reports

import (
	"math"
	"testing"
)

// TestFitSlope checks the line and its intervals with figures worked out by hand.
func TestFitSlope(t *testing.T) {
	s, ok := FitSlope("server.rss", "B", []float64{100, 200, 300, 400, 500}, []float64{1010, 1220, 1390, 1620, 1790})
	if !ok {
		t.Fatal("no slope")
	}
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-3*math.Abs(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	near("slope", &s.PerWorker, 1.96)
	near("intercept", &s.Intercept, 818)
	// By hand: residuals -4, 10, -16, 18, -8, so s² = 760/3; sxx = 1e5; t(.975, 3) = 3.18245.
	sd := math.Sqrt(760. / 3)
	near("low", s.Low, 1.96-3.18245*sd/math.Sqrt(1e5))
	near("high", s.High, 1.96+3.18245*sd/math.Sqrt(1e5))
	near("intercept low", s.InterLow, 818-3.18245*sd*math.Sqrt(1./5+300*300/1e5))
	near("intercept high", s.InterHigh, 818+3.18245*sd*math.Sqrt(1./5+300*300/1e5))
	v, low, high := s.At(1000)
	near("at 1000", &v, 2778)
	near("at 1000, low", low, 2778-3.18245*sd*math.Sqrt(1+1./5+700*700/1e5))
	near("at 1000, high", high, 2778+3.18245*sd*math.Sqrt(1+1./5+700*700/1e5))
}

func TestFitSlopeOfFew(t *testing.T) {
	for name, xs := range map[string][]float64{"none": {}, "one": {100}, "one level twice": {100, 100, 100}} {
		if s, ok := FitSlope("server.fds", "", xs, make([]float64, len(xs))); ok {
			t.Errorf("%s: %+v", name, s)
		}
	}
	s, ok := FitSlope("server.fds", "", []float64{100, 200, 200}, []float64{113, 213, 213})
	if !ok || math.Abs(s.PerWorker-1) > 1e-9 || math.Abs(s.Intercept-13) > 1e-9 || s.Low != nil || s.InterHigh != nil {
		t.Errorf("two levels: %+v, %t; want a line without an interval", s, ok)
	}
	if v, low, high := s.At(50000); math.Abs(v-50013) > 1e-6 || low != nil || high != nil {
		t.Errorf("at 50000: %v, %v, %v", v, low, high)
	}
}

// TestConfidence holds the intervals to the t of tables, over all numbers of levels
// that a search has.
func TestConfidence(t *testing.T) {
	for levels, table := range map[int]float64{3: 12.7062, 4: 4.30265, 5: 3.18245, 7: 2.57058, 12: 2.22814, 32: 2.04227} {
		var xs, ys []float64
		for i := range levels {
			xs, ys = append(xs, float64(100*(i+1))), append(ys, float64(100*(i+1)+i%3))
		}
		s, ok := FitSlope("server.rss", "B", xs, ys)
		if !ok {
			t.Fatal("no slope")
		}
		got, _, _, _, ok := s.spread()
		if !ok || math.Abs(got-table) > 1e-4 {
			t.Errorf("%d levels: t is %v, want %v", levels, got, table)
		}
	}
}

func TestExtrapolate(t *testing.T) {
	fds, _ := FitSlope("server.fds", "", []float64{100, 200, 400}, []float64{113, 213, 413})
	cpu, _ := FitSlope("server.cpu", "s", []float64{100, 200, 400}, []float64{1, 2, 4})
	p := Extrapolate(50000, []Slope{fds, cpu})
	if p.Workers != 50000 || len(p.Needs) != 1 {
		t.Fatalf("%+v", p)
	}
	n := p.Needs[0]
	if math.Abs(n.Value-50013) > 1e-6 || n.Rests != "the line through 3 sizes, 100 to 400 workers, 125.0 times beyond the last" {
		t.Errorf("%+v", n)
	}
	if n := Extrapolate(300, []Slope{fds}).Needs[0]; n.Rests != "the line through 3 sizes, 100 to 400 workers" {
		t.Errorf("within: %q", n.Rests)
	}
	if !p.Beyond() || Extrapolate(300, []Slope{fds}).Beyond() {
		t.Error("50000 workers are beyond 400, and 300 are not")
	}
	// Noise on few levels must not plan for less memory than none.
	falling, _ := FitSlope("server.rss", "B", []float64{4, 8, 12}, []float64{3e7, 2.9e7, 2.8e7})
	p = Extrapolate(50000, []Slope{falling, fds})
	if len(p.Needs) != 1 || len(p.Unknown) != 1 || p.Unknown[0] != "server.rss: the line through 3 sizes, 4 to 12 workers does not rise, so nothing can be planned by it" {
		t.Errorf("%+v", p)
	}
}
