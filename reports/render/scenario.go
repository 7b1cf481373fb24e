package render

import (
	"fmt"

	"github.com/fltool/fltool/reports"
)

// scenarioHeadline is what befell the fleet, in a few words; "" where its rounds or polls
// say all.
func scenarioHeadline(s *reports.Scenario) string {
	if s == nil {
		return ""
	}
	if a := s.Abandon; a != nil {
		return fmt.Sprintf("%s abandoned, %s of them without an end", Plural(a.Polls, "poll"), count(a.Unheard))
	}
	if f := s.Flaky; f != nil {
		return fmt.Sprintf("%s of %s served, over %s", count(f.Served), count(f.Workers), Plural(f.Connections, "flaky connection"))
	}
	if c := s.Churn; c != nil {
		return fmt.Sprintf("%s left, %s vanished, %s came back; %s of nobody at most", count(c.Left), count(c.Vanished), count(c.Joined), Plural(c.GhostsPeak, "held poll"))
	}
	if h := s.Hostile; h != nil {
		sum := h.Sum()
		return fmt.Sprintf("%s, %s got through", Plural(sum.All(), "hostile request"), count(sum.Through))
	}
	if h := s.Slow; h != nil {
		sum := h.Sum()
		return fmt.Sprintf("%s, the server ended %s", Plural(sum.All(), "slow connection"), count(sum.Ended))
	}
	return ""
}

// befell are a scenario's own figures.
func befell(r reports.Report) section {
	s := r.Scenario
	if s == nil {
		return section{}
	}
	g := &grid{head: []string{"scenario " + s.Name, ""}, text: []int{0}}
	add := func(what, value string) { g.rows = append(g.rows, []string{what, value}) }
	if a := s.Abandon; a != nil {
		add("polls abandoned", count(a.Polls))
		add("of those, answered nevertheless", count(a.Answered))
		add("closed by the server", count(a.Closed))
		add("neither", count(a.Unheard))
		if a.ServerFDsBefore != nil && a.ServerFDsAfter != nil {
			add("the server's descriptors before and after", count(*a.ServerFDsBefore)+", "+count(*a.ServerFDsAfter))
		}
	}
	if c := s.Churn; c != nil {
		add("workers that left", count(c.Left))
		add("vanished", count(c.Vanished))
		add("came back", count(c.Joined))
		add("of those, were given a model", count(c.Back))
		add("away at the end", count(c.Away))
		add("there, and not served", count(c.Unserved))
		add("polls of nobody, at most at a time", count(c.GhostsPeak))
		add("of all such, ended by a close", count(c.Shut))
		add("by the worker's next poll", count(c.Evicted))
		add("by the next model", count(c.Notified))
		add("not ended", count(c.Held))
		add("held beside the worker's next", count(c.Doubled))
		add("connections of nobody, not closed", count(c.Open))
		if c.ServerFDsBefore != nil && c.ServerFDsAfter != nil {
			add("server's descriptors before, after", count(*c.ServerFDsBefore)+", "+count(*c.ServerFDsAfter))
		}
	}
	if f := s.Flaky; f != nil {
		add("connections through the relay", count(f.Connections))
		add("delays", count(f.Delayed))
		add("connections cut", count(f.Cut))
		add("reset", count(f.Reset))
		add("silent, then reset", count(f.Silenced))
		add("workers served in all rounds", count(f.Served))
	}
	if c := s.Cost; c != nil {
		if ratio, known := c.Ratio(); known {
			add("an honest round before, and meanwhile", seconds(c.SecondsBefore)+", "+seconds(c.SecondsMeanwhile))
			add("times longer", digits(ratio))
		} else {
			add("an honest round before, and meanwhile", "unknown: too few rounds")
		}
	}
	if len(g.rows) == 0 {
		return section{}
	}
	return section{title: "What befell the fleet", grid: g, notes: []string{s.Plan}}
}

// raided is what became of hostile requests, by kind.
func raided(r reports.Report) section {
	if r.Scenario == nil || r.Scenario.Hostile == nil {
		return section{}
	}
	g := &grid{head: []string{"request", "refused", "busy", "cut", "through", "held", "broken"}, text: []int{0}}
	var notes []string
	for _, k := range r.Scenario.Hostile.Kinds {
		row := []string{k.Name}
		for _, n := range []int{k.Refused, k.Busy, k.Cut, k.Through, k.Held, k.Broken} {
			row = append(row, count(n))
		}
		g.rows = append(g.rows, row)
		if k.Example != "" {
			notes = append(notes, k.Name+": "+k.Example)
		}
	}
	return section{title: "Hostile requests", grid: g, notes: notes}
}

// dribbled is what became of slow clients' connections, by kind.
func dribbled(r reports.Report) section {
	if r.Scenario == nil || r.Scenario.Slow == nil {
		return section{}
	}
	g := &grid{head: []string{"slow", "ended by the server", "finished", "open at the end"}, text: []int{0}}
	var notes []string
	for _, k := range r.Scenario.Slow.Kinds {
		g.rows = append(g.rows, []string{k.Name + "s", count(k.Ended), count(k.Finished), count(k.Open)})
		if k.Example != "" {
			notes = append(notes, k.Name+": "+k.Example)
		}
	}
	return section{title: "Slow connections", grid: g, notes: notes}
}
