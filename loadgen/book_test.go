package loadgen

import (
	"testing"
	"time"
)

// TestLateUpdates has a quorum end each round, and a worker send its update for the
// first when the second is over.
func TestLateUpdates(t *testing.T) {
	const ms = time.Millisecond
	b := newBook()
	b.registered = 100 * ms
	b.rounds["1"] = &roundBook{
		accepted: []acceptedOf{{150 * ms, 180 * ms}, {160 * ms, 200 * ms}, {900 * ms, 950 * ms}},
		told:     []toldOf{{sent: 180 * ms, answered: 210 * ms}, {sent: 950 * ms, answered: 960 * ms}},
	}
	b.rounds["2"] = &roundBook{
		accepted: []acceptedOf{{250 * ms, 280 * ms}, {260 * ms, 300 * ms}},
		told:     []toldOf{{sent: 280 * ms, answered: 310 * ms}},
	}
	rounds, _ := b.close(time.Now())
	if len(rounds) != 2 || rounds[0].Version != "1" || rounds[1].Version != "2" {
		t.Fatalf("%+v", rounds)
	}
	// From all registered to the last update before the model of the second, which the
	// first of those that waited was told of; then from there.
	for i, want := range []struct {
		seconds float64
		workers int
	}{{.1, 3}, {.09, 2}} {
		if r := rounds[i]; r.Seconds != want.seconds || r.Workers != want.workers || r.Told != 1 {
			t.Errorf("round %+v, want %+v", r, want)
		}
	}
}
