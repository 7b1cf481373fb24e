package render

import (
	"fmt"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// staged is what became of each stage of a run.
func staged(r reports.Report) section {
	g := &grid{head: []string{"stage", "asked", "held at its end", "fewest", "never held", "lost while held", "began", "held from", "until"}, text: []int{0}}
	for _, s := range r.Stages {
		from := ""
		if s.HeldFrom > 0 {
			from = seconds(s.HeldFrom)
		}
		row := []string{fmt.Sprintf("%d %s", s.Number, s.Shape), count(s.Asked), "", "", "", "", seconds(s.From), from, ""}
		if s.To > 0 { // else it is not over
			row[2], row[3], row[4], row[5], row[8] = count(s.Held), count(s.Fewest), count(s.NeverHeld), count(s.LostWhile), seconds(s.To)
		}
		g.rows = append(g.rows, row)
	}
	return section{title: "Stages", grid: g}
}

// stageMarks is how many stages have their name in a plot; of more only the first of each
// few has.
const stageMarks = 10

// stagesOf are the stages, as lines across the time of the run.
func stagesOf(r reports.Report) (rules []plot.Rule) {
	every := (len(r.Stages) + stageMarks - 1) / stageMarks
	for i, s := range r.Stages {
		if i%every == 0 {
			rules = append(rules, plot.Rule{Text: fmt.Sprintf("%s %s", reports.Clean(s.Shape), count(s.Asked)), At: s.From, Upright: true})
		}
	}
	return rules
}

// askedOverTime is how many workers were asked for at each moment.
func askedOverTime(ticks []reports.Tick) plot.Series {
	s := plot.Series{Name: "asked for", Colour: plot.Grey}
	for _, t := range ticks {
		s.Points = append(s.Points, plot.Point{X: t.T, Y: float64(t.Asked)})
	}
	return s
}

// stagesHeld says how many stages held as many as were asked for to their end, or, of those
// whose workers leave and come back, from some moment on. A stage of several levels held all.
func stagesHeld(r reports.Report) string {
	missed := map[int]bool{}
	for _, s := range r.Stages {
		missed[s.Number] = missed[s.Number] || s.Held < s.Asked && (s.Shape != "churn" || s.HeldFrom == 0)
	}
	held, all := 0, max(len(missed), len(strings.Fields(r.Demand.Stages)))
	for _, m := range missed {
		if !m {
			held++
		}
	}
	return fmt.Sprintf("%s of %s held", count(held), Plural(all, "stage"))
}
