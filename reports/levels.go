package reports

import (
	"errors"
	"fmt"
	"slices"
)

// MergeLevels merges the shards of a search level by level, in ascending order, each as
// Merge does. All levels must be there, with all their shards.
func MergeLevels(rs []Report) ([]Report, error) {
	var levels []int
	of := map[int][]int{} // reports by the level's workers
	for i, r := range rs {
		switch {
		case r.Shard == nil || len(r.Shard.Levels) == 0:
			return nil, mergeError([]int{i}, "it is no level of a search by shards, as others are")
		case levels == nil:
			levels = r.Shard.Levels
		case !slices.Equal(levels, r.Shard.Levels):
			return nil, mergeError([]int{0, i}, "their levels differ: %v and %v", levels, r.Shard.Levels)
		}
		n := r.Demand.Workers
		if !slices.Contains(levels, n) {
			return nil, mergeError([]int{i}, "%d workers are none of its levels %v", n, levels)
		}
		of[n] = append(of[n], i)
	}
	var merged []Report
	for _, n := range levels {
		if len(of[n]) == 0 {
			return nil, mergeError(nil, "the level of %d workers is missing", n)
		}
		var shards []Report
		for _, i := range of[n] {
			shards = append(shards, rs[i])
		}
		r, err := Merge(shards)
		var e *MergeError
		if errors.As(err, &e) {
			var at []int
			for _, i := range e.Of {
				at = append(at, of[n][i])
			}
			return nil, mergeError(at, "level of %d workers: %s", n, e.Reason)
		}
		if err != nil {
			return nil, fmt.Errorf("level of %d workers: %w", n, err)
		}
		merged = append(merged, r)
	}
	return merged, nil
}

// Span is the environment of runs one after another, the first to the last: what all have
// in common, from the first's start to the last's end.
func Span(rs []Report) Env {
	span := rs[0].Env
	for _, r := range rs[1:] {
		span = addEnv(span, r.Env)
	}
	return span
}
