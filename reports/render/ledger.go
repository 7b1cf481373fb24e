package render

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// capacity is the ledger, the smallest limit on top, then those that are
// unknown, since each might be smaller still.
func capacity(r reports.Report) section {
	if r.Capacity == nil {
		return section{}
	}
	rows := slices.SortedStableFunc(slices.Values(r.Capacity.Ledger), func(a, b reports.Row) int {
		return cmp.Or(
			-boolCompare(a.Limit == r.Capacity.Limit, b.Limit == r.Capacity.Limit),
			-boolCompare(a.Unknown(), b.Unknown()),
			boolCompare(a.NoLimit, b.NoLimit),
			cmp.Compare(orZero(a.Workers), orZero(b.Workers)),
		)
	})
	measured := slices.ContainsFunc(rows, func(x reports.Row) bool { return x.Measured != nil })
	last := "headroom"
	if measured {
		last = "measured" // which tells more
	}
	g := &grid{head: []string{"limit", "safe", "likely", "hard", "in use", last, "read from"}, text: []int{0, 6}, checks: true}
	var unproven []string
	for _, x := range rows {
		inUse := ""
		if x.InUse != nil {
			inUse = count(*x.InUse) + " " + x.InUseUnit
			if x.InUseUnit == "bytes" {
				inUse = size(float64(*x.InUse))
			}
		}
		n := x.Headroom
		switch {
		case measured:
			n = x.Measured
		case workersOf(x) == noLimit:
			n = nil
		}
		g.rows = append(g.rows, []string{x.Limit, workersOf(x), likely(x), bestOf(x), inUse, orEmpty(n), x.Source})
		if x.Proof == "" || x.Proof == "unproven" {
			unproven = append(unproven, x.Limit)
		}
	}
	s := section{title: "What each limit supports, in workers", grid: g, figures: []plot.Plot{ledger(r)}}
	if r.Kind == reports.KindCapacity {
		s.notes = append(s.notes, measurement(r.Capacity)...)
	} else if r.Capacity.Limit != "" {
		note := "the limit is " + r.Capacity.Limit
		if slices.ContainsFunc(rows, func(x reports.Row) bool { return x.Unknown() }) {
			note += "; the limits that are unknown follow it, since each might be lower"
		}
		s.notes = append(s.notes, note)
	}
	if slices.ContainsFunc(rows, func(x reports.Row) bool { return likely(x) != "" }) {
		s.notes = append(s.notes, likelyNote)
	}
	if len(unproven) > 0 {
		s.notes = append(s.notes, "no experiment has proven the formula of "+strings.Join(unproven, ", "))
	}
	return s
}

// measurement sets what was measured beside what was predicted, and tells what
// showed the limit.
func measurement(c *reports.Capacity) []string {
	var notes []string
	switch {
	case c.FailedAt == 0:
		notes = append(notes, "no level failed, so no limit showed")
	case c.Limit != "":
		notes = append(notes, "the limit is "+c.Limit+", by what the server and its clients showed at "+Plural(c.FailedAt, "worker"))
	case c.AtLeast:
		notes = append(notes, "nothing is known of the server at "+Plural(c.FailedAt, "worker")+", so no limit of its showed")
	default:
		notes = append(notes, "which limit it was is not known from what was seen at "+Plural(c.FailedAt, "worker"))
	}
	for _, e := range c.Evidence {
		notes = append(notes, "seen: "+e)
	}
	if c.Predicted == nil {
		return append(notes, "nothing was predicted")
	}
	note := fmt.Sprintf("predicted: %s workers, by %s; measured: %s", count(*c.Predicted), c.PredictedBy, atLeast(c))
	if d := c.Workers - *c.Predicted; d != 0 && *c.Predicted > 0 && (!c.AtLeast || d > 0) {
		more := "more"
		if d < 0 {
			d, more = -d, "fewer"
		}
		note += fmt.Sprintf(", %s %s", percent(float64(d)/float64(*c.Predicted)), more)
	}
	notes = append(notes, note)
	if len(c.Unknown) > 0 {
		notes = append(notes, "limits that are unknown, and might be lower than predicted: "+strings.Join(c.Unknown, ", "))
	}
	return notes
}

// likely is the bound between safe and hard, where these differ.
func likely(r reports.Row) string {
	switch {
	case bestOf(r) == "":
		return ""
	case r.WorkersLikely == nil:
		return "?"
	case *r.WorkersLikely >= math.MaxInt32:
		return noLimit
	}
	return count(*r.WorkersLikely)
}

const likelyNote = "likely: in nine of ten runs of an experiment with workers that came one by one; ?: no experiment tells"

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func orZero[N int | float64](n *N) N {
	if n == nil {
		return 0
	}
	return *n
}

func orEmpty(n *int) string {
	if n == nil {
		return ""
	}
	return count(*n)
}

// workersOf is how many workers a limit surely supports, in words.
func workersOf(r reports.Row) string {
	switch {
	case r.NoLimit, r.Workers != nil && *r.Workers >= math.MaxInt32:
		return noLimit
	case r.Workers == nil:
		return "unknown"
	}
	return count(*r.Workers)
}

// noLimit stands for more workers than any deployment has.
const noLimit = "no limit"

// bestOf is how many it supports where all goes well, in words; "" where that is no
// other number.
func bestOf(r reports.Row) string {
	if r.HardNoLimit || orZero(r.WorkersHard) >= math.MaxInt32 {
		return noLimit
	}
	return orEmpty(r.WorkersHard)
}
