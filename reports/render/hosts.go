package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// hostsHeadline says of how many hosts the demand is carried, or what all roles hold
// together.
func hostsHeadline(r reports.Report) string {
	asked := Plural(r.Demand.Workers, "worker")
	if len(r.Roles) > 0 {
		workers, withoutOne := reports.Together(r.Roles)
		var of []string
		unknown := false
		for _, s := range r.Roles {
			of = append(of, Plural(s.Hosts, roleNouns[s.Role]))
			unknown = unknown || s.Unknown > 0
		}
		least := ""
		if unknown {
			least = "at least "
		}
		return fmt.Sprintf("%s hold %s%s together, and %s with any one host gone; %s asked for",
			strings.Join(of, " and "), least, Plural(workers, "worker"), count(withoutOne), count(r.Demand.Workers))
	}
	carry := 0
	for _, h := range r.Hosts {
		if h.Verdict == reports.VerdictPass || h.Verdict == reports.VerdictWarn {
			carry++
		}
	}
	return fmt.Sprintf("%d of %s carry %s each", carry, Plural(len(r.Hosts), "host"), asked)
}

// roleNouns are what a host of a role is.
var roleNouns = map[string]string{"proxy": "proxy host", "app": "application host"}

// hosts is a row each, those that hold least first.
func hosts(r reports.Report) section {
	roles := len(r.Roles) > 0
	g := &grid{head: []string{"host", "verdict", "workers", "headroom", "limit"}, text: []int{0, 1, 4}, outcome: 1}
	if roles {
		g.head, g.text, g.outcome = slices.Insert(g.head, 1, "role"), []int{0, 1, 2, 5}, 2
	}
	for _, h := range r.Hosts {
		row := []string{h.Name, string(h.Verdict), "unknown", "", ""}
		if k := h.Capacity; k != nil {
			row[4] = k.Limit
			switch n, known := h.Holds(); {
			case known:
				row[2], row[3] = count(n), fmt.Sprintf("%+d", n-h.Workers)
			case k.AtMost != nil:
				row[2], row[4] = "≤ "+count(*k.AtMost), k.Limit+" is unknown"
			case k.Limit != "":
				row[4] = k.Limit + " is unknown"
			default:
				row[4] = "not judged"
			}
		} else {
			row[4] = strings.Join(h.Reasons, "; ")
		}
		if roles {
			row = slices.Insert(row, 1, h.Role)
		}
		g.rows = append(g.rows, row)
	}
	return section{title: "Hosts, those that hold least first", grid: g}
}

// roles is what the hosts of each role hold together.
func roles(r reports.Report) section {
	g := &grid{head: []string{"role", "hosts", "unknown", "workers", "with one gone"}, text: []int{0}}
	for _, s := range r.Roles {
		g.rows = append(g.rows, []string{s.Role, count(s.Hosts), count(s.Unknown), count(s.Workers), count(s.WithoutOne)})
	}
	return section{title: "Together", grid: g}
}

// waysInFull is how many fixes of one check are told with all that is to be done.
const waysInFull = 3

// grouped is what is said of several hosts, what is worst first, and within that
// what is said of most.
func grouped(r reports.Report) section {
	s := section{title: "Findings, the worst first"}
	groups := reports.GroupFindings(r.Hosts)
	slices.SortStableFunc(groups, func(a, b reports.Group) int { return findingOrder(a.Ways[0].Finding) - findingOrder(b.Ways[0].Finding) })
	for _, g := range groups {
		s.items = append(s.items, groupItem(g, len(r.Hosts)))
	}
	return s
}

func groupItem(g reports.Group, all int) item {
	first := g.Ways[0].Finding
	it := item{status: g.Status, word: label(first), check: g.Check, title: fmt.Sprintf("%d of %d: %s: %s", g.Hosts, all, g.Check, first.Title)}
	say := func(label, text string) { it.lines = append(it.lines, particular{label: label, text: text}) }
	rest := 0
	for i, w := range g.Ways {
		if i >= waysInFull {
			rest += len(w.Hosts)
			continue
		}
		if len(w.Hosts) < all {
			say("on", reports.Some(w.Hosts))
		}
		f := w.Finding
		if !w.Alike {
			f.Got += ", on " + w.Hosts[0]
			f.Workers = nil
		}
		lines := particulars(f)
		if i > 0 { // said above
			lines = slices.DeleteFunc(lines, func(l particular) bool { return l.label == "users see" || l.label == "more" })
		}
		it.lines = append(it.lines, lines...)
	}
	if rest > 0 {
		say("others", fmt.Sprintf("%s want other fixes: fltool fix --facts of many hosts writes them all", Plural(rest, "host")))
	}
	if len(g.Explains) > 0 {
		say("explains", strings.Join(g.Explains, ", "))
	}
	return it
}

// groupFinding is a group as one finding, for formats that have a line each.
func groupFinding(g reports.Group, all int) reports.Finding {
	w := g.Ways[0]
	f := w.Finding
	f.Hop = ""
	f.Title = fmt.Sprintf("%d of %s: %s", g.Hosts, Plural(all, "host"), f.Title)
	if !w.Alike || len(g.Ways) > 1 {
		f.Got, f.Source = strings.TrimSpace(f.Got+" on "+w.Hosts[0]), ""
	}
	return f
}
