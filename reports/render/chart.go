package render

import (
	"math"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// absurd is a figure that no run gives and no axis takes.
const absurd = 1e15

// drawn are those of the plots that have something to show, fit for their axes.
func drawn(plots ...plot.Plot) []plot.Plot {
	var all []plot.Plot
	for _, p := range plots {
		p.Bands, p.Lines, p.Dots = sane(p.Bands), sane(p.Lines), sane(p.Dots)
		if len(p.Blocks) > 0 || wide(p.Bands, p.Lines, p.Dots) {
			all = append(all, p)
		}
	}
	return all
}

// sane leaves out what no axis takes.
func sane(all []plot.Series) []plot.Series {
	for i := range all {
		all[i].Points = slices.DeleteFunc(all[i].Points, func(p plot.Point) bool { return !(math.Abs(p.X) < absurd && math.Abs(p.Y) < absurd) })
	}
	return slices.DeleteFunc(all, func(s plot.Series) bool { return len(s.Points) == 0 })
}

// wide says whether there are two points beside each other: one is no plot.
func wide(all ...[]plot.Series) bool {
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range slices.Concat(all...) {
		for _, p := range s.Points {
			low, high = min(low, p.X), max(high, p.X)
		}
	}
	return low < high
}

// limits are the service levels of rounds and of fan-out, to be drawn, in seconds.
func limits(levels []reports.Threshold) []plot.Rule {
	var rules []plot.Rule
	for _, t := range levels {
		if t.Unit == "s" && (strings.HasPrefix(t.Metric, "round") || strings.HasPrefix(t.Metric, "fanout")) {
			rules = append(rules, plot.Rule{Text: reports.Clean(t.Expr), At: t.Limit})
		}
	}
	return rules
}

// far is how many times the highest time a limit may be and still be drawn where it is:
// else all other things would lie flat.
const far = 3

// timeUnit is the unit that suits times up to so many seconds, and how many there are in
// a second.
func timeUnit(most float64) (unit string, scale float64) {
	if most < 1 {
		return "milliseconds", 1e3
	}
	return "seconds", 1
}

// ofTime puts what a plot has in seconds on an axis of the unit that suits it.
func ofTime(p plot.Plot) plot.Plot {
	most := 0.
	for _, l := range p.Lines {
		for _, pt := range l.Points {
			most = max(most, pt.Y)
		}
	}
	unit, scale := timeUnit(most)
	p.Y.Label, p.Y.Say = unit, func(v float64) string { return seconds(v / scale) }
	for _, all := range [][]plot.Series{p.Lines, p.Dots} {
		for _, l := range all {
			for i := range l.Points {
				l.Points[i].Y *= scale
			}
		}
	}
	for i, r := range p.Rules {
		if !r.Upright {
			p.Rules[i].At, p.Rules[i].Beyond = r.At*scale, r.At > far*most
		}
	}
	return p
}
