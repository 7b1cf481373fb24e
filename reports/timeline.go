package reports

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// shiftTimeline counts a timeline from another start, in whole seconds.
func shiftTimeline(ticks []Tick, from, to time.Time) []Tick {
	by := from.Round(time.Second).Sub(to.Round(time.Second)).Seconds()
	ticks = slices.Clone(ticks)
	for i := range ticks {
		ticks[i].T += by
	}
	return ticks
}

// maxGap is how many seconds what was held is taken to last where ticks are
// missing; a longer gap stays a gap.
const maxGap = 10

// wholeSeconds puts a shard's ticks on whole seconds, one a second: two that
// fall together add, and what was held lasts over a tick that came late.
func wholeSeconds(ticks []Tick) []Tick {
	var whole []Tick
	for _, t := range ticks {
		t.T = math.Round(t.T)
		last := len(whole) - 1
		if last < 0 {
			whole = append(whole, t)
			continue
		}
		if w := &whole[last]; t.T <= w.T {
			w.Held = t.Held
			w.Sent += t.Sent
			w.Done += t.Done
			w.Errors += t.Errors
			w.Classes = addCounts(w.Classes, t.Classes)
			continue
		}
		if t.T-whole[last].T <= maxGap {
			for whole[len(whole)-1].T < t.T-1 {
				w := whole[len(whole)-1]
				whole = append(whole, Tick{T: w.T + 1, Held: w.Held})
			}
		}
		whole = append(whole, t)
	}
	return whole
}

// addTimelines adds two timelines second by second.
func addTimelines(a, b []Tick) []Tick {
	sum := union(a, b, func(t Tick) float64 { return t.T }, func(x, y Tick) Tick {
		return Tick{
			T: x.T, Held: x.Held + y.Held, Sent: x.Sent + y.Sent, Done: x.Done + y.Done,
			Errors: x.Errors + y.Errors, Classes: addCounts(x.Classes, y.Classes),
		}
	})
	slices.SortFunc(sum, func(x, y Tick) int { return cmp.Compare(x.T, y.T) })
	return sum
}

func shiftLost(lost []Lost, from, to time.Time) []Lost {
	lost = slices.Clone(lost)
	for i := range lost {
		lost[i].Seconds += from.Sub(to).Seconds()
	}
	return lost
}
