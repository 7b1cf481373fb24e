package loadgen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// churn has workers go while their polls are held, and come again. One that leaves closes
// its connection; one that vanishes says and reads nothing any more, and its connection
// stays open until the end of the run. The lock of the comings is that of all that it knows.
type churn struct {
	*comings
	most int // workers that are away at a time
	room int // connections of the gone that this process has room for
	next func() turn

	seats                  []seat // by the worker's index
	left, vanished, joined int
	back                   int       // of those that joined: had a model since
	doubles                []*orphan // polls beside which their worker's next was held for long
	peak                   int       // most ghosts at a time
	open                   int       // connections of the gone that the server had left open at the end
	fds                    int       // the server's descriptors without a worker; -1: unknown
}

// seat is what churn knows of one worker.
type seat struct {
	joins   bool    // it is back, and had no model yet
	ghost   *orphan // its last poll of those that it went from; nil once another was answered
	version wire.Version
}

// steady is how many workers a churn leaves in the fleet at the least.
func (s Scenario) steady(workers int) int {
	return max(1, workers-int(s.numbers["away"]/100*float64(workers)))
}

func churning(r *run) (play, error) {
	limits, err := facts.ReadLimits(facts.NewRoot("/"), os.Getpid())
	if err != nil {
		return play{}, err
	}
	p := &r.plan
	n := p.Scenario.numbers
	rates := moveRates{moveJoin: n["join"], moveLeave: n["leave"], moveVanish: n["vanish"]}
	c := &churn{
		comings: newComings(r), most: len(r.workers) - p.Scenario.steady(len(r.workers)), next: rates.turns(p.Seed),
		room: int(limits.NoFile.Soft) - len(r.workers) - spareFDs, seats: make([]seat, len(r.workers)), fds: r.serverFDs(),
	}
	switch {
	case rates[moveLeave]+rates[moveVanish] == 0:
		return play{}, errors.New("nobody leaves or vanishes: one of the rates must be above 0")
	case c.most == 0:
		return play{}, fmt.Errorf("%s of %d: nobody could go", p.Scenario, len(r.workers))
	}
	b := newBeside(r, c.do)
	r.t.abandon = c.take
	return play{
		heard: c.heard, gone: c.gone, lost: c.lost,
		look: func() {
			b.look()
			c.look()
		},
		end: func(ctx context.Context) {
			b.halt(ctx)
			c.look()
			_, c.open = r.t.orphans.count()
		},
		report: func(rep *reports.Report) {
			rep.Scenario.Churn = c.report()
			cost := b.cost(rep.Rounds)
			rep.Scenario.Cost = &cost
			churnVerdict(rep, rates, b.err)
		},
		close: c.settle,
	}, nil
}

// do has workers come and go, until as many rounds have ended as were asked for.
func (c *churn) do(ctx context.Context) error {
	if now := c.r.serverFDs(); c.fds >= 0 {
		c.fds = max(c.fds, now-c.r.t.open()) // with what it has opened for its first requests
	}
	began, due := time.Now(), c.next()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if c.r.t.quorum.enough() {
			return nil
		}
		if _, open := c.r.t.orphans.count(); open >= c.room {
			return fmt.Errorf("no room for more connections: the server keeps those of %d workers that have gone open (ulimit -Hn raises it)", open)
		}
		for due.at <= time.Since(began) && c.befall(due) {
			due = c.next()
		}
	}
}

// befall has somebody come or go; false: nobody is held, so it has to wait. Where nobody
// is away to join, or as many are as may be, nothing happens.
func (c *churn) befall(t turn) bool {
	switch t.move {
	case moveLeave:
		return c.goes(t.pick, left)
	case moveVanish:
		return c.goes(t.pick, vanished)
	}
	c.joins(t.pick)
	return true
}

// goes ends the poll of the first worker, from that one on, that is held.
func (c *churn) goes(pick uint64, why *failure) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count(away, 0)+c.count(going, 0) >= c.most {
		return true
	}
	return c.end(from(c.r.workers, pick), 1, why) > 0
}

// take keeps the connection of a worker that goes.
func (c *churn) take(w *worker, conn *conn) bool {
	if w.out.fail != left && w.out.fail != vanished {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.out.fail == left {
		conn.hangUp()
		c.left++
	} else {
		c.vanished++
	}
	s := &c.seats[w.index]
	s.ghost, s.version = c.r.t.orphans.take(conn), w.version
	return true
}

// heard sees what becomes of the workers' requests.
func (c *churn) heard(w *worker) {
	c.comings.heard(w)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.seats[w.index]
	switch {
	case w.out.fail == left || w.out.fail == vanished: // gone is next
	case w.step == stepModel && w.out.fail == nil && s.joins:
		s.joins = false
		c.back++
	case w.step == stepPoll && w.out.replied() && s.ghost != nil:
		if w.out.long() && w.version == s.version {
			c.doubles = append(c.doubles, s.ghost)
		}
		s.ghost = nil
	}
}

// joins has one of those that are away come back.
func (c *churn) joins(pick uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range from(c.r.workers, pick) {
		if c.is[w.index] == away {
			c.joined++
			c.seats[w.index].joins = true
			now := time.Since(c.r.start)
			c.come(w, now)
			c.r.s.at(w, now)
			return
		}
	}
}

// look counts the ghosts: polls of the gone that the server still holds.
func (c *churn) look() {
	o := &c.r.t.orphans
	o.look()
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, x := range o.open {
		if !x.answered && x.looked > 1 { // it had a tenth of a second to be ended
			n++
		}
	}
	c.peak = max(c.peak, n)
}

// settle waits for the server to let go of all connections, which are closed here.
func (c *churn) settle(rep *reports.Report) {
	now := c.r.settledFDs(c.fds)
	if c.fds >= 0 && now >= 0 {
		rep.Scenario.Churn.ServerFDsBefore, rep.Scenario.Churn.ServerFDsAfter = &c.fds, &now
		fdsVerdict(rep)
	}
}
