package reports

// Slow is what became of connections of clients that send or read a few bytes a second.
type Slow struct {
	Kinds []SlowKind `json:"kinds"`
}

// SlowKind is those of one kind. Each connection is in one of the numbers.
type SlowKind struct {
	Name     string `json:"name"`              // "head", "upload", "download"
	Ended    int    `json:"ended"`             // by the server: refused, closed, or answered before all was sent
	Finished int    `json:"finished"`          // all was sent, or a whole model was read
	Open     int    `json:"open"`              // at the end of the rounds
	Example  string `json:"example,omitempty"` // how one was ended
}

// All is how many connections there were.
func (k SlowKind) All() int { return k.Ended + k.Finished + k.Open }

func (k SlowKind) plus(o SlowKind) SlowKind {
	k.Ended += o.Ended
	k.Finished += o.Finished
	k.Open += o.Open
	if k.Example == "" {
		k.Example = o.Example
	}
	return k
}

// Sum is those of all kinds.
func (s *Slow) Sum() (sum SlowKind) {
	for _, k := range s.Kinds {
		sum = sum.plus(k)
	}
	return sum
}

func addSlow(a, b Slow) Slow {
	return Slow{Kinds: union(a.Kinds, b.Kinds, func(k SlowKind) string { return k.Name }, SlowKind.plus)}
}

// slow is a figure of a run beside slow clients.
func slow(of func(Report) float64) func(Report) (float64, bool) {
	return func(r Report) (float64, bool) {
		if r.Scenario == nil || r.Scenario.Slow == nil || r.Scenario.Slow.Sum().All() == 0 {
			return 0, false
		}
		return of(r), true
	}
}
