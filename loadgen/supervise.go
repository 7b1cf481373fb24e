package loadgen

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/fltool/fltool/reports"
)

// ending is how a run came to its end.
type ending struct {
	at          time.Duration // since the start
	held        int           // fewest polls held during the hold
	hold        time.Duration // how long that was
	interrupted bool
	stalled     int    // workers that waited for a lost one when the run was ended
	forgone     int    // updates that were refused and not sent again
	forgoneAs   string // the first of them
	exited      error  // of the server that the caller started
}

// standing is how many workers are where. Who is lost may be settled too.
type standing struct {
	all      int64
	pending  int64 // neither through with their rounds nor lost
	settled  int64 // have sent a poll of the hold, or are lost
	held     int64
	finished int64
	lost     int64
	away     int64 // have left the fleet
}

// watch decides by the standings when the hold begins and when the run is over.
type watch struct {
	hold, grace  time.Duration
	holdTo       time.Time // not before
	holdFrom     time.Time // zero until it begins
	arrivals     gathering // of all
	others       gathering // of all but the keeper
	stalledSince time.Time // zero unless all that is left waits and one is lost
}

// look says whether the run is over, and how many workers wait in vain if that is
// why.
func (w *watch) look(now time.Time, s standing) (over bool, stalled int) {
	switch {
	case s.finished+s.lost+s.away == s.all:
		return true, 0
	case !w.holdFrom.IsZero():
		return now.Sub(w.holdFrom) >= w.hold && !now.Before(w.holdTo), 0
	case w.hold > 0 && s.pending == 0:
		if w.arrivals.over(now, s, s.all, w.grace) {
			w.holdFrom = now
		}
	case s.lost > 0 && s.finished+s.lost+s.away+s.held == s.all:
		// The lost one may be all that the held ones wait for.
		if w.stalledSince.IsZero() {
			w.stalledSince = now
		}
		if now.Sub(w.stalledSince) >= w.grace {
			return true, int(s.held)
		}
	default:
		w.stalledSince = time.Time{}
	}
	return false, 0
}

// gathering tells when workers are where they should be for the hold.
type gathering struct{ settled time.Time } // since when so many have come as far as polling, zero if they have not

// over says whether so many are held or lost. Where the server ends holds early some
// are always between two polls: then it is enough that each has come so far.
func (g *gathering) over(now time.Time, s standing, workers int64, grace time.Duration) bool {
	if g.settled.IsZero() && s.settled >= workers {
		g.settled = now
	}
	return s.held+s.lost >= workers || !g.settled.IsZero() && now.Sub(g.settled) >= grace
}

// othersHeld says whether all but the keeper are.
func (w *watch) othersHeld(now time.Time, s standing) bool {
	return w.hold > 0 && w.holdFrom.IsZero() && s.pending == 0 && w.others.over(now, s, s.all-1, w.grace)
}

// supervisor watches a run and tells of its progress.
type supervisor struct {
	r       *run
	samples *sampler
	line    *line
	soFar   *soFar
	watch
	rounds  int64     // that were over when last looked
	roundAt time.Time // when the last of them was
	readyAt time.Time // when the acts of a drill may begin; zero: not yet
	tidied  time.Time // when memory was given back last
}

// tidyEvery is how often memory is given back while polls are held: nothing but to look at
// them leaves any, and Go would collect that after two minutes.
const tidyEvery = 20 * time.Second

// tidy gives back memory when a hold begins, since what the arrivals left behind is not the
// holding's, and now and then while it lasts.
func (s *supervisor) tidy(now time.Time, begins bool) {
	if begins || now.Sub(s.tidied) >= tidyEvery {
		debug.FreeOSMemory()
		s.tidied = now
	}
}

// ready is when the acts of a drill may begin, since the start; 0 before it is known.
func (s *supervisor) ready(now time.Time) time.Duration {
	switch {
	case !s.readyAt.IsZero():
	case s.r.plan.Rounds > 0 && s.r.registered.Load()+s.r.lost.Load() >= int64(len(s.r.workers)),
		!s.holdFrom.IsZero() && now.Sub(s.holdFrom) > heldLong: // then each is known to have been held
		s.readyAt = now
	default:
		return 0
	}
	return s.readyAt.Sub(s.r.start)
}

// supervise waits for the end of the run and keeps the timeline meanwhile.
func (r *run) supervise(ctx context.Context, samples *sampler, books []*book) (*line, ending) {
	timeline := newLine(r)
	s := supervisor{
		r: r, samples: samples, line: timeline, soFar: &soFar{r: r, samples: samples, books: books},
		watch: watch{hold: r.plan.Hold, holdTo: r.plan.HoldTo, grace: r.plan.Grace},
	}
	var end ending
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	fine := time.NewTicker(reports.FinestStep)
	defer fine.Stop()
	for over := false; !over; {
		select {
		case <-ctx.Done():
			end.interrupted, over = true, true
		case end.exited = <-r.opts.Exited:
			if end.exited == nil {
				end.exited = errors.New("it ended without an error")
			}
			over = true
		case now := <-fine.C:
			if r.staging != nil {
				over = s.follow(now)
			}
			timeline.look(now)
		case now := <-tick.C:
			s.tell(now, false)
			if r.play.look != nil {
				r.play.look()
			}
			if r.staging != nil {
				r.keeper(r.staging.othersHeld(now))
				continue
			}
			before, stand := s.holdFrom, r.standing()
			r.keeper(s.othersHeld(now, stand))
			over, end.stalled = s.look(now, stand)
			begins := s.holdFrom != before
			if !s.holdFrom.IsZero() {
				s.tidy(now, begins)
			}
			if begins {
				r.held.watch()
				samples.holding.Store(true)
			}
			if d := r.drill; d != nil {
				d.look(now.Sub(r.start), s.ready(now), r.t.open())
				if s.holdFrom.IsZero() {
					over = over && d.acted()
				} else {
					over = d.over(now.Sub(r.start), stand)
				}
			}
		}
	}
	now := time.Now()
	end.at = now.Sub(r.start)
	s.tell(now, true)
	timeline.end(now)
	if r.staging != nil {
		end.held, end.hold = r.staging.ended(now)
	}
	if !s.holdFrom.IsZero() {
		end.held, end.hold = r.held.fewest(), now.Sub(s.holdFrom)
	}
	samples.last()
	return timeline, end
}

// follow has the fleet follow its stages, and says whether they are over.
func (s *supervisor) follow(now time.Time) (over bool) {
	st := s.r.staging
	before := st.holds()
	over = st.look(now)
	holds := st.holds()
	if holds {
		s.tidy(now, !before)
	}
	if holds && !before {
		s.r.held.watch()
		st.full(now, s.samples.taken)
	}
	// Of fewer workers than once a server's memory tells nothing: it keeps what it had.
	s.samples.holding.Store(st.holds() && st.most())
	return over
}

// standing counts the workers.
func (r *run) standing() standing {
	pending := r.pending.Load() // before held: who is through has left its round's poll
	return standing{
		all: int64(len(r.workers)), pending: pending, settled: r.held.settled.Load(),
		finished: r.finished.Load(), lost: r.lost.Load(), held: r.held.now.Load(), away: r.away.Load(),
	}
}
