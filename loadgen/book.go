package loadgen

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// book is what one shard of the workers has seen. Books add up.
type book struct {
	mu         sync.Mutex // of the shard, while the run goes on
	steps      [steps]reports.Histogram
	lag        reports.Histogram // from due to sent: the generator's own delay
	spare      reports.Histogram // the same, but 0 where the pair had all CPUs
	heat       heat              // of answers, but those to held polls
	errors     map[class]*reports.ErrorClass
	rounds     map[wire.Version]*roundBook // by the version that its workers had
	lost       []reports.Lost
	arrived    time.Duration // when the last worker sent its first request, where that was due as soon as may be
	registered time.Duration // when the last worker was
	repolls    int           // holds that the server ended early with a text
	forgone    int           // updates that were refused and not sent again
	forgoneAs  string        // the first of them
}

// roundBook is one round, from the model of its version to the next.
type roundBook struct {
	since    time.Duration // when the first worker had its model; 0: nobody had
	had      time.Duration // when the last had
	accepted []acceptedOf
	late     int // updates that were refused, since the round had its quorum
	failed   int // workers that were lost, or refused for good, before their update was accepted
	gone     int // workers that were lost after that: the next round is without them
	told     []toldOf
}

// acceptedOf is one worker's update that was accepted.
type acceptedOf struct {
	sent, done time.Duration // since the start of the run
}

// toldOf is one worker's learning that the round is over.
type toldOf struct {
	sent, answered time.Duration // of its poll, since the start of the run
	published      int64         // of the next version by the server's word, ns since the epoch; 0: it said nothing
}

func newBook() *book {
	return &book{errors: map[class]*reports.ErrorClass{}, rounds: map[wire.Version]*roundBook{}}
}

// enter books the outcome of a request before the worker steps on.
func (b *book) enter(w *worker) {
	o := &w.out
	if o.fail != nil && o.fail.class == classStopped {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.timed {
		lag := o.sent - w.due
		b.lag.Record(lag)
		if o.pressed {
			lag = 0
		}
		b.spare.Record(lag)
	} else {
		b.arrived = max(b.arrived, o.sent)
	}
	if o.fail != nil {
		b.fail(w, o.fail)
		return
	}
	b.steps[w.step].Record(o.done - o.sent)
	if !o.held {
		b.heat.record(o.done, o.done-o.sent)
	}
	switch w.step {
	case stepRegister:
		b.registered = max(b.registered, o.done)
	case stepPoll:
		switch {
		case o.text != wire.TextUpdated:
			b.repolls++
		case w.version != "":
			r := b.round(w.version)
			r.told = append(r.told, toldOf{o.sent, o.answered, o.published})
		}
	case stepModel:
		if o.version == "" {
			return // it must be fetched again to be known
		}
		r := b.round(o.version)
		if r.since == 0 || o.done < r.since {
			r.since = o.done
		}
		r.had = max(r.had, o.done)
	case stepUpdate:
		r := b.round(w.version)
		if o.late {
			r.late++
			return
		}
		r.accepted = append(r.accepted, acceptedOf{o.sent, o.done})
	}
}

func (b *book) round(v wire.Version) *roundBook {
	r := b.rounds[v]
	if r == nil {
		r = &roundBook{}
		b.rounds[v] = r
	}
	return r
}

func (b *book) fail(w *worker, f *failure) {
	if w.out.held && w.dropped == "" && (w.out.long() || f.cut()) {
		w.dropped = f.class
	}
	example := func() string { return fmt.Sprintf("%s, %s: %s", w.name(), w.step, f.detail) }
	if w.out.forgone {
		if !w.settled {
			b.round(w.version).failed++
		}
		b.forgone++
		setDefault(&b.forgoneAs, example())
	}
	e := b.errors[f.class]
	if e == nil {
		e = &reports.ErrorClass{Class: string(f.class), Example: example()}
		b.errors[f.class] = e
	}
	e.Count++
	if !slices.Contains(w.seen, f.class) {
		w.seen = append(w.seen, f.class)
		e.Workers++
	}
}

// reconnects is how many requests an idle connection's end crossed.
func (b *book) reconnects() int {
	if e := b.errors[classReconnect]; e != nil {
		return e.Count
	}
	return 0
}

// lose books a worker that gave up.
func (b *book) lose(w *worker, at step, now time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.round(w.version); w.settled || w.version == "" {
		r.gone++
	} else {
		r.failed++
	}
	l := reports.Lost{Worker: w.name(), Step: at.String(), Seconds: now.Seconds()}
	if w.last != nil {
		l.Class, l.Detail = string(w.last.class), w.last.detail
	}
	b.lost = append(b.lost, l)
}

// name of the worker in reports: its key's number and the start of its id.
func (w *worker) name() string {
	if w.id == "" {
		return fmt.Sprintf("worker %d", w.no)
	}
	return fmt.Sprintf("worker %d (%s)", w.no, wire.Short(w.id))
}

// read is what the book has so far, while its shard goes on writing.
func (b *book) read() *book {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := newBook()
	rounds := make(map[wire.Version]*roundBook, len(b.rounds))
	for v, r := range b.rounds {
		own := *r // what its lists have does not change any more
		rounds[v] = &own
	}
	c.addTotals(b)
	c.rounds = rounds
	return c
}

func (b *book) add(o *book) {
	b.addTotals(o)
	b.addRounds(o)
}

// addTotals adds all but the rounds.
func (b *book) addTotals(o *book) {
	for s := range b.steps {
		b.steps[s].Add(o.steps[s])
	}
	b.lag.Add(o.lag)
	b.spare.Add(o.spare)
	b.heat.add(&o.heat)
	for c, e := range o.errors {
		if mine := b.errors[c]; mine != nil {
			mine.Count += e.Count
			mine.Workers += e.Workers
		} else {
			own := *e
			b.errors[c] = &own
		}
	}
	b.lost = append(b.lost, o.lost...)
	b.arrived = max(b.arrived, o.arrived)
	b.registered = max(b.registered, o.registered)
	b.repolls += o.repolls
	b.forgone += o.forgone
	setDefault(&b.forgoneAs, o.forgoneAs)
}

func (b *book) addRounds(o *book) {
	for v, r := range o.rounds {
		mine := b.round(v)
		if mine.since == 0 || r.since != 0 && r.since < mine.since {
			mine.since = r.since
		}
		mine.had = max(mine.had, r.had)
		mine.late += r.late
		mine.accepted = append(mine.accepted, r.accepted...)
		mine.failed += r.failed
		mine.gone += r.gone
		mine.told = append(mine.told, r.told...)
	}
}

// close turns the rounds into the report's, in their order, and the times from
// publication to each worker's learning of it into a distribution. began is the
// moment that all other times count from. With quorum a part of the workers ends a
// round.
func (b *book) close(began time.Time, quorum bool) ([]reports.Round, reports.Histogram) {
	var order []entry
	for v, r := range b.rounds {
		if len(r.accepted) > 0 || quorum && r.since > 0 {
			order = append(order, entry{string(v), r, 0})
		}
	}
	slices.SortFunc(order, func(a, b entry) int { return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.first(), b.first())) })

	var wakeup reports.Histogram
	rounds := make([]reports.Round, 0, len(order))
	start, notified := b.registered, time.Duration(0)
	gone := b.round("").gone // before their first model
	for i, e := range order {
		next, from := e.published(began, quorum)
		if from == "" {
			next = e.last(math.MaxInt64)
		} else {
			order[i].next = next
		}
		round := reports.Round{
			Number: i + 1, Version: e.version, Failed: e.failed + gone, Late: e.late,
			Seconds: max(0, e.last(next)-start).Seconds(), Open: len(e.told) == 0,
		}
		round.Workers = len(e.accepted)
		var thought time.Duration
		for _, a := range e.accepted {
			if a.sent > next {
				round.Late++
			} else {
				thought = max(thought, a.sent)
			}
		}
		round.Passed = passed(start, notified, e.had, thought, e.last(next))
		notified = 0
		for _, t := range e.told {
			if t.sent > next {
				continue // it asked late: it was not waiting when the model came
			}
			took := max(0, t.answered-next)
			wakeup.Record(took)
			notified = max(notified, t.answered)
			round.Told++
			round.FanoutSeconds = max(round.FanoutSeconds, took.Seconds())
			round.FanoutFrom = from
		}
		rounds = append(rounds, round)
		start, gone = next, e.gone
	}
	if quorum {
		b.byQuorum(order, rounds)
	}
	return rounds, wakeup
}

// Where a round's moment of publication is known from.
const (
	fromServer = "server" // its word
	fromClient = "client" // the earliest sign of it: the first worker told, or the last update acknowledged
)

// published is the moment at which the model that ended the round was published;
// from is "" where nobody was notified.
func (r *roundBook) published(began time.Time, quorum bool) (at time.Duration, from string) {
	if len(r.told) == 0 {
		return 0, ""
	}
	first, said := r.told[0].answered, int64(0)
	for _, t := range r.told {
		first = min(first, t.answered)
		if t.published != 0 && (said == 0 || t.published < said) {
			said = t.published
		}
	}
	if said != 0 {
		// A server that published after a worker was told has another clock.
		if at := time.Duration(said - began.UnixNano()); at > 0 && at <= first {
			return at, fromServer
		}
	}
	if len(r.accepted) > 0 && !quorum { // then other updates than those may have ended it
		first = min(first, r.last(math.MaxInt64))
	}
	return first, fromClient
}

// first is when the first update was acknowledged.
func (r *roundBook) first() time.Duration {
	first := time.Duration(math.MaxInt64)
	for _, a := range r.accepted {
		first = min(first, a.done)
	}
	return first
}

// last is when the last update was acknowledged that was sent before the next model
// was published: where a part of the workers is enough to end a round, some send
// theirs later.
func (r *roundBook) last(next time.Duration) time.Duration {
	var last time.Duration
	for _, a := range r.accepted {
		if a.sent <= next {
			last = max(last, a.done)
		}
	}
	return last
}
