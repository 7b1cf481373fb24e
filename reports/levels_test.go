package reports

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// rungs are two shards' reports of two levels, each held for 10 s.
func rungs() (all []Report) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, workers := range []int{10, 20} {
		for k := range 2 {
			r := Report{
				Schema: Schema, Kind: KindSimulate, Verdict: VerdictPass,
				Env:    Env{Tool: "fltool v0", Target: "http://t", Started: start.Add(time.Duration(i)*time.Minute + time.Duration(k)*time.Second).Format(time.RFC3339Nano), Seconds: 20},
				Demand: Demand{Workers: workers}, Shard: &Shard{Index: k + 1, Count: 2, Levels: []int{10, 20}},
				Held: &Held{Asked: workers / 2, Peak: workers / 2, Steady: workers / 2, HoldSeconds: 10},
			}
			held, _ := ParseThreshold("held>=12")
			r.Thresholds = []Threshold{held}
			all = append(all, r)
		}
	}
	return all
}

func TestMergeLevels(t *testing.T) {
	all := rungs()
	slices.Reverse(all)
	merged, err := MergeLevels(all)
	if err != nil || len(merged) != 2 {
		t.Fatalf("%d levels: %v", len(merged), err)
	}
	for i, want := range []Verdict{VerdictFail, VerdictPass} { // 5 of a shard are fewer than 12, and so are 10 of both
		if r := merged[i]; r.Verdict != want || r.Demand.Workers != 10*(i+1) || r.Held.Steady != 10*(i+1) || r.Held.HoldSeconds != 9 {
			t.Errorf("level %d: %s, %+v %v", i, r.Verdict, *r.Held, r.Reasons)
		}
	}
	if span := Span(merged); span.Seconds != 81 || !strings.HasPrefix(span.Started, "2026-03-01T12:00:00") {
		t.Errorf("%+v", span)
	}
	for why, change := range map[string]func(rs []Report) []Report{
		"level of 20 workers: shard 2 of 2 is missing":    func(rs []Report) []Report { return rs[:3] },
		"the level of 20 workers is missing":              func(rs []Report) []Report { return rs[:2] },
		"level of 20 workers: both are shard 1 of 2":      func(rs []Report) []Report { return append(rs, rs[2]) },
		"30 workers are none of its levels":               func(rs []Report) []Report { rs[1].Demand.Workers = 30; return rs },
		"their levels differ":                             func(rs []Report) []Report { rs[1].Shard = &Shard{Index: 2, Count: 2, Levels: []int{10}}; return rs },
		"it is no level of a search by shards, as others": func(rs []Report) []Report { rs[1].Shard = nil; return rs },
	} {
		rs := change(rungs())
		_, err := MergeLevels(rs)
		var merge *MergeError
		if !errors.As(err, &merge) || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want %q", err, why)
			continue
		}
		for _, i := range merge.Of {
			if i >= len(rs) || strings.Contains(why, "both") && rs[i].Demand.Workers != 20 {
				t.Errorf("%s: of %v", why, merge.Of)
			}
		}
	}
}

// TestHeldTogether: shards that held one after another held nothing together.
func TestHeldTogether(t *testing.T) {
	late := rungs()[:2]
	for i := range late {
		late[i].Shard.Levels = nil
	}
	late[0].Timeline = []Tick{{T: 11, Held: 5}} // its polls were ended after that
	late[1].Env.Seconds, late[1].Thresholds, late[0].Thresholds = 30, nil, nil
	r, err := Merge(late)
	if err != nil || r.Verdict != VerdictRefused || !strings.Contains(r.Reasons[0], "the last began 10s after the first had ended") || r.Held.HoldSeconds != 0 {
		t.Errorf("%s %v %v", r.Verdict, r.Reasons, err)
	}
}
