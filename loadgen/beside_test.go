package loadgen

import (
	"testing"
	"time"

	"github.com/fltool/fltool/reports"
)

// TestBesideCost leaves out a round that was under way when the strangers came, and one
// that had no end.
func TestBesideCost(t *testing.T) {
	round := func(from, to float64, open bool) reports.Round {
		return reports.Round{Seconds: to - from, Open: open, Passed: &reports.Passed{Published: from, Accepted: to}}
	}
	rounds := []reports.Round{round(0, 1, false), round(1, 4, false), round(4, 7, false), round(7, 9, false), round(9, 13, false), round(13, 99, true)}
	b := &beside{r: &run{}, began: 5 * time.Second}
	if got, want := b.cost(rounds), (reports.Cost{RoundsBefore: 2, SecondsBefore: 2, RoundsMeanwhile: 2, SecondsMeanwhile: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	rounds[0].Number = 1
	b.r.plan = Plan{Quorum: 9, Rounds: 4}
	if got, want := b.cost(rounds), (reports.Cost{RoundsBefore: 1, SecondsBefore: 3, RoundsMeanwhile: 2, SecondsMeanwhile: 3}); got != want {
		t.Errorf("with a quorum %+v, want %+v", got, want)
	}
	if got := (&beside{}).cost(rounds); got != (reports.Cost{}) {
		t.Errorf("nobody came, and %+v", got)
	}
}
