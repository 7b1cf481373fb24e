package render

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// byWorkers are the levels of a search, the smallest first: they were tried in
// another order.
func byWorkers(r reports.Report) []reports.Level {
	return slices.SortedStableFunc(slices.Values(r.Levels), func(a, b reports.Level) int { return cmp.Compare(a.Workers, b.Workers) })
}

// levelPlots are what levels are drawn by: what the workers met, what the server used,
// and what else a service level was set for.
func levelPlots(r reports.Report) []plot.Plot {
	plots := []plot.Plot{levelTimes(r), levelMemory(r), levelFDs(r)}
	for _, expr := range otherLimits(r) {
		plots = append(plots, levelMetric(r, expr))
	}
	return plots
}

// workersAxis is an axis of how many workers a level had.
var workersAxis = plot.Axis{Label: "workers", Whole: true, Say: func(v float64) string { return Plural(int(v), "worker") }}

// heldAt is the line at the most workers that were held: the knee.
func heldAt(r reports.Report) []plot.Rule {
	if r.Capacity == nil || r.Capacity.Workers <= 0 {
		return nil
	}
	return []plot.Rule{{Text: "holds " + atLeast(r.Capacity), At: float64(r.Capacity.Workers), Upright: true}}
}

// stood says whether a level held.
func stood(l reports.Level) bool {
	return l.Verdict == reports.VerdictPass || l.Verdict == reports.VerdictWarn
}

// atLevel is a point a level, of those that have one.
func atLevel(r reports.Report, of func(reports.Level) (float64, bool)) []plot.Point {
	var pts []plot.Point
	for _, l := range byWorkers(r) {
		if y, ok := of(l); ok {
			pts = append(pts, plot.Point{X: float64(l.Workers), Y: y})
		}
	}
	return pts
}

func levelTimes(r reports.Report) plot.Plot {
	round := func(l reports.Level) (float64, bool) { s := slowestRound(l.Rounds); return s, s > 0 }
	fanout := func(l reports.Level) (float64, bool) { return l.FanoutSeconds, l.FanoutSeconds > 0 }
	failed := func(l reports.Level) (float64, bool) {
		y, ok := round(l)
		if !ok {
			y, ok = fanout(l)
		}
		return y, ok && !stood(l)
	}
	var levels []reports.Threshold
	for _, l := range r.Levels {
		levels = l.Thresholds // the same at each
	}
	return ofTime(plot.Plot{
		Title: "Round and fan-out by number of workers", Wide: true, X: workersAxis,
		Lines: []plot.Series{{Name: "slowest round", Points: atLevel(r, round)}, {Name: "fan-out", Points: atLevel(r, fanout)}},
		Dots:  []plot.Series{{Name: "not held", Colour: plot.Red, Points: atLevel(r, failed)}},
		Rules: append(limits(levels), heldAt(r)...),
	})
}

func levelMemory(r reports.Report) plot.Plot {
	return levelResource(r, "Server memory by number of workers", "MiB", "server.rss", 1<<20,
		func(x reports.Resource) float64 { return float64(x.RSSPeakBytes) })
}

func levelFDs(r reports.Report) plot.Plot {
	return levelResource(r, "Server descriptors by number of workers", "descriptors", "server.fds", 1,
		func(x reports.Resource) float64 { return float64(x.FDsPeak) })
}

// levelResource is what the server used at each level, in so large units, with the
// line that the report draws through those that held.
func levelResource(r reports.Report, title, unit, metric string, size float64, of func(reports.Resource) float64) plot.Plot {
	used := func(held bool) []plot.Point {
		return atLevel(r, func(l reports.Level) (float64, bool) {
			for _, x := range l.Resources {
				if x.Process == "server" {
					return of(x) / size, stood(l) == held
				}
			}
			return 0, false
		})
	}
	p := plot.Plot{
		Title: title, X: workersAxis, Y: plot.Axis{Label: unit, Say: func(v float64) string { return digits(v) + " " + unit }},
		Dots:  []plot.Series{{Name: "measured", Colour: plot.Blue, Points: used(true)}, {Name: "not held", Colour: plot.Red, Points: used(false)}},
		Rules: heldAt(r),
	}
	for _, l := range r.Levels {
		for _, t := range l.Thresholds {
			if rule := (plot.Rule{Text: reports.Clean(t.Expr), At: t.Limit / size}); t.Metric == metric && !slices.Contains(p.Rules, rule) {
				p.Rules = append(p.Rules, rule)
			}
		}
	}
	for _, s := range r.Slopes {
		if s.Of != metric || len(s.Workers) == 0 {
			continue
		}
		line := plot.Series{Name: fmt.Sprintf("slope: %s a worker", figure(s.PerWorker, s.Unit)), Colour: plot.Grey}
		for _, x := range []float64{slices.Min(s.Workers), slices.Max(s.Workers)} {
			line.Points = append(line.Points, plot.Point{X: x, Y: (s.Intercept + s.PerWorker*x) / size})
		}
		p.Lines = append(p.Lines, line)
	}
	return p
}

// otherLimits are the service levels of what the other plots don't show.
func otherLimits(r reports.Report) []string {
	var exprs []string
	for _, l := range r.Levels {
		for _, t := range l.Thresholds {
			shown := t.Metric == "server.rss" || t.Metric == "server.fds" || len(limits([]reports.Threshold{t})) > 0
			if !shown && !slices.Contains(exprs, t.Expr) {
				exprs = append(exprs, t.Expr)
			}
		}
	}
	return exprs
}

// levelMetric is what a service level was set for, at each level, with its line.
func levelMetric(r reports.Report, expr string) plot.Plot {
	var of reports.Threshold
	got := atLevel(r, func(l reports.Level) (float64, bool) {
		for _, t := range l.Thresholds {
			if t.Expr == expr {
				of = t
				return orZero(t.Got), t.Got != nil
			}
		}
		return 0, false
	})
	if !slices.ContainsFunc(got, func(p plot.Point) bool { return p.Y != 0 }) {
		return plot.Plot{} // nothing was to be seen of it at any level
	}
	p := plot.Plot{
		Title: reports.Clean(of.Metric) + " by number of workers", X: workersAxis,
		Y:     plot.Axis{Label: of.Unit, Say: func(v float64) string { return figure(v, of.Unit) }},
		Lines: []plot.Series{{Name: reports.Clean(of.Metric), Points: got}},
		Rules: append([]plot.Rule{{Text: reports.Clean(expr), At: of.Limit}}, heldAt(r)...),
	}
	switch of.Unit {
	case "s":
		return ofTime(p)
	case "1":
		p.Y.Label = "of 1"
	}
	return p
}
