package reports

import (
	"slices"
	"time"
)

// Drill is what a fleet went through while commands were run against its deployment.
// Everything counts from the first of them on.
type Drill struct {
	Policy        string         `json:"policy"` // of the workers: "resilient", "backoff:1s..1m0s", "upstream" or "supervised:5s"
	Acts          []Act          `json:"acts"`
	Cut           int            `json:"cut"`                  // held polls that ended without a whole answer
	Text          int            `json:"text"`                 // held polls answered with a text, though there was no new model
	ServerErrors  int            `json:"serverErrors"`         // held polls answered with a status of 500 or more
	Workers       int            `json:"workers"`              // whose poll was lost in one of those ways
	Away          int            `json:"away"`                 // of those, not held again by the end
	AwayCauses    map[string]int `json:"awayCauses,omitempty"` // by the class of their last error
	Requests      int            `json:"requests"`             // that those sent before they were held again
	Failed        map[string]int `json:"failed,omitempty"`     // of those requests, by the class of the error
	ConnectsPeak  int            `json:"connectsPeak"`         // connections begun within the busiest second
	Connections   int            `json:"connections"`          // the workers' most at one moment, looked at ten times a second
	Ended         int            `json:"ended"`                // workers of dc_federated's that would have ended for good
	ModelsMissed  int            `json:"modelsMissed"`         // versions that some worker had and another never: summed over the workers
	WentBack      bool           `json:"wentBack"`             // a version came again after a later one
	UpdatesLost   int            `json:"updatesLost"`          // accepted by the server's word, and no model came of them
	UpdatesTwice  int            `json:"updatesTwice"`         // missing in rounds that ended nevertheless: others were counted twice
	UpdatesJudged bool           `json:"updatesJudged"`        // there were rounds to judge the updates by
	Recovered     []Moment       `json:"recovered"`            // of all workers hit, from the act that hit them to being held again
}

// Act is one command of a drill, and what came of it until the next.
type Act struct {
	Command   string   `json:"command"`
	At        float64  `json:"at"`                  // seconds since the start of the run
	Seconds   float64  `json:"seconds"`             // that it took
	Failed    string   `json:"failed,omitempty"`    // how it went wrong
	Output    string   `json:"output,omitempty"`    // the last of what it said
	Lost      int      `json:"lost"`                // held polls
	Workers   int      `json:"workers"`             // whose poll was
	Recovered []Moment `json:"recovered,omitempty"` // of those workers; absent: not so many were
}

// Moment is when a share of the workers that an act hit were held again.
type Moment struct {
	Share   float64 `json:"share"`   // 0.5, 0.9, 0.99 or 1
	Seconds float64 `json:"seconds"` // since the act began
}

// The shares whose moments a drill tells.
var DrillShares = [...]float64{.5, .9, .99, 1}

func drilled(of func(*Drill) float64) func(Report) (float64, bool) {
	return func(r Report) (float64, bool) {
		if r.Drill == nil {
			return 0, false
		}
		return of(r.Drill), true
	}
}

// judged is a figure of updates, which only rounds tell.
func judged(of func(*Drill) float64) func(Report) (float64, bool) {
	return func(r Report) (float64, bool) {
		if r.Drill == nil || !r.Drill.UpdatesJudged {
			return 0, false
		}
		return of(r.Drill), true
	}
}

// recovered is when so large a share of the workers that lost a poll was held again: at
// once where none did, never where fewer were.
func recovered(share float64) func(Report) (float64, bool) {
	return func(r Report) (float64, bool) {
		if r.Drill == nil {
			return 0, false
		}
		for _, m := range r.Drill.Recovered {
			if m.Share == share {
				return m.Seconds, true
			}
		}
		return 0, r.Drill.Workers == 0
	}
}

// failures are the requests that failed before their workers were held again.
func failures(d *Drill) float64 {
	n := 0
	for _, of := range d.Failed {
		n += of
	}
	return float64(n)
}

// addDrill adds up what the parts of a fleet went through. A share of all is held again
// no later than the part is that took longest for it; peaks add, as if they met.
func addDrill(a, b Drill) Drill {
	a.Recovered = later(a.Recovered, a.Workers, b.Recovered, b.Workers)
	a.Acts = union(a.Acts, b.Acts, func(x Act) string { return x.Command }, addAct)
	a.Policy = common(a.Policy, b.Policy)
	a.Cut += b.Cut
	a.Text += b.Text
	a.ServerErrors += b.ServerErrors
	a.Workers += b.Workers
	a.Away += b.Away
	a.AwayCauses = addCounts(a.AwayCauses, b.AwayCauses)
	a.Requests += b.Requests
	a.Failed = addCounts(a.Failed, b.Failed)
	a.ConnectsPeak += b.ConnectsPeak
	a.Connections += b.Connections
	a.Ended += b.Ended
	a.ModelsMissed += b.ModelsMissed
	a.WentBack = a.WentBack || b.WentBack
	a.UpdatesLost += b.UpdatesLost
	a.UpdatesTwice += b.UpdatesTwice
	a.UpdatesJudged = a.UpdatesJudged && b.UpdatesJudged
	return a
}

func addAct(a, b Act) Act {
	a.Recovered = later(a.Recovered, a.Workers, b.Recovered, b.Workers)
	a.At, a.Seconds = min(a.At, b.At), max(a.Seconds, b.Seconds)
	a.Lost += b.Lost
	a.Workers += b.Workers
	if a.Failed == "" {
		a.Failed = b.Failed
	}
	return a
}

// later are the moments of two parts of a fleet, of so many workers each, together.
func later(a []Moment, workersA int, b []Moment, workersB int) []Moment {
	switch {
	case workersA == 0:
		return b
	case workersB == 0:
		return a
	}
	var all []Moment
	for _, m := range a {
		if i := slices.IndexFunc(b, func(o Moment) bool { return o.Share == m.Share }); i >= 0 {
			all = append(all, Moment{Share: m.Share, Seconds: max(m.Seconds, b[i].Seconds)})
		}
	}
	return all
}

// shiftDrill moves the acts of a part that started at one moment to count from another.
func shiftDrill(d *Drill, from, to time.Time) *Drill {
	if d == nil {
		return nil
	}
	moved, by := *d, from.Sub(to).Seconds()
	moved.Acts = slices.Clone(d.Acts)
	for i := range moved.Acts {
		moved.Acts[i].At += by
	}
	return &moved
}
