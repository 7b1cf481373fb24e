package loadgen

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fltool/fltool/reports"
)

// report sums a drill up once the run is over, with its rounds.
func (d *drill) report(p *Plan, rounds []reports.Round) *reports.Drill {
	out := &reports.Drill{Policy: p.Policy.String(), Connections: d.open, WentBack: d.wentBack}
	type hit struct {
		act   int
		again time.Duration // since the act began; -1: never
	}
	var hits []hit
	lost := make([]int, len(d.acts))
	for i := range d.trails {
		t := &d.trails[i]
		if t.ended {
			out.Ended++
		}
		if len(t.absences) == 0 {
			continue
		}
		out.Workers++
		for class, n := range t.failed {
			if out.Failed == nil {
				out.Failed = map[string]int{}
			}
			out.Failed[class] += n
		}
		for _, a := range t.absences {
			out.Requests += a.requests
			switch a.how {
			case howCut:
				out.Cut++
			case howText:
				out.Text++
			case howServerError:
				out.ServerErrors++
			}
			act := d.actBefore(a.lost)
			lost[act]++
			h := hit{act: act, again: -1}
			if a.again > 0 {
				h.again = a.again - d.acts[act].began
			}
			hits = append(hits, h)
		}
		if t.absences[len(t.absences)-1].again == 0 {
			out.Away++
			out.AwayCauses = count(out.AwayCauses, t.last)
		}
	}
	all := make([]time.Duration, 0, len(hits))
	byAct := make([][]time.Duration, len(d.acts))
	for _, h := range hits {
		all, byAct[h.act] = append(all, h.again), append(byAct[h.act], h.again)
	}
	out.Recovered = moments(all)
	for i, a := range d.acts {
		x := reports.Act{
			Command: a.Name, At: a.began.Seconds(), Seconds: (a.ended - a.began).Seconds(), Output: a.said,
			Lost: lost[i], Workers: len(byAct[i]), Recovered: moments(byAct[i]),
		}
		switch {
		case a.began == 0:
			x.Seconds, x.Failed = 0, "it was not run"
		case a.ended == 0:
			x.Seconds, x.Failed = 0, "it had not ended"
		case a.err != nil:
			x.Failed = a.err.Error()
		}
		out.Acts = append(out.Acts, x)
	}
	out.ConnectsPeak = busiest(d.dials, d.acts)
	d.models(out)
	d.updates(out, p, rounds)
	return out
}

// actBefore is the last act that had begun at a moment.
func (d *drill) actBefore(at time.Duration) int {
	last := 0
	for i, a := range d.acts {
		if a.began > 0 && a.began <= at {
			last = i
		}
	}
	return last
}

// moments are when the shares of the workers were held again, as far as so many were;
// who never was has a negative time.
func moments(again []time.Duration) []reports.Moment {
	var back []time.Duration
	for _, d := range again {
		if d >= 0 {
			back = append(back, d)
		}
	}
	slices.Sort(back)
	var ms []reports.Moment
	for _, share := range reports.DrillShares {
		n := int(math.Ceil(share * float64(len(again))))
		if n > 0 && n <= len(back) {
			ms = append(ms, reports.Moment{Share: share, Seconds: back[n-1].Seconds()})
		}
	}
	return ms
}

// busiest is the most connections begun within a second, from the first act on.
func busiest(tenths []int32, acts []acted) int {
	if len(acts) == 0 || acts[0].began == 0 {
		return 0
	}
	from, most, sum := int(acts[0].began/(time.Second/10)), 0, 0
	for i := from; i < len(tenths); i++ {
		sum += int(tenths[i])
		if i-from >= 10 {
			sum -= int(tenths[i-10])
		}
		most = max(most, sum)
	}
	return most
}

// models counts the versions that workers missed, of those that appeared after the first
// act.
func (d *drill) models(out *reports.Drill) {
	for _, t := range d.trails {
		for _, v := range d.versions[d.old:] {
			if !slices.Contains(t.had, v) {
				out.ModelsMissed++
			}
		}
	}
}

// updates judges what became of the updates of each round: those of one that did not end
// though each was accepted came to nothing; one that ended with fewer than it needs, those
// that nobody answered counted in, counted others twice.
func (d *drill) updates(out *reports.Drill, p *Plan, rounds []reports.Round) {
	need := cmp.Or(p.Quorum, p.Workers)
	unheard := map[string]int{}
	for _, t := range d.trails {
		if t.unheard != "" {
			unheard[string(t.unheard)]++
		}
	}
	for _, r := range rounds {
		out.UpdatesJudged = true
		switch have := r.Workers + unheard[r.Version]; {
		case r.Open && r.Workers >= need:
			out.UpdatesLost += r.Workers
		case !r.Open && have < need:
			out.UpdatesTwice += need - have
		}
	}
}

// drillVerdict judges a drill: what was to be held is held again, by workers none of
// which would have ended.
func drillVerdict(p *Plan, r *reports.Report, end ending) (reports.Verdict, []string) {
	d := r.Drill
	if why := tooSlow(p, r); why != "" {
		r.Generator.Refused = why
		return reports.VerdictRefused, []string{why}
	}
	for _, a := range d.Acts {
		if a.Failed != "" {
			return reports.VerdictRefused, []string{fmt.Sprintf("the command %q failed: %s", a.Command, a.Failed)}
		}
	}
	if end.interrupted {
		return reports.VerdictRefused, []string{fmt.Sprintf("interrupted after %.1f s", r.Env.Seconds)}
	}
	var why []string
	if d.Away > 0 {
		why = append(why, fmt.Sprintf("%d of %s were not held again: %s", d.Away, workersOf(p.Workers), causes(d.AwayCauses)))
	}
	if n := len(r.Lost); n > 0 {
		l := r.Lost[0]
		why = append(why, fmt.Sprintf("%d of %d workers lost, the first: %s at %s: %s: %s", n, p.Workers, l.Worker, l.Step, l.Class, l.Detail))
	}
	if d.UpdatesLost > 0 {
		why = append(why, fmt.Sprintf("%d updates were accepted, and no model came of them", d.UpdatesLost))
	}
	if d.UpdatesTwice > 0 {
		why = append(why, fmt.Sprintf("%d updates were counted twice", d.UpdatesTwice))
	}
	if d.WentBack {
		why = append(why, "the model's version went back: the server lost what it had")
	}
	if r.Held.NeverHeld > 0 {
		why = append(why, fmt.Sprintf("%d of %d workers were never held: %s", r.Held.NeverHeld, p.Workers, causes(r.Held.NeverCauses)))
	}
	if len(why) > 0 {
		return reports.VerdictFail, why
	}
	if d.Ended > 0 && p.Restart == 0 {
		return reports.VerdictWarn, []string{fmt.Sprintf("%s of dc_federated's would have ended for good: nothing but a supervisor starts them again", workersOf(d.Ended))}
	}
	return reports.VerdictPass, nil
}
