package loadgen

import (
	"bufio"
	"sync"
	"time"

	"github.com/fltool/fltool/server/lot"
)

// parking is where workers wait for answers that take their time. A socket waits in an
// epoll set, without a goroutine; what is none, a pipe of the tests, with one of its own.
// Once the answer has begun to come, its worker is due again, for a second hit of
// vegeta's that reads it.
type parking struct {
	due    func(*worker)          // never waits
	unless func(*worker) *failure // says why a worker need not wait, when no end could be missed

	mu      sync.Mutex
	over    bool           // nobody parks or leaves any more
	waiting sync.WaitGroup // goroutines of those that wait with one
}

// stay is a worker's stay in the parking. What it waits for is its own affair: the
// fields belong to the parking until the worker is due again.
type stay struct {
	at     *parking
	away   bool          // from when it parks until the end of the request
	parked *lot.Conn     // that is in the lot; nil: it has left, or waits on a goroutine
	conn   *conn         // that waits on a goroutine
	until  time.Time     // its deadline; zero if there is none
	end    *failure      // that ended its waiting before an answer came
	br     *bufio.Reader // holds the start of the answer, where a goroutine had to read it
	err    error         // of that reading
}

func newParking(due func(*worker), unless func(*worker) *failure) *parking {
	return &parking{due: due, unless: unless}
}

// guest is a worker in the lot.
type guest worker

// Come is called once something has come for it.
func (g *guest) Come() {
	p := g.stay.at
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave((*worker)(g))
}

// park has the worker wait until something comes or the deadline passes, zero for none.
// From then on the worker is the next hit's, and it may be there already.
func (p *parking) park(w *worker, c *conn, deadline time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.stay = stay{at: p, away: true, until: deadline}
	if fail := p.unless(w); fail != nil {
		w.stay.end = fail
		p.leave(w)
		return
	}
	if c.socket != nil {
		w.stay.parked = c.socket.Conn
	}
	if w.stay.parked == nil || !w.stay.parked.Park((*guest)(w)) {
		w.stay.parked = nil
		w.stay.conn = c
		p.waiting.Go(func() { p.await(w, c) })
	}
	if !deadline.IsZero() {
		p.wake(w, deadline)
	}
}

// alarm is a worker's, for its deadlines: it rings once the first of those that it was
// set for has passed, which is another's by then, mostly.
type alarm struct {
	timer *time.Timer // nil before the first
	at    time.Time   // when it rings; zero if it does not
}

// wake has the alarm of a worker that has parked ring at its deadline, or before that.
func (p *parking) wake(w *worker, deadline time.Time) {
	switch a := &w.alarm; {
	case a.timer == nil:
		a.at, a.timer = deadline, time.AfterFunc(time.Until(deadline), func() { p.ring(w) })
	case a.at.IsZero() || deadline.Before(a.at):
		a.at = deadline
		a.timer.Reset(time.Until(deadline))
	}
}

// ring ends a stay whose deadline has passed.
func (p *parking) ring(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.alarm.at = time.Time{}
	switch until := w.stay.until; {
	case p.over || until.IsZero() || w.stay.conn == nil && w.stay.parked == nil:
	case time.Now().Before(until):
		p.wake(w, until)
	default:
		p.end(w, failed(classTimeout, "no answer in time"))
	}
}

// await waits for what can't wait in the lot.
func (p *parking) await(w *worker, c *conn) {
	br, err := c.readable()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		if br != nil {
			putReader(br)
		}
		return
	}
	w.stay.br, w.stay.err = br, err
	p.leave(w)
}

// end ends a stay before anything has come.
func (p *parking) end(w *worker, why *failure) {
	switch {
	case w.stay.end != nil:
	case w.stay.conn != nil:
		w.stay.end = why
		// Only fails on a closed connection, which is what is wanted.
		_ = w.stay.conn.SetReadDeadline(past)
	case w.stay.parked != nil && w.stay.parked.Take((*guest)(w)):
		w.stay.end = why
		p.leave(w)
	}
}

// endAll ends the stays of those workers for whom there is a reason.
func (p *parking) endAll(workers []*worker, why func(*worker) *failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range workers {
		if w.stay.conn == nil && w.stay.parked == nil {
			continue // it is somebody else's
		}
		if fail := why(w); fail != nil {
			p.end(w, fail)
		}
	}
}

// leave makes the worker due.
func (p *parking) leave(w *worker) {
	if p.over {
		return
	}
	w.stay.parked, w.stay.conn = nil, nil
	p.due(w)
}

// close ends the parking, once no hit is under way any more, and gives those whose
// answer nobody has read.
func (p *parking) close(workers []*worker) []*worker {
	p.mu.Lock()
	p.over = true
	var left []*worker
	for _, w := range workers {
		if w.alarm.timer != nil {
			w.alarm.timer.Stop()
		}
		if !w.stay.away {
			continue
		}
		left = append(left, w)
		if w.stay.conn != nil {
			// Only fails on a closed connection, which is what is wanted.
			_ = w.stay.conn.SetReadDeadline(past)
		}
		if w.stay.br != nil {
			putReader(w.stay.br)
		}
	}
	p.mu.Unlock()
	p.waiting.Wait()
	return left
}
