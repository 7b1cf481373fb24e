package render

import (
	"fmt"

	"github.com/fltool/fltool/reports"
)

// drillHeadline is what an operator asks of a drill: was all well again, and when.
func drillHeadline(r reports.Report) string {
	d := r.Drill
	if d == nil {
		return "nothing was measured"
	}
	lost := d.Cut + d.Text + d.ServerErrors
	s := fmt.Sprintf("%s: %s lost", Plural(r.Demand.Workers, "worker"), Plural(lost, "held poll"))
	switch {
	case lost == 0:
		s = fmt.Sprintf("%s: no held poll lost", Plural(r.Demand.Workers, "worker"))
	case d.Away > 0:
		s += fmt.Sprintf("; %s not held again", Plural(d.Away, "worker"))
	default:
		s += "; all held again"
		if n := len(d.Recovered); n > 0 && d.Recovered[n-1].Share == 1 {
			s += " after " + seconds(d.Recovered[n-1].Seconds)
		}
	}
	if d.Ended > 0 {
		s += fmt.Sprintf("; %s of dc_federated's would have ended", Plural(d.Ended, "worker"))
	}
	return s
}

func acts(r reports.Report) section {
	if r.Drill == nil {
		return section{}
	}
	g := &grid{head: []string{"at", "command", "took", "polls lost", "50 % back", "90 %", "99 %", "all"}, text: []int{1}}
	var notes []string
	for _, a := range r.Drill.Acts {
		row := []string{seconds(a.At), a.Command, seconds(a.Seconds), count(a.Lost)}
		for _, share := range reports.DrillShares {
			cell := ""
			for _, m := range a.Recovered {
				if m.Share == share {
					cell = seconds(m.Seconds)
				}
			}
			if cell == "" && a.Workers > 0 {
				cell = "never"
			}
			row = append(row, cell)
		}
		g.rows = append(g.rows, row)
		if a.Failed != "" {
			notes = append(notes, fmt.Sprintf("%s: %s", a.Command, a.Failed))
		} else if a.Output != "" {
			notes = append(notes, fmt.Sprintf("%s said: %s", a.Command, a.Output))
		}
	}
	return section{title: "What was done", grid: g, notes: notes}
}

func storm(r reports.Report) section {
	d := r.Drill
	if d == nil {
		return section{}
	}
	g := &grid{head: []string{"after the first command", ""}, text: []int{0}}
	add := func(what, value string) { g.rows = append(g.rows, []string{what, value}) }
	add("held polls cut without an answer", count(d.Cut))
	add("held polls answered with a text", count(d.Text))
	add("held polls answered with a 5xx", count(d.ServerErrors))
	add("workers that lost a poll", count(d.Workers))
	add("of those, not held again", count(d.Away))
	if lost := d.Cut + d.Text + d.ServerErrors; lost > 0 {
		add("requests for each poll lost", digits(float64(d.Requests)/float64(lost)))
	}
	if len(d.Failed) > 0 {
		add("of all those requests, failed", causes(d.Failed))
	}
	add("connects in the busiest second", count(d.ConnectsPeak))
	add("connections at one moment, at most", count(d.Connections))
	add("workers of dc_federated's that would have ended", count(d.Ended))
	add("models missed", count(d.ModelsMissed))
	if d.UpdatesJudged {
		add("updates lost", count(d.UpdatesLost))
		add("updates counted twice", count(d.UpdatesTwice))
	}
	return section{title: "What the fleet went through", grid: g, notes: []string{"the workers' policy: " + d.Policy}}
}
