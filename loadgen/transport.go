package loadgen

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/server/lot"
	"github.com/fltool/fltool/server/wire"
)

// past is a deadline that ends whatever waits.
var past = time.Unix(1, 0)

// stopped is what becomes of requests that the end of the run cuts.
var stopped = failed(classStopped, "the run ended")

// transport sends a worker's request on the worker's connection, and reads and judges
// the answer. It knows the worker from the fragment of the URL that vegeta was given.
type transport struct {
	ctx     context.Context // of the run: cancelled, no request starts any more
	plan    *Plan
	start   time.Time
	workers []*worker
	dialers []Dialer // one a source address
	lot     *lot.Lot // of the connections
	address string   // of the target, resolved
	head    string   // header fields that every request has, from Host on
	form    wire.UpdateForm
	held    *gauge
	census  *census
	quorum  *quorum // nil where rounds end with one update of each worker
	models  models
	orphans orphans
	abandon func(*worker, *conn) bool // takes the connection of a poll that its worker has abandoned; nil: nobody does
	parking *parking                  // nil where requests wait where they are
	places  places
	pressed *atomic.Bool           // server and generator have all CPUs just now; nil: unknown
	dialled func(at time.Duration) // told of each connection begun; nil: nobody asks
	bytes   struct{ in, out atomic.Int64 }
	sent    atomic.Int64 // requests

	mu   sync.Mutex    // the order of requests is that of their moments
	next [steps]uint64 // number of the next request of each step
}

// target is what vegeta's Targeter needs for a worker's next request: whose it is.
// Nothing of it leaves this process.
func (t *transport) target(w *worker) (method, rawURL string) {
	return http.MethodGet, "fltool:#" + strconv.Itoa(w.index)
}

// url of the worker's next request.
func (t *transport) url(w *worker) string {
	_, path := w.request()
	return t.plan.Target.Scheme + "://" + t.plan.Target.Host + path
}

// workerOf finds the worker in a URL that target made.
func (t *transport) workerOf(fragment string) (*worker, error) {
	i, err := strconv.Atoi(fragment)
	if err != nil || i < 0 || i >= len(t.workers) {
		return nil, fmt.Errorf("no worker %q", fragment)
	}
	return t.workers[i], nil
}

// end completes the outcome of a request.
func (t *transport) end(w *worker) {
	if w.out.done == 0 {
		w.out.done = time.Since(t.start)
	}
	t.bytes.in.Add(w.out.bytesIn)
	t.bytes.out.Add(w.out.bytesOut)
}

// exchange sends the worker's request and reads its answer, unless it parks until that
// comes.
func (t *transport) exchange(w *worker) (parked bool) {
	w.out = outcome{}
	if !t.begin(w) {
		w.out.fail = stopped
		return false
	}
	c, fail := t.connect(w)
	if c == nil {
		w.out.fail = fail
		return false
	}
	w.out.fail = fail
	w.out.bytesIn, w.out.bytesOut = -c.in, -c.out
	br, cut := t.write(w, c)
	if w.step == stepPoll && w.version != "" { // held here, for hours if need be
		w.out.held = true
		if w.holds(t.plan) && !w.polled {
			w.polled = true
			t.held.settled.Add(1)
			t.held.polled.Add(1)
		}
		t.held.park()
		t.census.move(w, phaseHeld)
	}
	return t.answer(w, c, br, cut, br != nil)
}

// answer reads the answer to the worker's request, from br where that holds its start,
// unless it parks until it comes, which it has if begun. cut is what cut the sending
// short.
func (t *transport) answer(w *worker, c *conn, br *bufio.Reader, cut *failure, begun bool) (parked bool) {
	keep := false
	for interim := true; interim && w.out.fail == nil; br, begun = nil, false {
		if !begun {
			var fail *failure
			if br, fail, parked = t.await(w, c, cut); parked {
				return true
			}
			w.out.fail = fail
		}
		interim = false
		if w.out.fail == nil {
			w.out.fail, keep, interim = t.read(w, c, br)
		}
	}
	t.release(w, c, keep && cut == nil)
	return false
}

// release ends the request's use of the connection.
func (t *transport) release(w *worker, c *conn, keep bool) {
	if w.out.held {
		t.held.leave()
	}
	c.serve(nil)
	w.out.bytesIn += c.in
	w.out.bytesOut += c.out
	c.used = true
	if keep && t.ctx.Err() == nil {
		return
	}
	w.conn.Store(nil)
	if t.abandon != nil && t.abandon(w, c) {
		return
	}
	c.Close()
}

// drop closes the connection of a worker that has no request under way.
func (t *transport) drop(w *worker) {
	if c := w.conn.Swap(nil); c != nil {
		c.Close()
	}
}

// cut is the end of a request whose answer nobody reads any more.
func (t *transport) cut(w *worker) {
	w.out.fail = stopped
	t.release(w, w.conn.Load(), false)
	t.end(w)
}

// begin stamps the worker's request, unless the run has ended. Within a step numbers
// and moments rise together, as `vegeta plot` wants them.
func (t *transport) begin(w *worker) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		return false
	}
	w.out.sent, w.out.begun = time.Since(t.start), true
	w.out.pressed = t.pressed != nil && t.pressed.Load()
	w.seq = t.next[w.step]
	t.next[w.step]++
	t.sent.Add(1)
	t.census.move(w, w.sends())
	return true
}

// connect gives the worker's connection, a new one if it has none that works.
func (t *transport) connect(w *worker) (*conn, *failure) {
	deadline := t.deadline(w)
	c := w.conn.Load()
	if c != nil {
		c.serve(w.hit)
		fail := t.limit(c.SetDeadline, deadline)
		if fail == nil && c.alive() {
			return c, nil
		}
		w.conn.Store(nil)
		c.Close()
		if fail == stopped {
			return nil, stopped
		}
		t.held.reconnects.Add(1)
	}
	if t.dialled != nil {
		t.dialled(time.Since(t.start))
	}
	d := t.dialers[w.index%len(t.dialers)]
	var fail *failure
	long := soon
	if t.plan.TLS != nil {
		long = shaken // mostly work
	}
	w.hit.without(long, func() {
		c, fail = dial(t.ctx, d, t.lot, t.address, t.plan.TLS, time.Now().Add(t.plan.RequestTimeout))
	})
	if fail != nil {
		return nil, fail
	}
	c.serve(w.hit)
	w.conn.Store(c)
	if fail := t.limit(c.SetDeadline, deadline); fail != nil {
		return nil, fail
	}
	return c, nil
}

// limit sets a deadline of a connection, but not one that would let it outlast
// the run: stop may have come before.
func (t *transport) limit(set func(time.Time) error, deadline time.Time) *failure {
	err := set(deadline)
	switch {
	case t.ctx.Err() != nil:
		return stopped
	case err != nil:
		return judgeConn(err)
	}
	return nil
}

// deadline of the worker's request, from when it was sent; none for a poll that may
// be held for ever.
func (t *transport) deadline(w *worker) time.Time {
	timeout := t.plan.RequestTimeout
	if w.step == stepPoll {
		timeout = t.plan.PollTimeout
		if w.holds(t.plan) {
			if timeout = t.plan.holdTimeout; timeout == 0 {
				return time.Time{}
			}
		}
	}
	return t.start.Add(w.out.sent + timeout)
}

// open counts the workers' connections.
func (t *transport) open() int {
	n := 0
	for _, w := range t.workers {
		if w.conn.Load() != nil {
			n++
		}
	}
	return n
}

// stop ends all requests under way, once ctx is cancelled.
func (t *transport) stop() {
	for _, w := range t.workers {
		if c := w.conn.Load(); c != nil {
			// Only fails on a closed connection, which is what is wanted.
			_ = c.SetDeadline(past)
		}
	}
}

// close closes the connections that no request uses any more.
func (t *transport) close() {
	for _, w := range t.workers {
		t.drop(w)
	}
	t.orphans.close()
	t.lot.Close()
}
