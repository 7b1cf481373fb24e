package loadgen

import (
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/reports"
)

// phase is what a worker does at a moment: 0 before it comes, else one of
// reports.Phases, counted from 1.
type phase uint8

const (
	phaseHeld phase = iota + 1
	phaseDownloading
	phaseThinking
	phaseUploading
	phaseJoining
	phaseRetrying
	phaseDone
	phaseLost
	phases // their number, and one
)

// census counts the workers in each phase; of a nil one nobody asks.
type census [phases]atomic.Int64

// move has the worker, which is the caller's, go over to a phase.
func (c *census) move(w *worker, to phase) {
	if c == nil || w.phase == to {
		return
	}
	c[w.phase].Add(-1)
	c[to].Add(1)
	w.phase = to
}

// counts are those of the phases that somebody is in.
func (c *census) counts() map[string]int {
	by := map[string]int{}
	for i, name := range reports.Phases {
		if n := c[i+1].Load(); n > 0 {
			by[name] = int(n)
		}
	}
	return by
}

// sends is the phase of a worker that sends its next request.
func (w *worker) sends() phase {
	switch {
	case w.step == stepModel || w.step == stepChallenge && w.goal == stepModel:
		return phaseDownloading
	case w.step == stepUpdate:
		return phaseUploading
	}
	return phaseJoining
}

// until is the phase of a worker until then.
func (w *worker) until(f fate) phase {
	switch fail := w.out.fail; {
	case f == fateDone:
		return phaseDone
	case f == fateLost:
		return phaseLost
	case f == fateGone:
		return 0 // as before it came
	case fail != nil && fail.class != classReconnect && fail.class != classStopped:
		return phaseRetrying
	case w.step == stepUpdate:
		return phaseThinking
	}
	return w.sends()
}

// line keeps the timeline of a run.
type line struct {
	r     *run
	step  time.Duration
	ticks []reports.Tick
	sum   reports.Tick // of all of them
	low   int          // fewest polls held since the last
}

func newLine(r *run) *line { return &line{r: r, step: reports.FinestStep} }

// look adds the ticks that are due by now. What was at a moment that nobody looked at is
// taken to have been as before it.
func (l *line) look(now time.Time) {
	held, at := int(l.r.held.now.Load()), int(now.Sub(l.r.start)/l.step)
	l.low = min(l.low, held)
	for n := len(l.ticks); n < at; n++ {
		if n == reports.MaxTicks {
			l.ticks = reports.Coarsen(l.ticks, l.step.Seconds(), 2*l.step.Seconds())
			l.step *= 2
			l.look(now)
			return
		}
		t := reports.Tick{T: (time.Duration(n+1) * l.step).Seconds()}
		if n+1 < at {
			t.Held, t.Asked, t.Workers = l.sum.Held, l.sum.Asked, l.sum.Workers
			l.ticks = append(l.ticks, t)
			continue
		}
		l.add(t, held)
	}
}

// add adds a tick with what happened since the last.
func (l *line) add(t reports.Tick, held int) {
	r := l.r
	sum := reports.Tick{Sent: int(r.t.sent.Load()), Done: int(r.done.Load()), Errors: int(r.errs.Load())}
	r.mu.Lock()
	t.Classes, r.classes = r.classes, nil
	r.mu.Unlock()
	t.Held, t.Dip, t.Workers = held, held-l.low, r.t.census.counts()
	if r.staging != nil {
		t.Asked = int(r.wanted.Load())
	}
	t.Sent, t.Done, t.Errors = sum.Sent-l.sum.Sent, sum.Done-l.sum.Done, sum.Errors-l.sum.Errors
	sum.Held, sum.Asked, sum.Workers = t.Held, t.Asked, t.Workers
	l.ticks, l.sum, l.low = append(l.ticks, t), sum, held
}

// end adds the last tick.
func (l *line) end(now time.Time) {
	l.look(now)
	held := int(l.r.held.now.Load())
	l.low = min(l.low, held)
	l.add(reports.Tick{T: now.Sub(l.r.start).Seconds()}, held)
}

// heat counts latencies by when the answers came, in steps that double when there are
// too many. The zero value is empty.
type heat struct {
	step  time.Duration
	bands []map[int]int
}

func (h *heat) record(at, took time.Duration) { h.count(at, reports.LatencyBand(took), 1) }

func (h *heat) count(at time.Duration, band, n int) {
	if h.step == 0 {
		h.step = reports.FinestStep
	}
	for at/h.step >= reports.MaxTicks {
		h.double()
	}
	for len(h.bands) <= int(at/h.step) {
		h.bands = append(h.bands, nil)
	}
	add(&h.bands[at/h.step], band, n)
}

func (h *heat) double() {
	var half []map[int]int
	for i, bands := range h.bands {
		if i%2 == 0 {
			half = append(half, bands)
			continue
		}
		for band, n := range bands {
			add(&half[i/2], band, n)
		}
	}
	h.step, h.bands = 2*h.step, half
}

// add adds what another has counted.
func (h *heat) add(o *heat) {
	for i, bands := range o.bands {
		for band, n := range bands {
			h.count(time.Duration(i)*o.step, band, n)
		}
	}
}

func add(bands *map[int]int, band, n int) {
	if *bands == nil {
		*bands = map[int]int{}
	}
	(*bands)[band] += n
}

// into adds what was counted to the ticks of its time.
func (h *heat) into(ticks []reports.Tick, step time.Duration) {
	if len(ticks) == 0 {
		return // the run has only begun
	}
	for i, bands := range h.bands {
		t := &ticks[min(int(time.Duration(i)*h.step/step), len(ticks)-1)]
		for band, n := range bands {
			add(&t.Latency, band, n)
		}
	}
}

// passed is how a round went by, from its beginning to its end, in what its workers saw.
func passed(from, notified, downloaded, thought, accepted time.Duration) *reports.Passed {
	if accepted < from {
		return nil
	}
	p := &reports.Passed{Published: from.Seconds(), Accepted: accepted.Seconds()}
	last := p.Published
	for _, x := range []struct {
		to *float64
		at time.Duration
	}{{&p.Notified, notified}, {&p.Downloaded, downloaded}, {&p.Thought, thought}} {
		last = min(max(last, x.at.Seconds()), p.Accepted)
		*x.to = last
	}
	return p
}
