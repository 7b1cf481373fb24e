package reports

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
