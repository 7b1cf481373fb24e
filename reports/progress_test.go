package reports

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAddProgress has the whole be where the last of its shards is.
func TestAddProgress(t *testing.T) {
	of := func(rss int64, cores float64, fds int, limit int64) []Use {
		return []Use{{"server", 100 * rss, cores, 10, 1000}, {"generator", rss, cores, fds, limit}}
	}
	a := Progress{
		Seconds: 3, Left: 1, Stage: StageHolding, Load: "stage 2 of 2, hold 9", Workers: 4, Doing: map[string]int{PhaseHeld: 4}, Held: 4,
		Round: 2, Rounds: 5, Sent: 10, Done: 6, Over: true, Uses: of(1, .5, 4, 64),
	}
	b := Progress{
		Seconds: 2.5, Left: 2, Stage: StageArriving, Load: "stage 1 of 2, hold 5", Workers: 5, Doing: map[string]int{PhaseHeld: 1, PhaseLost: 2}, Held: 1,
		NeverHeld: 2, Cut: 1, Lost: 2, Finished: 1, Round: 1, Rounds: 5, Sent: 5, Done: 4, Errors: 3, Uses: of(2, .25, 5, 64),
	}
	want := Progress{
		Seconds: 3, Left: 2, Stage: StageArriving, Load: "stage 1 of 2, hold 5", Workers: 9, Doing: map[string]int{PhaseHeld: 5, PhaseLost: 2}, Held: 5,
		NeverHeld: 2, Cut: 1, Lost: 2, Finished: 1, Round: 1, Rounds: 5, Sent: 15, Done: 10, Errors: 3,
		Uses: []Use{{"server", 200, .5, 10, 1000}, {"generator", 3, .75, 9, 128}},
	}
	for name, all := range map[string][]Progress{"a and b": {a, b}, "b and a": {b, a}} {
		if d := cmp.Diff(want, AddProgress(all)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	a.Uses, b.Uses = of(1, 1, -1, 64), of(1, 1, 5, -1)
	if d := cmp.Diff(Use{"generator", 2, 2, -1, -1}, AddProgress([]Progress{a, b}).Uses[1]); d != "" {
		t.Errorf("where it is unknown: %s", d)
	}
	if d := cmp.Diff(a, AddProgress([]Progress{a})); d != "" {
		t.Errorf("of one: %s", d)
	}
}
