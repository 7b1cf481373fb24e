package reports

import (
	"strings"
	"testing"
)

// measuredCapacity is a search that held 1000, 2000 and 4000 workers.
func measuredCapacity() Report {
	r := Report{Schema: Schema, Kind: KindCapacity, Verdict: VerdictPass, Capacity: &Capacity{Workers: 4000, FailedAt: 5000}}
	var workers, rss, fds []float64
	for i, n := range []int{1000, 2000, 4000} {
		x := Resource{Process: "server", RSSPeakBytes: int64(20<<20 + n*4096 + i%2*8192), FDsPeak: n + 11}
		r.Levels = append(r.Levels, Level{Workers: n, Verdict: VerdictPass, Resources: []Resource{x}, Rounds: []Round{{Seconds: float64(n) / 1000}}})
		workers, rss, fds = append(workers, float64(n)), append(rss, float64(x.RSSPeakBytes)), append(fds, float64(x.FDsPeak))
	}
	for of, values := range map[string][]float64{"server.rss": rss, "server.fds": fds} {
		s, ok := FitSlope(of, map[string]string{"server.rss": "B"}[of], workers, values)
		if !ok {
			panic("no slope of " + of)
		}
		r.Slopes = append(r.Slopes, s)
	}
	return r
}

func TestSize(t *testing.T) {
	value := func(s *Sizing, name string) float64 {
		f, ok := s.Figure(name)
		if !ok {
			t.Fatalf("no figure %q: %+v", name, s)
		}
		if f.Rests == "" {
			t.Errorf("%s rests on nothing", name)
		}
		return f.Value
	}
	s, err := Size(measuredCapacity(), SizingFor{Workers: 20000, Spare: 1})
	if err != nil {
		t.Fatal(err)
	}
	if n := value(s, FigureReplicas); n != 6 || s.Needed != 5 || s.Each != 4000 {
		t.Errorf("%g replicas, %d needed, %d each; want 6, 5, 4000", n, s.Needed, s.Each)
	}
	if n := value(s, FigureDescriptors); n != 8011 {
		t.Errorf("%g descriptors, want 8011: 4011 and 4000 that come again", n)
	}
	request, limit := value(s, FigureMemoryRequest), value(s, FigureMemoryLimit)
	if at := float64(20<<20 + 4000*4096); request < at || request > at+2<<20 || limit < request+4000*4000 {
		t.Errorf("memory %g, limit %g; the peak at 4000 was %g", request, limit, at)
	}
	if n := value(s, FigureGrace); n != 9 {
		t.Errorf("a grace of %g s, want 9: the slowest round took 4 s", n)
	}
	if n := value(s, FigureSurge); n != 4000 {
		t.Errorf("a surge of %g, want 4000", n)
	}
	// All workers on all replicas, rounded up: all of them never want one more.
	if n := value(s, FigureScaleAt); n != 3334 {
		t.Errorf("it scales at %g, want 3334", n)
	}
	if text := strings.Join(s.Notes, "; "); !strings.Contains(text, "5 federations of up to 4000 workers, not one of 20000") {
		t.Errorf("it promises what the protocol does not: %s", text)
	}
	if f, _ := s.Figure(FigureReplicas); f.Bound != "" {
		t.Errorf("a measured limit gives replicas %s", f.Bound)
	}

	// The generator was the limit: one replica may hold more.
	r := measuredCapacity()
	r.Capacity.AtLeast = true
	s, err = Size(r, SizingFor{Workers: 20000, SharedState: true, DrainSeconds: 30})
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := s.Figure(FigureReplicas); f.Bound != "at most" || !strings.Contains(f.Rests, "at least 4000 workers") || f.Value != 5 {
		t.Errorf("of a capacity of at least 4000: %+v", f)
	}
	if n := value(s, FigureGrace); n != 35 {
		t.Errorf("a grace of %g s, want 35", n)
	}
	if _, ok := s.Figure(FigureScaleAt); ok {
		t.Error("without a spare replica there is nothing to scale to")
	}

	// Without slopes the level itself tells, and what was not measured is unknown.
	r.Slopes = nil
	if s, err = Size(r, SizingFor{Workers: 1}); err != nil || value(s, FigureMemoryLimit) < 2*value(s, FigureMemoryRequest)-2<<20 || value(s, FigureDescriptors) != 8022 {
		t.Errorf("by one level: %+v, %v", s, err)
	}
	r.Levels = nil
	if s, err = Size(r, SizingFor{Workers: 1}); err != nil || len(s.Unknown) != 3 || value(s, FigureReplicas) != 1 {
		t.Errorf("of nothing measured: %+v, %v", s, err)
	}

	for name, r := range map[string]Report{
		"another kind":  {Kind: KindSimulate},
		"no level held": {Kind: KindCapacity, Capacity: &Capacity{}},
	} {
		if _, err := Size(r, SizingFor{Workers: 1}); err == nil {
			t.Errorf("%s: it plans", name)
		}
	}
}
