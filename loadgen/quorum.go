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

// quorum knows which rounds have ended, and ends the polls that nobody may be left to
// answer: each worker takes part until as many rounds as asked for have ended, since who
// left would be missed by the last, and who then has a later model would wait for others
// that have left.
type quorum struct {
	rounds int // that shall end
	mu     sync.Mutex
	ended  map[wire.Version]bool // by the version that some worker was told the end of
	polls  map[*worker]*conn     // that are held
}

// enough is what becomes of the polls that it ends.
var enough = failed(classStopped, "as many rounds as asked for have ended")

func newQuorum(rounds int) *quorum {
	return &quorum{rounds: rounds, ended: map[wire.Version]bool{}, polls: map[*worker]*conn{}}
}

// over says whether the worker is through after its last request: told of the end of a
// round when enough had ended, or with a model that came after those.
func (q *quorum) over(w *worker) bool {
	if w.out.fail != nil {
		return w.out.fail == enough
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case w.toldOfEnd():
		q.end(w.version)
		return len(q.ended) >= q.rounds
	case w.step == stepModel:
		return q.beyond(w.out.version)
	}
	return (w.step == stepPoll || w.step == stepUpdate) && q.beyond(w.version)
}

// end books the end of a version's round.
func (q *quorum) end(v wire.Version) {
	q.ended[v] = true
	for w, c := range q.polls {
		q.release(w, c)
	}
}

// beyond says whether enough rounds have ended and the version's is none of them.
func (q *quorum) beyond(v wire.Version) bool {
	return v != "" && len(q.ended) >= q.rounds && !q.ended[v]
}

// release ends a held poll whose answer is not needed any more.
func (q *quorum) release(w *worker, c *conn) {
	if q.beyond(w.version) {
		delete(q.polls, w)
		// Only fails on a closed connection, which is what is wanted.
		_ = c.SetReadDeadline(past)
	}
}

// hold has the worker's poll end once its answer is not needed any more.
func (q *quorum) hold(w *worker, c *conn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.polls[w] = c
	q.release(w, c)
}

// leave lets go of a poll that has ended.
func (q *quorum) leave(w *worker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if f := w.out.fail; f != nil && f.class == classTimeout && q.polls[w] == nil {
		w.out.fail = enough
	}
	delete(q.polls, w)
}

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
