package reports

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A second that came late or twice is neither lost nor taken for no load.
func TestCoarsen(t *testing.T) {
	got := Coarsen([]Tick{{T: .98, Held: 3, Sent: 1}, {T: 1.2, Held: 4, Sent: 2}, {T: 4.1, Held: 5, Sent: 3}, {T: 40, Held: 6}}, 1, 1)
	want := []Tick{{T: 1, Held: 4, Dip: 1, Sent: 3}, {T: 2, Held: 4}, {T: 3, Held: 4}, {T: 4, Held: 5, Sent: 3}, {T: 40, Held: 6}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What a timeline counts stays as it is however often its step doubles, a step at a time
// or several at once, and no dip gets lost.
func TestCoarsenKeeps(t *testing.T) {
	var ticks []Tick
	for i := range 1000 {
		ticks = append(ticks, Tick{T: float64(i+1) / 64, Held: 100, Sent: i, Latency: map[int]int{i % 3: 1}, Workers: map[string]int{PhaseHeld: 100}})
	}
	ticks[500].Held = 7
	r := Report{Timeline: ticks, Step: 1. / 64}
	r.bound()
	if len(r.Timeline) != 250 || r.Step != 1./16 || r.Timeline[249].T != 15.625 {
		t.Errorf("%d ticks of %g s, the last at %g", len(r.Timeline), r.Step, r.Timeline[249].T)
	}
	if d := cmp.Diff(r.Timeline, Coarsen(ticks, 1./64, 1./16)); d != "" {
		t.Errorf("twice is not once by four: %s", d)
	}
	sent, answers, lowest := 0, 0, 100
	for _, x := range r.Timeline {
		sent, lowest = sent+x.Sent, min(lowest, x.Held-x.Dip)
		for _, n := range x.Latency {
			answers += n
		}
	}
	if sent != 999*1000/2 || answers != 1000 || lowest != 7 {
		t.Errorf("%d sent, %d answers, at the lowest %d", sent, answers, lowest)
	}
}

func TestLatencyBand(t *testing.T) {
	for _, c := range []struct {
		of   time.Duration
		want int
	}{{0, 4}, {10 * time.Microsecond, 4}, {999 * time.Microsecond, 11}, {time.Millisecond, 12}, {time.Second, 24}, {time.Hour, 35}} {
		if got := LatencyBand(c.of); got != c.want {
			t.Errorf("%s is in band %d, want %d", c.of, got, c.want)
		}
	}
	for b := minBand; b <= maxBand; b++ {
		if got := LatencyBand(BandFrom(b) + time.Nanosecond); got != b {
			t.Errorf("band %d begins in band %d", b, got)
		}
	}
}
