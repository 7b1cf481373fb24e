package loadgen

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// Act is something that is done to the deployment while its workers are held.
type Act struct {
	Name string
	At   time.Duration                                      // since all are held; with rounds: since all have registered
	Do   func(ctx context.Context) (said string, err error) // ends soon after ctx does
}

// acted is what became of an act. Times are since the start of the run.
type acted struct {
	Act
	began, ended time.Duration // 0: not yet
	said         string
	err          error
}

// again is how long all must be held after the last act to count as back: a poll that is
// ended at once was never held.
const again = 2 * heldLong

// drill follows a fleet through its acts.
type drill struct {
	patience time.Duration // longest wait, after the last act, for all to be held again
	trails   []trail       // by the worker's index; each belongs to who has the worker
	ctx      context.Context
	doing    sync.WaitGroup

	mu       sync.Mutex
	acts     []acted
	dials    []int32        // connections begun, by tenth of a second since the start
	versions []wire.Version // in the order of their appearance
	old      int            // of those, that had appeared before the first act
	wentBack bool
	open     int // most connections at one moment
	back     time.Duration
}

// trail is one worker's way through a drill.
type trail struct {
	absences []absence
	last     *failure       // of its requests
	failed   map[string]int // requests while it was not held, by class
	ended    bool           // a worker of dc_federated's would have
	had      []wire.Version // since the first act
	newest   int            // of the versions that it ever had, by their order of appearance
	unheard  wire.Version   // its update of that version ended without an answer
}

// absence is the time from the end of a worker's held poll to when it was held again.
type absence struct {
	lost     time.Duration
	how      how
	again    time.Duration // 0: never
	requests int
}

// how a held poll ended.
type how uint8

const (
	howCut how = iota
	howText
	howServerError
	hows // their number
)

func newDrill(ctx context.Context, acts []Act, patience time.Duration, workers int) *drill {
	d := &drill{ctx: ctx, patience: patience, trails: make([]trail, workers)}
	for _, a := range acts {
		d.acts = append(d.acts, acted{Act: a})
	}
	slices.SortStableFunc(d.acts, func(a, b acted) int { return cmp.Compare(a.At, b.At) })
	return d
}

// look begins the acts that are due; ready is when the first may be, 0 before it is
// known.
func (d *drill) look(now, ready time.Duration, open int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = max(d.open, open)
	if ready == 0 {
		d.open = 0
		return
	}
	for i := range d.acts {
		a := &d.acts[i]
		if a.began > 0 || now < ready+a.At {
			continue
		}
		a.began = now
		d.doing.Go(func() {
			from := time.Now()
			said, err := a.Do(d.ctx)
			d.mu.Lock()
			defer d.mu.Unlock()
			a.ended, a.said, a.err = a.began+time.Since(from), said, err
		})
	}
}

// acted says whether all acts have ended.
func (d *drill) acted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !slices.ContainsFunc(d.acts, func(a acted) bool { return a.ended == 0 })
}

// over says whether the last act is over and all have been held since, or have had their
// time for it.
func (d *drill) over(now time.Duration, s standing) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := time.Duration(0)
	for _, a := range d.acts {
		if a.ended == 0 {
			return false
		}
		last = max(last, a.ended)
	}
	if s.held+s.lost < s.all {
		d.back = 0
	} else if d.back == 0 {
		d.back = now
	}
	return d.back > 0 && now-max(d.back, last) >= again || now-last >= d.patience
}

// dialled books a connection begun.
func (d *drill) dialled(at time.Duration) {
	tenth := int(at / (time.Second / 10))
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.dials) <= tenth {
		d.dials = append(d.dials, 0)
	}
	d.dials[tenth]++
}

// first is when the first act began; false before that.
func (d *drill) first() (time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.acts) == 0 || d.acts[0].began == 0 {
		return 0, false
	}
	return d.acts[0].began, true
}

// enter books a worker's last request before it steps on.
func (d *drill) enter(w *worker, p *Plan) {
	o, t := &w.out, &d.trails[w.index]
	from, begun := d.first()
	model := w.step == stepModel && o.fail == nil && o.version != ""
	if model {
		t.newest = d.appeared(o.version, t.newest)
	}
	if !begun || o.done < from {
		return
	}
	switch {
	case model:
		t.had = append(t.had, o.version)
	case w.step == stepUpdate && o.fail == nil:
		t.unheard = ""
	case w.step == stepUpdate && !o.replied():
		t.unheard = w.version
	}
	t.ended = t.ended || w.ends(p)
	if o.fail != nil && o.fail != stopped {
		t.last = o.fail
	}
	var away *absence
	if n := len(t.absences); n > 0 && t.absences[n-1].again == 0 {
		away = &t.absences[n-1]
	}
	if away != nil && o.begun {
		away.requests++
		if f := o.fail; f != nil && f.class != classStopped && f.class != classReconnect {
			t.failed = count(t.failed, f)
		}
	}
	if !o.held {
		return
	}
	if away != nil && o.long() {
		away.again, away = o.sent, nil
		t.absences[len(t.absences)-1].requests-- // the one that was held is none of the storm
	}
	if o.fail == stopped || o.fail == nil && o.text == wire.TextUpdated || away != nil {
		return
	}
	a := absence{lost: o.done, how: howText}
	switch {
	case !o.replied():
		a.how = howCut
	case o.status >= 500:
		a.how = howServerError
	}
	t.absences = append(t.absences, a)
}

// appeared books that a version was given to a worker whose newest was that one, and
// says which is now.
func (d *drill) appeared(v wire.Version, newest int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := slices.Index(d.versions, v)
	if at < 0 {
		at, d.versions = len(d.versions), append(d.versions, v)
		if len(d.acts) == 0 || d.acts[0].began == 0 {
			d.old = len(d.versions)
		}
	}
	d.wentBack = d.wentBack || at < newest
	return max(at, newest)
}

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
