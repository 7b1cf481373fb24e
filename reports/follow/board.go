// Package follow shows a run to others while it lasts: to Prometheus as metrics, and in a
// browser as the report that it will have, which grows.
package follow

import (
	"maps"
	"sync"

	"github.com/fltool/fltool/reports"
)

// Board is what is known of a command's runs: of the one that goes on, or else of the last.
// Its methods may be called from any goroutine; the zero value has seen no run.
type Board struct {
	mu     sync.Mutex
	now    reports.Progress
	soFar  func() reports.Report
	levels []reports.Level
	ended  map[reports.Verdict]int
}

// Tell puts up how far a run has come; it is a loadgen.Follower.
func (b *Board) Tell(now reports.Progress, soFar func() reports.Report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now, b.soFar = now, soFar
}

// Ended counts a run that is over; levels are those of a search until then.
func (b *Board) Ended(v reports.Verdict, levels ...reports.Level) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == nil {
		b.ended = map[reports.Verdict]int{}
	}
	b.ended[v]++
	b.levels = levels
}

// view is the board at a moment.
type view struct {
	now    reports.Progress
	report reports.Report // so far; its zero value before the first run
	ended  map[reports.Verdict]int
}

// look is for readers: the report is made for them.
func (b *Board) look() view {
	b.mu.Lock()
	v, soFar, levels := view{now: b.now, ended: maps.Clone(b.ended)}, b.soFar, b.levels
	b.mu.Unlock()
	if soFar != nil {
		v.report = soFar() // not while the run is kept waiting
	}
	v.report.Levels = levels
	return v
}
