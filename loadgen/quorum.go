package loadgen

import (
	"math"
	"sync"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// Where a part of the workers ends a round, stragglers send updates of models that are
// old by then, which the server takes for the round that it is in, or refuses. So a
// round is what the server made of it: what it accepted between two publications.

// quorum knows which rounds have ended. Each worker takes part until as many as asked
// for have, since who left would be missed by the last; who then has a later model would
// wait for others that have left.
type quorum struct {
	rounds int // that shall end
	mu     sync.Mutex
	ended  map[wire.Version]bool // by the version that some worker was told the end of
}

// enough is what becomes of the polls of such later models.
var enough = failed(classStopped, "as many rounds as asked for have ended")

func newQuorum(rounds int) *quorum { return &quorum{rounds: rounds, ended: map[wire.Version]bool{}} }

// over says whether the worker is through after its last request: notified of the end of a
// round when enough had ended, or with a model that came after those. last says that the
// request notified of the end that makes them enough, or of one after that.
func (q *quorum) over(w *worker) (over, last bool) {
	switch {
	case w.out.fail != nil:
		return w.out.fail == enough, false
	case w.toldOfEnd():
		return q.end(w.version)
	case w.step == stepModel:
		return q.beyond(w.out.version), false
	case w.step == stepPoll || w.step == stepUpdate:
		return q.beyond(w.version), false
	}
	return false, false
}

// end books the end of a version's round, and says whether enough have ended and
// whether nobody was notified of this one before.
func (q *quorum) end(v wire.Version) (are, news bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	news = !q.ended[v]
	q.ended[v] = true
	are = len(q.ended) >= q.rounds
	return are, are && news
}

// beyond says whether enough rounds have ended and the version's is none of them.
func (q *quorum) beyond(v wire.Version) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return v != "" && len(q.ended) >= q.rounds && !q.ended[v]
}

// enough says whether as many rounds as asked for have ended.
func (q *quorum) enough() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ended) >= q.rounds
}

// entry is the round of a version, among others in their order.
type entry struct {
	version string
	*roundBook
	next time.Duration // when its end was published; 0: nobody was notified
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
	last, thought := make([]time.Duration, len(order)), make([]time.Duration, len(order))
	for _, r := range b.rounds {
		for _, a := range r.accepted {
			for i := range ends {
				if a.done <= ends[i] {
					rounds[i].Workers++
					last[i], thought[i] = max(last[i], a.done), max(thought[i], a.sent)
					break
				}
			}
		}
	}
	for i := range rounds {
		rounds[i].Seconds = max(0, last[i]-order[i].since).Seconds()
		rounds[i].Passed = passed(order[i].since, 0, order[i].had, thought[i], last[i])
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
