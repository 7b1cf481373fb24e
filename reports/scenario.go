package reports

// Scenario is what befell a fleet beside plain rounds and holds. A storm's figures are
// those of a drill.
type Scenario struct {
	Name string `json:"name"` // "storm"
	Plan string `json:"plan"` // as --scenario takes it, with all numbers

	Abandon *Abandon `json:"abandon,omitempty"`
	Churn   *Churn   `json:"churn,omitempty"`
	Flaky   *Flaky   `json:"flaky,omitempty"`
	Hostile *Hostile `json:"hostile,omitempty"`
	Slow    *Slow    `json:"slow,omitempty"`
	Cost    *Cost    `json:"cost,omitempty"` // to honest workers
}

// Abandon is what became of held polls whose workers polled again on new connections
// and left those of the polls open.
type Abandon struct {
	Polls           int  `json:"polls"`                     // abandoned
	Answered        int  `json:"answered"`                  // of those: something came, which nobody read
	Closed          int  `json:"closed"`                    // of those: the server closed the connection
	Unheard         int  `json:"unheard"`                   // of those: neither
	ServerFDsBefore *int `json:"serverFdsBefore,omitempty"` // open descriptors of the server before the first was; absent: unknown
	ServerFDsAfter  *int `json:"serverFdsAfter,omitempty"`  // at the end, with all workers held again
}

// Growth is how many descriptors of the server's an abandoned poll costs; false where
// that is not known.
func (a *Abandon) Growth() (float64, bool) {
	if a.Polls == 0 || a.ServerFDsBefore == nil || a.ServerFDsAfter == nil {
		return 0, false
	}
	return float64(*a.ServerFDsAfter-*a.ServerFDsBefore) / float64(a.Polls), true
}

// addAbandon adds up the polls of two parts of a fleet. Each saw the same server.
func addAbandon(a, b Abandon) Abandon {
	a.Polls += b.Polls
	a.Answered += b.Answered
	a.Closed += b.Closed
	a.Unheard += b.Unheard
	a.ServerFDsBefore = merged(a.ServerFDsBefore, b.ServerFDsBefore, least)
	a.ServerFDsAfter = merged(a.ServerFDsAfter, b.ServerFDsAfter, most)
	return a
}

func least(a, b int) int { return min(a, b) }
func most(a, b int) int  { return max(a, b) }

// abandon is a figure of abandoned polls.
func abandon(of func(*Abandon) (float64, bool)) func(Report) (float64, bool) {
	return func(r Report) (float64, bool) {
		if r.Scenario == nil || r.Scenario.Abandon == nil {
			return 0, false
		}
		return of(r.Scenario.Abandon)
	}
}

// addScenario adds up what befell the parts of a fleet.
func addScenario(a, b Scenario) Scenario {
	return Scenario{
		Name: common(a.Name, b.Name), Plan: common(a.Plan, b.Plan),
		Abandon: merged(a.Abandon, b.Abandon, addAbandon), Flaky: merged(a.Flaky, b.Flaky, addFlaky), Churn: merged(a.Churn, b.Churn, addChurn),
		Hostile: merged(a.Hostile, b.Hostile, addHostile), Slow: merged(a.Slow, b.Slow, addSlow),
		Cost: merged(a.Cost, b.Cost, addCost),
	}
}

// scenarioPlan is what a run's scenario was; "" where it had none.
func scenarioPlan(r Report) string {
	if r.Scenario == nil {
		return ""
	}
	return r.Scenario.Plan
}

// Flaky is what a relay between workers and server did to their connections.
type Flaky struct {
	Connections int `json:"connections"` // through it
	Delayed     int `json:"delayed"`     // times that nothing passed for a while
	Cut         int `json:"cut"`         // connections closed in the middle
	Reset       int `json:"reset"`       // and reset
	Silenced    int `json:"silenced"`    // and reset after a silence
	Workers     int `json:"workers"`
	Served      int `json:"served"` // of those: were through with all rounds nevertheless
}

func addFlaky(a, b Flaky) Flaky {
	return Flaky{
		Connections: a.Connections + b.Connections, Delayed: a.Delayed + b.Delayed, Cut: a.Cut + b.Cut,
		Reset: a.Reset + b.Reset, Silenced: a.Silenced + b.Silenced, Workers: a.Workers + b.Workers, Served: a.Served + b.Served,
	}
}

// unserved are the workers that were to be served in all rounds, and were not.
func unserved(r Report) (float64, bool) {
	switch s := r.Scenario; {
	case s == nil:
	case s.Flaky != nil:
		return float64(s.Flaky.Workers - s.Flaky.Served), true
	case s.Churn != nil:
		return float64(s.Churn.Unserved), true
	}
	return 0, false
}
