package loadgen

import (
	"math"
	"time"

	"github.com/fltool/fltool/reports"
)

// Where a part of the workers ends a round, stragglers send updates of models that are
// old by then, which the server takes for the round that it is in, or refuses. So a
// round is what the server made of it: what it accepted between two publications.

// entry is the round of a version, among others in their order.
type entry struct {
	version string
	*roundBook
	next time.Duration // when its end was published; 0: nobody was told
}

// byQuorum gives the rounds, which are those of the order, the updates that were
// accepted while each lasted.
func (b *book) byQuorum(order []entry, rounds []reports.Round) {
	ends := make([]time.Duration, len(order))
	for i, e := range order {
		ends[i] = math.MaxInt64
		if e.next > 0 {
			ends[i] = e.next
		}
		if i+1 < len(order) {
			ends[i] = min(ends[i], order[i+1].since)
			rounds[i].Open = false // somebody had the next model
		}
		rounds[i].Workers = 0
	}
	last := make([]time.Duration, len(order))
	for _, r := range b.rounds {
		for _, a := range r.accepted {
			for i := range ends {
				if a.done <= ends[i] {
					rounds[i].Workers++
					last[i] = max(last[i], a.done)
					break
				}
			}
		}
	}
	for i := range rounds {
		rounds[i].Seconds = max(0, last[i]-order[i].since).Seconds()
	}
}

// asked are the rounds up to the last that was asked for: stragglers may begin and end
// more.
func asked(all []reports.Round, rounds int) []reports.Round {
	for i, x := range all {
		if !x.Open {
			rounds--
		}
		if rounds == 0 {
			return all[:i+1]
		}
	}
	return all
}
