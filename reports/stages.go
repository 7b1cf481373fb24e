package reports

import (
	"math"
	"slices"
	"time"
)

// Stage is a part of a run in which so many workers were asked for. Times are in seconds
// since the start of the run.
type Stage struct {
	Number    int     `json:"number"`             // of the stages that were asked for, from 1; steps and waves have several parts
	Shape     string  `json:"shape"`              // "hold"
	Asked     int     `json:"asked"`              // workers
	From      float64 `json:"from"`               // when it began, and workers came or left
	HeldFrom  float64 `json:"heldFrom,omitempty"` // when all were where they should be; 0: never
	To        float64 `json:"to"`                 // when it was over
	Held      int     `json:"held"`               // at its end
	Fewest    int     `json:"fewest"`             // held at any moment since heldFrom
	NeverHeld int     `json:"neverHeld"`          // of those asked for: had not polled by its end
	LostWhile int     `json:"lostWhileHeld"`      // workers that lost a held poll in it for the first time
	Places    int     `json:"places,omitempty"`   // as of held polls of the whole run
}

// addStages adds the stages of two shards, in their order. What one of them has not ended is
// not over, what it has not held never was.
func addStages(a, b []Stage) []Stage {
	if len(b) > len(a) {
		a, b = b, a
	}
	sum := slices.Clone(a)
	for i, y := range b {
		x := &sum[i]
		x.Places = addPlaces(x.Places, x.Asked, y.Places, y.Asked)
		x.Asked += y.Asked
		x.Held += y.Held
		x.Fewest += y.Fewest
		x.NeverHeld += y.NeverHeld
		x.LostWhile += y.LostWhile
		x.From = min(x.From, y.From)
		x.HeldFrom, x.To = whenBoth(x.HeldFrom, y.HeldFrom), whenBoth(x.To, y.To)
	}
	return sum
}

// whenBoth is the later of two times, of which 0 is not yet.
func whenBoth(a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

func shiftStages(stages []Stage, from, to time.Time) []Stage {
	stages, by := slices.Clone(stages), from.Sub(to).Seconds()
	for i := range stages {
		s := &stages[i]
		s.From += by
		if s.HeldFrom > 0 {
			s.HeldFrom += by
		}
		if s.To > 0 {
			s.To += by
		}
	}
	return stages
}

// stageTogether is when all shards held a stage, since a start: from when the last had it
// held to when the first ended it. Those that never did say nothing.
func stageTogether(rs []Report, i int, start time.Time) (from, to float64) {
	to = math.Inf(1)
	for _, r := range rs {
		if i >= len(r.Stages) || r.Stages[i].HeldFrom == 0 {
			continue
		}
		s := shiftStages(r.Stages[i:i+1], r.Env.start(), start)[0]
		from, to = max(from, s.HeldFrom), min(to, s.To)
	}
	return from, to
}
