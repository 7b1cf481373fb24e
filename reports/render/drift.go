package render

import (
	"cmp"
	"fmt"

	"github.com/fltool/fltool/reports"
)

// wholeThing is the text of a fact that has parts.
const wholeThing = "there"

func driftHeadline(r reports.Report) string {
	d := r.Drift
	if d == nil {
		return "nothing was compared"
	}
	worse := 0
	for _, c := range d.Checks {
		if c.Worse {
			worse++
		}
	}
	s := fmt.Sprintf("%s changed, %s got worse", Plural(len(d.Facts), "fact"), Plural(worse, "check"))
	was, is := holdsWord(d.Old), holdsWord(d.New)
	if was != is {
		return s + "; it held " + was + ", and now " + is
	}
	return s + "; it holds " + is + " as before"
}

func holdsWord(r reports.Reading) string {
	switch {
	case r.Workers != nil:
		return fmt.Sprintf("%s by %s", Plural(*r.Workers, "worker"), r.Limit)
	case r.Limit != "":
		return "an unknown number of workers (" + r.Limit + " is unknown)"
	}
	return "an unknown number of workers"
}

// driftChecks are the checks that are answered otherwise.
func driftChecks(r reports.Report) section {
	if r.Drift == nil {
		return section{}
	}
	s := section{title: "Checks that are answered otherwise"}
	for _, c := range r.Drift.Checks {
		f := c.Finding
		lines := particulars(f)
		if !c.Worse {
			lines = nil
		}
		s.items = append(s.items, item{status: f.Status, word: label(f), check: f.Check, title: fmt.Sprintf("%s: %s (was %s)", f.Name(), f.Title, c.Was), lines: lines})
	}
	return s
}

func driftLimits(r reports.Report) section {
	if r.Drift == nil {
		return section{}
	}
	g := &grid{head: []string{"limit", "before", "now", "change"}, text: []int{0}}
	for _, l := range r.Drift.Limits {
		change := ""
		if l.Was != nil && l.Is != nil {
			change = fmt.Sprintf("%+d", *l.Is-*l.Was)
		}
		g.rows = append(g.rows, []string{l.Limit, cmp.Or(orEmpty(l.Was), "none known"), cmp.Or(orEmpty(l.Is), "none known"), change})
	}
	return section{title: "Limits that support another number of workers", grid: g}
}

func driftFacts(r reports.Report) section {
	if r.Drift == nil {
		return section{}
	}
	s := section{title: "Facts that changed"}
	for _, f := range r.Drift.Facts {
		text := f.What + ": " + cmp.Or(f.Old, "not there") + " → " + cmp.Or(f.New, "gone")
		if f.Old+f.New == wholeThing { // a whole that is new or gone
			text = f.What + map[bool]string{true: ": new", false: ": gone"}[f.Old == ""]
		}
		if f.Source != "" {
			text += " (" + f.Source + ")"
		}
		s.notes = append(s.notes, text)
	}
	for _, of := range []struct {
		when string
		r    reports.Reading
	}{{"before", r.Drift.Old}, {"now", r.Drift.New}} {
		if of.r.Gathered != "" && len(s.notes) > 0 {
			s.notes = append(s.notes, fmt.Sprintf("%s: %s, read %s", of.when, cmp.Or(of.r.Hostname, "a host without a name"), of.r.Gathered))
		}
	}
	return s
}
