package reports

import (
	"cmp"
	"slices"
)

// Progress is how far a run has come at a moment. Counts are since its start.
type Progress struct {
	Seconds   float64        `json:"seconds"`             // since the start
	Left      float64        `json:"left,omitempty"`      // of the hold; in rounds, if those to come are as long as those that are over; 0 where nobody can know
	Stage     string         `json:"stage"`               // what all of it is at: see Stages
	Load      string         `json:"load,omitempty"`      // which of its stages a run with such is at: "hold 60, 2 of 3"
	Workers   int            `json:"workers"`             // asked for at this moment
	Doing     map[string]int `json:"doing,omitempty"`     // those that have come, by what they do: see Phases
	Held      int            `json:"held"`                // polls held at this moment
	NeverHeld int            `json:"neverHeld,omitempty"` // workers that have not yet polled for the hold; 0 in a run without one
	Cut       int            `json:"cut,omitempty"`       // workers whose held poll was lost
	Lost      int            `json:"lost,omitempty"`      // workers that gave up
	Finished  int            `json:"finished,omitempty"`  // workers that are done
	Round     int            `json:"round,omitempty"`     // the highest that is over
	Rounds    int            `json:"rounds,omitempty"`    // asked of each worker
	Sent      int64          `json:"sent"`                // requests
	Done      int64          `json:"done"`                // those that have ended, well or not
	Errors    int64          `json:"errors,omitempty"`    // those that failed
	Uses      []Use          `json:"uses,omitempty"`      // of both ends, as far as they are known
	Over      bool           `json:"over,omitempty"`      // the run has ended: the last that is told of it
}

// Use is what a process uses of the machine at a moment, with its descendants.
type Use struct {
	Process  string  `json:"process"` // "server" or "generator"
	RSSBytes int64   `json:"rssBytes"`
	Cores    float64 `json:"cores"`             // kept busy, over the last second
	FDs      int     `json:"fds"`               // -1 where they may not be counted
	FDLimit  int64   `json:"fdLimit,omitempty"` // of the process that came nearest to its own; -1 is unlimited, 0 unknown
}

// The stages of a run, in their order.
const (
	StageArriving  = "arriving"  // not all workers have registered
	StageRounds    = "rounds"    // they play their rounds
	StageGathering = "gathering" // they poll for the hold
	StageHolding   = "holding"   // all are held; in a drill, whatever its acts do to them
	StageOver      = "over"
)

// Stages are all of them.
var Stages = []string{StageArriving, StageRounds, StageGathering, StageHolding, StageOver}

// AddProgress is how far the shards of a run on one host have come, of which there is at
// least one: as far as the last of them. Server is what all of them see, generators add.
func AddProgress(all []Progress) Progress {
	last := slices.MaxFunc(all, func(a, b Progress) int { return cmp.Compare(a.Left, b.Left) })
	sum := all[0]
	sum.Left, sum.Load, sum.Uses = last.Left, last.Load, slices.Clone(sum.Uses)
	for _, p := range all[1:] {
		sum.Seconds = max(sum.Seconds, p.Seconds)
		if slices.Index(Stages, p.Stage) < slices.Index(Stages, sum.Stage) {
			sum.Stage = p.Stage
		}
		sum.Workers += p.Workers
		sum.Doing = addCounts(sum.Doing, p.Doing)
		sum.Held += p.Held
		sum.NeverHeld += p.NeverHeld
		sum.Cut += p.Cut
		sum.Lost += p.Lost
		sum.Finished += p.Finished
		sum.Round = min(sum.Round, p.Round)
		sum.Sent += p.Sent
		sum.Done += p.Done
		sum.Errors += p.Errors
		sum.Uses = union(sum.Uses, p.Uses, func(u Use) string { return u.Process }, addUse)
		sum.Over = sum.Over && p.Over
	}
	return sum
}

func addUse(a, b Use) Use {
	if a.Process == "server" {
		return Use{a.Process, max(a.RSSBytes, b.RSSBytes), max(a.Cores, b.Cores), max(a.FDs, b.FDs), max(a.FDLimit, b.FDLimit)}
	}
	sum := Use{a.Process, a.RSSBytes + b.RSSBytes, a.Cores + b.Cores, a.FDs + b.FDs, a.FDLimit + b.FDLimit}
	if a.FDs < 0 || b.FDs < 0 {
		sum.FDs = -1
	}
	if a.FDLimit <= 0 || b.FDLimit <= 0 {
		sum.FDLimit = min(a.FDLimit, b.FDLimit)
	}
	return sum
}
