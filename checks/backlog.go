package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// How many connections wait to be accepted, when all workers come at once.
var backlogChecks = []Check{
	{
		ID: "app/accept-queue", Title: "the application's accept queue takes a burst of reconnects", Severity: reports.SeverityWarn, On: OnApp,
		Reads: []string{"the server's backlog", "net.core.somaxconn"},
		Why: `After a restart all workers connect at once. Connections wait in the accept queue, which holds the
smaller of the server's backlog (gunicorn: 2048, Go: somaxconn) and net.core.somaxconn. When it is full the kernel's log speaks of
SYN flooding.`,
		Symptom: "slow connects of 1 s, 3 s, 7 s after a restart; ListenOverflows grows",
		Mend:    "Raise net.core.somaxconn, and the server's backlog with it, to the number of workers.",
		Eval: func(c Case) Judgement {
			h, o := c.server()
			if o != nil {
				if o.Status != reports.StatusNA {
					return *o
				}
				return c.queue(nil)
			}
			return c.queue(&h)
		},
	},
	{
		ID: "proxy/accept-queue", Title: "a proxy's accept queue takes a burst of reconnects", Severity: reports.SeverityWarn, On: OnHop,
		Reads:   []string{"the proxy's backlog", "net.core.somaxconn"},
		Why:     `As with the application: what all workers meet first is the queue of the outermost hop.`,
		Symptom: "slow connects of 1 s, 3 s, 7 s after a restart; ListenOverflows grows",
		Mend:    "Raise net.core.somaxconn, and the proxy's backlog with it, to the number of workers.",
		Eval:    ofFront(func(c Case, h kinds.Hop) Judgement { return c.queue(&h) }),
	},
}

// queue judges the accept queue of a hop; nil: of the kernel alone, as no server runs.
func (c Case) queue(h *kinds.Hop) Judgement {
	most := c.Sysctls.SoMaxConn
	backlog := kinds.Answer[int64]{V: kinds.Unlimited, Status: kinds.Known}
	if h != nil {
		backlog = h.Backlog()
	}
	wanted := int64(c.Demand.Workers)
	switch {
	case !most.Known():
		return cantTell("net.core.somaxconn", most)
	case backlog.Status == kinds.NA:
		return unanswered(backlog)
	// What it asks for is not known, but that more than the kernel's is cut.
	case !backlog.Is() && most.V >= wanted:
		return unanswered(backlog)
	}
	queue, from := most.V, most.Source
	short := backlog.Is() && backlog.V != kinds.Unlimited && backlog.V < wanted
	if backlog.Is() && backlog.V != kinds.Unlimited && backlog.V < queue {
		queue, from = backlog.V, backlog.Source
	}
	if queue >= wanted {
		return pass(fmt.Sprint(queue), from)
	}
	size := powerOfTwo(wanted)
	var r reports.Remedy
	if short {
		r = c.fix(*h, backlog.Set, size, backlog.Source)
	}
	if most.V < wanted {
		k := c.sysctlRemedy("let the kernel queue every worker", fmt.Sprintf("net.core.somaxconn = %d", size))
		k.Commands, k.Files, k.Then = append(k.Commands, r.Commands...), append(k.Files, r.Files...), "restart"
		if r.Text != "" {
			k.Text += ", and " + r.Text
		}
		r = k
	}
	return fail(fmt.Sprint(queue), fmt.Sprintf("%d, all workers at once", wanted), from, r)
}
