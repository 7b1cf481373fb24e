package loadgen

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A server that is full answers nobody new, so nobody could end the polls that a
// hold leaves with it. The first worker that comes so far, the keeper, therefore polls
// last, once all others have: until then it asks for a challenge now and then, which
// keeps its connection.
// Where the server then answers one more connection, it polls as the others do;
// where it does not, it goes on as it was, and frees the others by its connection.

const (
	keepFirst  = 5 * time.Millisecond   // half the first pause between the keeper's challenges; each is twice the last
	keepEvery  = 500 * time.Millisecond // the longest: gunicorn closes an idle connection after 2 s
	keepAnswer = 3 * time.Second        // within which a server that has room answers
)

// keeping is what becomes of the keeper.
type keeping struct {
	who     atomic.Pointer[worker] // nil until one has come so far
	state   atomic.Int32
	answers atomic.Int64  // that it had while it waited
	rested  chan struct{} // closed once it sends nothing more
	asking  sync.WaitGroup
}

const (
	keepNobody  = iota // there is none, or it was lost
	keepWaiting        // for all others, once there is one
	keepAsking         // whether there is room for another connection
	keepFull           // there is none: it stays as it is
	keepEnding         // the run is over: its next answer is the last
)

func (k *keeping) begin() {
	k.rested = make(chan struct{})
	k.state.Store(keepWaiting)
}

// again has another worker be the keeper, where the last has joined the others since there was
// room.
func (k *keeping) again() {
	if k.rested != nil && k.state.Load() == keepNobody {
		k.who.Store(nil)
		k.state.Store(keepWaiting)
	}
}

// is says whether the worker is the keeper.
func (k *keeping) is(w *worker) bool { return k.who.Load() == w }

// waits says whether the worker, which is to poll for the hold next, is to wait.
func (k *keeping) waits(w *worker) bool {
	if k.state.Load() == keepNobody {
		return false
	}
	waits := k.who.CompareAndSwap(nil, w) || k.is(w)
	if waits {
		k.answers.Add(1)
	}
	return waits
}

func (k *keeping) lost(w *worker) {
	if k.is(w) {
		k.state.Store(keepNobody)
	}
}

// stays says whether the worker is the keeper and stayed without a poll of its own.
func (k *keeping) stays(w *worker) bool {
	s := k.state.Load()
	return k.is(w) && (s == keepFull || s == keepEnding)
}

// rests says, once, whether the worker is to send nothing more.
func (k *keeping) rests(w *worker) bool {
	rests := k.is(w) && k.state.Load() == keepEnding
	if rests {
		close(k.rested)
	}
	return rests
}

// end lets the keeper's last request, which the end of the run would cut together
// with its connection, come to its end.
func (k *keeping) end() {
	if k.state.CompareAndSwap(keepFull, keepEnding) {
		select {
		case <-k.rested:
		case <-time.After(keepAnswer):
		}
	}
}

// keeper decides what becomes of it once all others are where they should be.
func (r *run) keeper(othersHeld bool) {
	if !othersHeld || r.keep.who.Load() == nil || !r.keep.state.CompareAndSwap(keepWaiting, keepAsking) {
		return
	}
	r.keep.asking.Go(func() {
		answered := r.keep.answers.Load()
		room := r.roomForMore()
		switch {
		case r.t.ctx.Err() != nil:
			// The run has ended meanwhile: what there is room for is nobody's concern.
		case room:
			r.keep.state.CompareAndSwap(keepAsking, keepNobody)
		case r.keep.answers.Load() == answered:
			// Nor was the keeper answered, as behind a proxy: it has no place either, and goes on
			// asking for one.
			r.keep.state.CompareAndSwap(keepAsking, keepWaiting)
		case r.keep.state.CompareAndSwap(keepAsking, keepFull):
			// As good as held: it has a place, and nobody can take it.
			r.held.park()
			r.held.settled.Add(1)
			r.held.polled.Add(1)
		}
	})
}

// roomForMore says whether the server answers on a further connection. The end of the
// run ends the asking.
func (r *run) roomForMore() bool {
	t := r.lend(r.t.ctx)
	t.plan.RequestTimeout = min(t.plan.RequestTimeout, keepAnswer)
	w := &worker{step: stepChallenge, id: "fltool-probe"} // nobody's: that of a worker may be outstanding
	t.workers = []*worker{w}
	defer context.AfterFunc(t.ctx, t.stop)()
	t.exchange(w)
	if c := w.conn.Swap(nil); c != nil {
		c.Close()
	}
	return w.out.status != 0
}
