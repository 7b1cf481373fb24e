package loadgen

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/reports"
)

// staging has one fleet follow its stages: the workers of the lowest indices are in it, as
// many as are wanted at a moment. Who is wanted and not there comes; who is there and not
// wanted leaves, by the end of its held poll or after its next request. Of a nil one there
// are no stages.
type staging struct {
	*comings
	legs   []leg
	at     int          // of the legs
	began  time.Time    // the leg; zero before the first
	settle gathering    // of all who are wanted
	others gathering    // of all but the keeper
	new    atomic.Int64 // the first index of those who come in the leg
	next   func() turn
	due    turn // of the workers that leave in a churn

	ghosts []*worker // that left and came back: their polls of before, by the ids that they had

	holding atomic.Bool // all who are wanted are held
	from    time.Time   // since when
	cut     int64       // workers whose held poll was lost, when the leg began
	rows    []reports.Stage
}

func newStaging(r *run) *staging {
	s := &staging{comings: newComings(r), legs: legs(r.plan.Stages)}
	for i := range s.is {
		s.is[i] = away
	}
	r.away.Store(int64(len(r.workers)))
	r.wanted.Store(0)
	return s
}

// share is how many of so many workers are this run's, which may be a shard.
func (s *staging) share(workers int) int {
	_, n := s.r.plan.Shard.Of(workers)
	return n
}

// surplus says whether a worker is to leave.
func (r *run) surplus(w *worker) bool {
	return int64(w.index) >= r.wanted.Load() && !r.keep.stays(w)
}

// mayKeep says whether a worker may be the keeper: each stage that grows has one, of those
// who come for it.
func (r *run) mayKeep(w *worker) bool {
	return r.staging == nil || int64(w.index) >= r.staging.new.Load()
}

// kept is 1 where the keeper stays though it is not wanted, since the server was full.
func (s *staging) kept() int {
	if w := s.r.keep.who.Load(); w != nil && int64(w.index) >= s.r.wanted.Load() && s.r.keep.stays(w) {
		return 1
	}
	return 0
}

// look has workers come and leave, and says whether all stages are over.
func (s *staging) look(now time.Time) (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() {
		s.begin(now)
	}
	l := s.legs[s.at]
	s.r.wanted.Store(int64(s.share(l.wanted(now.Sub(s.began)))))
	s.move()
	switch {
	case !s.holding.Load():
		if now.Sub(s.began) >= l.over && s.gathered(&s.settle, now, 0) {
			s.from = now
			s.rows[s.at].HeldFrom = now.Sub(s.r.start).Seconds()
			s.holding.Store(true)
		}
	case s.churns(l, now) < l.hold:
	case s.at == len(s.legs)-1:
		s.finish(now)
		return true
	default:
		s.finish(now)
		s.at++
		s.begin(now)
	}
	return false
}

// full sees, once all are held or lost, how many of them the server has places for: the
// others got not one byte. Of one behind a proxy that is what it has accepted; -1: unknown.
func (s *staging) full(now time.Time, accepted func() int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, mute, shut := &s.rows[s.at], 0, false
	for i, is := range s.is[:row.Asked] {
		if w := s.r.workers[i]; is == gaveUp && w.mute {
			mute++
			shut = shut || w.id != "" // it had answers before, so each request has a connection of its own
		}
	}
	switch {
	case !s.r.still(mute, row.Asked, now.Sub(s.r.start)):
	case shut:
		row.Places = max(0, accepted())
	default:
		row.Places = row.Asked - mute
	}
}

// places are those of the first stage that filled the server; 0 where none did.
func (s *staging) places() int {
	for _, row := range s.rows {
		if row.Places > 0 {
			return row.Places
		}
	}
	return 0
}

// noPlaces forgets them, where workers had another reason to get nothing.
func (s *staging) noPlaces() {
	if s != nil {
		for i := range s.rows {
			s.rows[i].Places = 0
		}
	}
}

// churns has those workers leave who do so while the others are held, and says how long
// these have been; the lock is held.
func (s *staging) churns(l leg, now time.Time) (since time.Duration) {
	since = now.Sub(s.from)
	for l.leave > 0 && s.due.at <= min(since, l.hold) && s.end(from(s.r.workers, s.due.pick), 1, left) > 0 {
		s.due = s.next()
	}
	return since
}

// begin begins the leg; the lock is held.
func (s *staging) begin(now time.Time) {
	l := s.legs[s.at]
	s.began, s.settle, s.others, s.cut = now, gathering{}, gathering{}, s.r.held.cut.Load()
	s.holding.Store(false)
	before, asked := s.share(l.from), s.share(l.workers)
	if asked > before {
		s.new.Store(int64(before))
		s.r.keep.again()
	}
	s.rows = append(s.rows, reports.Stage{Number: l.stage, Shape: l.shape, Asked: asked, From: now.Sub(s.r.start).Seconds()})
	if l.leave > 0 {
		s.next = moveRates{moveLeave: l.leave / float64(max(1, s.r.plan.Shard.Count))}.turns(s.r.plan.Seed + uint64(s.at) + uint64(s.r.plan.FirstNo)<<8)
		s.due = s.next()
	}
}

// finish ends the leg; the lock is held.
func (s *staging) finish(now time.Time) {
	row := &s.rows[s.at]
	row.To, row.Held, row.NeverHeld, row.LostWhile = now.Sub(s.r.start).Seconds(), int(s.r.held.now.Load())-s.kept(), s.r.neverHeld(), int(s.r.held.cut.Load()-s.cut)
	row.Fewest = row.Held
	if s.holding.Load() {
		row.Fewest = s.r.held.fewest() - s.kept()
	}
}

// move has those come who are wanted and away, and those leave whose poll is held and who
// are not wanted; the lock is held.
func (s *staging) move() {
	now, wanted := time.Since(s.r.start), int(s.r.wanted.Load())
	for i, is := range s.is[:wanted] {
		if w := s.r.workers[i]; is == away {
			if w.owed {
				s.ghosts, w.owed = append(s.ghosts, &worker{index: w.index, no: w.no, key: w.key, id: w.id}), false
			}
			s.come(w, now)
			if s.r.plan.RampOpen {
				s.r.s.at(w, now)
			} else {
				s.r.s.soon(w)
			}
		}
	}
	if s.count(present, wanted) > 0 {
		s.end(s.r.workers[wanted:], len(s.r.workers), left)
	}
	for i, is := range s.is[wanted:] {
		if w := s.r.workers[wanted+i]; is == away && w.polled { // its next poll is another's
			w.polled = false
			s.r.held.settled.Add(-1)
			s.r.held.polled.Add(-1)
		}
	}
}

// gathered says whether nobody is there who is not wanted, and all others but so many are
// held, or have had their time for it; the lock is held.
func (s *staging) gathered(g *gathering, now time.Time, but int64) bool {
	wanted := int(s.r.wanted.Load())
	if s.count(present, wanted)+s.count(going, wanted) > s.kept() {
		return false
	}
	stand := s.r.standing()
	there := int64(s.count(present, 0)+s.count(going, 0)) + stand.lost
	return g.over(now, stand, there-but, s.r.plan.Grace)
}

// othersHeld says whether all are but the keeper.
func (s *staging) othersHeld(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.began.IsZero() && now.Sub(s.began) >= s.legs[s.at].over && s.gathered(&s.others, now, 1)
}

// holds says whether all are held who are wanted.
func (s *staging) holds() bool { return s != nil && s.holding.Load() }

// most says whether no leg asks for more workers than this one.
func (s *staging) most() bool { return s.share(s.legs[s.at].workers) == len(s.r.workers) }

// left are the polls that the server may still hold for those who have come back since.
func (s *staging) left() []*worker {
	if s == nil {
		return nil
	}
	return s.ghosts
}

// remaining is how long the stages last at the least, from now.
func (s *staging) remaining(now time.Time) (sum time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range s.legs[s.at:] {
		switch {
		case i == 0 && s.holding.Load():
			sum += max(0, l.hold-now.Sub(s.from))
		case i == 0 && !s.began.IsZero():
			sum += max(0, l.over-now.Sub(s.began)) + l.hold
		default:
			sum += l.over + l.hold
		}
	}
	return sum
}

// now names the stage for a progress.
func (s *staging) now(over bool) string {
	if s == nil || over {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.legs[s.at]
	return fmt.Sprintf("stage %d of %d, %s %d", l.stage, s.legs[len(s.legs)-1].stage, l.shape, l.workers)
}

// seen are the stages that have begun, that which is not over as it was when it began.
func (s *staging) seen() []reports.Stage {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows)
}

// ended ends a leg that is not over, and says how many were held at the least in those that
// asked for most, and how long all holds lasted.
func (s *staging) ended(now time.Time) (fewest int, hold time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.rows); n > 0 && s.rows[n-1].To == 0 {
		s.finish(now)
	}
	most := 0
	for _, row := range s.rows {
		switch {
		case row.Asked > most:
			most, fewest = row.Asked, row.Fewest
		case row.Asked == most:
			fewest = min(fewest, row.Fewest)
		}
		if row.HeldFrom > 0 {
			hold += seconds(row.To - row.HeldFrom)
		}
	}
	return fewest, hold
}
