package reports

import "testing"

// RunsNeeded says before the runs what Compare says after them.
func TestRunsNeeded(t *testing.T) {
	hold := func(r *Report) { r.Demand = Demand{Workers: 10, HoldSeconds: 5}; r.Rounds = nil }
	for name, gate := range map[string]Gate{"default": nil, "quiet": QuietGate(), "all": AllGate(), "one": {"errors": {Share: .001}}} {
		base := append(runs(1, 1, nil), runs(1, 2, hold)...)
		c, err := Compare(base, append(runs(1, 3, nil), runs(1, 4, hold)...), gate, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := RunsNeeded(base, gate, 1); got != c.RunsNeeded || got < 4 {
			t.Errorf("gate %s: %d runs are needed, by the comparison %d", name, got, c.RunsNeeded)
		}
	}
	// As compare's and regress' help have it.
	for metrics, want := range map[int]int{1: 4, 2: 5, 6: 5, 7: 6, 23: 6} {
		if got := runsNeeded(metrics); got != want {
			t.Errorf("%d metrics: %d runs, want %d", metrics, got, want)
		}
	}
}
