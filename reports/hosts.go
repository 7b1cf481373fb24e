package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Host is one of several that were judged together.
type Host struct {
	Name     string    `json:"name"`           // its hostname, with its file where several have that; its file where none is known
	File     string    `json:"file"`           // of its facts
	Role     string    `json:"role,omitempty"` // "proxy" or "app"; "" where each host carries all
	Verdict  Verdict   `json:"verdict"`
	Reasons  []string  `json:"reasons,omitempty"`
	Workers  int       `json:"workers"`            // asked of it: with a role, its even share
	Findings []Finding `json:"findings,omitempty"` // but those that do not apply
	Capacity *Capacity `json:"capacity,omitempty"` // absent: its facts could not be read
}

// Holds is how many workers the host surely holds; false where that is not known.
func (h Host) Holds() (workers int, known bool) {
	if h.Capacity == nil || h.Capacity.Limit == "" || h.Capacity.AtMost != nil {
		return 0, false
	}
	for _, r := range h.Capacity.Ledger {
		if r.Unknown() && !r.Waived {
			return 0, false
		}
	}
	return h.Capacity.Workers, true
}

// RoleSum is what the hosts of one role hold together, in workers.
type RoleSum struct {
	Role       string `json:"role"`
	Hosts      int    `json:"hosts"`
	Unknown    int    `json:"unknown,omitempty"` // hosts of which it is not known: they count for nothing
	Workers    int    `json:"workers"`
	WithoutOne int    `json:"withoutOne"` // with any one of them gone: that which holds most
}

// SumRoles adds up the hosts by their roles, in the order in which polls meet them.
func SumRoles(hosts []Host) (sums []RoleSum) {
	for _, role := range []string{"proxy", "app"} {
		s, most := RoleSum{Role: role}, 0
		for _, h := range hosts {
			if h.Role != role {
				continue
			}
			n, known := h.Holds()
			s.Hosts++
			s.Workers += n
			most = max(most, n)
			if !known {
				s.Unknown++
			}
		}
		s.WithoutOne = s.Workers - most
		if s.Hosts > 0 {
			sums = append(sums, s)
		}
	}
	return sums
}

// Together is how many workers a deployment of all roles holds, and how many with any
// one host gone: the least of its roles'.
func Together(sums []RoleSum) (workers, withoutOne int) {
	for i, s := range sums {
		if i == 0 {
			workers, withoutOne = s.Workers, s.WithoutOne
		}
		workers, withoutOne = min(workers, s.Workers), min(withoutOne, s.WithoutOne)
	}
	return workers, withoutOne
}

// A Group is what one check says of several hosts with one status.
type Group struct {
	Check    string
	Status   Status
	Hosts    int // of which it is said
	Ways     []Way
	Explains []string // checks that fail in consequence
}

// A Way is one fix of a group's, or one reason, and the hosts that want it.
type Way struct {
	Finding Finding // of the first of them
	Hosts   []string
	Alike   bool // all of them have what the finding got
}

// GroupFindings puts together what is said of several hosts: all but what is right,
// by check and status, within these by the fix, those of most hosts first. What
// another finding explains stands with that.
func GroupFindings(hosts []Host) (groups []Group) {
	at := map[string]int{}  // of groups, by check and status
	way := map[string]int{} // of their ways, by these and the fix
	explains := map[string][]string{}
	for _, h := range hosts {
		seen := map[string]bool{}
		for _, f := range h.Findings {
			if f.Status == StatusPass || f.Status == StatusNA {
				continue
			}
			if f.Because != "" {
				if !slices.Contains(explains[f.Because], f.Check) {
					explains[f.Because] = append(explains[f.Because], f.Check)
				}
				continue
			}
			group := f.Check + " " + string(f.Status)
			i, ok := at[group]
			if !ok {
				i, groups = len(groups), append(groups, Group{Check: f.Check, Status: f.Status})
				at[group] = i
			}
			g := &groups[i]
			if !seen[group] { // it may be asked of several hops
				g.Hosts++
				seen[group] = true
			}
			key := group + " " + f.Reason + " " + f.Remedy.key()
			j, ok := way[key]
			if !ok {
				j, g.Ways = len(g.Ways), append(g.Ways, Way{Finding: f, Alike: true})
				way[key] = j
			}
			w := &g.Ways[j]
			if !slices.Contains(w.Hosts, h.Name) {
				w.Hosts = append(w.Hosts, h.Name)
			}
			w.Alike = w.Alike && f.Got == w.Finding.Got && f.Source == w.Finding.Source
		}
	}
	for i := range groups {
		g := &groups[i]
		g.Explains = explains[g.Check]
		slices.SortStableFunc(g.Ways, func(a, b Way) int { return cmp.Compare(len(b.Hosts), len(a.Hosts)) })
	}
	slices.SortStableFunc(groups, func(a, b Group) int { return cmp.Compare(b.Hosts, a.Hosts) })
	return groups
}

// key tells remedies apart.
func (r Remedy) key() string {
	b, err := json.Marshal(r)
	if err != nil { // no struct of texts gives one
		return fmt.Sprint(r)
	}
	return string(b)
}

// JudgeHosts sums up what was judged of each host, and of all roles together:
// refused where facts could not be read, else fail where a host or a role does, else
// refused where one can't be told. Of the reasons the worst come first.
func JudgeHosts(hosts []Host, sums []RoleSum, asked int) (Verdict, []string) {
	var unread, reasons []string
	names := map[Verdict][]string{}
	for _, h := range hosts {
		if h.Capacity == nil {
			unread = append(unread, fmt.Sprintf("%s: %s", h.File, strings.Join(h.Reasons, "; ")))
			continue
		}
		names[h.Verdict] = append(names[h.Verdict], h.Name)
	}
	fails, unknown := names[VerdictFail], names[VerdictRefused]
	warns := len(names[VerdictWarn]) > 0
	for _, of := range []struct {
		hosts []string
		what  string
	}{{fails, "fail"}, {unknown, "can't be told"}} {
		if n := len(of.hosts); n > 0 {
			reasons = append(reasons, fmt.Sprintf("%d of %d hosts %s: %s", n, len(hosts), of.what, Some(of.hosts)))
		}
	}
	missed := false
	for _, s := range sums {
		switch {
		case s.Workers < asked && s.Unknown == 0:
			missed = true
			reasons = append(reasons, fmt.Sprintf("all hosts of role %s hold %d workers together, and %d are asked for", s.Role, s.Workers, asked))
		case s.Hosts == 1:
			warns = true
			reasons = append(reasons, fmt.Sprintf("there is one host of role %s: with it gone nothing is held", s.Role))
		case s.WithoutOne < asked:
			warns = true
			reasons = append(reasons, fmt.Sprintf("with any one host of role %s gone the others surely hold %d workers, and %d are asked for", s.Role, s.WithoutOne, asked))
		}
	}
	reasons = append(unread, reasons...)
	switch {
	case len(unread) > 0:
		return VerdictRefused, reasons
	case len(fails) > 0 || missed:
		return VerdictFail, reasons
	case len(unknown) > 0:
		return VerdictRefused, reasons
	case warns:
		return VerdictWarn, reasons
	}
	return VerdictPass, nil
}

// Some names the first of many.
func Some(names []string) string {
	const shown = 8
	if len(names) <= shown+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
