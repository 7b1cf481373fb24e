package loadgen

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// abandoned is what becomes of a held poll whose worker polls again on a new connection,
// and leaves that of the poll open and unread.
var abandoned = failed(classStopped, "abandoned")

// abandonment has each worker abandon its held poll so many times, each after a while.
// A client that times out by itself and leaks its connection does so.
type abandonment struct {
	r      *run
	times  int
	after  time.Duration
	most   int // connections that this process has room for beside its workers'
	before int // the server's descriptors, before the first poll was abandoned; -1: unknown
	now    int // the same at the end

	through atomic.Int64 // workers that have abandoned as many polls as they shall
}

func abandon(r *run) (play, error) {
	limits, err := facts.ReadLimits(facts.NewRoot("/"), os.Getpid())
	if err != nil {
		return play{}, err
	}
	n := r.plan.Scenario.numbers
	a := &abandonment{
		r: r, times: int(n["times"]), after: seconds(n["after"]),
		most: int(limits.NoFile.Soft) - 2*len(r.workers) - spareFDs,
	}
	r.t.abandon = a.take
	return play{
		acts: []Act{{Name: "abandon all polls", Do: a.do}},
		look: r.t.orphans.look,
		end:  func(context.Context) { a.now = r.settledFDs(a.before) },
		report: func(rep *reports.Report) {
			rep.Scenario.Abandon = a.report()
			if rep.Verdict != reports.VerdictRefused {
				abandonVerdict(rep)
			}
		},
	}, nil
}

// serverFDs counts the server's open descriptors; -1 where nobody can.
func (r *run) serverFDs() int {
	if r.opts.ServerPID == 0 {
		return -1
	}
	u, err := (&tree{root: facts.NewRoot("/"), pid: r.opts.ServerPID}).read()
	if err != nil {
		return -1
	}
	return u.FDs
}

// settleLongest is how long a server may let go of no connection while it has some to.
const settleLongest = 3 * time.Second

// settledFDs counts the server's open descriptors once there are no more than before, or
// get no fewer: a connection that it has answered for the last time may linger.
func (r *run) settledFDs(before int) int {
	now := r.serverFDs()
	for last := time.Now(); now > before && time.Since(last) < settleLongest; {
		time.Sleep(20 * time.Millisecond)
		if n := r.serverFDs(); n < now {
			now, last = n, time.Now()
		}
	}
	return now
}

// take keeps the connection of an abandoned poll open.
func (a *abandonment) take(w *worker, c *conn) bool {
	if w.out.fail != abandoned {
		return false
	}
	a.r.t.orphans.take(c)
	if w.abandons++; w.abandons == a.times {
		a.through.Add(1)
	}
	return true
}

// do ends once each worker that is left has abandoned as many polls as asked for.
func (a *abandonment) do(ctx context.Context) (string, error) {
	a.before = a.r.serverFDs()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last := time.Now() // when one was abandoned
	for {
		now, some := time.Since(a.r.start), false
		_, open := a.r.t.orphans.count()
		a.r.t.parking.endAll(a.r.workers, func(w *worker) *failure {
			if !w.out.held || w.abandons >= a.times || now-w.out.sent < a.after || open >= a.most {
				return nil
			}
			open++
			some = true
			return abandoned
		})
		switch {
		case int(a.through.Load()+a.r.lost.Load()) >= a.polling():
			return "", nil
		case open >= a.most:
			taken, _ := a.r.t.orphans.count()
			return "", fmt.Errorf("no room for more connections: the server keeps those of %d of %d abandoned polls open (ulimit -Hn raises it, or times=%d)", open, taken, a.most/len(a.r.workers))
		}
		if some {
			last = time.Now()
		} else if since := time.Since(last); since > a.after+a.r.opts.Patience {
			return "", fmt.Errorf("nobody was held for %s", since.Round(time.Second))
		}
		select {
		case <-ctx.Done():
			return "", nil
		case <-tick.C:
		}
	}
}

// polling are the workers that are held: all, but for a keeper that stays without a poll.
func (a *abandonment) polling() int {
	if a.r.keep.state.Load() == keepFull {
		return len(a.r.workers) - 1
	}
	return len(a.r.workers)
}

func (a *abandonment) report() *reports.Abandon {
	o := &a.r.t.orphans
	o.mu.Lock()
	defer o.mu.Unlock()
	rep := &reports.Abandon{Polls: o.taken, Answered: o.answered, Closed: o.closed, Unheard: o.unheard()}
	if a.before >= 0 && a.now >= 0 {
		rep.ServerFDsBefore, rep.ServerFDsAfter = &a.before, &a.now
	}
	return rep
}

// abandonVerdict judges what a server makes of abandoned polls: it should end each, and
// let go of its connection.
func abandonVerdict(r *reports.Report) {
	a := r.Scenario.Abandon
	if a.Unheard > 0 {
		r.Verdict = reports.Worse(r.Verdict, reports.VerdictFail)
		r.Reasons = append(r.Reasons, fmt.Sprintf("%d of %d abandoned polls were neither answered nor closed: the server or a proxy still holds them", a.Unheard, a.Polls))
	}
	if growth, known := a.Growth(); known && growth >= leastFDs {
		r.Verdict = reports.Worse(r.Verdict, reports.VerdictWarn)
		r.Reasons = append(r.Reasons, fmt.Sprintf("the server's descriptors rose from %d to %d over %d abandoned polls", *a.ServerFDsBefore, *a.ServerFDsAfter, a.Polls))
	}
}
