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
	return ""
}

// befell are a scenario's own figures.
func befell(r reports.Report) section {
	s := r.Scenario
	if s == nil {
		return section{}
	}
	g := &grid{head: []string{"scenario " + s.Plan, ""}, text: []int{0}}
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
	if f := s.Flaky; f != nil {
		add("connections through the relay", count(f.Connections))
		add("delays", count(f.Delayed))
		add("connections cut", count(f.Cut))
		add("reset", count(f.Reset))
		add("silent, then reset", count(f.Silenced))
		add("workers served in all rounds", count(f.Served))
	}
	return section{title: "What befell the fleet", grid: g}
}
