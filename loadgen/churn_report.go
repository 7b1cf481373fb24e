package loadgen

import (
	"fmt"

	"github.com/fltool/fltool/reports"
)

// report sums a churn up, once the run is over.
func (c *churn) report() *reports.Churn {
	o, gone := &c.r.t.orphans, c.count(away, 0)
	rep := &reports.Churn{
		Workers: len(c.r.workers), Left: c.left, Vanished: c.vanished, Joined: c.joined, Back: c.back,
		Away: gone, Unserved: len(c.r.workers) - int(c.r.finished.Load()) - gone,
		Shut: o.shut, Evicted: o.evicted, Notified: o.answered - o.evicted, Held: o.taken - o.shut - o.answered,
		GhostsPeak: c.peak, Open: c.open,
	}
	for _, x := range c.doubles {
		if !x.evicted && (x.answered || !x.ended) {
			rep.Doubled++
		}
	}
	return rep
}

// churnVerdict judges what a server makes of workers that go: it should let go of what is
// theirs. How it serves those that stay is judged as in any run.
func churnVerdict(r *reports.Report, rates moveRates, err error) {
	if r.Verdict == reports.VerdictRefused {
		return
	}
	c := r.Scenario.Churn
	judge := func(v reports.Verdict, format string, a ...any) {
		r.Verdict = reports.Worse(r.Verdict, v)
		r.Reasons = append(r.Reasons, fmt.Sprintf(format, a...))
	}
	if c.Doubled > 0 {
		judge(reports.VerdictWarn, "%d polls of workers that had gone were held beside those that the same workers sent since", c.Doubled)
	}
	switch {
	case err != nil:
		judge(reports.VerdictRefused, "%v", err)
	case rates[moveLeave] > 0 && c.Left == 0, rates[moveVanish] > 0 && c.Vanished == 0:
		judge(reports.VerdictRefused, "the rounds were over when %d workers had left and %d vanished: --think makes them longer, --rounds more", c.Left, c.Vanished)
	}
}

// fdsVerdict judges what a server still has for a fleet that is gone altogether.
func fdsVerdict(r *reports.Report) {
	c := r.Scenario.Churn
	went := c.Left + c.Vanished
	if n, known := c.FDsKept(); known && n > 0 && float64(n) >= leastFDs*float64(went) && r.Verdict != reports.VerdictRefused {
		r.Verdict = reports.Worse(r.Verdict, reports.VerdictWarn)
		r.Reasons = append(r.Reasons, fmt.Sprintf("the server kept %d descriptors after all connections were closed, %d before and %d after: workers went %d times", n, *c.ServerFDsBefore, *c.ServerFDsAfter, went))
	}
}
