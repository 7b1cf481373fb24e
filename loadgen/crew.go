package loadgen

import (
	"net/http"
	"time"
)

const (
	// mostTurns is how many requests a hit may take one after another: then vegeta is
	// asked again.
	mostTurns = 100

	// linger is how long a hit that has nothing to do waits for who is due.
	linger = 20 * time.Millisecond
)

// crew is the http.RoundTripper under vegeta, and its hits are the crew: each does the
// request that it was sent for, steps the worker, and goes on with whoever is due. What
// all of that costs is paid once a request, and what a hit of vegeta's costs is not.
type crew struct {
	t    *transport
	s    *scheduler
	step func(*worker) *worker // takes a worker past its request, and gives it back if its next is due at once
}

// hit is one of vegeta's while it lasts. A nil one is nobody's: requests beside those of
// the run take no places.
type hit struct {
	places *places
	hand   bool // it has one, so it works or waits for who is due
}

// RoundTrip never fails but for a URL that is not one of ours: what became of requests
// stands in their workers' outcomes, and the answer is for vegeta's books.
func (c *crew) RoundTrip(req *http.Request) (*http.Response, error) {
	w, err := c.t.workerOf(req.URL.Fragment)
	if err != nil {
		return nil, err
	}
	h := &hit{places: &c.t.places, hand: true} // taken by the scheduler
	defer h.end()
	for turns := 1; w != nil; turns++ {
		next := c.turn(h, w)
		over := turns == mostTurns || !h.hand
		if next != nil && over {
			c.s.due <- next
			next = nil
		}
		if next == nil && !over {
			next = c.s.wait(linger)
		}
		w = next
	}
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: req}, nil
}

// turn does what is due for a worker, and gives it back if its next request is due at
// once.
func (c *crew) turn(h *hit, w *worker) *worker {
	w.hit = h
	parked := false
	if w.stay.away {
		parked = c.t.resume(w)
	} else {
		parked = c.t.exchange(w)
	}
	if parked {
		return nil // it is somebody else's by now
	}
	c.t.end(w)
	return c.step(w)
}

// rest gives the hand away, since it is the network that is waited for.
func (h *hit) rest() {
	if h != nil && h.hand {
		h.hand = false
		<-h.places.hands
	}
}

// without does what may wait long for the network: the place is given away as well, once
// it has taken so long.
func (h *hit) without(long time.Duration, f func()) {
	if h == nil {
		f()
		return
	}
	h.rest()
	timer := time.AfterFunc(long, func() { <-h.places.hits })
	f()
	if !timer.Stop() {
		h.places.hits <- struct{}{}
	}
}

func (h *hit) end() {
	h.rest()
	<-h.places.hits
}
