package render

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

const wayTitle = "The way of a poll"

// step is a hop of the way from workers to the application, in words.
type step struct {
	Name  string // "nginx 200 1.22.1 :443"
	Holds string // "holds 4686"
	Bears string // "a poll for 2h"
}

// way puts the hops of a report into words, in their order.
func way(r reports.Report) []step {
	var out []step
	for _, h := range r.Chain {
		s := step{Name: h.Name}
		if h.Version != "" {
			s.Name += " " + h.Version
		}
		if ports := portsOf(h.Listen); ports != "" {
			s.Name += " " + ports
		}
		switch {
		case h.Holds != nil:
			s.Holds = fmt.Sprintf("holds %d", *h.Holds)
		case h.Why == "":
			s.Holds = "sets no limit"
		}
		switch {
		case h.Silence == "for ever":
			s.Bears = "a poll of any length"
		case h.Silence != "":
			s.Bears = "a poll for " + h.Silence
		}
		if h.Why != "" {
			s.Bears = strings.TrimPrefix(s.Bears+"; not known: "+h.Why, "; ")
		}
		s.Name, s.Holds, s.Bears = reports.Clean(s.Name), reports.Clean(s.Holds), reports.Clean(s.Bears)
		out = append(out, s)
	}
	return out
}

// portsOf are the ports of addresses, each once: ":80 :443".
func portsOf(listen []string) string {
	var ports []string
	for _, l := range listen {
		a, err := netip.ParseAddrPort(l)
		if err != nil {
			continue // a path, or another's words
		}
		if p := fmt.Sprintf(":%d", a.Port()); !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return strings.Join(ports, " ")
}

// chain is the way as a table.
func chain(r reports.Report) section {
	s := section{title: wayTitle, grid: &grid{head: []string{"hop", "holds", "lets a poll be"}, text: []int{0, 1, 2}}}
	for _, st := range way(r) {
		s.grid.rows = append(s.grid.rows, []string{st.Name, strings.TrimPrefix(st.Holds, "holds "), strings.TrimPrefix(st.Bears, "a poll ")})
	}
	return s
}

// way prints the hops one below the other, each with what it holds and for how long.
func (p *preflightWriter) way(r reports.Report) {
	steps := way(r)
	if len(steps) == 0 {
		return
	}
	widest, holds := 0, 0
	for _, s := range steps {
		widest, holds = max(widest, len([]rune(s.Name))), max(holds, len(s.Holds))
	}
	fmt.Fprintln(&p.b, "worker")
	for _, s := range steps {
		head := "  → " + pad(s.Name, widest) + "  " + pad(s.Holds, holds) + "  "
		p.b.WriteString(strings.TrimRight(p.hanging(head, len([]rune(head)), s.Bears), " \n") + "\n")
	}
}
