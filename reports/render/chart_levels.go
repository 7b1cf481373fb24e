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

// workersAxis is an axis of how many workers a level had.
var workersAxis = plot.Axis{Label: "workers", Whole: true, Say: func(v float64) string { return Plural(int(v), "worker") }}

// heldAt is the line at the most workers that were held.
func heldAt(r reports.Report) []plot.Rule {
	if r.Capacity == nil || r.Capacity.Workers <= 0 {
		return nil
	}
	return []plot.Rule{{Text: "holds " + atLeast(r.Capacity), At: float64(r.Capacity.Workers), Upright: true}}
}

func levelTimes(r reports.Report) plot.Plot {
	var round, fanout []plot.Point
	var levels []reports.Threshold
	for _, l := range byWorkers(r) {
		if s := slowestRound(l.Rounds); s > 0 {
			round = append(round, plot.Point{X: float64(l.Workers), Y: s})
		}
		if l.FanoutSeconds > 0 {
			fanout = append(fanout, plot.Point{X: float64(l.Workers), Y: l.FanoutSeconds})
		}
		levels = l.Thresholds // the same at each
	}
	return ofTime(plot.Plot{
		Title: "Round and fan-out by number of workers", X: workersAxis,
		Lines: []plot.Series{{Name: "slowest round", Points: round}, {Name: "fan-out", Points: fanout}},
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
	var held, failed []plot.Point
	for _, l := range byWorkers(r) {
		for _, x := range l.Resources {
			p := plot.Point{X: float64(l.Workers), Y: of(x) / size}
			switch {
			case x.Process != "server":
			case l.Verdict == reports.VerdictPass || l.Verdict == reports.VerdictWarn:
				held = append(held, p)
			default:
				failed = append(failed, p)
			}
		}
	}
	p := plot.Plot{
		Title: title, X: workersAxis, Y: plot.Axis{Label: unit, Say: func(v float64) string { return digits(v) + " " + unit }},
		Dots:  []plot.Series{{Name: "measured", Points: held}, {Name: "at levels not held", Points: failed}},
		Rules: heldAt(r),
	}
	for _, s := range r.Slopes {
		if s.Of != metric || len(s.Workers) == 0 {
			continue
		}
		line := plot.Series{Name: fmt.Sprintf("slope: %s a worker", figure(s.PerWorker, s.Unit))}
		for _, x := range []float64{slices.Min(s.Workers), slices.Max(s.Workers)} {
			line.Points = append(line.Points, plot.Point{X: x, Y: (s.Intercept + s.PerWorker*x) / size})
		}
		p.Lines = append(p.Lines, line)
	}
	return p
}
