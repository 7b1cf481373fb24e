package reports

// Hostile is what became of requests that no honest client sends.
type Hostile struct {
	Kinds []HostileKind `json:"kinds"`
}

// HostileKind is those of one kind. Each request is in one of the numbers.
type HostileKind struct {
	Name    string `json:"name"`
	Refused int    `json:"refused"`           // with a text, as it should be
	Busy    int    `json:"busy"`              // refused by 501, 503, 505 or 507
	Cut     int    `json:"cut"`               // the connection was closed without an answer
	Through int    `json:"through"`           // answered as a worker's would be
	Held    int    `json:"held"`              // not answered
	Broken  int    `json:"broken"`            // answered by any other status from 500
	Example string `json:"example,omitempty"` // of those that should not be
}

// All is how many requests there were.
func (k HostileKind) All() int { return k.Refused + k.Busy + k.Cut + k.Through + k.Held + k.Broken }

// Plus adds those that somebody else counted of the kind.
func (k HostileKind) Plus(o HostileKind) HostileKind {
	k.Refused += o.Refused
	k.Busy += o.Busy
	k.Cut += o.Cut
	k.Through += o.Through
	k.Held += o.Held
	k.Broken += o.Broken
	if k.Example == "" {
		k.Example = o.Example
	}
	return k
}

// Sum is those of all kinds.
func (h *Hostile) Sum() (sum HostileKind) {
	for _, k := range h.Kinds {
		sum = sum.Plus(k)
	}
	return sum
}

func addHostile(a, b Hostile) Hostile {
	return Hostile{Kinds: union(a.Kinds, b.Kinds, func(k HostileKind) string { return k.Name }, HostileKind.Plus)}
}

// Cost is what honest workers' rounds took in the mean before something went on beside
// them, and meanwhile.
type Cost struct {
	RoundsBefore     int     `json:"roundsBefore"`
	SecondsBefore    float64 `json:"secondsBefore"`
	RoundsMeanwhile  int     `json:"roundsMeanwhile"`
	SecondsMeanwhile float64 `json:"secondsMeanwhile"`
}

// Ratio is how many times longer rounds took meanwhile; false where there were none to
// compare.
func (c Cost) Ratio() (float64, bool) {
	if c.RoundsBefore == 0 || c.RoundsMeanwhile == 0 || c.SecondsBefore <= 0 {
		return 0, false
	}
	return c.SecondsMeanwhile / c.SecondsBefore, true
}

// addCost takes the larger of two parts of a fleet: a round ends with its last worker.
func addCost(a, b Cost) Cost {
	return Cost{
		RoundsBefore: min(a.RoundsBefore, b.RoundsBefore), SecondsBefore: max(a.SecondsBefore, b.SecondsBefore),
		RoundsMeanwhile: min(a.RoundsMeanwhile, b.RoundsMeanwhile), SecondsMeanwhile: max(a.SecondsMeanwhile, b.SecondsMeanwhile),
	}
}

// hostile is a figure of hostile requests.
func hostile(of func(HostileKind) int) func(Report) (float64, bool) {
	return func(r Report) (float64, bool) {
		if r.Scenario == nil || r.Scenario.Hostile == nil {
			return 0, false
		}
		sum := r.Scenario.Hostile.Sum()
		return float64(of(sum)), sum.All() > 0
	}
}
