package loadgen

import (
	"math"
	"sync/atomic"
)

// gauge counts the polls that are held at this moment: vegeta gives no result
// for them until they end.
type gauge struct {
	now, peak, low atomic.Int64 // low: the fewest since watch, MaxInt64 before it
	settled        atomic.Int64 // workers that have come as far as polling for the plan's Hold, or are lost
	polled         atomic.Int64 // those of them that have polled for it
	cut            atomic.Int64 // workers whose held poll was lost
	reconnects     atomic.Int64 // idle connections found closed before a request was sent
}

func newGauge() *gauge {
	g := &gauge{}
	g.low.Store(math.MaxInt64)
	return g
}

func (g *gauge) park() {
	n := g.now.Add(1)
	for {
		old := g.peak.Load()
		if n <= old || g.peak.CompareAndSwap(old, n) {
			return
		}
	}
}

func (g *gauge) leave() { g.lower(g.now.Add(-1), false) }

// watch begins the window in which the fewest held polls count, anew if there was one.
func (g *gauge) watch() {
	g.low.Store(math.MaxInt64)
	g.lower(g.now.Load(), true)
}

func (g *gauge) lower(n int64, begin bool) {
	for {
		old := g.low.Load()
		if n >= old || old == math.MaxInt64 && !begin || g.low.CompareAndSwap(old, n) {
			return
		}
	}
}

// fewest is the fewest polls held at any moment of the window; 0 without one.
func (g *gauge) fewest() int {
	if n := g.low.Load(); n != math.MaxInt64 {
		return int(n)
	}
	return 0
}
