package reports

import "testing"

// A round without an end has no length: a service level of it is not met by the
// moment of its last update.
func TestOpenRounds(t *testing.T) {
	open := Round{Number: 2, Workers: 5, Seconds: .1, Open: true}
	for _, name := range []string{"round", "round.mean", "fanout", "fanout.mean"} {
		alone := Report{Rounds: []Round{open}}
		if _, _, ok, err := alone.Metric(name); ok || err != nil {
			t.Errorf("%s of a round without an end: %v, %v", name, ok, err)
		}
		after := Report{Rounds: []Round{{Number: 1, Seconds: 2, FanoutSeconds: 2, Told: 5}, open}}
		if v, _, ok, err := after.Metric(name); v != 2 || !ok || err != nil {
			t.Errorf("%s: %v, %v, %v, want that of the round before", name, v, ok, err)
		}
	}
}
