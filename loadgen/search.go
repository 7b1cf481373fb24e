package loadgen

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fltool/fltool/reports"
)

// Search says how capacity is sought: by steps up to the first level that does
// not hold, or by doubling up to it and then halving what lies between. Where a level
// that did not hold shows how many places the server has, so many are tried next.
type Search struct {
	From    int // the first level
	To      int // the last; 0: none, the search ends where a level does not hold
	Step    int // from level to level; 0: double, then halve
	Within  int // halving ends once the answer is known to so many workers; 0: to 2 %
	Confirm int // how many more times the answer must hold
}

// LevelResult is what became of a level.
type LevelResult int

// The results. A level that can't be told bounds the search as one that failed
// does, unless it has held, and proves nothing about the server.
const (
	LevelHeld    LevelResult = iota
	LevelFailed              //
	LevelUnknown             // the generator was the limit
	LevelSpoiled             // what the levels before left disturbed it, and would disturb the next
	LevelCut                 // the search was ended meanwhile
)

// LevelResultOf reads the result off a level's report, whose thresholds have been
// judged.
func LevelResultOf(r reports.Report) LevelResult {
	switch r.Verdict {
	case reports.VerdictPass, reports.VerdictWarn:
		return LevelHeld
	case reports.VerdictFail:
		return LevelFailed
	}
	return LevelUnknown
}

// Tried is one level that was run.
type Tried struct {
	Workers int
	Result  LevelResult
	Report  reports.Report
	Remains string // of the levels before, with which it began; "": nothing
}

// places is how many the server has, as the level showed; 0: it showed none.
func (t Tried) places() int {
	if t.Result != LevelFailed || t.Report.Held == nil {
		return 0
	}
	return t.Report.Held.Places
}

// Found is the answer of a search: all levels below the lowest that did not hold
// held, every time they could be told.
type Found struct {
	Workers int     // the highest level that held; 0: none did
	AtLeast bool    // nothing showed that the server holds no more
	Failed  int     // the lowest level that did not hold; 0: none
	Cut     bool    // the search was ended before its answer was sure
	Tried   []Tried // in the order of trial
	Notes   []string
}

// Find runs levels until the answer is known, ctx ends or a level can't be run at
// all, which is the error; what was found until then stands in Found.
func (s Search) Find(ctx context.Context, level func(ctx context.Context, workers int) (Tried, error)) (Found, error) {
	if err := s.check(); err != nil {
		return Found{}, err
	}
	var tried []Tried
	for {
		n, more := s.next(tried)
		if !more {
			return s.found(tried), nil
		}
		t, err := level(ctx, n)
		if err != nil {
			return s.found(tried), fmt.Errorf("level of %s: %w", workersOf(n), err)
		}
		t.Workers = n
		if ctx.Err() != nil {
			t.Result = LevelCut
		}
		if tried = append(tried, t); ctx.Err() != nil {
			return s.found(tried), nil
		}
	}
}

func (s Search) check() error {
	switch {
	case s.From < 1:
		return fmt.Errorf("from %d workers: want at least one", s.From)
	case s.To != 0 && s.To < s.From:
		return fmt.Errorf("from %d to %d workers: want an end that is not below the start", s.From, s.To)
	case s.Step < 0 || s.Within < 0 || s.Confirm < 0:
		return errors.New("step, precision and confirmations can't be negative")
	}
	return nil
}

// bounds are what the levels so far say of the answer.
type bounds struct {
	good   int // the highest level that held below all that failed; 0: none
	times  int // that it held
	doubts int // that it was tried again and could not be told
	bar    int // the lowest level above it that did not hold; 0: none
	places int // how many the server has, by the level at the bar; 0: unknown
}

// exact says whether as many held as the server has places.
func (b bounds) exact() bool { return b.places > 0 && b.good == b.places }

func boundsOf(tried []Tried) (b bounds) {
	for _, t := range tried {
		if t.Result == LevelFailed && (b.bar == 0 || t.Workers < b.bar) {
			b.bar, b.places = t.Workers, t.places()
		}
	}
	for _, t := range tried {
		if t.Result == LevelHeld && (b.bar == 0 || t.Workers < b.bar) {
			b.good = max(b.good, t.Workers)
		}
	}
	for _, t := range tried {
		switch {
		case t.Workers == b.good && t.Result == LevelHeld:
			b.times++
		case t.Workers == b.good && t.Result == LevelUnknown:
			b.doubts++
		case t.Workers > b.good && t.Result == LevelUnknown && (b.bar == 0 || t.Workers < b.bar):
			b.bar, b.places = t.Workers, 0
		}
	}
	if b.exact() {
		b.times++ // the level that failed held so many as well
	}
	return b
}

// next is the level to try after those tried; false: the answer is known, or can't
// be.
func (s Search) next(tried []Tried) (workers int, more bool) {
	b := boundsOf(tried)
	switch {
	case len(tried) == 0:
		return s.From, true
	case tried[len(tried)-1].Result == LevelSpoiled:
		return 0, false
	case b.bar == 0 && (s.To == 0 || b.good < s.To):
		up := 2 * b.good
		if s.Step > 0 {
			up = b.good + s.Step
		}
		if s.To > 0 {
			up = min(up, s.To)
		}
		return up, true
	case b.places > b.good && b.places < b.bar:
		return b.places, true
	case b.bar != 0 && s.Step == 0 && !b.exact() && b.bar-b.good > s.within(b.good):
		return b.good + (b.bar-b.good)/2, true
	case b.good > 0 && b.times+b.doubts <= s.Confirm:
		return b.good, true
	}
	return 0, false
}

func (s Search) within(good int) int {
	if s.Within > 0 {
		return s.Within
	}
	return max(1, good/50)
}

func (s Search) found(tried []Tried) Found {
	b := boundsOf(tried)
	f := Found{Workers: b.good, AtLeast: true, Failed: b.bar, Tried: tried}
	note := func(format string, a ...any) { f.Notes = append(f.Notes, fmt.Sprintf(format, a...)) }
	for _, t := range tried {
		switch {
		case t.Workers == b.bar && t.Result == LevelFailed:
			f.AtLeast = false
		case t.Result == LevelHeld && b.bar != 0 && t.Workers == b.bar:
			note("%s held once and not another time: the deployment is near its limit there, or something else disturbs it", workersOf(b.bar))
		case t.Result == LevelHeld && b.bar != 0 && t.Workers > b.bar:
			note("%s held, and %d did not: the answer is below the lowest that did not", workersOf(t.Workers), b.bar)
		case t.Result == LevelUnknown && t.Workers == b.good:
			note("%s held, and could not be tried again: %s", workersOf(b.good), strings.Join(t.Report.Reasons, "; "))
		case t.Result == LevelSpoiled:
			f.Cut = true
			note("the search ended at %s: %s", workersOf(t.Workers), strings.Join(t.Report.Reasons, "; "))
		case t.Result == LevelCut:
			f.Cut = true
			if what := "the level of " + workersOf(t.Workers); t.Workers == b.good {
				note("interrupted while %s was tried again: it held %s", what, times(b.times))
			} else {
				note("interrupted in %s: the search did not come to its end", what)
			}
		}
	}
	if f.Cut && b.places > f.Workers {
		// They were held, beside others that were not.
		f.Workers = b.places
		note("%s were held at the level of %d, and no more; they had no level of their own", workersOf(b.places), b.bar)
	}
	f.Cut = f.Cut && (b.places == 0 || f.Workers != b.places)
	f.AtLeast = f.AtLeast || f.Cut
	return f
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
