package server

import (
	"errors"
	"iter"
	"math"
	"slices"
	"sync"
	"time"
)

// Bounds of updates that are on their way at a time.
const (
	// DefaultMaxUploads is how many there may be when Config does not say. Each
	// costs some 90 KB once it has begun.
	DefaultMaxUploads = 1024
	// A real worker sends one at a time, and one may be left of a connection that
	// it has lost.
	uploadsPerWorker = 2

	// Where others wait for a place, one that has had its own for crowdedAfter must
	// have come at crowdedRate on average. Else those who send as slowly as they may
	// could keep all others out for hours.
	crowdedAfter = 10 * time.Second
	crowdedRate  = 32 << 10 // bytes a second
)

// errCrowded is an update that had to give way.
var errCrowded = errors.New("too many updates are on their way")

// uploads is the room of updates on their way: it bounds them in all and for each
// worker. Since the signature comes last, that worker may be anybody who knows its
// id; so the slowest gives way, and not the last, and none that comes on a connection
// of the worker's own gives way to one that does not.
type uploads struct {
	places chan struct{} // has one for each that is taken
	seats  *seats
	closed chan struct{}

	mu      sync.Mutex
	all     map[string][]*arriving // by worker
	crowded time.Time              // when those that are too slow were looked for
}

// arriving is an update on its way.
type arriving struct {
	worker string
	own    bool // on a connection that is proved to be the worker's
	body   *body
	seat   chan struct{} // see seats; nil if it needs none, or is not there yet
	since  time.Time     // when it began; zero before
	over   chan struct{} // closed when it has to give way
}

func newUploads(most int) *uploads {
	return &uploads{places: make(chan struct{}, most), seats: newSeats(), closed: make(chan struct{}), all: map[string][]*arriving{}}
}

// begin waits for a place, and for a seat where one is needed. It fails with errCrowded
// if the update has to give way before it has them; if not, end must be called. Own says
// that it comes on a connection of the worker's.
func (u *uploads) begin(worker string, own bool, b *body, seat bool) (*arriving, error) {
	a := &arriving{worker: worker, own: own, body: b, over: make(chan struct{})}
	u.mu.Lock()
	if same := u.all[worker]; len(same) >= uploadsPerWorker {
		slowest := leastRate(lessOwn(same, own))
		if slowest == nil {
			u.mu.Unlock()
			return nil, errCrowded
		}
		u.giveWay(slowest)
	}
	u.all[worker] = append(u.all[worker], a)
	u.mu.Unlock()
	b.pause()
	placed := u.wait(a)
	ready := placed && (!seat || u.sit(a))
	u.mu.Lock()
	defer u.mu.Unlock()
	select {
	case <-a.over: // perhaps when it was just ready
		ready = false
	default:
	}
	if !ready {
		u.forget(a)
		if placed {
			u.release(a)
		}
		return nil, errCrowded
	}
	a.since = time.Now()
	b.restart()
	return a, nil
}

// wait says whether it got a place.
func (u *uploads) wait(a *arriving) bool {
	for {
		select {
		case u.places <- struct{}{}:
			return true
		default:
		}
		select {
		case u.places <- struct{}{}:
			return true
		case <-a.over:
			return false
		case <-u.closed:
			return false
		case <-time.After(time.Second):
			u.crowd()
		}
	}
}

// sit says whether it got a seat.
func (u *uploads) sit(a *arriving) bool {
	a.seat = u.seats.ask()
	select {
	case <-a.seat:
		return true
	case <-a.over:
	case <-u.closed:
	}
	return false
}

// release frees the place and the seat of an update.
func (u *uploads) release(a *arriving) {
	if a.seat != nil {
		u.seats.leave(a.seat)
	}
	<-u.places
}

// crowd has an update give way that is too slow where others wait, one a second.
func (u *uploads) crowd() {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if now.Sub(u.crowded) < time.Second {
		return
	}
	u.crowded = now
	a := leastRate(func(yield func(*arriving) bool) {
		for _, same := range u.all {
			for _, a := range same {
				if a.slow(now) && !yield(a) {
					return
				}
			}
		}
	})
	if a != nil {
		u.giveWay(a)
	}
}

// slow says whether an update may have to give way where others wait.
func (a *arriving) slow(now time.Time) bool {
	return !a.since.IsZero() && now.Sub(a.since) >= crowdedAfter && a.rate(now) < crowdedRate
}

// rate is in bytes a second. Of one that has no place yet, it is that of the fastest.
func (a *arriving) rate(now time.Time) float64 {
	if a.since.IsZero() {
		return math.Inf(1)
	}
	return float64(a.body.got()) / max(now.Sub(a.since).Seconds(), 1e-3)
}

// leastRate gives the slowest; nil if there are none.
func leastRate(all iter.Seq[*arriving]) *arriving {
	var least *arriving
	now := time.Now()
	for a := range all {
		if least == nil || a.rate(now) < least.rate(now) {
			least = a
		}
	}
	return least
}

// lessOwn is those of one worker's updates that may have to give way to another: all
// that are not the worker's own, or where there are none, and the other is, those that are.
func lessOwn(same []*arriving, own bool) iter.Seq[*arriving] {
	strange := slices.DeleteFunc(slices.Clone(same), func(a *arriving) bool { return a.own })
	if len(strange) == 0 && own {
		strange = same
	}
	return slices.Values(strange)
}

// giveWay ends an update; the lock is held. Whoever reads it has errCrowded.
func (u *uploads) giveWay(a *arriving) {
	u.forget(a)
	close(a.over)
	a.body.stop(errCrowded)
}

// end is that of an update that had begun.
func (u *uploads) end(a *arriving) {
	u.mu.Lock()
	u.forget(a)
	u.mu.Unlock()
	u.release(a)
}

// forget lets an update be none of those on their way; the lock is held.
func (u *uploads) forget(a *arriving) {
	same := slices.DeleteFunc(u.all[a.worker], func(b *arriving) bool { return a == b })
	if len(same) == 0 {
		delete(u.all, a.worker)
		return
	}
	u.all[a.worker] = same
}

// count is how many are on their way, or wait for a place.
func (u *uploads) count() (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, same := range u.all {
		n += len(same)
	}
	return n
}

// close refuses all that wait.
func (u *uploads) close() { close(u.closed) }
