package server

import (
	"cmp"
	"context"
	"net"
	"slices"
	"time"
)

const (
	// dismissAfter is how long after its beginning Shutdown closes connections between
	// two requests: who has just had an answer may be about to send the next request,
	// and a POST that crosses the end of its connection ends a real worker.
	dismissAfter = time.Second
	// goneAfter is how long none of the workers that were notified of a model must have come
	// for it, and they are taken for gone: a real one comes at once.
	goneAfter = 2 * time.Second
	// look is how often Shutdown looks whether connections have left.
	look = 5 * time.Millisecond
)

// Shutdown ends the server such that no worker ends with it. A real worker that was
// notified of a model and can't fetch it is gone for good, and so is one whose request is
// cut. So all is served as before, but that no round ends, until all that were told of
// a model have fetched it, as long as some of them still come, and for at most half of
// the context's time. Then the listeners are closed, held polls and those that still come are answered with a text, and
// uploads and downloads are waited for, until the context ends. Connections between
// two requests are closed last, unless a request has come on them: that is answered.
//
// What the restart loses is logged.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	dismissal := time.Now().Add(dismissAfter)
	half, cancel := halfOf(ctx)
	left := s.polls.Quiesce(half)
	cancel()
	if left > 0 {
		s.log.Warn("workers that were notified of a model have not fetched it", "workers", left)
	}
	s.gate.closeEntrances()
	err := s.polls.Drain(ctx)
	err = cmp.Or(err, s.gate.settle(ctx))
	for s.polls.resting()+s.gate.atRest(anyConn) > 0 && time.Now().Before(dismissal) && ctx.Err() == nil {
		time.Sleep(look)
	}
	s.polls.Dismiss()
	for s.polls.resting()+s.gate.atRest(unreadOn) > 0 && ctx.Err() == nil {
		time.Sleep(look)
	}
	err = cmp.Or(err, s.gate.settle(ctx)) // those that came back
	err = cmp.Or(s.http.Shutdown(ctx), err)
	s.tellLost()
	return err
}

// halfOf is a context that ends after half of the time that another has.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// tellLost logs what the end of the server loses: dc_federated's workers send an
// update once.
func (s *Server) tellLost() {
	if n := s.uploads.count(); n > 0 {
		s.log.Warn("updates on their way are lost, and dc_federated's workers do not send them again", "updates", n)
	}
	s.mu.Lock()
	accepted := len(s.round.accepted) + len(s.round.next)
	s.mu.Unlock()
	if s.store == nil && accepted > 0 {
		s.log.Warn("without a state the updates of the open round are lost, and dc_federated's workers do not send them again", "updates", accepted)
	}
}

// owed is the workers that were notified of a model and have not fetched it since. Its
// owner locks.
type owed struct {
	workers set
	moved   time.Time     // when one was told, or fetched it
	none    chan struct{} // has one when nobody is owed any more
}

func newOwed() owed { return owed{workers: set{}, none: make(chan struct{}, 1)} }

// told notes that a worker is told of a model, and says whether that is news to it.
func (o *owed) told(worker string) bool {
	was := len(o.workers)
	o.workers[worker] = struct{}{}
	o.moved = time.Now()
	return len(o.workers) > was
}

func (o *owed) settle(worker string) {
	if !o.workers.has(worker) {
		return
	}
	delete(o.workers, worker)
	o.moved = time.Now()
	if len(o.workers) == 0 {
		select {
		case o.none <- struct{}{}:
		default: // one is enough
		}
	}
}

// Fetched notes that a worker has the model.
func (p *polls) Fetched(worker string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed.settle(worker)
}

// Quiesce waits until all that were notified of a model have fetched it, the context ends,
// or none has come for so long that those left are gone. It gives how many have not
// come. From that moment on nobody is told any more.
func (p *polls) Quiesce(ctx context.Context) (left int) {
	began := time.Now()
	for {
		p.mu.Lock()
		patience := goneAfter - min(time.Since(p.owed.moved), time.Since(began))
		left = len(p.owed.workers)
		if left == 0 || ctx.Err() != nil || patience <= 0 {
			p.draining = true
		}
		done := p.draining
		p.mu.Unlock()
		if done {
			return left
		}
		select {
		case <-p.owed.none:
		case <-time.After(patience):
		case <-ctx.Done():
		}
	}
}

// Drain answers every poll, those to come included, so that none is cut. It
// returns when those that were held have been answered, or with the context's
// error when that ends.
func (p *polls) Drain(ctx context.Context) error {
	p.mu.Lock()
	p.draining = true
	all := p.empty()
	p.mu.Unlock()
	answered := make(chan struct{})
	p.wake(all, &ending{text: TextDraining, close: true}, func(time.Time) { close(answered) })
	if len(all) == 0 {
		return nil
	}
	select {
	case <-answered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Dismiss closes the connections that wait here for a worker's next request, and those
// that still come to do so. Where one has come it is served.
func (p *polls) Dismiss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dismissed = true
	for _, c := range slices.Clone(p.waiting) {
		p.dismiss(c)
	}
}

// dismiss closes a connection if it rests and nothing has come on it; the lock is held.
// Else whoever has it, or the lot, sees to what has come.
func (p *polls) dismiss(c *poll) {
	if !c.rests() || c.leaves || len(c.next) > 0 || unreadOn(c.conn) {
		return
	}
	if p.unpark(c) {
		p.gone(c)
		cut(c.conn)
		return
	}
	_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // its watcher leaves, unless it has just read something
}

// rests says whether a connection waits for its worker's next request; the lock is held.
func (c *poll) rests() bool { return c.answered && !c.closes }

// resting is how many connections do.
func (p *polls) resting() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.waiting {
		if c.rests() {
			n++
		}
	}
	return n
}

// atRest is how many strangers, and how many connections of net/http's, are between two
// requests, of those that are such.
func (g *gate) atRest(such func(net.Conn) bool) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c, v := range g.visits {
		if v.idle && such(c) {
			n++
		}
	}
	for e := g.strangers.all.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*visit); v.parked != nil && such(v.conn) {
			n++
		}
	}
	return n
}

func anyConn(net.Conn) bool { return true }

// unreadOn says whether something has come on a connection that nobody has read yet;
// its end does not count.
func unreadOn(c net.Conn) bool {
	s := socket(c)
	if s == nil {
		return false
	}
	n, err := s.Look()
	return err == nil && n > 0
}
