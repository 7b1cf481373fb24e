package loadgen

import (
	"slices"
	"sync"
	"time"
)

// What becomes of the held polls of workers that go.
var (
	left     = failed(classStopped, "left the fleet")
	vanished = failed(classStopped, "vanished")
)

// presence is whether a worker is in the fleet.
type presence uint8

const (
	present presence = iota
	going            // was told to go, and what becomes of its poll is not known yet
	away
	gaveUp
)

// comings has workers leave the fleet while their polls are held, and come again as
// processes that know nothing but their key.
type comings struct {
	r  *run
	mu sync.Mutex
	is []presence // by the worker's index
}

func newComings(r *run) *comings { return &comings{r: r, is: make([]presence, len(r.workers))} }

// count is how many workers are so, of those from that index on; the lock is held.
func (c *comings) count(p presence, from int) (n int) {
	for _, is := range c.is[from:] {
		if is == p {
			n++
		}
	}
	return n
}

// end ends the polls of so many of these workers, of whom are held; the lock is held.
func (c *comings) end(workers []*worker, most int, why *failure) (ended int) {
	c.r.t.parking.endAll(workers, func(w *worker) *failure {
		if ended == most || c.is[w.index] != present || w.step != stepPoll || !w.out.held {
			return nil
		}
		ended++
		c.is[w.index] = going
		return why
	})
	return ended
}

// heard sees that an answer had come to a worker before its poll was ended.
func (c *comings) heard(w *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.out.fail != left && w.out.fail != vanished && c.is[w.index] == going {
		c.is[w.index] = present
	}
}

// gone takes a worker that is nobody's.
func (c *comings) gone(w *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.is[w.index] = away
}

// lost sees a worker give up.
func (c *comings) lost(w *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.is[w.index] = gaveUp
}

// come has a worker that is away come again, as one whose first request is due; the lock is
// held.
func (c *comings) come(w *worker, now time.Duration) {
	c.is[w.index] = present
	w.restart()
	w.gotOn(now)
	c.r.t.census.move(w, w.sends())
	c.r.away.Add(-1)
}

// from are all workers, from any number of one on.
func from(all []*worker, pick uint64) []*worker {
	i := int(pick % uint64(len(all)))
	return slices.Concat(all[i:], all[:i])
}
