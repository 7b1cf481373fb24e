package server

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// wasteLife is how long it takes until half of what was inflated for nothing is
// forgiven.
const wasteLife = 10 * time.Second

// shares is the room that shares the CPU among updates that are inflated, before it
// is known whether they are worth is. They take turns, each while it computes and
// not while it waits for its client or the disk; one CPU, if there are several,
// is left to all else. The next turn is that of the worker for which least has
// been inflated: in this update, and lately for nothing.
type shares struct {
	mu      sync.Mutex
	free    int // turns
	waiting []*share
	wasted  map[string]int64 // bytes inflated for nothing, by worker
	halved  time.Time        // when wasted was
}

// share is what one update had.
type share struct {
	worker string
	bytes  int64         // inflated
	mine   chan struct{} // has one when it is its turn
}

func newShare(worker string) share { return share{worker: worker, mine: make(chan struct{}, 1)} }

func newShares() *shares {
	return &shares{free: max(1, runtime.GOMAXPROCS(0)-1), wasted: map[string]int64{}, halved: time.Now()}
}

// take waits for a turn.
func (s *shares) take(u *share) {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return
	}
	s.waiting = append(s.waiting, u)
	s.mu.Unlock()
	<-u.mine
}

// give passes a turn on.
func (s *shares) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		s.free++
		return
	}
	next := 0
	for i, u := range s.waiting {
		if s.cost(u) < s.cost(s.waiting[next]) {
			next = i
		}
	}
	u := s.waiting[next]
	s.waiting = slices.Delete(s.waiting, next, next+1)
	u.mine <- struct{}{} // has room
}

func (s *shares) cost(u *share) int64 { return u.bytes + s.wasted[u.worker] }

// waste notes that all of an update was inflated for nothing.
func (s *shares) waste(u *share) {
	if u.bytes == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.halved) >= wasteLife {
		s.halved = now
		for worker, bytes := range s.wasted {
			if s.wasted[worker] = bytes / 2; bytes < 2 {
				delete(s.wasted, worker)
			}
		}
	}
	s.wasted[u.worker] += u.bytes
}
