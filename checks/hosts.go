package checks

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// A Member is one of several hosts that are judged together.
type Member struct {
	File  string // of its facts
	Role  string // "proxy" or "app"; "": it carries all
	Facts *facts.Facts
	Err   error // why there are no facts
}

// A Judge is how hosts are judged: the demand is that of each, or with roles that of
// all together, of which each host of a role has an even share.
type Judge struct {
	Demand  reports.Demand
	Waivers []Waiver
	Least   reports.Severity // as Verdict's
	Now     time.Time
}

// Hosts judges every host, those that hold least first. One with a role is judged
// beside all hosts of the other role that differ in what was read of them, and has
// the worst of what is found.
func (j Judge) Hosts(members []Member) []reports.Host {
	byRole := map[string][]Member{}
	for _, m := range members {
		byRole[m.Role] = append(byRole[m.Role], m)
	}
	partners := map[string][]*facts.Facts{"proxy": distinct(byRole["app"]), "app": distinct(byRole["proxy"])}
	names := hostNames(members)
	out := make([]reports.Host, len(members))
	for i, m := range members {
		demand := j.Demand
		if m.Role != "" {
			n := len(byRole[m.Role])
			demand.Workers = (demand.Workers + n - 1) / n
		}
		h := reports.Host{Name: names[i], File: m.File, Role: m.Role, Workers: demand.Workers, Verdict: reports.VerdictRefused}
		switch {
		case m.Err != nil:
			h.Reasons = []string{m.Err.Error()}
		case m.Role == "":
			findings, capacity := Run(OneHost(*m.Facts), demand, j.Waivers, j.Now)
			j.conclude(&h, findings, capacity)
		default:
			findings, capacity := j.beside(m, partners[m.Role], demand)
			j.conclude(&h, findings, capacity)
		}
		out[i] = h
	}
	slices.SortStableFunc(out, func(a, b reports.Host) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// rank is what a host holds, less where that is not known.
func rank(h reports.Host) int {
	if n, known := h.Holds(); known {
		return n
	}
	if h.Capacity == nil {
		return -2
	}
	return -1
}

func (j Judge) conclude(h *reports.Host, findings []reports.Finding, capacity reports.Capacity) {
	h.Verdict, h.Reasons = Verdict(findings, j.Least)
	h.Findings = slices.DeleteFunc(findings, func(f reports.Finding) bool { return f.Status == reports.StatusNA })
	h.Capacity = &capacity
}

// beside judges a host of a role with each of its partners. Without any that can be
// read it is judged beside one of which nothing is known.
func (j Judge) beside(m Member, partners []*facts.Facts, demand reports.Demand) (worst []reports.Finding, _ reports.Capacity) {
	if len(partners) == 0 {
		partners = []*facts.Facts{{Schema: facts.Schema}}
	}
	var ledger []reports.Row
	for _, p := range partners {
		d := Deployment{App: m.Facts, Proxy: p}
		if m.Role == "proxy" {
			d = Deployment{App: p, Proxy: m.Facts}
		}
		findings, capacity := Run(d, demand, j.Waivers, j.Now)
		for _, f := range findings {
			if f.Host != m.Role {
				continue
			}
			f.Host = "" // all of them are of this one
			i := slices.IndexFunc(worst, func(g reports.Finding) bool { return g.Check == f.Check && g.Hop == f.Hop })
			switch {
			case i < 0:
				worst = append(worst, f)
			case badness(f) > badness(worst[i]):
				worst[i] = f
			}
		}
		for _, r := range capacity.Ledger {
			if r.Host != m.Role {
				continue
			}
			r.Host = ""
			i := slices.IndexFunc(ledger, func(x reports.Row) bool { return x.Limit == r.Limit && x.Hop == r.Hop })
			switch {
			case i < 0:
				ledger = append(ledger, r)
			case bound(r) < bound(ledger[i]):
				ledger[i] = r
			}
		}
	}
	return worst, answer(ledger)
}

// badness orders statuses: what is worse for who relies on the answer is more.
func badness(f reports.Finding) int {
	return slices.Index([]reports.Status{
		reports.StatusNA, reports.StatusPass, reports.StatusWaived, reports.StatusWarn, reports.StatusUnknown, reports.StatusFail,
	}, f.Status)
}

// bound is what a row supports, less than any where that is unknown.
func bound(r reports.Row) int {
	switch {
	case r.NoLimit:
		return math.MaxInt
	case r.Workers == nil:
		return -1
	}
	return *r.Workers
}

// distinct are the facts that were read, but for hosts that differ from one before
// in nothing but what changes by itself and their own addresses.
func distinct(members []Member) (out []*facts.Facts) {
	seen := map[string]bool{}
	for _, m := range members {
		if m.Facts == nil {
			continue
		}
		lasting := m.Facts.Lasting()
		var key strings.Builder
		for _, path := range slices.Sorted(maps.Keys(lasting)) {
			fmt.Fprintf(&key, "%s=%s\n", withoutAddress(path), withoutAddress(lasting[path].Text))
		}
		if !seen[key.String()] {
			seen[key.String()] = true
			out = append(out, m.Facts)
		}
	}
	return out
}

var ipv4 = regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+\b`)

// withoutAddress is a text without addresses of a network's: which of them a host
// has tells nothing of it.
func withoutAddress(text string) string {
	return ipv4.ReplaceAllStringFunc(text, func(s string) string {
		if a, err := netip.ParseAddr(s); err != nil || a.IsLoopback() || a.IsUnspecified() {
			return s
		}
		return "ADDRESS"
	})
}

// hostNames are the hosts' own names, with their files where several have one.
func hostNames(members []Member) []string {
	names, times := make([]string, len(members)), map[string]int{}
	for i, m := range members {
		if m.Facts != nil && m.Facts.Host.Hostname.Known() {
			names[i] = m.Facts.Host.Hostname.V
		}
		times[names[i]]++
	}
	for i, m := range members {
		switch {
		case names[i] == "":
			names[i] = m.File
		case times[names[i]] > 1:
			names[i] += " (" + m.File + ")"
		}
	}
	return names
}

// ManyNotes are what a reader must know to take the figures of many hosts right.
func ManyNotes(members []Member) (notes []string) {
	apps, roles := 0, false
	for _, m := range members {
		roles = roles || m.Role != ""
		if m.Role == "app" {
			apps++
		}
	}
	if !roles {
		return []string{"every host is judged by itself, as one that carries all and holds all workers that are asked for"}
	}
	notes = append(notes, "every host is judged by an even share of its role's workers; what holds together is the sum of what each surely holds")
	if apps > 1 {
		notes = append(notes, "dc_federated and fltool serve keep registrations, rounds and the model in one process: several applications are as many federations, "+
			"and the sum counts only where a worker always reaches the same one, or where they share their state; who loses one loses its federation")
	}
	return notes
}
