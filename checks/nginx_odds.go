package checks

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// Several processes of nginx share connections by luck, as one may be full while
// others idle. How often a number of workers was held is counted by an experiment
// (make nginx-odds), whose table is part of the program.

//go:embed nginx_odds.csv
var oddsTable string

// An odd is a line of the table: so many workers came, again and again.
type odd struct {
	processes  int
	reuseport  bool
	arrival    string // "ramp": one by one; "burst": all at once
	share      int    // of what all processes hold together, in hundredths
	runs, held int    // runs, and those in which every worker was held
}

var arrivals = []struct{ name, text string }{{"ramp", "one by one"}, {"burst", "all at once"}}

var odds = func() (table []odd) {
	r := csv.NewReader(strings.NewReader(oddsTable))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		panic("checks: nginx_odds.csv: " + err.Error()) // it is part of the program
	}
	for _, f := range rows {
		o := odd{reuseport: f[1] == "true", arrival: f[2]}
		for i, n := range map[int]*int{0: &o.processes, 3: &o.share, 4: &o.runs, 5: &o.held} {
			if *n, err = strconv.Atoi(f[i]); err != nil {
				panic("checks: nginx_odds.csv: " + err.Error())
			}
		}
		table = append(table, o)
	}
	return table
}()

// likelyRuns is the part of the runs that makes a number of workers likely, where they
// come one by one: of a crowd the odds are told beside it.
const likelyRuns = 0.9

// A sharing is how processes of nginx share connections, where the experiment tells.
type sharing struct {
	processes int
	reuseport bool
}

// sharing says how this nginx shares; false where no experiment is of such a one.
func (c Case) sharing(n *facts.Nginx) (sharing, bool) {
	processes, known := c.nginxProcesses(n)
	s := sharing{processes, n.Reuseport > 0 && n.Reuseport == n.Listeners}
	even, versionKnown := n.Build.Since("1.21.6") // which shares more evenly what comes one by one
	mutex, multi := n.Events.AcceptMutex, n.Events.MultiAccept
	switch {
	case !known, n.Hops() > 1, n.Reuseport > 0 && !s.reuseport:
		return s, false
	case processes > 1 && !s.reuseport && (!even || !versionKnown):
		return s, false
	case !mutex.Known() || mutex.V || !multi.Known() || multi.V, n.Events.Use.V != "" && n.Events.Use.V != "epoll":
		return s, false
	}
	return s, len(s.runs("ramp")) > 0
}

// runs are the experiments of a sharing, few workers first: those with the next
// number of processes.
func (s sharing) runs(arrival string) (list []odd) {
	processes := 0
	for _, o := range odds {
		if o.processes >= s.processes && (processes == 0 || o.processes < processes) {
			processes = o.processes
		}
	}
	for _, o := range odds {
		if o.processes == processes && o.reuseport == s.reuseport && o.arrival == arrival {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b odd) int { return a.share - b.share })
	return list
}

// likely is how many workers were held in most runs, of so many that all processes
// hold together.
func (s sharing) likely(together int) int {
	share := 0
	for _, o := range s.runs("ramp") {
		if float64(o.held) < likelyRuns*float64(o.runs) {
			break
		}
		share = o.share
	}
	return workers(int64(together) * int64(share) / 100)
}

// text tells the odds of so many workers; of a number between two of the experiment
// those of the larger.
func (s sharing) text(demand, together int) string {
	var said []string
	for _, a := range arrivals {
		for _, o := range s.runs(a.name) {
			if int64(o.share)*int64(together) >= int64(demand)*100 {
				said = append(said, fmt.Sprintf("%d of %d runs where they come %s", o.held, o.runs, a.text))
				break
			}
		}
	}
	if len(said) == 0 {
		return ""
	}
	return fmt.Sprintf("by experiment so many are held in %s", strings.Join(said, ", and in "))
}

// shared adds to bounds what the experiment says of processes that hold so many
// together, and says the odds of the demand where it is not held surely.
func (c Case) shared(n *facts.Nginx, k Capacity, together int) (Capacity, string) {
	k.Hard = max(k.Safe, k.Hard)
	if n == nil || k.Hard == k.Safe {
		return k, ""
	}
	s, told := c.sharing(n)
	if !told {
		return k, ""
	}
	k.Likely = max(k.Safe, s.likely(together))
	if k.Safe < c.Demand.Workers && c.Demand.Workers <= together {
		return k, "; " + s.text(c.Demand.Workers, together)
	}
	return k, ""
}

// Odds is the table of the experiment, in Markdown, for docs/proofs.md.
func Odds() string {
	var b strings.Builder
	b.WriteString("| processes | reuseport | workers come |")
	var shares []int
	for _, o := range odds {
		if !slices.Contains(shares, o.share) {
			shares = append(shares, o.share)
		}
	}
	slices.Sort(shares)
	for _, s := range shares {
		fmt.Fprintf(&b, " %d %% |", s)
	}
	b.WriteString("\n| --- | --- | --- |" + strings.Repeat(" --- |", len(shares)))
	for i, o := range odds {
		if i == 0 || o.processes != odds[i-1].processes || o.reuseport != odds[i-1].reuseport || o.arrival != odds[i-1].arrival {
			yes := map[bool]string{true: "yes", false: "no"}[o.reuseport]
			text := arrivals[slices.IndexFunc(arrivals, func(a struct{ name, text string }) bool { return a.name == o.arrival })].text
			fmt.Fprintf(&b, "\n| %d | %s | %s |", o.processes, yes, text)
			for _, s := range shares {
				cell := ""
				if j := slices.IndexFunc(odds, func(p odd) bool {
					return p.processes == o.processes && p.reuseport == o.reuseport && p.arrival == o.arrival && p.share == s
				}); j >= 0 {
					cell = fmt.Sprintf("%d", odds[j].held)
				}
				fmt.Fprintf(&b, " %s |", cell)
			}
		}
	}
	return b.String() + "\n"
}
