package loadgen

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// mostReplays bounds the messages of honest workers that are kept to be sent again.
const mostReplays = 16

// raid has strangers send hostile requests beside the rounds. They know the workers' ids
// and what some of them have sent.
func raid(r *run) (play, error) {
	if r.plan.Keys == nil {
		return play{}, errors.New("hostile requests want a server with a key list: without one anybody is a worker")
	}
	n := r.plan.Scenario.numbers
	var mu sync.Mutex
	h := Hostile{
		Address: r.address, TLS: r.plan.TLS, Requests: int(n["requests"]), Connections: int(n["connections"]), Seed: r.plan.Seed,
	}
	for _, k := range r.plan.Keys {
		h.Workers = append(h.Workers, wire.WorkerID(k.Public().(ed25519.PublicKey)))
	}
	h.From = strangers(r)
	var counts map[string]reports.HostileKind
	b := newBeside(r, func(ctx context.Context) (err error) {
		mu.Lock()
		h := h
		mu.Unlock()
		counts, err = h.Run(ctx)
		return err
	})
	return play{
		heard: func(w *worker) {
			if w.step != stepChallenge || w.goal != stepModel || w.out.fail != nil || w.index >= mostReplays {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if len(h.Replays) < mostReplays {
				h.Replays = append(h.Replays, wire.ModelRequest{WorkerID: w.id, SignedPhrase: wire.Sign(w.key, []byte(w.out.text))})
			}
		},
		look: b.look, end: b.end,
		report: func(rep *reports.Report) {
			rep.Scenario.Hostile = hostileReport(counts)
			cost := b.cost(rep.Rounds)
			rep.Scenario.Cost = &cost
			raidVerdict(rep, int(n["requests"]), b.err)
		},
	}, nil
}

// strangers are the addresses that others than the workers come from; none: any.
func strangers(r *run) (from []net.IP) {
	for _, ip := range r.plan.Sources {
		from = append(from, ip.AsSlice())
	}
	if len(from) == 0 {
		from = ownLoopbacks(r.address)
	}
	return from
}

// ownLoopbacks are addresses of this host other than the workers', for a server on its
// loopback: what it bounds by address must not befall them.
func ownLoopbacks(address string) (all []net.IP) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip.To4() == nil || !ip.IsLoopback() {
		return nil
	}
	for i := byte(2); i < 6; i++ {
		all = append(all, net.IPv4(127, 0, 0, i))
	}
	return all
}

func hostileReport(counts map[string]reports.HostileKind) *reports.Hostile {
	out := &reports.Hostile{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		out.Kinds = append(out.Kinds, counts[name])
	}
	return out
}

// raidVerdict judges what became of hostile requests, of which so many were asked for.
func raidVerdict(r *reports.Report, asked int, err error) {
	if r.Verdict == reports.VerdictRefused {
		return
	}
	sum := r.Scenario.Hostile.Sum()
	judge := func(v reports.Verdict, format string, a ...any) {
		r.Verdict = reports.Worse(r.Verdict, v)
		r.Reasons = append(r.Reasons, fmt.Sprintf(format, a...))
	}
	if sum.Through > 0 {
		judge(reports.VerdictFail, "%d hostile requests got through: %s", sum.Through, sum.Example)
	}
	if sum.Held > 0 {
		judge(reports.VerdictFail, "%d hostile requests were held for %s without an answer: %s", sum.Held, hostilePatience, sum.Example)
	}
	if sum.Broken > 0 {
		judge(reports.VerdictWarn, "%d hostile requests broke something: %s", sum.Broken, sum.Example)
	}
	switch {
	case err != nil:
		judge(reports.VerdictFail, "the server could not be reached any more: %s", cause(err))
	case sum.All() < asked:
		judge(reports.VerdictRefused, "only %d of %d hostile requests were sent", sum.All(), asked)
	}
}
