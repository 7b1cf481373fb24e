package reports

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestShardOf parts workers among shards: each is one's, and of more workers none has fewer.
func TestShardOf(t *testing.T) {
	for count := 1; count <= 7; count++ {
		had := make([]int, count+1)
		for workers := range 30 {
			next := 0
			for index := 1; index <= count; index++ {
				first, n := Shard{Index: index, Count: count}.Of(workers)
				if first != next || n < had[index] || n-workers/count < 0 || n-workers/count > 1 {
					t.Errorf("shard %d of %d has %d of %d workers, from %d", index, count, n, workers, first)
				}
				next, had[index] = next+n, n
			}
			if next != workers {
				t.Errorf("%d shards have %d of %d workers", count, next, workers)
			}
		}
	}
	if first, n := (Shard{}).Of(5); first != 0 || n != 5 {
		t.Errorf("all are %d from %d", n, first)
	}
}

// TestMergeStages adds the stages of shards up, which began half a second apart.
func TestMergeStages(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	shard := func(index int, at time.Duration, stages ...Stage) Report {
		return Report{
			Schema: Schema, Kind: KindSimulate, Verdict: VerdictPass, Shard: &Shard{Index: index, Count: 2},
			Env: Env{Started: start.Add(at).Format(time.RFC3339Nano), Seconds: 10}, Demand: Demand{Workers: 5, Stages: "hold:5,for=2s hold:1,for=2s"},
			Held: &Held{Asked: 3 - index + 1, HoldSeconds: 4}, Stages: stages,
		}
	}
	a := shard(1, 0, Stage{1, "hold", 3, 0, 1, 3, 3, 3, 0, 0, 0}, Stage{2, "hold", 1, 3, 3.5, 5.5, 1, 1, 0, 1, 0})
	b := shard(2, time.Second/2, Stage{1, "hold", 2, 0, .25, 2.25, 2, 1, 0, 0, 1}, Stage{2, "hold", 0, 2.25, 2.5, 4.5, 0, 0, 0, 0, 0})
	got, err := Merge([]Report{b, a})
	if err != nil {
		t.Fatal(err)
	}
	want := []Stage{{1, "hold", 5, 0, 1, 3, 5, 4, 0, 0, 4}, {2, "hold", 1, 2.75, 3.5, 5.5, 1, 1, 0, 1, 0}}
	if d := cmp.Diff(want, got.Stages); d != "" || got.Verdict != VerdictPass || got.Held.HoldSeconds != 4 {
		t.Errorf("%s %v, held for %g s: %s", got.Verdict, got.Reasons, got.Held.HoldSeconds, d)
	}

	// One that has not held a stage yet, and one that has not come to it.
	b.Stages = []Stage{{Number: 1, Shape: "hold", Asked: 2}}
	if got, err = SoFar([]Report{a, b}); err != nil {
		t.Fatal(err)
	}
	if s := got.Stages; len(s) != 2 || s[0].Asked != 5 || s[0].HeldFrom != 0 || s[0].To != 0 || s[1] != a.Stages[1] {
		t.Errorf("so far %+v", s)
	}

	// A stage of which each had its part when the other had not.
	a.Stages[0].HeldFrom, a.Stages[0].To, b.Stages = .1, .5, []Stage{{1, "hold", 2, 0, .25, 2.25, 2, 2, 0, 0, 0}}
	if got, err = Merge([]Report{a, b}); err != nil {
		t.Fatal(err)
	}
	apart := func(r Report) bool {
		return slices.ContainsFunc(r.Reasons, func(s string) bool {
			return strings.HasPrefix(s, "stage 1, hold 5: the last shard held its part only 250ms after ")
		})
	}
	if got.Verdict != VerdictRefused || !apart(got) {
		t.Errorf("%s %q", got.Verdict, got.Reasons)
	}
	for i := range 2 { // of a ramp that is what there is to it
		[]Report{a, b}[i].Stages[0].Shape = "ramp"
	}
	if got, err = Merge([]Report{a, b}); err != nil || apart(got) {
		t.Errorf("%v %q", err, got.Reasons)
	}
}
