package render

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
	"github.com/fltool/fltool/reports/trend"
)

// trendWords puts the analysis of a history into words; all says whether with metrics
// that decide nothing.
func trendWords(a trend.Analysis, all bool) document {
	d := document{word: strings.ToUpper(string(a.Outcome)), verdict: outcomeVerdict[a.Outcome]}
	over := "over " + Plural(a.Commits, "commit")
	if a.Commits > 1 {
		over += fmt.Sprintf(", from %s to %s", shortCommit(a.First), shortCommit(a.Last))
	}
	d.headline = map[reports.Trend]string{
		reports.TrendSame:         "no metric that decides is worse than it was ",
		reports.TrendBetter:       "nothing is worse than it was, and something better, ",
		reports.TrendWorse:        "a regression ",
		reports.TrendInconclusive: "this history can't tell ",
	}[a.Outcome] + over
	for _, m := range a.Metrics {
		if m.Decides {
			d.reasons = append(d.reasons, since(m)...)
		}
	}
	d.reasons = append(d.reasons, a.Reasons...)

	decide := section{title: "Metrics that decide", grid: &grid{head: []string{"metric", "outcome", "first", "now", "changes", "commits"}, text: []int{0, 1}, outcome: 1}}
	changes := section{title: "Changes", grid: changeGrid()}
	others := section{title: "Other metrics, which decide nothing", detail: true, grid: &grid{head: []string{"metric", "first", "now", "changes", "commits"}, text: []int{0}}}
	otherChanges := section{title: "Changes of other metrics", detail: true, grid: changeGrid()}
	quiet := 0
	var limits, beside []string
	for _, m := range a.Metrics {
		if !m.Decides && m.Outcome == reports.TrendWorse {
			beside = append(beside, since(m)...)
		}
		levels := m.Levels()
		figures := []string{figure(levels[0].Mean, m.Unit), figure(levels[len(levels)-1].Mean, m.Unit), count(len(m.Changes)), count(len(m.Values))}
		switch {
		case m.Decides:
			decide.figures = append(decide.figures, trendPlot(m))
			decide.grid.rows = append(decide.grid.rows, slices.Concat([]string{m.Title(), outcomeWord(m.Outcome)}, figures))
			changes.grid.rows = append(changes.grid.rows, changeRows(m)...)
			if limit := m.Name + " " + limitOf(reports.Change{Metric: m.Name, Limit: m.Limit, Unit: m.Unit}); !slices.Contains(limits, limit) {
				limits = append(limits, limit)
			}
		case all:
			others.figures = append(others.figures, trendPlot(m))
			others.grid.rows = append(others.grid.rows, slices.Concat([]string{m.Title()}, figures))
			otherChanges.grid.rows = append(otherChanges.grid.rows, changeRows(m)...)
		default:
			quiet++
		}
	}
	var machines []string
	for _, m := range a.Metrics {
		for _, c := range m.Changes {
			if line := shortCommit(c.Since) + ": " + strings.Join(c.Machine, "; "); len(c.Machine) > 0 && !slices.Contains(machines, line) {
				machines = append(machines, line)
			}
		}
	}
	how := section{title: "How they decide", notes: []string{
		"worse is a level that is worse than the one before a change by more than the metric's limit: " + strings.Join(limits, ", "),
		"change: of the mean level at it; now: of today's level to that before it, so that steps add up and what was undone does not count",
		fmt.Sprintf("p: Student's t-test between the levels; a change has less than %g", a.P),
	}}
	hidden := section{title: "Not shown"}
	if quiet > 0 {
		hidden.notes = []string{fmt.Sprintf("%s, of what decides nothing: --format markdown has all", Plural(quiet, "more metric"))}
	}
	for _, s := range []section{
		decide, changes, {title: "Worse, but deciding nothing", notes: beside}, how, {title: "Another machine since then", notes: machines},
		{title: "Notes", notes: slices.Clone(a.Notes)}, others, otherChanges, hidden,
	} {
		if s.grid != nil && len(s.grid.rows) == 0 {
			s.grid = nil
		}
		if s.figures = drawn(s.figures...); s.said() {
			d.sections = append(d.sections, s.clean())
		}
	}
	for i := range d.reasons {
		d.reasons[i] = reports.Clean(d.reasons[i])
	}
	d.headline = reports.Clean(d.headline)
	return d
}

// since says from which commit on a metric is worse, or else better.
func since(m trend.Metric) []string {
	i := slices.IndexFunc(m.Changes, func(c trend.Change) bool { return c.Outcome == m.Outcome })
	if i < 0 || m.Outcome == reports.TrendSame {
		return nil
	}
	c := m.Changes[i]
	line := fmt.Sprintf("since %s: %s %s", shortCommit(c.Since), m.Title(), trendDelta(m, c.Now))
	if steps := len(m.Changes) - i; steps > 1 {
		line += fmt.Sprintf(" in %d steps", steps)
	}
	line += fmt.Sprintf(" (p %s)", smallP(c.P))
	if len(c.Machine) > 0 {
		line += ", on another machine than before"
	}
	return []string{line}
}

func changeGrid() *grid {
	return &grid{head: []string{"since", "metric", "outcome", "change", "now", "p"}, text: []int{0, 1, 2}, outcome: 2}
}

func changeRows(m trend.Metric) (rows [][]string) {
	for _, c := range m.Changes {
		rows = append(rows, []string{shortCommit(c.Since), m.Title(), outcomeWord(c.Outcome), trendDelta(m, c.Change), trendDelta(m, c.Now), smallP(c.P)})
	}
	return rows
}

func trendDelta(m trend.Metric, v float64) string {
	return delta(reports.Change{Absolute: m.Absolute, Unit: m.Unit}, v)
}

// smallP writes the p of a change, which is always small.
func smallP(p float64) string {
	const least = 1e-9
	if p < least {
		return fmt.Sprintf("<%.0e", least)
	}
	return fmt.Sprintf("%.0e", p)
}

// longestCommit is how much of a commit's name is shown: enough to find it.
const longestCommit = 12

func shortCommit(name string) string {
	if r := []rune(name); len(r) > longestCommit && !strings.ContainsAny(name, ":-") { // a moment, or a name with an end that tells
		return string(r[:longestCommit])
	}
	return name
}

// trendPlot is what a metric was at each commit, with its levels and changes.
func trendPlot(m trend.Metric) plot.Plot {
	name := func(x float64) string {
		i := min(max(int(math.Round(x)), 0), len(m.Values)-1)
		return reports.Clean(shortCommit(m.Values[i].Commit))
	}
	top := 0.
	for _, v := range m.Values {
		top = max(top, math.Abs(v.Median))
	}
	unit, scale := unitOf(m.Unit, top)
	var dots, level []plot.Point
	low, high := math.Inf(1), math.Inf(-1)
	for i, v := range m.Values {
		dots = append(dots, plot.Point{X: float64(i), Y: v.Median / scale})
		low, high = min(low, v.Median/scale), max(high, v.Median/scale)
	}
	for _, l := range m.Levels() {
		level = append(level, plot.Point{X: float64(l.From), Y: l.Mean / scale}, plot.Point{X: float64(l.To - 1), Y: l.Mean / scale})
	}
	room := max((high-low)*.15, math.Abs(high)*.02)
	if room == 0 { // all are nothing
		room = 1
	}
	p := plot.Plot{
		Title: m.Title(),
		X:     plot.Axis{Label: "commit", Whole: true, Say: name},
		Y:     plot.Axis{Label: unit, Min: low - room, Max: high + room, Say: func(v float64) string { return figure(v*scale, m.Unit) }},
		Lines: sane([]plot.Series{{Name: "level", Points: level}}),
		Dots:  sane([]plot.Series{{Name: "median of a commit's runs", Points: dots}}),
	}
	for i, n := 0, len(m.Values); i < n; i += max(1, (n+3)/4) {
		p.X.Ticks = append(p.X.Ticks, plot.Tick{At: float64(i), Text: name(float64(i))})
	}
	for _, c := range m.Changes {
		p.Rules = append(p.Rules, plot.Rule{
			Text: fmt.Sprintf("%.7s %s", reports.Clean(c.Since), trendDelta(m, c.Change)), At: float64(c.At) - .5, Upright: true,
		})
	}
	return p
}

// unitOf is the unit that suits figures of up to so much on an axis, and its size.
func unitOf(unit string, top float64) (name string, scale float64) {
	switch {
	case unit == "s" && top < 1:
		return "milliseconds", 1e-3
	case unit == "s":
		return "seconds", 1
	case unit == "B" && top >= 1<<20:
		return "MiB", 1 << 20
	case unit == "B":
		return "KiB", 1 << 10
	case unit == "1":
		return "%", .01
	}
	return unit, 1
}
