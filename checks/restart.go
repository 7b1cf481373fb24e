package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// What a reload, a restart or a recycled process does to held polls.
var restartChecks = []Check{
	{
		ID: "app/recycling", Title: "no process is recycled while it holds polls", Severity: reports.SeverityError, On: OnApp,
		Reads: []string{"gunicorn's max_requests, uWSGI's max-requests and the like", "RuntimeMaxSec= of the unit and its drop-ins"},
		Why: `A server that ends its process after so many requests and starts another cuts the polls that it holds, after
a grace of seconds, and loses what dc_federated keeps in memory: registrations, challenges, the round. With 1000 workers and five
requests a round 1000 requests are over before the first round is. RuntimeMaxSec= has systemd do the same to the whole service
after a time.`,
		Symptom: "Autorestarting worker after current request in gunicorn's log; all polls cut without a reply, then Unregistered Worker for ever",
		Mend:    "Leave max_requests at 0, and RuntimeMaxSec= at infinity.",
		Eval: ofServer(func(c Case, h kinds.Hop) Judgement {
			a := h.Restart()
			if a.Is() && a.V.Recycled != "" {
				return fail(a.V.Recycled, "never", a.Source, c.fix(h, func(int64) string { return a.V.Never }, 0, a.Source))
			}
			if u := c.app().serviceUnit; u != nil {
				if o := c.runtimeMax(u); o.Status != reports.StatusPass {
					return o
				}
			}
			if !a.Is() {
				return unanswered(a)
			}
			return pass("never", a.Source)
		}),
	},
	{
		ID: "app/graceful-timeout", Title: "a reload waits for held polls", Severity: reports.SeverityInfo, On: OnApp,
		Reads: []string{"gunicorn's graceful_timeout and the like"},
		Why: `On a reload gunicorn gives requests graceful_timeout seconds, 30 by default, and cuts what is left. A
poll that is cut without a reply ends dc_federated's worker for good.`,
		Symptom: "after a reload the fleet is gone",
		Mend:    "Reload between rounds, or set --graceful-timeout above the longest hold; supervise the workers in any case.",
		Eval:    ofServer(func(c Case, h kinds.Hop) Judgement { return c.reload(h) }),
	},
	{
		ID: "proxy/restart", Title: "a reload of a proxy waits for held polls", Severity: reports.SeverityInfo, On: OnHop,
		Reads:   []string{"the proxy's config: HAProxy's hard-stop-after, Envoy's drain time"},
		Why:     `A reload replaces the proxy's process; the old one stays until its polls end, or cuts them after a time. A restart cuts them all at once.`,
		Symptom: "after a reload or restart of the proxy the fleet is gone",
		Mend:    "Reload between rounds, and never restart while polls are held; supervise the workers in any case.",
		Eval:    ofFront(func(c Case, h kinds.Hop) Judgement { return c.reload(h) }),
	},
}

// reload judges how long a reload lets held polls be.
func (c Case) reload(h kinds.Hop) Judgement {
	a := h.Restart()
	switch {
	case !a.Is():
		return unanswered(a)
	case a.V.Grace == kinds.Forever || a.V.Grace > c.hold():
		return pass(a.Got, a.Source)
	}
	r := reports.Remedy{Text: "reload or restart between rounds"}
	if a.Set != nil {
		r.Text += ", or " + lower(c.fix(h, a.Set, int64(c.Demand.HoldSeconds)+60, a.Source).Text)
	}
	return fail(a.Got, "more than the hold of "+short(c.hold()), a.Source, r)
}

// runtimeMax judges after how long systemd ends a service.
func (c Case) runtimeMax(u *facts.Unit) Judgement {
	switch v := u.RuntimeMax; {
	case !v.Known():
		return cantTell("RuntimeMaxSec of "+u.Name, v)
	case v.V == 0:
		return pass("never", v.Source)
	default:
		return fail(fmt.Sprintf("systemd ends %s after %s", u.Name, short(v.V)), "never", v.Source,
			c.unitRemedy(u.Name, v.Source, "RuntimeMaxSec=infinity", "let the service run without an end"))
	}
}
