package loadgen

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// Act is something that is done to the deployment while its workers are held.
type Act struct {
	Name string
	At   time.Duration                                      // since all are held; with rounds: since all have registered
	Do   func(ctx context.Context) (said string, err error) // ends soon after ctx does
}

// acted is what became of an act. Times are since the start of the run.
type acted struct {
	Act
	began, ended time.Duration // 0: not yet
	said         string
	err          error
}

// again is how long all must be held after the last act to count as back: a poll that is
// ended at once was never held.
const again = 2 * heldLong

// drill follows a fleet through its acts.
type drill struct {
	patience time.Duration // longest wait, after the last act, for all to be held again
	trails   []trail       // by the worker's index; each belongs to who has the worker
	ctx      context.Context
	doing    sync.WaitGroup

	mu       sync.Mutex
	acts     []acted
	dials    []int32        // connections begun, by tenth of a second since the start
	versions []wire.Version // in the order of their appearance
	old      int            // of those, that had appeared before the first act
	wentBack bool
	open     int // most connections at one moment
	back     time.Duration
}

// trail is one worker's way through a drill.
type trail struct {
	absences []absence
	last     *failure       // of its requests
	failed   map[string]int // requests while it was not held, by class
	ended    bool           // a worker of dc_federated's would have
	had      []wire.Version // since the first act
	newest   int            // of the versions that it ever had, by their order of appearance
	unheard  wire.Version   // its update of that version ended without an answer
}

// absence is the time from the end of a worker's held poll to when it was held again.
type absence struct {
	lost     time.Duration
	how      how
	again    time.Duration // 0: never
	requests int
}

// how a held poll ended.
type how uint8

const (
	howCut how = iota
	howText
	howServerError
	hows // their number
)

func newDrill(ctx context.Context, acts []Act, patience time.Duration, workers int) *drill {
	d := &drill{ctx: ctx, patience: patience, trails: make([]trail, workers)}
	for _, a := range acts {
		d.acts = append(d.acts, acted{Act: a})
	}
	slices.SortStableFunc(d.acts, func(a, b acted) int { return cmp.Compare(a.At, b.At) })
	return d
}

// look begins the acts that are due; ready is when the first may be, 0 before it is
// known.
func (d *drill) look(now, ready time.Duration, open int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = max(d.open, open)
	if ready == 0 {
		d.open = 0
		return
	}
	for i := range d.acts {
		a := &d.acts[i]
		if a.began > 0 || now < ready+a.At {
			continue
		}
		a.began = now
		d.doing.Go(func() {
			from := time.Now()
			said, err := a.Do(d.ctx)
			d.mu.Lock()
			defer d.mu.Unlock()
			a.ended, a.said, a.err = a.began+time.Since(from), said, err
		})
	}
}

// acted says whether all acts have ended.
func (d *drill) acted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !slices.ContainsFunc(d.acts, func(a acted) bool { return a.ended == 0 })
}

// over says whether the last act is over and all have been held since, or have had their
// time for it.
func (d *drill) over(now time.Duration, s standing) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := time.Duration(0)
	for _, a := range d.acts {
		if a.ended == 0 {
			return false
		}
		last = max(last, a.ended)
	}
	if s.held+s.lost < s.all {
		d.back = 0
	} else if d.back == 0 {
		d.back = now
	}
	return d.back > 0 && now-max(d.back, last) >= again || now-last >= d.patience
}

// dialled books a connection begun.
func (d *drill) dialled(at time.Duration) {
	tenth := int(at / (time.Second / 10))
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.dials) <= tenth {
		d.dials = append(d.dials, 0)
	}
	d.dials[tenth]++
}

// first is when the first act began; false before that.
func (d *drill) first() (time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.acts) == 0 || d.acts[0].began == 0 {
		return 0, false
	}
	return d.acts[0].began, true
}

// enter books a worker's last request before it steps on.
func (d *drill) enter(w *worker, p *Plan) {
	o, t := &w.out, &d.trails[w.index]
	from, begun := d.first()
	model := w.step == stepModel && o.fail == nil && o.version != ""
	if model {
		t.newest = d.appeared(o.version, t.newest)
	}
	if !begun || o.done < from {
		return
	}
	switch {
	case model:
		t.had = append(t.had, o.version)
	case w.step == stepUpdate && o.fail == nil:
		t.unheard = ""
	case w.step == stepUpdate && !o.replied():
		t.unheard = w.version
	}
	t.ended = t.ended || w.ends(p)
	if o.fail != nil && o.fail != stopped {
		t.last = o.fail
	}
	var away *absence
	if n := len(t.absences); n > 0 && t.absences[n-1].again == 0 {
		away = &t.absences[n-1]
	}
	if away != nil && o.begun {
		away.requests++
		if f := o.fail; f != nil && f.class != classStopped && f.class != classReconnect {
			t.failed = count(t.failed, f)
		}
	}
	if !o.held {
		return
	}
	if away != nil && o.long() {
		away.again, away = o.sent, nil
		t.absences[len(t.absences)-1].requests-- // the one that was held is none of the storm
	}
	if o.fail == stopped || o.fail == abandoned || o.fail == nil && o.text == wire.TextUpdated || away != nil {
		return
	}
	a := absence{lost: o.done, how: howText}
	switch {
	case !o.replied():
		a.how = howCut
	case o.status >= 500:
		a.how = howServerError
	}
	t.absences = append(t.absences, a)
}

// appeared books that a version was given to a worker whose newest was that one, and
// says which is now.
func (d *drill) appeared(v wire.Version, newest int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := slices.Index(d.versions, v)
	if at < 0 {
		at, d.versions = len(d.versions), append(d.versions, v)
		if len(d.acts) == 0 || d.acts[0].began == 0 {
			d.old = len(d.versions)
		}
	}
	d.wentBack = d.wentBack || at < newest
	return max(at, newest)
}
