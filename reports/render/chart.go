package render

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// absurd is a figure that no run gives and no axis takes.
const absurd = 1e15

// charts are the plots that a report has data for.
func charts(r reports.Report) []plot.Plot {
	var all []plot.Plot
	for _, of := range []func(reports.Report) plot.Plot{
		ledger, levelTimes, levelMemory, levelFDs, heldOverTime, roundTimes, fanoutPercentiles, errorsOverTime,
	} {
		p := of(r)
		p.Bands, p.Lines, p.Dots = sane(p.Bands), sane(p.Lines), sane(p.Dots)
		if len(p.Blocks)+len(p.Bands)+len(p.Lines)+len(p.Dots) > 0 {
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

func roundTimes(r reports.Report) plot.Plot {
	var round, fanout []plot.Point
	for _, x := range r.Rounds {
		round = append(round, plot.Point{X: float64(x.Number), Y: x.Seconds})
		if x.Told > 0 {
			fanout = append(fanout, plot.Point{X: float64(x.Number), Y: x.FanoutSeconds})
		}
	}
	return ofTime(plot.Plot{
		Title: "Time of each round", X: plot.Axis{Label: "round", Whole: true, Say: numbered("round")},
		Lines: []plot.Series{{Name: "round", Points: round}, {Name: "fan-out", Points: fanout}},
		Rules: limits(r.Thresholds),
	})
}

func fanoutPercentiles(r reports.Report) plot.Plot {
	p := plot.Plot{Title: "Fan-out: when workers were notified, by share of workers", X: plot.Axis{
		Label: "share of workers notified",
		Ticks: []plot.Tick{{At: 0, Text: "0"}, {At: 1, Text: "90 %"}, {At: 2, Text: "99 %"}, {At: 3, Text: "99.9 %"}, {At: 4, Text: "99.99 %"}},
		Say:   func(x float64) string { return percent(1 - math.Pow(10, -x)) },
	}}
	for _, s := range r.Series {
		if s.Name != "wakeup" || s.Histogram.Count() == 0 {
			continue
		}
		// As far out as the samples go.
		last := min(math.Log10(float64(s.Histogram.Count())), 4)
		p.X.Ticks = slices.DeleteFunc(p.X.Ticks, func(t plot.Tick) bool { return t.At > last })
		var pts []plot.Point
		for x := 0.; x <= last; x += .05 {
			pts = append(pts, plot.Point{X: x, Y: s.Histogram.Quantile(1 - math.Pow(10, -x)).Seconds()})
		}
		p.Lines = append(p.Lines, plot.Series{Name: "fan-out", Points: pts})
	}
	return ofTime(p)
}

// runTime is the axis of a run's time.
var runTime = plot.Axis{Label: "seconds since the start", Say: seconds}

func heldOverTime(r reports.Report) plot.Plot {
	var pts []plot.Point
	for _, t := range r.Timeline {
		pts = append(pts, plot.Point{X: t.T, Y: float64(t.Held)})
	}
	return plot.Plot{
		Title: "Polls held", X: runTime, Y: plot.Axis{Label: "polls", Whole: true},
		Bands: []plot.Series{{Name: "held", Points: plot.Thin(pts, math.Min)}}, Rules: actsOf(r),
	}
}

func errorsOverTime(r reports.Report) plot.Plot {
	p := plot.Plot{Title: "Errors a second", X: runTime, Y: plot.Axis{Label: "errors", Whole: true}, Rules: actsOf(r)}
	if len(r.Errors) == 0 {
		return p
	}
	by := map[string][]plot.Point{}
	var order []string
	for _, e := range r.Errors {
		order = append(order, e.Class)
	}
	told := slices.ContainsFunc(r.Timeline, func(t reports.Tick) bool { return len(t.Classes) > 0 })
	if !told {
		order = []string{"all classes"}
	}
	for _, t := range r.Timeline {
		for _, class := range order {
			n := t.Classes[class]
			if !told {
				n = t.Errors
			}
			by[class] = append(by[class], plot.Point{X: t.T, Y: float64(n)})
		}
	}
	for _, class := range order[:min(len(order), plot.Colours)] {
		p.Lines = append(p.Lines, plot.Series{Name: reports.Clean(class), Points: plot.Thin(by[class], math.Max)})
	}
	return p
}

// actsOf are the commands of a drill, as lines across the time of the run.
func actsOf(r reports.Report) []plot.Rule {
	if r.Drill == nil {
		return nil
	}
	var rules []plot.Rule
	for _, a := range r.Drill.Acts {
		name := []rune(reports.Clean(a.Command))
		if len(name) > longestMark {
			name = append(name[:longestMark-1], '…')
		}
		rules = append(rules, plot.Rule{Text: string(name), At: a.At, Upright: true})
	}
	return rules
}

// longestMark is how many characters of a command stand in a plot.
const longestMark = 40

// numbered says the number of something.
func numbered(noun string) func(float64) string {
	return func(v float64) string { return fmt.Sprintf("%s %g", noun, v) }
}

// limits are the service levels of rounds and of fan-out, to be drawn.
func limits(levels []reports.Threshold) []plot.Rule {
	var rules []plot.Rule
	for _, t := range levels {
		if t.Unit == "s" && (strings.HasPrefix(t.Metric, "round") || strings.HasPrefix(t.Metric, "fanout")) {
			rules = append(rules, plot.Rule{Text: reports.Clean(t.Expr), At: t.Limit})
		}
	}
	return rules
}

// far is how many times the highest time a limit may be and still be drawn: beyond
// it, all else would lie flat.
const far = 3

// ofTime puts what a plot has in seconds on an axis of the unit that suits it.
func ofTime(p plot.Plot) plot.Plot {
	most := 0.
	for _, l := range p.Lines {
		for _, pt := range l.Points {
			most = max(most, pt.Y)
		}
	}
	p.Rules = slices.DeleteFunc(p.Rules, func(r plot.Rule) bool { return !r.Upright && r.At > far*most })
	p.Y.Label, p.Y.Say = "seconds", seconds
	if most < 1 {
		p.Y.Label, p.Y.Say = "milliseconds", func(ms float64) string { return seconds(ms / 1e3) }
		for _, l := range p.Lines {
			for i := range l.Points {
				l.Points[i].Y *= 1e3
			}
		}
		for i := range p.Rules {
			if !p.Rules[i].Upright {
				p.Rules[i].At *= 1e3
			}
		}
	}
	return p
}
