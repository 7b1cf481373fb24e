package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

func thresholds(r reports.Report) section {
	g := &grid{head: []string{"threshold", "got", "outcome"}, text: []int{0, 2}, outcome: 2}
	for _, t := range r.Thresholds {
		got, outcome := "no samples", "missed"
		if t.Got != nil {
			got = figure(*t.Got, t.Unit)
		}
		switch {
		case t.Pass:
			outcome = "met"
		case r.Shard != nil:
			got, outcome = "", "judged on the whole, when the shards are merged"
		}
		g.rows = append(g.rows, []string{t.Expr, got, outcome})
	}
	return section{title: "Thresholds", grid: g, figures: []plot.Plot{ofLimits(r)}}
}

// ofLimits is what was got as a share of each limit.
func ofLimits(r reports.Report) plot.Plot {
	p := plot.Plot{
		Title: "Got, as a share of what was asked", X: plot.Axis{Label: "%", Max: 100},
		Rules: []plot.Rule{{Text: "asked", At: 100, Upright: true}},
	}
	met, missed := plot.Blocks{Name: "met", Colour: plot.Teal}, plot.Blocks{Name: "missed", Colour: plot.Red}
	for _, t := range r.Thresholds {
		if t.Got == nil || r.Shard != nil && !t.Pass || !(*t.Got >= 0 && t.Limit > 0 && *t.Got/t.Limit < absurd) {
			continue
		}
		share := 100 * *t.Got / t.Limit
		p.Rows++
		p.X.Max = max(p.X.Max, min(share, 100*far))
		p.Y.Ticks = append(p.Y.Ticks, plot.Tick{At: -float64(p.Rows) + .5, Text: reports.Clean(t.Expr)})
		c := plot.Cell{X1: share, Y0: -float64(p.Rows) + .15, Y1: -float64(p.Rows) + .85, Title: reports.Clean(t.Expr) + "\n" + figure(*t.Got, t.Unit)}
		if t.Pass {
			met.Cells = append(met.Cells, c)
		} else {
			missed.Cells = append(missed.Cells, c)
		}
	}
	p.X.Max *= 1.1
	p.Y.Min = -float64(p.Rows)
	for _, b := range []plot.Blocks{met, missed} {
		if len(b.Cells) > 0 {
			p.Blocks = append(p.Blocks, b)
		}
	}
	return p
}

func levels(r reports.Report) section {
	g := &grid{head: []string{"workers", "verdict", "held", "lost", "round", "fan-out", "server RSS", "server fds"}, text: []int{1}, outcome: 1}
	s := section{title: "Levels", grid: g, figures: levelPlots(r)}
	for _, l := range byWorkers(r) {
		row := []string{count(l.Workers), string(l.Verdict), count(l.Held.Steady), count(l.Held.LostWhile), "", "", "", ""}
		if len(l.Reasons) > 0 {
			s.notes = append(s.notes, Plural(l.Workers, "worker")+": "+strings.Join(l.Reasons, "; "))
		}
		if s := slowestRound(l.Rounds); s > 0 {
			row[4] = seconds(s)
		}
		if l.FanoutSeconds > 0 {
			row[5] = seconds(l.FanoutSeconds)
		}
		for _, x := range l.Resources {
			if x.Process == "server" {
				row[6], row[7] = size(float64(x.RSSPeakBytes)), count(x.FDsPeak)
			}
		}
		g.rows = append(g.rows, row)
	}
	return s
}

// slopes are what each further worker costs.
func slopes(r reports.Report) section {
	g := &grid{head: []string{"metric", "per worker", "±", "without workers", "±", "sizes"}, text: []int{0}}
	for _, s := range r.Slopes {
		g.rows = append(g.rows, []string{
			s.Of, figure(s.PerWorker, s.Unit), halfWidth(s.Low, s.High, s.Unit),
			figure(s.Intercept, s.Unit), halfWidth(s.InterLow, s.InterHigh, s.Unit), count(s.Sizes()),
		})
	}
	sec := section{title: "What each worker costs, by the levels that held", grid: g}
	if len(g.rows) > 0 {
		sec.notes = []string{"peaks of the server's process against workers, by least squares; ± is the interval of 95 % confidence, unknown of fewer than three sizes"}
	}
	return sec
}

// halfWidth is how far an interval reaches to either side of its middle.
func halfWidth(low, high *float64, unit string) string {
	if low == nil || high == nil {
		return "unknown"
	}
	return figure((*high-*low)/2, unit)
}

// planned is what more workers would need.
func planned(r reports.Report) section {
	if r.Plan == nil {
		return section{}
	}
	g := &grid{head: []string{"metric", "needed", "±", "rests on"}, text: []int{0, 3}}
	for _, n := range r.Plan.Needs {
		g.rows = append(g.rows, []string{n.Of, figure(n.Value, n.Unit), halfWidth(n.Low, n.High, n.Unit), n.Rests})
	}
	how := "within what was measured"
	if r.Plan.Beyond() {
		how = "extrapolated, not measured"
	}
	s := section{title: fmt.Sprintf("What %s would need: %s", Plural(r.Plan.Workers, "worker"), how), grid: g, notes: slices.Clone(r.Plan.Unknown)}
	if len(g.rows) == 0 && len(s.notes) == 0 {
		s.title = fmt.Sprintf("What %s would need", Plural(r.Plan.Workers, "worker"))
		s.notes = []string{"not known: the server was not measured at two levels that held (--server-pid)"}
	}
	return s
}

// sizing is what to deploy with.
func sizing(r reports.Report) section {
	s := r.Sizing
	if s == nil {
		return section{}
	}
	g := &grid{head: []string{"figure", "value", "rests on"}, text: []int{0, 2}}
	for _, f := range s.Figures {
		value := count(int64(f.Value))
		if f.Unit != "" {
			value = figure(f.Value, f.Unit)
		}
		g.rows = append(g.rows, []string{f.Name, strings.TrimSpace(f.Bound + " " + value), f.Rests})
	}
	return section{
		title: fmt.Sprintf("Numbers to deploy for %s with %s spare", Plural(s.Workers, "worker"), Plural(s.Spare, "replica")),
		grid:  g, notes: slices.Concat(s.Notes, s.Unknown),
	}
}
