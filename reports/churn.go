package reports

// Churn is what became of a fleet whose workers came and went during its rounds, and of
// the polls that were held for those that went. Each such poll is in one of the numbers
// from Shut to Held.
type Churn struct {
	Workers  int `json:"workers"`  // of the fleet
	Left     int `json:"left"`     // times that one closed its connection while its poll was held
	Vanished int `json:"vanished"` // times that one went silent instead
	Joined   int `json:"joined"`   // times that one of those came back
	Back     int `json:"back"`     // of those: it was given a model since
	Away     int `json:"away"`     // workers that were gone at the end
	Unserved int `json:"unserved"` // workers that were neither gone at the end nor through with the rounds

	Shut     int `json:"shut"`     // the server closed the connection, without an answer
	Evicted  int `json:"evicted"`  // it answered that the worker had sent another poll
	Notified int `json:"notified"` // it answered anything else, as with the next model
	Held     int `json:"held"`     // neither, to the end

	GhostsPeak int `json:"ghostsPeak"` // most polls of the gone that it held at a time
	Doubled    int `json:"doubled"`    // polls that it held beside a later one of the same worker, for a second at least
	Open       int `json:"open"`       // connections of the gone that it had left open by the end, when fltool closed them

	ServerFDsBefore *int `json:"serverFdsBefore,omitempty"` // open descriptors of the server without a worker, before the run; absent: unknown
	ServerFDsAfter  *int `json:"serverFdsAfter,omitempty"`  // once all connections were closed again
}

// FDsKept is how many descriptors the server keeps for nobody; false where that is not
// known.
func (c *Churn) FDsKept() (int, bool) {
	if c.ServerFDsBefore == nil || c.ServerFDsAfter == nil {
		return 0, false
	}
	return max(0, *c.ServerFDsAfter-*c.ServerFDsBefore), true
}

// addChurn adds up two parts of a fleet. Each saw the same server.
func addChurn(a, b Churn) Churn {
	return Churn{
		Workers: a.Workers + b.Workers, Left: a.Left + b.Left, Vanished: a.Vanished + b.Vanished, Joined: a.Joined + b.Joined,
		Back: a.Back + b.Back, Away: a.Away + b.Away, Unserved: a.Unserved + b.Unserved,
		Shut: a.Shut + b.Shut, Evicted: a.Evicted + b.Evicted, Notified: a.Notified + b.Notified, Held: a.Held + b.Held,
		GhostsPeak: a.GhostsPeak + b.GhostsPeak, Doubled: a.Doubled + b.Doubled, Open: a.Open + b.Open,
		ServerFDsBefore: merged(a.ServerFDsBefore, b.ServerFDsBefore, least), ServerFDsAfter: merged(a.ServerFDsAfter, b.ServerFDsAfter, most),
	}
}

// churn is a figure of a fleet whose workers came and went.
func churn(of func(*Churn) (int, bool)) func(Report) (float64, bool) {
	return func(r Report) (float64, bool) {
		if r.Scenario == nil || r.Scenario.Churn == nil {
			return 0, false
		}
		n, known := of(r.Scenario.Churn)
		return float64(n), known
	}
}
