package loadgen

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/reports"
)

// The timeline of rounds knows where every worker is, at a step of milliseconds, and
// counts what the report counts; a round goes by in order.
func TestTimeline(t *testing.T) {
	const workers = 20
	var rep reports.Report
	var err error
	synctest.Test(t, func(t *testing.T) {
		target, dial := servePipes(t, newFake(workers))
		p := testPlan(target, workers)
		p.Think.min, p.Think.max = 50*time.Millisecond, 50*time.Millisecond
		rep, err = Run(t.Context(), p, Setup{Dial: dial})
	})
	if err != nil || rep.Verdict != reports.VerdictPass {
		t.Fatalf("%v, %s %v", err, rep.Verdict, rep.Reasons)
	}
	seen, answers := map[string]bool{}, 0
	for i, tick := range rep.Timeline {
		all := 0
		for phase, n := range tick.Workers {
			seen[phase] = true
			all += n
		}
		if all > workers {
			t.Errorf("at %g s %d workers: %v", tick.T, all, tick.Workers)
		}
		if want := float64(i+1) * rep.Step; i < len(rep.Timeline)-1 && tick.T != want {
			t.Errorf("tick %d is at %g s, want %g", i, tick.T, want)
		}
		for _, n := range tick.Latency {
			answers += n
		}
	}
	if last := rep.Timeline[len(rep.Timeline)-1]; last.Workers[reports.PhaseDone] != workers {
		t.Errorf("at the end %v", last.Workers)
	}
	if !seen[reports.PhaseThinking] {
		t.Errorf("nobody was seen thinking: %v", seen)
	}
	want := 0
	for _, s := range rep.Series {
		switch s.Name {
		case "register", "challenge", "model", "update":
			want += int(s.Count)
		}
	}
	if first := workers; answers < want || answers > want+first { // the first polls are not held either
		t.Errorf("%d answers, want %d and up to %d more", answers, want, first)
	}
	for _, x := range rep.Rounds {
		switch p := x.Passed; {
		case p == nil || p.Published > p.Notified || p.Notified > p.Downloaded || p.Downloaded > p.Thought || p.Thought > p.Accepted:
			t.Errorf("round %d went by like %+v", x.Number, p)
		case p.Thought-p.Downloaded < .0499:
			t.Errorf("round %d: workers thought for 50 ms: %+v", x.Number, *p)
		}
	}
}

// Latencies are counted once, whenever they come.
func TestHeat(t *testing.T) {
	var a, b, sum heat
	for i := range 1000 {
		a.record(time.Duration(i)*time.Millisecond, time.Millisecond)
		b.record(time.Duration(i)*100*time.Millisecond, time.Second)
	}
	sum.add(&a)
	sum.add(&b)
	ticks := make([]reports.Tick, 200)
	sum.into(ticks, time.Second/2)
	counts := map[int]int{}
	for i, tick := range ticks {
		for band, n := range tick.Latency {
			counts[band] += n
			if band == reports.LatencyBand(time.Millisecond) && i > 2 {
				t.Errorf("a latency of the first second is in tick %d", i)
			}
		}
	}
	if len(sum.bands) > reports.MaxTicks || counts[reports.LatencyBand(time.Millisecond)] != 1000 || counts[reports.LatencyBand(time.Second)] != 1000 {
		t.Errorf("%d steps of %s, %v", len(sum.bands), sum.step, counts)
	}
}
