package loadgen

import (
	"slices"
	"time"
)

// intervals are those at which servers look for a new model, the longest first:
// dc_federated's takes whole seconds, 10 by default, its stress test and FedAvg 1.
var intervals = []time.Duration{
	60 * time.Second, 30 * time.Second, 20 * time.Second, 15 * time.Second, 10 * time.Second,
	5 * time.Second, 4 * time.Second, 3 * time.Second, 2 * time.Second, time.Second, 500 * time.Millisecond,
}

// interval is how often the server looks for a new model on behalf of each held poll; 0
// if it does not, or too few polls tell. A slow server answers one poll after another,
// however long each has waited; one that looks every so often answers each after a whole
// number of its intervals, and all together spread over one.
func (b *book) interval() time.Duration {
	for _, r := range b.rounds {
		if i := intervalOf(r.told); i > 0 {
			return i
		}
	}
	return 0
}

func intervalOf(told []toldOf) time.Duration {
	const (
		few    = 10  // polls tell nothing
		spread = 3   // of ten parts of the interval that the answers must be spread over
		late   = 10  // part of the interval that an answer may come after its time
		most   = 0.9 // of the polls that must be in time
	)
	if len(told) < few {
		return 0
	}
	last := func(a, b toldOf) int { return int(a.answered - b.answered) }
	over := slices.MaxFunc(told, last).answered - slices.MinFunc(told, last).answered
	for _, every := range intervals {
		fit := 0
		for _, t := range told {
			if waited := t.answered - t.sent; waited >= every && waited%every <= every/late {
				fit++
			}
		}
		if float64(fit) >= most*float64(len(told)) && over*10 >= spread*every && over <= every+every/late {
			return every
		}
	}
	return 0
}
