package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// Drift tells what changed between two readings of a host, and what of it matters
// to the demand.
func (j Judge) Drift(was, is facts.Facts) reports.Drift {
	before, held := Run(OneHost(was), j.Demand, j.Waivers, j.Now)
	after, holds := Run(OneHost(is), j.Demand, j.Waivers, j.Now)
	d := reports.Drift{Old: reading(was, held), New: reading(is, holds)}
	for _, c := range facts.Compare(was, is) {
		d.Facts = append(d.Facts, reports.FactChange{What: c.What, Old: c.Old, New: c.New, Source: c.Source})
	}

	old := map[string]reports.Finding{}
	var keys []string
	names := numbering{}
	for _, f := range before {
		key := names.of(f.Check, f.Hop)
		old[key], keys = f, append(keys, key)
	}
	names = numbering{}
	for _, f := range after {
		key := names.of(f.Check, f.Hop)
		g, asked := old[key]
		if !asked {
			g.Status = reports.StatusNA
		}
		delete(old, key)
		if f.Status != g.Status {
			d.Checks = append(d.Checks, reports.CheckChange{Was: g.Status, Worse: badness(f) > badness(g) && f.Status != reports.StatusPass, Finding: f})
		}
	}
	for _, key := range keys {
		if g, gone := old[key]; gone && bad(g) {
			d.Checks = append(d.Checks, reports.CheckChange{Was: g.Status, Finding: reports.Finding{
				Check: g.Check, Hop: g.Hop, Title: g.Title, Severity: g.Severity, Status: reports.StatusNA, Reason: "what it was asked of is gone",
			}})
		}
	}
	slices.SortStableFunc(d.Checks, func(a, b reports.CheckChange) int { return badness(b.Finding) - badness(a.Finding) })

	rows := map[string]*int{}
	names = numbering{}
	for _, r := range held.Ledger {
		rows[names.of(r.Limit, r.Hop)] = r.Workers
	}
	names = numbering{}
	for _, r := range holds.Ledger {
		key := names.of(r.Limit, r.Hop)
		was, there := rows[key]
		if !there && r.Workers == nil || there && equal(was, r.Workers) {
			continue
		}
		d.Limits = append(d.Limits, reports.LimitChange{Limit: r.Name(), Was: was, Is: r.Workers})
	}
	return d
}

func reading(f facts.Facts, c reports.Capacity) reports.Reading {
	r := reports.Reading{Hostname: f.Host.Hostname.V, Gathered: f.Gathered, Limit: c.Limit}
	if n, known := (reports.Host{Capacity: &c}).Holds(); known {
		r.Workers = &n
	}
	return r
}

func equal(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }

// numbering tells the findings of one check on several hops apart without the ids of
// their processes, which change with every start.
type numbering map[string]int

func (n numbering) of(check, hop string) string {
	kind, _, _ := strings.Cut(hop, " ")
	key := check + " " + kind
	n[key]++
	return fmt.Sprintf("%s %d", key, n[key])
}
