package server

import (
	"net/http"
	"strconv"
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
// it holds them is its own affair: here a goroutine each, blocked on a channel. A
// held poll costs memory and no work: nothing looks at it until it ends.
type polls struct {
	maxHold time.Duration       // 0: for ever
	fanOut  func(time.Duration) // told how long it took to answer all that a publication woke

	mu       sync.Mutex
	current  *model
	draining bool
	held     map[string]*poll
	count    atomic.Int64 // len(held), without the lock
}

// poll is one that is held. Its channel gets exactly one ending, and has room for
// it, so that whoever ends a poll never waits.
type poll struct{ end chan ending }

type ending struct {
	text  string
	model *model // which version it tells of; nil if it tells of none
	wave  *wave  // that of the publication that ended it
	close bool   // the connection, too
}

// wave counts down the polls that one publication woke.
type wave struct {
	published time.Time
	left      atomic.Int64
}

func newPolls(maxHold time.Duration, current *model, fanOut func(time.Duration)) *polls {
	return &polls{maxHold: maxHold, fanOut: fanOut, current: current, held: map[string]*poll{}}
}

// Park answers a poll of a worker that has the given version: at once if the
// current one is another, else once it is. A worker's second poll ends its first.
// It returns when the poll was answered or its client has gone. The request's
// body must have been read to its end, and no deadline be set on its connection.
func (p *polls) Park(w http.ResponseWriter, r *http.Request, worker string, version wire.Version) {
	held, now := p.enter(worker, version)
	if held == nil {
		p.answer(w, now)
		return
	}
	if p.maxHold > 0 {
		timer := time.AfterFunc(p.maxHold, func() {
			p.leave(worker, held, ending{text: TextHeldLongEnough})
		})
		defer timer.Stop()
	}
	var e ending
	select {
	case e = <-held.end:
		p.answer(w, e)
		_ = http.NewResponseController(w).Flush() // on its way before it counts as told
	case <-r.Context().Done():
		p.leave(worker, held, ending{})
		e = <-held.end
	}
	if e.wave != nil && e.wave.left.Add(-1) == 0 {
		p.fanOut(time.Since(e.wave.published))
	}
}

// enter holds a poll, or says what to answer at once.
func (p *polls) enter(worker string, version wire.Version) (*poll, ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return nil, ending{text: TextDraining, close: true}
	}
	if first := p.held[worker]; first != nil {
		first.end <- ending{text: wire.TextSuperseded(worker)}
		p.forget(worker)
	}
	if version != p.current.version {
		return nil, ending{text: wire.TextUpdated, model: p.current}
	}
	held := &poll{end: make(chan ending, 1)}
	p.held[worker] = held
	p.count.Add(1)
	return held, ending{}
}

// leave ends a poll unless it has ended.
func (p *polls) leave(worker string, held *poll, e ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[worker] == held {
		held.end <- e
		p.forget(worker)
	}
}

func (p *polls) forget(worker string) {
	delete(p.held, worker)
	p.count.Add(-1)
}

// Publish makes a version the current one and wakes every poll. It gives how many
// there were.
func (p *polls) Publish(m *model) int {
	p.mu.Lock()
	p.current = m
	all := p.empty()
	p.mu.Unlock()
	w := &wave{published: m.published}
	w.left.Store(int64(len(all)))
	for _, held := range all {
		held.end <- ending{text: wire.TextUpdated, model: m, wave: w}
	}
	return len(all)
}

// Drain answers every poll, those to come included, so that none is cut.
func (p *polls) Drain() {
	p.mu.Lock()
	p.draining = true
	all := p.empty()
	p.mu.Unlock()
	for _, held := range all {
		held.end <- ending{text: TextDraining, close: true}
	}
}

func (p *polls) empty() map[string]*poll {
	all := p.held
	p.held = make(map[string]*poll, len(all))
	p.count.Store(0)
	return all
}

// Held is the number of polls that are held now.
func (p *polls) Held() int { return int(p.count.Load()) }

func (p *polls) answer(w http.ResponseWriter, e ending) {
	if e.model != nil {
		w.Header()[wire.HeaderPublished] = []string{strconv.FormatInt(e.model.published.UnixNano(), 10)}
	}
	if e.close {
		w.Header().Set("Connection", "close")
	}
	answer(w, http.StatusOK, e.text)
}
