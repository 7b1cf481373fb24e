package loadgen

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/reports"
)

// flaky puts a relay between workers and server. An update whose answer is lost may have
// counted, and may count again for the next round when it is sent again: so a round is
// what the server makes of it, as with a quorum.
func flaky(r *run) (play, error) {
	n := r.plan.Scenario.numbers
	server, dialers := r.address, r.dialers
	var turn atomic.Uint64
	relay := &relay{
		course: fates{seed: r.plan.Seed, every: n["every"], delay: seconds(n["delay"]), silence: seconds(n["silence"])}.course,
		dial: func(ctx context.Context) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, r.plan.RequestTimeout)
			defer cancel()
			return dialers[turn.Add(1)%uint64(len(dialers))](ctx, "tcp", server)
		},
	}
	address, err := relay.start()
	if err != nil {
		return play{}, err
	}
	r.t.address, r.t.dialers = address, []Dialer{netDialer(netip.Addr{})}
	return play{
		report: func(rep *reports.Report) {
			rep.Scenario.Flaky = &reports.Flaky{
				Connections: int(relay.conns.Load()), Delayed: int(relay.had[troubleDelay].Load()), Cut: int(relay.had[troubleCut].Load()),
				Reset: int(relay.had[troubleReset].Load()), Silenced: int(relay.had[troubleSilence].Load()),
				Workers: len(r.workers), Served: int(r.finished.Load()),
			}
			if rep.Verdict == reports.VerdictWarn { // for errors, which are the relay's
				rep.Verdict, rep.Reasons = reports.VerdictPass, nil
			}
		},
		close: func(*reports.Report) { relay.close() },
	}, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
