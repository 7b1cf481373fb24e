package loadgen

import (
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
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
	rounds, _ := b.close(time.Now(), false)
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

// TestFailedOfRounds: a worker counts once in a round, as accepted or as failed,
// and whoever is lost between two is missing in the second.
func TestFailedOfRounds(t *testing.T) {
	b := newBook()
	p := Plan{Rounds: 3, RoundTimeout: time.Minute}
	lose := func(w *worker) { b.lose(w, w.step, time.Second) }
	now := time.Duration(0)
	update := func(version wire.Version, f *failure) *worker {
		now += time.Millisecond
		w := &worker{step: stepModel, goal: stepModel, out: outcome{version: version}}
		w.advance(&p, 0)
		w.out = outcome{fail: f, status: 200, done: now, forgone: f != nil}
		b.enter(w)
		w.advance(&p, 0)
		return w
	}
	refused := failed(classNotAccepted, "no")
	update("1", nil)
	lose(update("1", nil))
	lose(update("1", refused))
	again := update("1", refused)
	again.step, again.out = stepUpdate, outcome{fail: refused, status: 200, forgone: true}
	b.enter(again)
	update("2", nil)
	lose(&worker{version: "2", step: stepUpdate})
	lose(&worker{step: stepRegister})

	sum := newBook()
	sum.add(b)
	rounds, _ := sum.close(time.Now(), false)
	if len(rounds) != 2 {
		t.Fatalf("%+v", rounds)
	}
	for i, want := range []struct{ workers, failed int }{
		{2, 3}, // two were refused, one never came so far
		{1, 3}, // one was lost in it, two between the rounds
	} {
		if r := rounds[i]; r.Workers != want.workers || r.Failed != want.failed {
			t.Errorf("round %d: %d accepted, %d failed; want %+v", r.Number, r.Workers, r.Failed, want)
		}
	}
}
