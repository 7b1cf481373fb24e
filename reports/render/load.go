package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

func held(r reports.Report) section {
	h, course := r.Held, []plot.Plot{workersOverTime(r)}
	if h == nil {
		return section{title: "The run", figures: course}
	}
	g := &grid{head: []string{"asked", "peak"}, rows: [][]string{{count(h.Asked), count(h.Peak)}}}
	add := func(head, cell string) {
		g.head, g.rows[0] = append(g.head, head), append(g.rows[0], cell)
	}
	if h.HoldSeconds > 0 { // in rounds nothing is held steadily
		add("steady", count(h.Steady))
	}
	add("never held", count(h.NeverHeld))
	add("lost while held", count(h.LostWhile))
	if h.HoldSeconds > 0 {
		add("held for", seconds(h.HoldSeconds))
	}
	s := section{title: "Polls held", grid: g, figures: course}
	if len(h.NeverCauses) > 0 {
		s.notes = append(s.notes, "never held, by cause: "+causes(h.NeverCauses))
	}
	if len(h.LostCauses) > 0 {
		s.notes = append(s.notes, "lost while held, by cause: "+causes(h.LostCauses))
	}
	if h.RepollsAsked > 0 {
		s.notes = append(s.notes, Plural(h.RepollsAsked, "hold")+" ended early by the server's own word")
	}
	return s
}

func causes(by map[string]int) string {
	classes := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(by[b]-by[a], cmp.Compare(a, b))
	})
	for i, c := range classes {
		classes[i] = fmt.Sprintf("%s %d", c, by[c])
	}
	return strings.Join(classes, ", ")
}

func rounds(r reports.Report) section {
	g := &grid{head: []string{"round", "accepted", "failed", "time", "fan-out", "notified", "model"}, text: []int{6}}
	byClient, late := false, slices.ContainsFunc(r.Rounds, func(x reports.Round) bool { return x.Late > 0 })
	if late {
		g.head = slices.Insert(g.head, 2, "late")
		g.text = []int{7}
	}
	var notes []string
	for _, x := range r.Rounds {
		fanout := ""
		if x.Told > 0 {
			fanout = seconds(x.FanoutSeconds)
			if x.FanoutFrom == "client" {
				fanout += "*"
				byClient = true
			}
		}
		row := []string{count(x.Number), count(x.Workers), count(x.Failed), seconds(x.Seconds), fanout, count(x.Told), x.Version}
		if late {
			row = slices.Insert(row, 2, count(x.Late))
		}
		g.rows = append(g.rows, row)
		if x.Open {
			notes = append(notes, fmt.Sprintf("no worker was notified of an end of round %d", x.Number))
		}
	}
	if byClient {
		notes = append([]string{"* from the first sign that a worker saw: the server does not tell when it published"}, notes...)
	}
	return section{title: "Rounds", grid: g, notes: notes, figures: []plot.Plot{roundTimes(r)}}
}

func series(r reports.Report) section {
	g := &grid{head: []string{"step", "count", "p50", "p90", "p99", "p99.9", "max"}, text: []int{0}}
	for _, s := range r.Series {
		row := []string{s.Name, count(s.Count)}
		for _, v := range []float64{s.P50, s.P90, s.P99, s.P999, s.Max} {
			if s.Count == 0 {
				row = append(row, "")
				continue
			}
			row = append(row, figure(v, s.Unit))
		}
		g.rows = append(g.rows, row)
	}
	return section{title: "How long each step took", detail: true, grid: g, figures: []plot.Plot{latencyOverTime(r), percentiles(r)}}
}

func errorClasses(r reports.Report) section {
	g := &grid{head: []string{"class", "count", "workers", "for example"}, text: []int{0, 3}}
	for _, e := range slices.SortedStableFunc(slices.Values(r.Errors), func(a, b reports.ErrorClass) int { return b.Count - a.Count }) {
		g.rows = append(g.rows, []string{e.Class, count(e.Count), count(e.Workers), e.Example})
	}
	return section{title: "Errors", grid: g, figures: []plot.Plot{errorsOverTime(r)}}
}

// lostShown is how many lost workers are listed before the rest is a number.
const lostShown = 10

func lost(r reports.Report) section {
	g := &grid{head: []string{"worker", "step", "class", "at", "what it got"}, text: []int{0, 1, 2, 4}}
	for i, l := range r.Lost {
		if i == lostShown {
			break
		}
		g.rows = append(g.rows, []string{l.Worker, l.Step, l.Class, seconds(l.Seconds), l.Detail})
	}
	s := section{title: "Lost workers", grid: g}
	if more := len(r.Lost) - lostShown; more > 0 {
		s.notes = []string{fmt.Sprintf("the first %d, and %d more in the JSON report", lostShown, more)}
	}
	return s
}
