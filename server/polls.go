package server

import (
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/server/lot"
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
// Publish, Fetched, Quiesce, Drain, Dismiss, Held and Stop.
//
// A held poll leaves net/http, whose goroutine, buffers and request cost some
// 30 KB: its connection is hijacked and parks in the lot, without a goroutine. What
// comes on it is either the end, and the slot is free at once, or the worker's next
// request, some time after the poll was answered: then the connection goes back to
// net/http through the gate.
// Nothing looks at a held poll in between. Connections of workers that are not
// asking for anything rest here as well.
//
// This file knows who is held and who is told what; reply.go writes what they are
// told, watch.go hears what they say, and leave-taking is in drain.go.
type polls struct {
	maxHold time.Duration       // 0: for ever
	fanOut  func(time.Duration) // told how long it took to answer all that a publication woke
	tidy    *tidy
	gate    *gate         // back to net/http
	buf     [4 << 10]byte // for who is told by the lot, one at a time

	goroutines sync.WaitGroup // one for each connection that is watched, or slow to take its answer
	answering  sync.WaitGroup // one for each held poll whose answer is about to be written

	current *atomic.Pointer[model] // stored under the lock

	mu        sync.Mutex
	draining  bool
	dismissed bool // who rests here is to leave
	stopped   bool
	held      map[string]*poll   // by worker
	waiting   crowd              // all whose connection is here, held or answered
	rests     map[string][]*poll // of these, by worker, those that wait for its next request
	owed      owed               // the workers that have a model to fetch
	count     atomic.Int64       // len(held), without the lock
}

// poll is one that is held, or was: its connection waits for the next request.
type poll struct {
	room   *polls
	worker string
	conn   net.Conn
	parked *lot.Conn   // that is in the lot; nil if none is
	timer  *time.Timer // ends it; nil if nothing does
	next   []byte      // what has come of the next request
	closes bool        // no next request is wanted
	asked  int         // requests since the worker was told of a model

	answered bool
	leaves   bool // goes back to the gate, or is closed
	resting  bool // is among those that wait for its worker's next request
	at       int  // in the crowd, from 1; 0: not there
}

// crowd is connections in no order. A map of 15,000 took more time: whatever it looks at is
// in no cache.
type crowd []*poll

func (c *crowd) add(p *poll) {
	*c = append(*c, p)
	p.at = len(*c)
}

func (c *crowd) remove(p *poll) {
	if p.at == 0 {
		return
	}
	last := len(*c) - 1
	moved := (*c)[last]
	(*c)[p.at-1], moved.at = moved, p.at
	(*c)[last] = nil
	*c = (*c)[:last]
	p.at = 0
}

func newPolls(gate *gate, maxHold time.Duration, current *atomic.Pointer[model], fanOut func(time.Duration)) *polls {
	return &polls{
		maxHold: maxHold, fanOut: fanOut, current: current,
		tidy: newTidy(), gate: gate,
		held: map[string]*poll{}, rests: map[string][]*poll{}, owed: newOwed(),
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
		if desk, is := w.(*response); is && e.news {
			desk.visit.asked = 0
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
	held.room, held.worker = p, worker
	if e := p.enter(held, worker, version); e != nil {
		p.reply(held, e, nil)
	}
	p.wait(held)
}

// Rest takes a connection away from net/http until its next request comes. The
// answer to the last one has been written, and its body read. Where it can't be,
// net/http keeps the connection. A desk lets connections rest by itself.
func (p *polls) Rest(w http.ResponseWriter, r *http.Request, worker string) {
	if _, desk := w.(*response); desk || r.Close || w.Header().Get("Connection") != "" || http.NewResponseController(w).Flush() != nil {
		return
	}
	c, err := takeOver(w, r)
	if err != nil {
		return
	}
	p.rest(c.conn, c.next, worker, 0)
}

// rest lets a connection wait for its next request, or the rest of it.
func (p *polls) rest(conn net.Conn, next []byte, worker string, asked int) {
	c := &poll{room: p, conn: conn, next: next, worker: worker, asked: asked, answered: true}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keepLocked(c) {
		p.waitLocked(c)
		p.restsNow(c)
	}
}

// linger closes a connection on which there was an answer just now, so gently that
// it can be read.
func (p *polls) linger(conn net.Conn) {
	if c := (&poll{room: p, conn: conn}); p.keep(c) {
		p.replied(c, true, nil)
		p.wait(c)
	}
}

// keep notes that a connection is here, or cuts it if none is to be any more.
func (p *polls) keep(c *poll) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keepLocked(c)
}

func (p *polls) keepLocked(c *poll) bool {
	if p.stopped {
		cut(c.conn)
		return false
	}
	p.waiting.add(c)
	return true
}

// restsPerWorker is how many connections of a worker may wait for its next request. It
// has one. Behind a proxy any of them may carry what any worker asks; those that one
// was the last on are a few.
const restsPerWorker = 32

// restsNow notes that a connection waits for its worker's next request; of too many,
// the one that has for longest is closed. The lock is held.
func (p *polls) restsNow(c *poll) {
	if c.at == 0 || c.leaves {
		return
	}
	c.resting = true
	same := append(p.rests[c.worker], c)
	p.rests[c.worker] = same
	if len(same) > restsPerWorker {
		p.rests[c.worker] = same[1:]
		p.dismiss(same[0])
	}
}

// gone notes that a connection is here no more; the lock is held.
func (p *polls) gone(c *poll) {
	p.waiting.remove(c)
	if !c.resting {
		return
	}
	c.resting = false
	same := p.rests[c.worker]
	if i := slices.Index(same, c); i >= 0 {
		same = slices.Delete(same, i, i+1)
		p.rests[c.worker] = same
	}
	if len(same) == 0 {
		delete(p.rests, c.worker)
	}
}

// enter says how to end a poll at once, or holds it if it has a connection yet.
func (p *polls) enter(held *poll, worker string, version wire.Version) *ending {
	p.mu.Lock()
	first := p.held[worker]
	var superseded *ending
	if first != nil {
		p.forget(first)
		// Who polls again and again on new connections, and closes none, is not to have
		// them all: a worker has one.
		superseded = &ending{text: wire.TextSuperseded(worker), close: len(first.next) == 0}
	}
	var e *ending
	switch {
	case p.draining:
		e = &ending{text: TextDraining, close: true}
	case version != p.current.Load().version:
		e = &ending{text: wire.TextUpdated, model: p.current.Load(), news: p.owed.told(worker)}
	case held != nil:
		p.held[worker] = held
		p.tidy.arrived(int(p.count.Add(1)))
		if p.maxHold > 0 {
			held.timer = time.AfterFunc(p.maxHold, func() { p.expire(held) })
		}
	}
	if held != nil {
		p.waiting.add(held)
	}
	p.mu.Unlock()
	if first != nil {
		p.reply(first, superseded, nil)
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
		p.reply(held, &ending{text: TextHeldLongEnough}, nil)
		p.answering.Done()
	}
}

// Publish makes a version the current one, for those who fetch it as well, and wakes
// every poll. It gives how many there are and does not wait for them.
func (p *polls) Publish(m *model) int {
	p.mu.Lock()
	p.current.Store(m)
	var all []*poll
	if !p.draining { // Drain is about to answer them
		all = p.empty()
	}
	for _, c := range all {
		p.owed.told(c.worker)
	}
	p.mu.Unlock()
	p.wake(all, &ending{text: wire.TextUpdated, model: m}, func(last time.Time) { p.fanOut(last.Sub(m.published)) })
	return len(all)
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

// wake sends all the same ending, from as many goroutines as can run. Once the
// last has taken it or given up, done is told when the last took it. The desks wait
// until all have been written to, which waits for nobody.
func (p *polls) wake(all []*poll, e *ending, done func(last time.Time)) {
	if len(all) == 0 {
		return
	}
	w := &waking{left: len(all), last: time.Now(), done: done}
	var next, writing atomic.Int64
	p.gate.hush()
	most := min(len(all), 2*runtime.GOMAXPROCS(0))
	writing.Store(int64(most))
	for range most {
		go func() {
			defer func() {
				if writing.Add(-1) == 0 {
					p.gate.unhush()
				}
			}()
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				p.reply(all[i], e, w)
				p.answering.Done()
			}
		}()
	}
}

// waking counts the replies to those that were woken together.
type waking struct {
	mu   sync.Mutex
	left int
	last time.Time // when one was told
	done func(last time.Time)
}

// replied is for one, told or not; nobody counts for a nil waking.
func (w *waking) replied(told bool) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if told {
		w.last = time.Now()
	}
	if w.left--; w.left == 0 {
		w.done(w.last)
	}
}

// Held is the number of polls that are held now.
func (p *polls) Held() int { return int(p.count.Load()) }

// Stop closes the connections that wait here and ends the room. Held polls should
// have been drained; those that were not are cut, and so are those that don't take
// their answer. The gate is closed by then, and nobody calls the room's other
// methods any more.
func (p *polls) Stop() {
	p.tidy.stop()
	p.mu.Lock()
	p.draining = true
	for _, c := range p.held {
		p.forget(c)
	}
	p.mu.Unlock()
	p.answering.Wait() // who is about to be answered is not cut
	p.mu.Lock()
	p.stopped = true
	for _, c := range slices.Clone(p.waiting) {
		switch {
		case p.unpark(c):
			p.gone(c)
			cut(c.conn)
		case !c.closes || !c.answered:
			cut(c.conn) // its watcher sees it
		default:
			// It lingers: it has been answered, and may be read.
		}
	}
	p.mu.Unlock()
	p.goroutines.Wait()
}
