package server

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/fltool/fltool/server/wire"
)

// Rates when Config does not say, in requests a second.
const (
	// DefaultAddressRate is that of an address, in which the connections of workers do
	// not count. A worker whose client or proxy keeps no connection counts each time,
	// with six requests a round: thousands of them behind one NAT are far below.
	DefaultAddressRate = 5000
	// DefaultWorkerRate is that of one worker's requests that its key has signed.
	DefaultWorkerRate = 1000
)

const (
	// So many seconds' worth may come at once.
	rateBurst = 10
	// So many are told apart; above, new ones share one rate.
	mostRated = 1 << 16
)

// TextTooFast is the answer, with status 429, to requests that are too many.
const TextTooFast = "Too many requests - try again later."

// rates bounds how fast each of many may ask. Who has been slow is forgotten.
type rates struct {
	perSecond rate.Limit

	mu    sync.Mutex
	by    map[string]*rate.Limiter
	swept time.Time
}

// newRates takes a number below 0 for no bound.
func newRates(perSecond float64) *rates {
	r := &rates{perSecond: rate.Limit(perSecond), by: map[string]*rate.Limiter{}}
	if perSecond < 0 {
		r.perSecond = rate.Inf
	}
	return r
}

// allow says whether one more request may come.
func (r *rates) allow(who string, now time.Time) bool {
	if r.perSecond == rate.Inf {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.swept) >= rateBurst*time.Second {
		r.swept = now
		for one, l := range r.by {
			if l.TokensAt(now) >= float64(l.Burst()) {
				delete(r.by, one)
			}
		}
	}
	l := r.by[who]
	if l == nil {
		if len(r.by) >= mostRated {
			who = ""
		}
		if l = r.by[who]; l == nil {
			l = rate.NewLimiter(r.perSecond, max(1, int(rateBurst*r.perSecond)))
			r.by[who] = l
		}
	}
	return l.AllowN(now, 1)
}

// tooFast answers a request of an address from which too many come. An update has bounds
// of its own, and is sent once.
func (s *Server) tooFast(w http.ResponseWriter, r *http.Request) bool {
	v := visitOf(w, r)
	if v == nil || s.gate.workerOf(v) != "" || s.addresses.allow(v.from, time.Now()) {
		return false
	}
	if path, _ := splitWorker(r.RequestURI); path == wire.PathUpdate {
		return false
	}
	s.slowDown(w, "address", r.RequestURI == wire.PathModel)
	return true
}

// slowDown answers what comes too fast. What is no model ends a worker that asked for
// one; with an empty map it asks again.
func (s *Server) slowDown(w http.ResponseWriter, whose string, model bool) {
	if model {
		s.refuse(w, "model", "too fast: "+whose, http.StatusOK, wire.NoModel)
		return
	}
	w.Header().Set("Retry-After", "1")
	s.refuse(w, "any", "too fast: "+whose, http.StatusTooManyRequests, TextTooFast)
}
