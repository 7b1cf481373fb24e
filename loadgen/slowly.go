package loadgen

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// slowly has slow clients beside the rounds. Workers that have just had a model lend
// theirs their keys.
func slowly(r *run) (play, error) {
	if r.plan.Keys == nil {
		return play{}, errors.New("slow clients want a server with a key list: without one a slow update would be a worker's")
	}
	n := r.plan.Scenario.numbers
	s := &slowClients{
		address: r.address, tls: r.plan.TLS, clients: int(n["clients"]), rate: n["rate"], from: strangers(r),
		update: newSlowUpdate(&r.plan.Update.form), lent: make(chan lentKey),
	}
	for _, k := range r.plan.Keys {
		s.workers = append(s.workers, wire.WorkerID(k.Public().(ed25519.PublicKey)))
	}
	b := newBeside(r, s.run)
	return play{
		heard: func(w *worker) {
			if w.step != stepModel || w.out.fail != nil {
				return
			}
			select {
			case s.lent <- lentKey{w.id, w.key}:
			default: // nobody wants one
			}
		},
		look: b.look, end: b.halt,
		report: func(rep *reports.Report) {
			rep.Scenario.Slow = &reports.Slow{}
			for _, kind := range slices.Sorted(maps.Keys(s.counts)) {
				rep.Scenario.Slow.Kinds = append(rep.Scenario.Slow.Kinds, s.counts[kind])
			}
			cost := b.cost(rep.Rounds)
			rep.Scenario.Cost = &cost
			slowVerdict(rep, b.err)
		},
	}, nil
}

// slowVerdict judges whether there were slow clients: what they did to honest workers is
// judged as in any run.
func slowVerdict(r *reports.Report, err error) {
	if r.Verdict == reports.VerdictRefused {
		return
	}
	var missing []string
	for _, kind := range slices.Sorted(maps.Keys(slowKinds)) {
		if !slices.ContainsFunc(r.Scenario.Slow.Kinds, func(k reports.SlowKind) bool { return k.Name == kind }) {
			missing = append(missing, kind+"s")
		}
	}
	why := ""
	switch {
	case err != nil:
		why = fmt.Sprintf("no room for all slow clients: %s", cause(err))
	case len(missing) > 0:
		why = fmt.Sprintf("the rounds were over before there were slow %s: --think makes them longer, --rounds more", strings.Join(missing, " and "))
	default:
		return
	}
	r.Verdict = reports.Worse(r.Verdict, reports.VerdictRefused)
	r.Reasons = append(r.Reasons, why)
}
