package loadgen

import (
	"fmt"
	"net/url"
	"runtime"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// slowed is how much later than its ramp a fleet must have arrived for that to be said.
const slowed = time.Second

// report puts together what was seen.
func (r *run) report(books []*book, timeline *line, end ending, samples *sampler) reports.Report {
	all := newBook()
	for _, b := range books {
		all.add(b)
	}
	samples.look() // what is left
	rep := r.figures(all, timeline.ticks, timeline.step, samples)
	rep.Held, rep.Stages = r.heldReport(end, all, samples.places), r.staging.seen()
	if rep.Held.Kept > 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("the server answered no connection beyond those of its workers: %s kept its own without a poll, to end the others' afterwards", r.keep.who.Load().name()))
	}
	end.forgone, end.forgoneAs = all.forgone, all.forgoneAs
	if s := r.plan.Scenario; s.Name != "" {
		rep.Scenario = &reports.Scenario{Name: s.Name, Plan: s.String()}
	}
	if r.drill != nil {
		rep.Demand.HoldSeconds = 0 // it ends when all are held again
		rep.Drill = r.drill.report(&r.plan, rep.Rounds)
		if rep.Scenario == nil {
			rep.Kind = reports.KindDrill
		}
		rep.Verdict, rep.Reasons = drillVerdict(&r.plan, &rep, end)
	} else {
		rep.Verdict, rep.Reasons = verdict(&r.plan, &rep, end)
		if why := byQuorum(&r.plan, &rep); why != "" && len(rep.Reasons) == 0 {
			rep.Notes = append(rep.Notes, why)
		}
	}
	if r.play.report != nil {
		r.play.report(&rep)
	}
	return rep
}

// figures are those of a run as its books have them, whether it is over or not: all of a
// report but what became of each worker's poll, and the verdict. It writes into ticks.
func (r *run) figures(all *book, ticks []reports.Tick, step time.Duration, samples *sampler) reports.Report {
	rounds, wakeup := all.close(r.start, r.plan.Quorum > 0)
	if r.plan.Quorum > 0 {
		rounds = asked(rounds, r.plan.Rounds)
	}
	all.heat.into(ticks, step)
	resources := samples.resources()
	rep := reports.Report{
		Schema: reports.Schema, Kind: reports.KindSimulate,
		Env: environment(r.start, &r.plan),
		Demand: reports.Demand{
			Workers: r.plan.Workers, Rounds: r.plan.Rounds, HoldSeconds: r.plan.Hold.Seconds(), RampSeconds: r.plan.Ramp.Seconds(),
			UpdateBytes: r.plan.Update.size, Stages: StagesText(r.plan.Stages),
		},
		Rounds: rounds, Timeline: ticks, Step: step.Seconds(), Lost: all.lost, Resources: resources,
		Queue:     r.queue.since(),
		Bytes:     &reports.Bytes{Sent: r.t.bytes.out.Load(), Received: r.t.bytes.in.Load()},
		Generator: samples.health(resources[len(resources)-1], all.lag, all.spare, r.portsLeft(), all.reconnects()+int(r.held.reconnects.Load())),
	}
	rep.Generator.Slowed = slowedBy(&r.plan, rep.Generator)
	if why := rep.Generator.Slowed; why != "" {
		rep.Notes = append(rep.Notes, why)
	}
	if r.opts.Env != nil {
		r.opts.Env(&rep.Env)
	}
	for s := range steps {
		if h := all.steps[s]; h.Count() > 0 {
			rep.Series = append(rep.Series, h.Series(s.String()))
		}
	}
	for name, h := range map[string]reports.Histogram{"wakeup": wakeup, "lag": all.lag} {
		if h.Count() > 0 {
			rep.Series = append(rep.Series, h.Series(name))
		}
	}
	for _, e := range all.errors {
		rep.Errors = append(rep.Errors, *e)
	}
	sortReport(&rep)
	if every := all.interval(); every > 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("the server looks for a new model once in %s on behalf of each poll: a fan-out of up to that is its interval, no slowness", every))
	}
	if r.plan.Ramp > 0 && all.arrived > r.plan.Ramp+slowed {
		rep.Notes = append(rep.Notes, fmt.Sprintf("the workers arrived over %.1f s instead of %.1f s: more at once could not be served here (--ramp-open sends them in any case)",
			all.arrived.Seconds(), r.plan.Ramp.Seconds()))
	}
	return rep
}

func (r *run) heldReport(end ending, b *book, accepted int) *reports.Held {
	h := &reports.Held{
		Asked: len(r.workers), Peak: int(r.held.peak.Load()), Steady: end.held,
		HoldSeconds: end.hold.Seconds(), RepollsAsked: b.repolls,
	}
	mute, shut := 0, 0 // without an answer: of those, after they had had some
	for _, w := range r.workers {
		if w.mute {
			mute++
			if w.id != "" {
				shut++
			}
		}
		switch {
		case r.keep.stays(w):
			h.Kept = 1
		case !w.parked && r.plan.Hold > 0: // in rounds the next model may be there before a worker asks
			h.NeverHeld++
			h.NeverCauses = count(h.NeverCauses, w.last)
		case w.dropped != "":
			h.LostWhile++
			h.LostCauses = count(h.LostCauses, &failure{class: w.dropped})
		}
	}
	switch {
	case !waited(b):
		r.staging.noPlaces()
	case r.staging != nil:
		h.Places = r.staging.places()
	case r.still(mute, len(r.workers), end.at):
		h.Places = len(r.workers) - mute
		if shut > 0 {
			// Behind a proxy every request has a connection of its own, and a poll that waits for
			// a place looks held: only the server's side tells.
			h.Places = max(0, accepted)
		}
	}
	return h
}

// stillness is how long nobody may have had an answer for those who wait for one not to
// be waited for any more.
const stillness = 5 * time.Second

// still says whether the server answered nobody any more: some of so many workers got not
// one byte, and all has been still for a while.
func (r *run) still(mute, all int, now time.Duration) bool {
	still := now - time.Duration(r.answered.Load())
	return mute > 0 && mute < all && still >= min(stillness, r.plan.RequestTimeout)
}

// waited says whether all that went wrong is what comes of waiting for a place.
func waited(b *book) bool {
	for c := range b.errors {
		if c != classTimeout && c != classReconnect && c != class5xx {
			return false
		}
	}
	return true
}

func count(m map[string]int, f *failure) map[string]int {
	if m == nil {
		m = map[string]int{}
	}
	if f == nil {
		f = failed("not reached", "")
	}
	m[string(f.class)]++
	return m
}

// portsLeft is how many local ports were free at the worst; -1 where unknown.
func (r *run) portsLeft() int64 {
	ports, err := facts.ReadPortRange(facts.NewRoot("/"))
	if err != nil {
		return -1
	}
	return int64(ports.Usable()*len(r.dialers) - len(r.workers))
}

// environment is where and how the run was made.
func environment(start time.Time, p *Plan) reports.Env {
	host := facts.ReadHost(facts.NewRoot("/"))
	target := url.URL{Scheme: p.Target.Scheme, Host: p.Target.Host}
	return reports.Env{
		Target: target.String(), Started: start.UTC().Format(time.RFC3339Nano), Seconds: time.Since(start).Seconds(),
		Hostname: host.Hostname.V, Kernel: host.Kernel.V, CPU: host.CPU.V, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		Seed: p.Seed,
	}
}
