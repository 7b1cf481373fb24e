package loadgen

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// dc_federated's server notices no client that goes away: a poll that the end of a
// run cuts keeps its place, and its descriptor, until the next model or the next
// poll of the same worker. So a run ends with one more poll for each of them, with a
// version that no server has, over a few connections.

const (
	freeConns    = 4                // connections that polls are freed over
	freePatience = 5 * time.Second  // for one answer, after which no more are asked for
	freeLongest  = 30 * time.Second // for all of them
)

// free ends the polls that the server may still hold, and says how many it could not
// end, and why.
func (r *run) free() (left int, why *failure) {
	var owed []*worker
	ids := map[string]bool{}
	for _, w := range r.workers {
		if w.owed {
			owed, ids[w.id] = append(owed, w), true
		}
	}
	for _, w := range r.staging.left() {
		if !ids[w.id] { // else its worker's next poll is ended, which ended this one
			owed, ids[w.id] = append(owed, w), true
		}
	}
	// Of the run's own context nothing is left: a signal ends the run, and this is its end.
	ctx, cancel := context.WithTimeout(context.Background(), freeLongest)
	defer cancel()
	t := r.lend(ctx)
	var next, freed atomic.Int64
	var said atomic.Pointer[failure]
	var freeing sync.WaitGroup
	var kept *conn // a server that is full takes no other; taken before the keeper itself may be one of those that are freed
	if keeper := r.keep.who.Load(); keeper != nil && len(owed) > 0 {
		kept = keeper.conn.Swap(nil)
	}
	for i := range min(freeConns, len(owed)) {
		freeing.Go(func() {
			var c *conn
			if i == 0 {
				c = kept
			}
			for n := next.Add(1); n <= int64(len(owed)); n = next.Add(1) {
				w := owed[n-1]
				w.conn.Store(c)
				fail := t.freeOne(w)
				if c = w.conn.Swap(nil); fail == nil {
					freed.Add(1)
					continue
				}
				said.Store(fail)
				if !w.out.replied() {
					break // the next would fare no better
				}
			}
			if c != nil {
				c.Close()
			}
		})
	}
	freeing.Wait()
	return len(owed) - int(freed.Load()), said.Load()
}

// freeOne ends a worker's poll by another one, to which any model is news.
func (t *transport) freeOne(w *worker) (fail *failure) {
	w.version, w.signed = "", ""
	for range 2 { // the connection may have ended meanwhile
		for _, w.step = range []step{stepChallenge, stepPoll} {
			w.sign(t.plan, wire.Digest{})
			w.out = outcome{}
			t.exchange(w)
			if fail = w.out.fail; fail != nil {
				break
			}
		}
		if fail == nil || fail.class != classReconnect {
			break
		}
	}
	return fail
}

// lend makes a transport for requests beside those of the run: they are not booked,
// and each has little time.
func (r *run) lend(ctx context.Context) *transport {
	p := r.plan
	p.Rounds, p.Hold = 0, 0
	p.RequestTimeout = min(p.RequestTimeout, freePatience)
	p.PollTimeout, p.RoundTimeout = p.RequestTimeout, p.RequestTimeout
	return &transport{
		ctx: ctx, plan: &p, start: r.start, dialers: r.dialers, lot: r.t.lot, address: r.address,
		head: r.t.head, form: r.t.form, held: newGauge(), models: newModels(),
	}
}
