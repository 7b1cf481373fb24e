package server

import (
	"fmt"
	"strconv"
	"strings"
)

// Policy says when a round ends. The zero Policy is All.
type Policy struct {
	number  int // that many updates
	percent int // of the registered workers, 1 to 100
}

// All ends a round when every worker of the key list has sent its update, those
// excepted that the admin removed or unregistered, until they register again.
var All = Policy{}

// Number ends a round after n updates; n is at least 1.
func Number(n int) Policy { return Policy{number: n} }

// Percent ends a round when p % of the registered workers, rounded up, have sent
// their updates; p is 1 to 100.
func Percent(p int) Policy { return Policy{percent: p} }

// ParsePolicy reads "all", "10" or "80%".
func ParsePolicy(text string) (Policy, error) {
	if text == "all" {
		return All, nil
	}
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(digits)
	switch {
	case err != nil || n < 1 || percent && n > 100:
		return Policy{}, fmt.Errorf("%q: want all, a number of updates or a percentage of the registered workers", text)
	case percent:
		return Percent(n), nil
	}
	return Number(n), nil
}

func (p Policy) String() string {
	switch {
	case p.number > 0:
		return strconv.Itoa(p.number)
	case p.percent > 0:
		return strconv.Itoa(p.percent) + "%"
	}
	return "all"
}

// UpdatePolicy says which of a worker's updates counts in a round.
type UpdatePolicy string

// The policies; the zero one is FirstUpdate.
const (
	FirstUpdate UpdatePolicy = "first" // a later one is not accepted, as by the stress test's server
	LastUpdate  UpdatePolicy = "last"  // a later one replaces it, as by FedAvg's server
)

type set map[string]struct{}

func (s set) has(id string) bool { _, ok := s[id]; return ok }

// round is the state of rounds as they follow each other: who is waited for, who
// has sent what, when one ends. It reads no clock and does no I/O; events go in,
// decisions are asked for.
//
// A round ends in two steps. close freezes what was accepted and hands it to the
// aggregator; publish opens the next one. Between the two, updates of workers
// that the closed round did without already count for the next.
type round struct {
	policy   Policy
	replaces bool  // a later update of a worker replaces its earlier one
	number   int64 // of the open round, or of the closed one that is being aggregated
	members  set   // whom All waits for
	accepted set   // whose updates this round has
	pending  int   // updates that were assigned to this round and are being stored
	expired  bool  // its time is over: what was accepted is enough

	closing     bool
	next        set // accepted for the round after the closed one
	nextPending int
	storing     set // the workers behind pending and nextPending
}

func newRound(policy Policy, number int64, members []string) *round {
	r := &round{policy: policy, number: number, members: set{}, accepted: set{}, next: set{}, storing: set{}}
	for _, id := range members {
		r.members[id] = struct{}{}
	}
	return r
}

// has says whether a worker's update was accepted already, or is about to be, and is
// to stay.
func (r *round) has(id string) bool {
	return !r.replaces && (r.accepted.has(id) || r.next.has(id) || r.storing.has(id))
}

// assign gives a verified update the number of the round that it counts for, and
// holds that round open until settle. Of two updates of one worker the first wins; where
// the later one replaces it, they must come one after the other.
func (r *round) assign(id string) (number int64, ok bool) {
	if r.has(id) {
		return 0, false
	}
	r.storing[id] = struct{}{}
	if r.closing {
		r.nextPending++
		return r.number + 1, true
	}
	r.pending++
	return r.number, true
}

// settle ends what assign began: the update is stored, or could not be.
func (r *round) settle(id string, number int64, stored bool) {
	delete(r.storing, id)
	to := r.accepted
	if number == r.number {
		r.pending--
	} else {
		r.nextPending--
		to = r.next
	}
	if stored {
		to[id] = struct{}{}
	}
}

// restore takes back what was accepted before a restart.
func (r *round) restore(id string, number int64) {
	switch number {
	case r.number:
		r.accepted[id] = struct{}{}
	case r.number + 1:
		// The process ended while this round was being aggregated. It will be
		// again: whoever sent for the next one is in both, and in neither twice.
		r.next[id] = struct{}{}
	}
}

// leave stops waiting for a worker; join waits for it again.
func (r *round) leave(id string) { delete(r.members, id) }
func (r *round) join(id string)  { r.members[id] = struct{}{} }

// expire ends a round's time; a round that is over already does not care.
func (r *round) expire(number int64) {
	if number == r.number {
		r.expired = true
	}
}

// started says whether the clock of the open round runs: from its first update.
func (r *round) started() bool { return !r.closing && len(r.accepted) > 0 }

// over says whether the open round can be closed now. A round without updates
// never is.
func (r *round) over(registered int) bool {
	if r.closing || r.pending > 0 || len(r.accepted) == 0 {
		return false
	}
	if r.expired {
		return true
	}
	switch {
	case r.policy.number > 0:
		return len(r.accepted) >= r.policy.number
	case r.policy.percent > 0:
		return len(r.accepted)*100 >= r.policy.percent*registered
	}
	for id := range r.members {
		if !r.accepted.has(id) {
			return false
		}
	}
	return true
}

// missing is how many workers a round of All waits for; 0 for other rounds.
func (r *round) missing() (n int) {
	if r.policy != All {
		return 0
	}
	for id := range r.members {
		if !r.accepted.has(id) {
			n++
		}
	}
	return n
}

// close freezes the round for aggregation and gives the workers in it; publish
// follows. It may be asked again, should aggregation have failed.
func (r *round) close() []string {
	r.closing = true
	ids := make([]string, 0, len(r.accepted))
	for id := range r.accepted {
		ids = append(ids, id)
	}
	return ids
}

// publish opens the next round.
func (r *round) publish() {
	r.number++
	r.accepted, r.next = r.next, set{}
	r.pending, r.nextPending = r.nextPending, 0
	r.closing, r.expired = false, false
}
