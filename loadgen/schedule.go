package loadgen

import (
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// scheduler is vegeta's Pacer and Targeter: a request starts when some worker's
// next one is due. All waiting is done in Pace, since vegeta counts what blocks
// in the Targeter as latency. The channels have room for all workers, each of
// which has at most one request due or under way, so none ever blocks its sender.
type scheduler struct {
	start    time.Time
	arrivals chan *worker // their first requests, as soon as may be
	due      chan *worker // their requests are due
	next     chan *worker // vegeta was told to hit for them
	ended    chan struct{}
	t        *transport
}

func newScheduler(t *transport, workers int) *scheduler {
	room := func() chan *worker { return make(chan *worker, workers) }
	return &scheduler{
		start: t.start, t: t, ended: make(chan struct{}),
		arrivals: room(), due: room(), next: room(),
	}
}

// arrive makes the first requests due, evenly over the ramp. They are sent once nothing
// else is due, however long that takes: a machine that can't serve so many at once slows
// them. With open each is due at its moment, and late by the generator's fault if it is
// sent after that. Without a ramp they come as fast as they can.
func (s *scheduler) arrive(workers []*worker, ramp time.Duration, open bool) {
	for i, w := range workers {
		at := ramp * time.Duration(i) / time.Duration(len(workers))
		switch {
		case open && ramp > 0:
			s.at(w, at)
		case at > 0:
			time.AfterFunc(at-time.Since(s.start), func() { s.arrivals <- w })
		default:
			s.arrivals <- w
		}
	}
}

// soon makes a worker's first request due as arrive does, without a ramp.
func (s *scheduler) soon(w *worker) {
	w.timed = false
	s.arrivals <- w
}

// at makes the worker's next request due at a moment since the start, which may
// have passed: all the time from there until it is sent is the generator's lag.
func (s *scheduler) at(w *worker, due time.Duration) {
	if s.unless(w, due) {
		s.due <- w
	}
}

// unless is at, unless the moment has passed: then the worker is still the caller's.
// Timers that fire after the end find room in the channel and nobody at its end.
func (s *scheduler) unless(w *worker, due time.Duration) (passed bool) {
	w.due, w.timed = due, true
	d := due - time.Since(s.start)
	if d > 0 {
		time.AfterFunc(d, func() { s.due <- w })
	}
	return d <= 0
}

// Pace implements vegeta.Pacer: a hit begins once somebody is due and no hit that there is
// takes them.
func (s *scheduler) Pace(time.Duration, uint64) (time.Duration, bool) {
	for _, take := range []chan struct{}{s.t.places.hands, s.t.places.hits} {
		select {
		case <-s.ended:
			return 0, true
		case take <- struct{}{}:
		}
	}
	w := s.wait(0)
	if w == nil {
		return 0, true
	}
	s.next <- w
	return 0, false
}

// wait waits for who is due, at most so long, for ever if that is 0. It gives nil at the
// end. Requests of workers under way go before arrivals.
func (s *scheduler) wait(longest time.Duration) *worker {
	select {
	case <-s.ended:
		return nil
	case w := <-s.due:
		return w
	default:
	}
	var over <-chan time.Time
	if longest > 0 && len(s.arrivals) == 0 {
		over = time.After(longest)
	}
	select {
	case <-s.ended:
	case w := <-s.due:
		return w
	case w := <-s.arrivals:
		return w
	case <-over:
	}
	return nil
}

// Rate implements vegeta.Pacer; there is none to tell beforehand.
func (s *scheduler) Rate(time.Duration) float64 { return 0 }

// target is the vegeta.Targeter.
func (s *scheduler) target(t *vegeta.Target) error {
	w := <-s.next
	t.Method, t.URL = s.t.target(w)
	return nil
}
