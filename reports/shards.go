package reports

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// checkShards tells whether reports are all the shards of one run.
func checkShards(rs []Report) error {
	first := rs[0]
	seen := map[int]int{}
	for i, r := range rs {
		switch {
		case r.Schema != Schema:
			return mergeError([]int{i}, "its schema is %q, not %q", r.Schema, Schema)
		case r.Shard == nil:
			return mergeError([]int{i}, "it is a whole run, no shard: whole runs are compared, not merged")
		case r.Kind != KindSimulate:
			return mergeError([]int{i}, "a %s report has no shards", r.Kind)
		case len(r.Levels) > 0 || len(r.Findings) > 0 || r.Capacity != nil:
			return mergeError([]int{i}, "levels, findings and a ledger don't add up")
		case r.Shard.Count < 1 || r.Shard.Count > MaxShards || r.Shard.Index < 1 || r.Shard.Index > r.Shard.Count:
			return mergeError([]int{i}, "shard %d of %d does not exist", r.Shard.Index, r.Shard.Count)
		case r.Shard.Count != first.Shard.Count:
			return mergeError([]int{0, i}, "one is a shard of %d, the other of %d", first.Shard.Count, r.Shard.Count)
		case scenarioPlan(r) != scenarioPlan(first):
			return mergeError([]int{0, i}, "they played different scenarios: %q and %q", scenarioPlan(first), scenarioPlan(r))
		case r.Env.Target != first.Env.Target:
			return mergeError([]int{0, i}, "they drove different targets: %q and %q", first.Env.Target, r.Env.Target)
		}
		if d := Differences(first.Demand, r.Demand); len(d) > 0 {
			return mergeError([]int{0, i}, "their demands differ: %s", strings.Join(d, ", "))
		}
		if a, b := exprs(first), exprs(r); !slices.Equal(a, b) {
			return mergeError([]int{0, i}, "their thresholds differ: %q and %q", a, b)
		}
		if _, err := r.Env.started(); err != nil {
			return mergeError([]int{i}, "it does not tell when it started, so it can't be aligned with the others")
		}
		if j, twice := seen[r.Shard.Index]; twice {
			return mergeError([]int{j, i}, "both are shard %d of %d", r.Shard.Index, r.Shard.Count)
		}
		seen[r.Shard.Index] = i
	}
	var missing []string
	for k := 1; k <= first.Shard.Count; k++ {
		if _, ok := seen[k]; !ok {
			missing = append(missing, fmt.Sprint(k))
		}
	}
	switch n := len(missing); {
	case n == 1:
		return mergeError(nil, "shard %s of %d is missing", missing[0], first.Shard.Count)
	case n > 1:
		return mergeError(nil, "shards %s of %d are missing", list(missing, 5), first.Shard.Count)
	}
	return nil
}

func exprs(r Report) []string {
	var es []string
	for _, t := range r.Thresholds {
		es = append(es, t.Expr)
	}
	return es
}

// compareShards tells what speaks against adding these shards (sorted) up, and
// how bad that is. Sum is what they added up to.
func compareShards(rs []Report, sum Report) (concerns []string, verdict Verdict) {
	verdict = VerdictPass
	concern := func(v Verdict, format string, a ...any) {
		concerns = append(concerns, fmt.Sprintf(format, a...))
		verdict = Worse(verdict, v)
	}
	byStart := slices.Clone(rs)
	sort.SliceStable(byStart, func(i, j int) bool { return byStart[i].Env.start().Before(byStart[j].Env.start()) })
	first, last := byStart[0], byStart[len(byStart)-1]
	firstEnd := slices.MinFunc(rs, func(a, b Report) int { return a.Env.end().Compare(b.Env.end()) })
	skew := last.Env.start().Sub(first.Env.start())
	switch {
	case last.Env.start().After(firstEnd.Env.end()) && !sameRounds(rs):
		concern(VerdictRefused, "%s started after %s had ended: they were never one load, or their clocks are far apart", shardName(last), shardName(firstEnd))
	case skew > clockSkew:
		concern(VerdictWarn, "%s started %s after %s: it came late or their clocks disagree, and the timeline is out by as much",
			shardName(last), skew.Round(100*time.Millisecond), shardName(first))
	}
	if from, to, held := heldTogether(rs); held && !from.Before(to) {
		concern(VerdictRefused, "their holds did not overlap by their clocks: the last began %s after the first had ended, so at no moment were all held", from.Sub(to).Round(time.Millisecond))
	}
	for i, s := range sum.Stages {
		if from, to := stageTogether(rs, i, sum.Env.start()); s.Asked > 0 && s.Shape != "ramp" && to < from {
			concern(VerdictRefused, "stage %d, %s %d: the last shard held its part only %s after the first had ended its own, so at no moment were all held", s.Number, s.Shape, s.Asked, seconds(from-to).Round(time.Millisecond))
		}
	}
	for _, round := range sum.Rounds {
		var blind []string
		for _, r := range rs {
			if !slices.ContainsFunc(r.Rounds, func(x Round) bool { return roundKey(x) == roundKey(round) }) {
				blind = append(blind, shardName(r))
			}
		}
		if len(blind) > 0 {
			concern(VerdictWarn, "round %d was not seen by %s", round.Number, list(blind, 5))
		}
	}
	for _, r := range rs[1:] {
		if r.Env.Tool != rs[0].Env.Tool {
			concern(VerdictWarn, "%s was made by %s, %s by %s", shardName(rs[0]), rs[0].Env.Tool, shardName(r), r.Env.Tool)
		}
	}
	if sum.Held != nil && sum.Held.Asked != sum.Demand.Workers {
		concern(VerdictWarn, "the shards asked for %d workers in all, the demand is %d", sum.Held.Asked, sum.Demand.Workers)
	}
	return concerns, verdict
}

// heldTogether is when the polls of all shards were held at once, by their clocks: from the
// last begin of a hold to the first end. It is false where a shard had no hold, or stages,
// which have one each.
func heldTogether(rs []Report) (from, to time.Time, held bool) {
	for i, r := range rs {
		if r.Held == nil || r.Held.HoldSeconds <= 0 || len(r.Stages) > 0 {
			return from, to, false
		}
		end := r.Env.end()
		if n := len(r.Timeline); n > 0 { // then the polls are ended, which takes its time
			end = r.Env.start().Add(seconds(r.Timeline[n-1].T))
		}
		begin := end.Add(-seconds(r.Held.HoldSeconds))
		if i == 0 || begin.After(from) {
			from = begin
		}
		if i == 0 || end.Before(to) {
			to = end
		}
	}
	return from, to, true
}

func (e Env) end() time.Time { return e.start().Add(seconds(e.Seconds)) }

// sameRounds tells whether all shards saw the same rounds, by version: then
// they ran at the same time, whatever their clocks say.
func sameRounds(rs []Report) bool {
	versions := func(r Report) []string {
		var vs []string
		for _, x := range r.Rounds {
			vs = append(vs, x.Version)
		}
		return vs
	}
	first := versions(rs[0])
	return len(first) > 0 && !slices.Contains(first, "") &&
		!slices.ContainsFunc(rs, func(r Report) bool { return !slices.Equal(versions(r), first) })
}

func shardName(r Report) string {
	if r.Env.Hostname == "" {
		return fmt.Sprintf("shard %d", r.Shard.Index)
	}
	return fmt.Sprintf("shard %d (%s)", r.Shard.Index, r.Env.Hostname)
}

// shardReasons gathers the reasons of all shards, those of the worst first,
// with the names of the shards that give them.
func shardReasons(rs []Report) []string {
	type reason struct {
		text string
		of   []string
	}
	var all []reason
	rs = slices.Clone(rs)
	sort.SliceStable(rs, func(i, j int) bool { return rs[i].Verdict.rank() > rs[j].Verdict.rank() })
	for _, r := range rs {
		texts := r.Reasons
		if len(texts) == 0 && r.Verdict != VerdictPass {
			texts = []string{"the verdict is " + string(r.Verdict)}
		}
		for _, text := range texts {
			all = append(all, reason{text, []string{shardName(r)}})
		}
	}
	all = union(nil, all, func(r reason) string { return r.text }, func(a, b reason) reason {
		return reason{a.text, slices.Concat(a.of, b.of)}
	})
	var reasons []string
	for _, r := range all {
		reasons = append(reasons, list(r.of, 5)+": "+r.text)
	}
	return reasons
}
