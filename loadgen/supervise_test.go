package loadgen

import (
	"testing"
	"time"
)

// TestWatch has a run come to its end by one standing after another.
func TestWatch(t *testing.T) {
	const grace, hold = 5 * time.Second, time.Minute
	start := time.Unix(0, 0)
	type seen struct {
		at      time.Duration
		s       standing
		over    bool
		stalled int
		holding bool
	}
	for _, c := range []struct {
		name string
		hold time.Duration
		seen []seen
	}{
		{"all through their rounds", 0, []seen{
			{0, standing{all: 3, pending: 3, held: 3}, false, 0, false},
			{time.Hour, standing{all: 3, pending: 1, finished: 2, held: 1}, false, 0, false},
			{time.Hour, standing{all: 3, finished: 3}, true, 0, false},
		}},
		{"all lost", hold, []seen{{0, standing{all: 3, lost: 3, settled: 3}, true, 0, false}}},
		{"who waits for a lost one waits in vain", 0, []seen{
			{0, standing{all: 3, pending: 2, lost: 1, held: 2}, false, 0, false},
			{grace - 1, standing{all: 3, pending: 2, lost: 1, held: 2}, false, 0, false},
			{grace, standing{all: 3, pending: 2, lost: 1, held: 2}, true, 2, false},
		}},
		{"but not if meanwhile somebody got on", 0, []seen{
			{0, standing{all: 3, pending: 2, lost: 1, held: 2}, false, 0, false},
			{grace - 1, standing{all: 3, pending: 2, lost: 1, held: 1}, false, 0, false},
			{grace, standing{all: 3, pending: 2, lost: 1, held: 2}, false, 0, false},
			{2*grace - 1, standing{all: 3, pending: 2, lost: 1, held: 2}, false, 0, false},
			{2 * grace, standing{all: 3, pending: 2, lost: 1, held: 2}, true, 2, false},
		}},
		{"a hold, from when all are held", hold, []seen{
			{0, standing{all: 3, held: 2, settled: 2}, false, 0, false},
			{time.Hour, standing{all: 3, held: 3, settled: 3}, false, 0, true},
			{time.Hour + hold - 1, standing{all: 3, held: 1, settled: 3}, false, 0, true},
			{time.Hour + hold, standing{all: 3, held: 3, settled: 3}, true, 0, true},
		}},
		{"or lost", hold, []seen{{0, standing{all: 3, held: 2, lost: 1, settled: 3}, false, 0, true}}},
		{"or some time after all came so far, where a server ends holds early", hold, []seen{
			{0, standing{all: 3, held: 2, settled: 3}, false, 0, false},
			{grace - 1, standing{all: 3, held: 1, settled: 3}, false, 0, false},
			{grace, standing{all: 3, held: 2, settled: 3}, false, 0, true},
		}},
		{"not before the rounds are over", hold, []seen{
			{0, standing{all: 3, pending: 3, held: 3}, false, 0, false},
			{time.Hour, standing{all: 3, pending: 1, held: 3, settled: 2}, false, 0, false},
			{time.Hour, standing{all: 3, held: 3, settled: 3}, false, 0, true},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := watch{hold: c.hold, grace: grace}
			for _, s := range c.seen {
				over, stalled := w.look(start.Add(s.at), s.s)
				if over != s.over || stalled != s.stalled || !w.holdFrom.IsZero() != s.holding {
					t.Errorf("at %s, %+v: over %t, stalled %d, holding %t; want %t, %d, %t",
						s.at, s.s, over, stalled, !w.holdFrom.IsZero(), s.over, s.stalled, s.holding)
				}
			}
		})
	}
}

// TestWatchTogether: a hold that others share is not over before the moment that is common
// to all, nor before it has lasted.
func TestWatchTogether(t *testing.T) {
	start := time.Unix(0, 0)
	all := standing{all: 3, held: 3, settled: 3}
	for _, c := range []struct{ hold, to, over time.Duration }{
		{time.Minute, time.Hour, time.Hour}, {time.Hour, time.Minute, time.Hour},
	} {
		w := watch{hold: c.hold, holdTo: start.Add(c.to)}
		w.look(start, all)
		if over, _ := w.look(start.Add(c.over-1), all); over {
			t.Errorf("%+v: over too early", c)
		}
		if over, _ := w.look(start.Add(c.over), all); !over {
			t.Errorf("%+v: not over", c)
		}
	}
}
