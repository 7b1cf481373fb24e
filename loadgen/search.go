package loadgen

import (
	"context"
	"errors"
	"fmt"

	"github.com/fltool/fltool/reports"
)

// Search says how capacity is sought: by steps up to the first level that does
// not hold, or by doubling up to it and then halving what lies between.
type Search struct {
	From    int // the first level
	To      int // the last; 0: none, the search ends where a level does not hold
	Step    int // from level to level; 0: double, then halve
	Within  int // halving ends once the answer is known to so many workers; 0: to 2 %
	Confirm int // how many more times the answer must hold
}

// Outcome is what became of a level.
type Outcome int

// The outcomes. A level that can't be told bounds the search as one that failed
// does, and proves nothing about the server.
const (
	LevelHeld Outcome = iota
	LevelFailed
	LevelUnknown // the generator was the limit, or the run was cut short
)

// OutcomeOf reads the outcome off a level's report, whose thresholds have been
// judged.
func OutcomeOf(r reports.Report) Outcome {
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
	Outcome Outcome
	Report  reports.Report
}

// Found is the answer of a search: all levels below the lowest that did not hold
// held, every time they were tried.
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
func (s Search) Find(ctx context.Context, level func(ctx context.Context, workers int) (reports.Report, error)) (Found, error) {
	if err := s.check(); err != nil {
		return Found{}, err
	}
	var tried []Tried
	for {
		n, more := s.next(tried)
		if !more {
			return s.found(tried), nil
		}
		r, err := level(ctx, n)
		if err != nil {
			return s.found(tried), fmt.Errorf("level of %s: %w", workersOf(n), err)
		}
		tried = append(tried, Tried{n, OutcomeOf(r), r})
		if ctx.Err() != nil {
			f := s.found(tried)
			f.AtLeast, f.Cut = true, true
			f.Notes = append(f.Notes, "interrupted: the search did not come to its end")
			return f, nil
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

// bounds are the lowest level that did not hold (0: none), the highest below it
// that did (0: none), and how often that held.
func bounds(tried []Tried) (bar, good, times int) {
	for _, t := range tried {
		if t.Outcome != LevelHeld && (bar == 0 || t.Workers < bar) {
			bar = t.Workers
		}
	}
	for _, t := range tried {
		if t.Outcome != LevelHeld || bar != 0 && t.Workers >= bar {
			continue
		}
		switch {
		case t.Workers > good:
			good, times = t.Workers, 1
		case t.Workers == good:
			times++
		}
	}
	return bar, good, times
}

// next is the level to try after those tried; false: the answer is known.
func (s Search) next(tried []Tried) (workers int, more bool) {
	bar, good, times := bounds(tried)
	switch {
	case len(tried) == 0:
		return s.From, true
	case bar == 0 && (s.To == 0 || good < s.To):
		up := 2 * good
		if s.Step > 0 {
			up = good + s.Step
		}
		if s.To > 0 {
			up = min(up, s.To)
		}
		return up, true
	case bar != 0 && s.Step == 0 && bar-good > s.within(good):
		return good + (bar-good)/2, true
	case good > 0 && times <= s.Confirm:
		return good, true
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
	bar, good, _ := bounds(tried)
	f := Found{Workers: good, AtLeast: true, Failed: bar, Tried: tried}
	for _, t := range tried {
		switch {
		case t.Workers == bar && t.Outcome == LevelFailed:
			f.AtLeast = false
		case t.Outcome == LevelHeld && bar != 0 && t.Workers == bar:
			f.Notes = append(f.Notes, fmt.Sprintf("%s held once and not another time: the deployment is near its limit there, or something else disturbs it", workersOf(bar)))
		case t.Outcome == LevelHeld && bar != 0 && t.Workers > bar:
			f.Notes = append(f.Notes, fmt.Sprintf("%s held, and %d did not: the answer is below the lowest that did not", workersOf(t.Workers), bar))
		}
	}
	return f
}
