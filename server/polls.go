package server

import (
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// The texts that end a poll without a new version. Real workers poll again on
// any text that they don't know.
const (
	TextHeldLongEnough = "No new global model yet - poll again."
	TextDraining       = "Server is shutting down - poll again."
)

// polls is the room that holds polls and wakes them. It answers them too, so how
// it holds them is its own affair: all that others see of it is Park, Rest,
// Publish, Drain, Held and Stop.
//
// A held poll leaves net/http, whose goroutine, buffers and request cost some
// 30 KB: its connection is hijacked, and one small goroutine waits for a byte
// from it. That byte is either the end, and the slot is free at once, or belongs
// to the worker's next request, some time after the poll was answered: then the
// connection goes back to net/http through the gate, like a new one.
// Nothing looks at a held poll in between. Connections of workers that are not
// asking for anything rest here as well.
type polls struct {
	maxHold time.Duration       // 0: for ever
	fanOut  func(time.Duration) // told how long it took to answer all that a publication woke
	tidy    *tidy
	gate    *gate // back to net/http

	goroutines sync.WaitGroup // one for each connection that is here
	answering  sync.WaitGroup // one for each poll that was held and is being answered

	mu       sync.Mutex
	current  *model
	draining bool
	held     map[string]*poll   // by worker
	waiting  map[*poll]struct{} // all whose connection is here, held or answered
	count    atomic.Int64       // len(held), without the lock
}

// poll is one that is held, or was: its connection waits for the next request.
type poll struct {
	worker string
	conn   net.Conn
	timer  *time.Timer // ends it; nil if nothing does
	next   []byte      // what has come of the next request
	first  [1]byte     // room for next
	closes bool        // no next request is wanted

	answered bool
	wait     chan struct{} // made by who waits for answered
}

func newPolls(gate *gate, maxHold time.Duration, current *model, fanOut func(time.Duration)) *polls {
	return &polls{
		maxHold: maxHold, fanOut: fanOut, current: current,
		tidy: newTidy(), gate: gate,
		held: map[string]*poll{}, waiting: map[*poll]struct{}{},
	}
}

// Park answers a poll of a worker that has the given version: at once if the
// current one is another, else once it is, after having returned. A worker's
// second poll ends its first. The request's body must have been read to its end.
func (p *polls) Park(w http.ResponseWriter, r *http.Request, worker string, version wire.Version) {
	if e := p.enter(nil, worker, version); e != nil {
		if e.model != nil {
			w.Header()[wire.HeaderPublished] = []string{published(e.model)}
		}
		if e.close {
			w.Header().Set("Connection", "close")
		}
		answer(w, http.StatusOK, e.text)
		return
	}
	held, err := takeOver(w, r)
	if err != nil {
		// Not a connection of HTTP/1.1, or it is gone already.
		answer(w, http.StatusInternalServerError, "This connection can't hold a poll.")
		return
	}
	held.worker = worker
	if e := p.enter(held, worker, version); e != nil {
		p.answer(held, e)
	}
	p.goroutines.Go(func() { p.watch(held) })
}

// Rest takes a connection away from net/http until its next request comes. The
// answer to the last one has been written, and its body read. Where it can't be,
// net/http keeps the connection.
func (p *polls) Rest(w http.ResponseWriter, r *http.Request) {
	if r.Close || w.Header().Get("Connection") != "" || http.NewResponseController(w).Flush() != nil {
		return
	}
	c, err := takeOver(w, r)
	if err != nil {
		return
	}
	c.answered = true
	p.mu.Lock()
	p.waiting[c] = struct{}{}
	p.mu.Unlock()
	p.goroutines.Go(func() { p.watch(c) })
}

// enter says how to end a poll at once, or holds it if it has a connection yet.
func (p *polls) enter(held *poll, worker string, version wire.Version) *ending {
	p.mu.Lock()
	first := p.held[worker]
	if first != nil {
		p.forget(first)
	}
	var e *ending
	switch {
	case p.draining:
		e = &ending{text: TextDraining, close: true}
	case version != p.current.version:
		e = &ending{text: wire.TextUpdated, model: p.current}
	case held != nil:
		p.held[worker] = held
		p.count.Add(1)
		p.tidy.arrived()
		if p.maxHold > 0 {
			held.timer = time.AfterFunc(p.maxHold, func() { p.expire(held) })
		}
	}
	if held != nil {
		p.waiting[held] = struct{}{}
	}
	p.mu.Unlock()
	if first != nil {
		p.answer(first, &ending{text: wire.TextSuperseded(worker)})
	}
	return e
}

// forget takes a held poll from those that are; the lock is held. Whoever does it
// ends the poll, and so each is ended once.
func (p *polls) forget(held *poll) {
	delete(p.held, held.worker)
	p.count.Add(-1)
	if held.timer != nil {
		held.timer.Stop()
	}
}

func (p *polls) expire(held *poll) {
	p.mu.Lock()
	mine := p.held[held.worker] == held
	if mine {
		p.forget(held)
		p.answering.Add(1)
	}
	p.mu.Unlock()
	if mine {
		p.answer(held, &ending{text: TextHeldLongEnough})
		p.answering.Done()
	}
}

// watch waits for what comes next on a connection: its end, or another request.
func (p *polls) watch(c *poll) {
	if len(c.next) == 0 {
		if n, _ := c.conn.Read(c.first[:]); n > 0 {
			c.next = c.first[:]
		}
	}
	p.mu.Lock()
	gone := len(c.next) == 0
	switch {
	case gone && p.held[c.worker] == c:
		p.forget(c)
	case !gone && !c.answered:
		// A client that does not wait for its answer before it asks again.
		c.wait = make(chan struct{})
	}
	wait := c.wait
	p.mu.Unlock()
	if wait != nil {
		<-wait
	}
	p.mu.Lock()
	delete(p.waiting, c)
	again := !gone && !c.closes
	p.mu.Unlock()
	if again {
		// The deadline was the last answer's; an error shows when it is read.
		_ = c.conn.SetWriteDeadline(time.Time{})
	}
	if !again || !p.gate.pass(&resumed{c.conn, c.next}) {
		_ = c.conn.Close() // whatever was to be said has been
	}
}

const (
	// An answer goes to a client that waits for it with nothing else on the way: it
	// fits in the socket's buffer. A client that can't take it in time does not read.
	answerTime = time.Second
	// A closed connection is left to its client for as long, so that the answer on
	// it is read before it is gone.
	lingerTime = time.Second
)

// answer sends a poll its ending.
func (p *polls) answer(c *poll, e *ending) {
	closes := c.closes || e.close
	// Errors are for the watcher: it sees the connection's end.
	_ = c.conn.SetWriteDeadline(time.Now().Add(answerTime))
	if _, err := c.conn.Write(e.response(closes)); err != nil {
		_ = c.conn.Close()
	} else if closes {
		_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime))
		if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}
	p.mu.Lock()
	c.answered, c.closes = true, closes
	if c.wait != nil {
		close(c.wait)
	}
	p.mu.Unlock()
}

// Publish makes a version the current one and wakes every poll. It gives how many
// there are and does not wait for them.
func (p *polls) Publish(m *model) int {
	p.mu.Lock()
	p.current = m
	all := p.empty()
	p.mu.Unlock()
	p.wake(all, &ending{text: wire.TextUpdated, model: m}, func() { p.fanOut(time.Since(m.published)) })
	return len(all)
}

// Drain answers every poll, those to come included, so that none is cut. It
// returns when those that were held have been answered.
func (p *polls) Drain() {
	p.mu.Lock()
	p.draining = true
	all := p.empty()
	p.mu.Unlock()
	answered := make(chan struct{})
	p.wake(all, &ending{text: TextDraining, close: true}, func() { close(answered) })
	if len(all) > 0 {
		<-answered
	}
}

// empty forgets all held polls and gives them, to be woken; the lock is held.
func (p *polls) empty() []*poll {
	all := make([]*poll, 0, len(p.held))
	for _, c := range p.held {
		all = append(all, c)
	}
	for _, c := range all {
		p.forget(c)
	}
	p.answering.Add(len(all))
	return all
}

// wake sends all the same ending, from as many goroutines as can run. The one
// that sends the last calls done.
func (p *polls) wake(all []*poll, e *ending, done func()) {
	var next, sent atomic.Int64
	for range min(len(all), 2*runtime.GOMAXPROCS(0)) {
		go func() {
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				p.answer(all[i], e)
				if sent.Add(1) == int64(len(all)) {
					done()
				}
				p.answering.Done()
			}
		}()
	}
}

// Held is the number of polls that are held now.
func (p *polls) Held() int { return int(p.count.Load()) }

// Stop closes the connections that wait here and ends the room. Held polls should
// have been drained; those that were not are cut. The gate is closed by then, and
// nobody calls the room's other methods any more.
func (p *polls) Stop() {
	p.tidy.stop()
	p.mu.Lock()
	p.draining = true
	for _, c := range p.held {
		p.forget(c)
	}
	p.mu.Unlock()
	p.answering.Wait() // who is being answered is not cut
	p.mu.Lock()
	for c := range p.waiting {
		// The watcher sees it. One that lingers has been answered and may be read.
		if !c.closes || !c.answered {
			_ = c.conn.Close()
		}
	}
	p.mu.Unlock()
	p.goroutines.Wait()
}
