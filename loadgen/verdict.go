package loadgen

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/fltool/fltool/reports"
)

// verdict judges a run by its report. A generator that could not keep up proves
// nothing about the server, so it comes before all else.
func verdict(p *Plan, r *reports.Report, end ending) (reports.Verdict, []string) {
	if why := tooSlow(p, r); why != "" {
		r.Generator.Refused = why
		return reports.VerdictRefused, append([]string{why}, complaints(p, r, end)...)
	}
	if why := complaints(p, r, end); len(why) > 0 {
		if slowed := r.Generator.Slowed; slowed != "" {
			return reports.VerdictRefused, append([]string{slowed}, why...)
		}
		if quorum := byQuorum(p, r); quorum != "" {
			return reports.VerdictRefused, append([]string{quorum}, why...)
		}
		return reports.VerdictFail, why
	}
	if end.interrupted {
		return reports.VerdictRefused, []string{fmt.Sprintf("interrupted after %.1f s", r.Env.Seconds)}
	}
	if n, classes := retried(r); n > 0 {
		return reports.VerdictWarn, []string{fmt.Sprintf(
			"%d requests failed and were tried again: %s; dc_federated's own workers end on a broken connection and spin on other answers", n, causes(classes))}
	}
	return reports.VerdictPass, nil
}

// byQuorum says that the server ends rounds without all workers, which were told to take
// part in so many each: those that are through are missed by the last rounds.
func byQuorum(p *Plan, r *reports.Report) string {
	const why = "it does not wait for all workers, and --quorum says for how many it does"
	if p.Quorum > 0 || r.Drill != nil { // a restart may have ended rounds
		return ""
	}
	for _, x := range r.Rounds {
		if !x.Open && x.Late > 0 {
			return fmt.Sprintf("the server ended round %d with %d of %d updates: %s", x.Number, x.Workers-x.Late, p.Workers, why)
		}
	}
	if n := len(r.Rounds); n > p.Rounds {
		return fmt.Sprintf("the server took updates of %d models where each worker sent %d: %s", n, p.Rounds, why)
	}
	return ""
}

// retried counts the errors that cost no worker; a reconnect is none.
func retried(r *reports.Report) (int, map[string]int) {
	sum, classes := 0, map[string]int{}
	for _, e := range r.Errors {
		if e.Class != string(classReconnect) {
			sum += e.Count
			classes[e.Class] = e.Count
		}
	}
	return sum, classes
}

// tooSlow says why the generator, not the server, was the limit.
func tooSlow(p *Plan, r *reports.Report) string {
	for _, e := range r.Errors {
		if e.Class == string(classGenerator) {
			return fmt.Sprintf("the generator ran out of descriptors or ports: %s (%d times)", e.Example, e.Count)
		}
	}
	lag := r.Generator.SpareLagP99Seconds
	if p.StrictLag {
		lag = r.Generator.LagP99Seconds
	}
	if lag > p.MaxLag.Seconds() {
		return fmt.Sprintf("the generator could not keep up: %s (limit %s)%s", lateBy(lag), p.MaxLag, busyWith(r))
	}
	return ""
}

func lateBy(lag float64) string {
	return fmt.Sprintf("1 request in 100 was sent %s or more after it was due", time.Duration(lag*float64(time.Second)).Round(time.Millisecond))
}

// slowedBy says, of a run that was late for want of CPU alone, how much: server and
// generator are on one machine, and had all of it. Workers that answer a new model at once
// wait for their turn then. That makes rounds longer and no request, and can't make a
// server look better than it is in what it has to hold; so such a run may pass, but
// nothing that goes wrong in it is blamed on the server.
func slowedBy(p *Plan, g *reports.Generator) string {
	if p.StrictLag || g.LagP99Seconds <= p.MaxLag.Seconds() || g.SpareLagP99Seconds > p.MaxLag.Seconds() {
		return ""
	}
	return fmt.Sprintf("generator and server together had all of this machine's CPUs: %s; rounds are as fast as both can be here, and the server alone is faster", lateBy(g.LagP99Seconds))
}

// busyWith says what the machine did meanwhile, and what to try.
func busyWith(r *reports.Report) string {
	g := r.Generator
	return fmt.Sprintf("; of the CPUs this process used %.0f%%, a share of %.0f%% of that for its garbage, other processes than generator and server %.0f%%, other guests of the hypervisor %.0f%%: try a longer --ramp, --procs, --shard over several machines, or a machine that does nothing else",
		100*g.CPUShare, 100*g.GCCPUShare, 100*g.OthersCPUShare, 100*g.StolenCPUShare)
}

// complaints lists what went wrong, worst first.
func complaints(p *Plan, r *reports.Report, end ending) []string {
	var why []string
	if end.exited != nil {
		why = append(why, fmt.Sprintf("the server ended during the run: %v", end.exited))
	}
	if n := r.Held.Places; n > 0 {
		why = append(why, full(p, r, n))
	}
	if n := len(r.Lost); n > 0 {
		l := r.Lost[0]
		why = append(why, fmt.Sprintf("%d of %d workers lost, the first: %s at %s: %s: %s", n, p.Workers, l.Worker, l.Step, l.Class, l.Detail))
	}
	if end.stalled > 0 {
		why = append(why, fmt.Sprintf("%s waited for a round that did not end", workersOf(end.stalled)))
	}
	// Who was cut or refused tells of other causes.
	if n := len(r.Rounds); n > 0 && len(r.Lost) > 0 && r.Rounds[n-1].Open && r.Rounds[n-1].Workers == p.Workers &&
		!slices.ContainsFunc(r.Lost, func(l reports.Lost) bool { return l.Class != string(classTimeout) }) {
		why = append(why, fmt.Sprintf("every update of round %d was accepted, and no new model came: the server may wait for workers that are not simulated", r.Rounds[n-1].Number))
	}
	if p.Hold > 0 {
		if r.Held.NeverHeld > 0 && !end.interrupted {
			why = append(why, fmt.Sprintf("%d of %d workers were never held: %s", r.Held.NeverHeld, p.Workers, causes(r.Held.NeverCauses)))
		}
		if r.Held.LostWhile > 0 {
			why = append(why, fmt.Sprintf("%s lost a held poll: %s", workersOf(r.Held.LostWhile), causes(r.Held.LostCauses)))
		}
	}
	if end.forgone > 0 {
		why = append(why, fmt.Sprintf("%d updates were not accepted, the first: %s", end.forgone, end.forgoneAs))
	}
	return why
}

// full says that the server had places for so many workers, and at which stage.
func full(p *Plan, r *reports.Report, places int) string {
	const text = "the server had places for %s and no more: the other %d waited for one"
	left := false
	for i, s := range r.Stages {
		left = left || s.Shape == ShapeChurn || i > 0 && s.Asked < r.Stages[i-1].Asked
		if s.Places == 0 {
			continue
		}
		why := fmt.Sprintf("in stage %d "+text, s.Number, workersOf(places), s.Asked-places)
		if left {
			why += "; it may still have held polls of workers that had left"
		}
		return why
	}
	return fmt.Sprintf(text, workersOf(places), p.Workers-places)
}

// workersOf is a number of workers in words.
func workersOf(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}

func causes(m map[string]int) string {
	var parts []string
	for c, n := range m {
		parts = append(parts, fmt.Sprintf("%s (%d)", c, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// sortReport puts what came out of maps in a fixed order.
func sortReport(r *reports.Report) {
	order := []string{"register", "challenge", "poll", "model", "update", "wakeup", "lag"}
	sort.Slice(r.Series, func(i, j int) bool {
		return slices.Index(order, r.Series[i].Name) < slices.Index(order, r.Series[j].Name)
	})
	sort.Slice(r.Errors, func(i, j int) bool {
		a, b := &r.Errors[i], &r.Errors[j]
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Class, b.Class)) < 0
	})
	sort.Slice(r.Lost, func(i, j int) bool {
		a, b := &r.Lost[i], &r.Lost[j]
		return cmp.Or(cmp.Compare(a.Seconds, b.Seconds), strings.Compare(a.Worker, b.Worker)) < 0
	})
}
