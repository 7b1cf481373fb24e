// Package checks judges facts against a demand: pure functions from what was
// read to findings, and to the ledger of what limits the number of held polls.
package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// A Check is one question about a deployment, as data. Eval does no I/O and
// reads no clock.
type Check struct {
	ID       string // "app/nofile": users waive by it, so it never changes
	Title    string
	Severity reports.Severity
	On       On
	After    []string // causes: when one of these fails, this one is reported as its consequence
	Reads    []string // where its facts come from
	Why      string   // why it matters: a paragraph
	Formula  string   // name of the formula of the workers it supports; "" where it limits no number
	Symptom  string   // what users see if it is not fixed
	Mend     string   // how to fix it: a paragraph
	Lint     bool     // it judges nginx's config alone, and needs nothing of the host
	Eval     func(Case) Judgement
}

// On says on which hosts of a deployment a check is asked.
type On int

// The hosts.
const (
	OnApp      On = iota // where the application runs
	OnProxy              // where nginx runs
	OnEach               // on either, separately
	OnHop                // of every proxy and forwarder before the application, but nginx
	OnBalancer           // of every load balancer that was named
	OnURL                // from outside, through the URL that workers use
)

// Group is the part of the id before the slash.
func (c Check) Group() string {
	group, _, _ := strings.Cut(c.ID, "/")
	return group
}

// Doc is the check's page in docs.
func (c Check) Doc() string { return "docs/checks/" + strings.ReplaceAll(c.ID, "/", "-") + ".md" }

var all = slices.Concat(appChecks, holdsChecks, proxyLimitChecks, stateChecks, entryChecks, statedChecks, silenceChecks, hopBodyChecks, keepaliveChecks, restartChecks, backlogChecks,
	nginxChecks, routeChecks, slotChecks, accessChecks, reachChecks, timeoutChecks, bodyChecks, fallbackChecks, upstreamChecks, securityChecks, tlsChecks, memoryChecks, hostChecks, renewalChecks, probeChecks, probeAnswerChecks, probeHoldChecks)

// All lists the checks in the order of output.
func All() []Check { return slices.Clone(all) }

// ByID finds a check.
func ByID(id string) (Check, bool) {
	i := slices.IndexFunc(all, func(c Check) bool { return c.ID == id })
	if i < 0 {
		return Check{}, false
	}
	return all[i], true
}

// A Deployment is the facts of its hosts; where one host carries all, both are
// the same facts. Outside are the facts that hold a probe; nil: none was made.
// Without App and Proxy nothing but the probe is judged.
type Deployment struct {
	App, Proxy, Outside *facts.Facts
}

// OneHost is a deployment that one host carries.
func OneHost(f facts.Facts) Deployment {
	d := Deployment{App: &f, Proxy: &f, Outside: &f}
	if f.Probe.Known() && f.Probe.V == nil {
		d.Outside = nil
	}
	return d
}

// Single says whether one host carries all.
func (d Deployment) Single() bool { return d.App == d.Proxy }

// A Case is what a check is asked about: the facts of one host and its part in
// the deployment.
type Case struct {
	facts.Facts
	Role       string // "app", "proxy"; "" where one host is both
	Deployment Deployment
	Demand     reports.Demand
	Lint       bool // nginx's config is all that is known

	Hop    *kinds.Hop // that a check of OnHop is asked of; nil: there is none
	noHops *Judgement // why what is before the application is not known
}

// A Judgement is a check's answer.
type Judgement struct {
	Status   reports.Status // pass, fail, unknown or n/a
	Got      string
	Want     string
	Source   string
	Reason   string // of unknown and n/a
	Remedy   reports.Remedy
	Capacity *Capacity // nil where it limits no number of workers, and where that is unknown
	RuledOut []string  // causes of the check's that what was seen speaks against
	Mild     bool      // a fail that is a warning, whatever the check's severity
	Proof    string    // of Capacity, where a kind's own experiments proved it; "": its formula's
}

// Capacity is how many workers a limit supports: Safe surely, Hard at best. Likely
// lies between, where an experiment tells; 0: none does.
type Capacity struct {
	Safe, Likely, Hard int

	InUse facts.Value[int64] // of the limited thing, now
	Unit  string             // of InUse: "fds", "ports", "bytes", "connections"
}

func pass(got, source string) Judgement {
	return Judgement{Status: reports.StatusPass, Got: got, Source: source}
}

func fail(got, want, source string, r reports.Remedy) Judgement {
	return Judgement{Status: reports.StatusFail, Got: got, Want: want, Source: source, Remedy: r}
}

func notApplicable(format string, a ...any) Judgement {
	return Judgement{Status: reports.StatusNA, Reason: fmt.Sprintf(format, a...)}
}

// cantTell is unknown for the reason that a fact gives.
func cantTell[T any](what string, v facts.Value[T]) Judgement {
	why := v.Why()
	if !strings.HasSuffix(why, facts.NameIt) { // that is one reason of all that is unknown by it
		why = what + ": " + why
	}
	return Judgement{Status: reports.StatusUnknown, Reason: why, Source: v.Source}
}

// unknownFor is unknown for a reason of the check's own.
func unknownFor(format string, a ...any) Judgement {
	return Judgement{Status: reports.StatusUnknown, Reason: fmt.Sprintf(format, a...)}
}

// limits judges a limit by the workers it supports: it passes where the safe
// bound carries the demand, and warns where the likely one does.
func (c Case) limits(cap Capacity, got, want, source string, fix func() reports.Remedy) Judgement {
	o := Judgement{Status: reports.StatusPass, Got: got, Want: want, Source: source, Capacity: &cap}
	if cap.Safe < c.Demand.Workers {
		o.Status, o.Mild = reports.StatusFail, cap.Likely >= c.Demand.Workers
		o.Remedy = fix()
	}
	return o
}
