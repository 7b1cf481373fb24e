package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// Defaults are the demand where a user names none.
var Defaults = reports.Demand{Workers: 1000, HoldSeconds: 3600, ModelBytes: 20e6, ModelAssumed: true}

// A Waiver takes a check out of the verdict; it stays in the findings.
type Waiver struct {
	ID     string
	Reason string
	Until  time.Time // the last day it holds; zero for ever
}

// Run asks every check and works out the ledger. Waivers that ended before now
// count no more, and the finding says so.
func Run(d Deployment, demand reports.Demand, waivers []Waiver, now time.Time) ([]reports.Finding, reports.Capacity) {
	cases := make(map[On][]Case)
	findings, ledger := ask(all, func(check Check) []Case {
		if _, ok := cases[check.On]; !ok {
			cases[check.On] = check.cases(d, demand)
		}
		return cases[check.On]
	}, waivers, now)
	if d.Outside != nil && d.Outside.Probe.V != nil {
		measure(ledger, d.Outside.Probe.V.Held.V)
	}
	return findings, answer(ledger)
}

// Lint asks the checks that judge nginx's config by itself. Of a part of a config
// what hangs on files that were not given is n/a.
func Lint(n *facts.Nginx, asked facts.Asked, demand reports.Demand, waivers []Waiver, now time.Time) ([]reports.Finding, reports.Capacity) {
	f := facts.Facts{Asked: asked, Nginx: facts.Value[*facts.Nginx]{V: n, Source: n.Path}}
	alone := Case{Facts: f, Deployment: OneHost(f), Demand: demand, Lint: true}
	findings, ledger := ask(lints, func(check Check) []Case {
		if check.On == OnBalancer {
			return alone.hopCases(true)
		}
		return []Case{alone}
	}, waivers, now)
	return findings, answer(ledger)
}

// lints are the checks of a config by itself.
var lints = func() (list []Check) {
	for _, c := range all {
		if c.Lint {
			list = append(list, c)
		}
	}
	return list
}()

func ask(list []Check, cases func(Check) []Case, waivers []Waiver, now time.Time) ([]reports.Finding, []reports.Row) {
	findings := make([]reports.Finding, 0, 2*len(list))
	causes := make([][]string, 0, 2*len(list)) // of each finding
	ledger := []reports.Row{}
	for _, check := range list {
		for _, c := range cases(check) {
			o := check.Eval(c)
			f := check.finding(c, o)
			waive(&f, waivers, now)
			findings = append(findings, f)
			causes = append(causes, o.causes(check))
			if row, ok := check.row(c, o, f.Status == reports.StatusWaived); ok {
				ledger = append(ledger, row)
			}
		}
	}
	because(findings, causes)
	return findings, ledger
}

// cases are the hosts that a check is asked about.
func (check Check) cases(d Deployment, demand reports.Demand) []Case {
	switch {
	case check.On == OnURL && d.Outside == nil:
		return nil
	case check.On == OnURL:
		return []Case{{Facts: *d.Outside, Deployment: d, Demand: demand}}
	case d.App == nil:
		return nil
	case d.Single() && check.On == OnProxy:
		return Case{Facts: *d.App, Deployment: d, Demand: demand}.eachNginx()
	case d.Single():
		c := Case{Facts: *d.App, Deployment: d, Demand: demand}
		switch check.On {
		case OnHop, OnBalancer:
			return c.hopCases(check.On == OnBalancer)
		}
		return []Case{c}
	}
	app := Case{Facts: *d.App, Role: "app", Deployment: d, Demand: demand}
	proxy := Case{Facts: *d.Proxy, Role: "proxy", Deployment: d, Demand: demand}
	switch check.On {
	case OnApp:
		return []Case{app}
	case OnProxy:
		return proxy.eachNginx()
	case OnHop, OnBalancer:
		return proxy.hopCases(check.On == OnBalancer)
	default:
		return []Case{app, proxy}
	}
}

// finding fills in what the check knows of itself.
func (check Check) finding(c Case, o Judgement) reports.Finding {
	f := reports.Finding{
		Check: check.ID, Host: c.Role, Title: check.Title, Status: o.Status, Severity: check.Severity,
		Got: o.Got, Want: o.Want, Source: o.Source, Reason: o.Reason, Remedy: o.Remedy, Doc: check.Doc(),
	}
	if c.Hop != nil {
		f.Hop = c.Hop.Name()
	}
	if o.Capacity != nil && o.Capacity.Safe < maxWorkers {
		n := o.Capacity.Safe
		f.Workers = &n
	}
	if o.Status == reports.StatusFail {
		f.Symptom = check.Symptom
		if check.Severity != reports.SeverityError || o.Mild {
			f.Status = reports.StatusWarn
		}
	}
	return f
}

// row is the check's line of the ledger: one where it limits workers, and where
// it might but that is unknown.
func (check Check) row(c Case, o Judgement, waived bool) (reports.Row, bool) {
	if o.Capacity == nil && (check.Formula == "" || o.Status != reports.StatusUnknown) {
		return reports.Row{}, false
	}
	r := reports.Row{Limit: check.ID, Host: c.Role, Waived: waived, Source: o.Source, Proof: Unproven}
	if check.Formula != "" {
		r.Proof = formula(check.Formula).Proof
	}
	if check.Formula == "holds" {
		r.Proof = cmp.Or(o.Proof, Unproven)
	}
	if c.Hop != nil {
		r.Hop = c.Hop.Name()
	}
	k := o.Capacity
	if k == nil {
		return r, true
	}
	safe, left := k.Safe, k.Safe-c.Demand.Workers
	if safe >= maxWorkers {
		r.NoLimit = true
	} else {
		r.Workers, r.Headroom = &safe, &left
		if hard := k.Hard; hard >= maxWorkers {
			r.HardNoLimit = true
		} else if hard != safe {
			r.WorkersHard = &hard
		}
	}
	if likely := k.Likely; likely > 0 && k.Hard != safe && !r.NoLimit {
		r.WorkersLikely = &likely
	}
	if k.InUse.Known() {
		n := k.InUse.V
		r.InUse, r.InUseUnit = &n, k.Unit
	}
	return r, true
}

// waive applies a waiver, if there is one. A pass needs none.
func waive(f *reports.Finding, waivers []Waiver, now time.Time) {
	if f.Status == reports.StatusPass || f.Status == reports.StatusNA {
		return
	}
	for _, w := range waivers {
		if w.ID != f.Check {
			continue
		}
		if !w.Until.IsZero() && now.After(w.Until.AddDate(0, 0, 1)) {
			note := fmt.Sprintf("its waiver ended on %s", w.Until.Format(time.DateOnly))
			if f.Reason != "" {
				note = f.Reason + "; " + note
			}
			f.Reason = note
			continue
		}
		if f.Got == "" { // of an unknown one
			f.Got = f.Reason
		}
		f.Was, f.Status, f.Reason = f.Status, reports.StatusWaived, w.Reason
		return
	}
}

// bad says whether a finding needs fixing.
func bad(f reports.Finding) bool {
	return f.Status == reports.StatusFail || f.Status == reports.StatusWarn
}

// causes are the check's that what was seen does not speak against.
func (o Judgement) causes(check Check) []string {
	return slices.DeleteFunc(slices.Clone(check.After), func(id string) bool { return slices.Contains(o.RuledOut, id) })
}

// because marks consequences: a bad finding one of whose causes is bad on the same host.
func because(findings []reports.Finding, causes [][]string) {
	for i := range findings {
		f := &findings[i]
		if !bad(*f) {
			continue
		}
		for _, cause := range causes[i] {
			if slices.ContainsFunc(findings, func(g reports.Finding) bool {
				return g.Check == cause && bad(g) && (g.Host == f.Host || g.Host == "" || f.Host == "") && (g.Hop == f.Hop || g.Hop == "" || f.Hop == "")
			}) {
				f.Because = cause
				break
			}
		}
	}
}

// answer is the smallest safe bound. Where a limit is unknown nothing is
// promised: its row binds at 0, and AtMost tells what the others allow.
func answer(ledger []reports.Row) reports.Capacity {
	c := reports.Capacity{Ledger: ledger}
	unknown := ""
	least := -1
	for i, r := range ledger {
		switch {
		case r.Waived, r.NoLimit:
		case r.Unknown():
			if unknown == "" {
				unknown = r.Limit
			}
		case least < 0 || *r.Workers < *ledger[least].Workers:
			least = i
		}
	}
	if least >= 0 {
		c.Workers, c.Limit = *ledger[least].Workers, ledger[least].Limit
	}
	if unknown != "" {
		if least >= 0 {
			n := c.Workers
			c.AtMost = &n
		}
		c.Workers, c.Limit = 0, unknown
	}
	return c
}

// Unknown says which checks of a severity are unknown and why, those of one reason
// in one sentence.
func Unknown(findings []reports.Finding, severity reports.Severity) []string {
	names := map[string][]string{} // by reason
	var reasons []string
	for _, f := range findings {
		if f.Status != reports.StatusUnknown || f.Severity != severity {
			continue
		}
		if names[f.Reason] == nil {
			reasons = append(reasons, f.Reason)
		}
		names[f.Reason] = append(names[f.Reason], f.Name())
	}
	var said []string
	for _, why := range reasons {
		verb := "is"
		if len(names[why]) > 1 {
			verb = "are"
		}
		said = append(said, fmt.Sprintf("%s %s unknown: %s", strings.Join(names[why], ", "), verb, why))
	}
	return said
}

// wanted says what there is and what there should be, and why where that is told.
func wanted(got, want string) string {
	if what, why, found := strings.Cut(want, ": "); found {
		want = what + " (" + why + ")"
	}
	return got + "; wanted: " + want
}

// Verdict sums findings up: fail, refused (a check that counts can't be told),
// warn, pass; and the reasons, worst first. With least SeverityWarn warnings
// count as errors do.
func Verdict(findings []reports.Finding, least reports.Severity) (reports.Verdict, []string) {
	var fails, warns []string
	for _, f := range findings {
		switch {
		case f.Status == reports.StatusFail:
			fails = append(fails, f.Name()+": "+wanted(f.Got, f.Want))
		case f.Status == reports.StatusWarn && f.Severity != reports.SeverityInfo:
			warns = append(warns, fmt.Sprintf("%s: %s", f.Name(), f.Got))
		}
	}
	warned := len(warns) > 0
	unknowns := Unknown(findings, reports.SeverityError)
	warns = append(warns, Unknown(findings, reports.SeverityWarn)...)
	reasons := slices.Concat(fails, unknowns, warns)
	strict := least == reports.SeverityWarn
	switch {
	case len(fails) > 0, strict && warned:
		return reports.VerdictFail, reasons
	case len(unknowns) > 0, strict && len(warns) > 0:
		return reports.VerdictRefused, reasons
	case len(warns) > 0:
		return reports.VerdictWarn, reasons
	}
	return reports.VerdictPass, nil
}
