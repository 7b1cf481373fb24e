package loadgen

import (
	"slices"
	"sync"
	"time"

	"github.com/fltool/fltool/reports"
)

// Follower is told how far a run has come, and may ask for the report of it so far. That
// has all figures that the report will have but what became of each worker's poll and the
// verdict, and no more than a look at the books costs where nobody asks. It may be asked
// for from any goroutine, also once the run is over; who gets it must not write to it. One
// that is asked for soon again is the same.
type Follower func(now reports.Progress, soFar func() reports.Report)

// A report of a run so far is made anew after this time at the earliest, and so that
// making them takes less than one part in so many of the time: it takes the longer, the
// more rounds there were.
const (
	soFarEvery = 200 * time.Millisecond
	soFarShare = 5
)

// soFar makes the report of a run while it lasts.
type soFar struct {
	r       *run
	samples *sampler
	books   []*book

	mu    sync.Mutex
	ticks []reports.Tick // the timeline's, as far as it had come when the follower was told
	step  time.Duration
	last  reports.Report
	next  time.Time // when the last one is too old
}

// at keeps how far the timeline has come. Once the run is over the last report is too old.
func (s *soFar) at(l *line, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticks, s.step = l.ticks, l.step
	if over {
		s.next = time.Time{}
	}
}

func (s *soFar) report() reports.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	if began.Before(s.next) {
		return s.last
	}
	all := newBook()
	for _, b := range s.books {
		all.add(b.read())
	}
	s.last = s.r.figures(all, slices.Clone(s.ticks), s.step, s.samples)
	s.last.Stages = s.r.staging.seen()
	held := s.r.held
	s.last.Held = &reports.Held{
		Asked: int(s.r.wanted.Load()), Peak: int(held.peak.Load()), Steady: held.fewest(), NeverHeld: s.r.neverHeld(), LostWhile: int(held.cut.Load()),
		RepollsAsked: all.repolls,
	}
	now := time.Now()
	s.next = now.Add(max(soFarEvery, soFarShare*now.Sub(began)))
	return s.last
}

// neverHeld is how many workers have not polled for the hold yet.
func (r *run) neverHeld() int {
	if r.plan.Hold == 0 {
		return 0
	}
	return max(0, int(r.wanted.Load()-r.held.polled.Load()))
}

// tell calls back whoever wants to know of the progress.
func (s *supervisor) tell(now time.Time, over bool) {
	r := s.r
	if r.opts.Progress == nil {
		return
	}
	if n := r.round.Load(); n > s.rounds {
		s.rounds, s.roundAt = n, now
	}
	s.soFar.at(s.line, over)
	r.opts.Progress(reports.Progress{
		Seconds: now.Sub(r.start).Seconds(), Left: s.remaining(now, over).Seconds(), Stage: s.stage(over), Load: r.staging.now(over),
		Workers: int(r.wanted.Load()), Doing: r.t.census.counts(),
		Held: int(r.held.now.Load()), NeverHeld: r.neverHeld(), Cut: int(r.held.cut.Load()), Lost: int(r.lost.Load()),
		Finished: int(r.finished.Load()), Round: int(s.rounds), Rounds: r.plan.Rounds,
		Sent: r.t.sent.Load(), Done: r.done.Load(), Errors: r.errs.Load(), Uses: s.samples.uses(), Over: over,
	}, s.soFar.report)
}

func (s *supervisor) stage(over bool) string {
	r := s.r
	switch {
	case over:
		return reports.StageOver
	case !s.holdFrom.IsZero() || r.staging.holds():
		return reports.StageHolding
	case r.registered.Load()+r.lost.Load() < r.wanted.Load():
		return reports.StageArriving
	case r.plan.Hold > 0 && r.pending.Load() == 0:
		return reports.StageGathering
	}
	return reports.StageRounds
}

func (s *supervisor) remaining(now time.Time, over bool) time.Duration {
	switch {
	case over:
		return 0
	case s.r.staging != nil:
		return s.r.staging.remaining(now)
	case !s.holdFrom.IsZero():
		return max(0, s.hold-now.Sub(s.holdFrom))
	case s.rounds > 0:
		each := s.roundAt.Sub(s.r.start) / time.Duration(s.rounds)
		return max(0, each*time.Duration(int64(s.r.plan.Rounds)-s.rounds)-now.Sub(s.roundAt)) + s.hold
	}
	return 0
}
