package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// The largest body that a hop takes: that of an update.
var hopBodyChecks = []Check{
	{
		ID: "app/body", Title: "the application takes an update", Severity: reports.SeverityError, On: OnApp,
		Reads:   []string{"the server's command line, environment and config file"},
		Why:     `A server may bound the bodies of requests. gunicorn does not; waitress takes 1 GiB, fltool serve --max-update.`,
		Symptom: "413 for every update; the round never ends",
		Mend:    "Raise the server's limit above the update.",
		Eval:    ofServer(func(c Case, h kinds.Hop) Judgement { return c.body(h) }),
	},
	{
		ID: "proxy/body", Title: "a hop before the application takes an update", Severity: reports.SeverityError, On: OnHop,
		Reads:   []string{"the proxy's command line and config", "--hop"},
		Why:     `Proxies may bound the bodies of requests, and those that keep them in memory do so low.`,
		Symptom: "413 for every update; the round never ends",
		Mend:    "Raise the limit above the update, or send updates by another way.",
		Eval:    ofFront(func(c Case, h kinds.Hop) Judgement { return c.body(h) }),
	},
	{
		ID: "lb/body", Title: "the load balancer takes an update", Severity: reports.SeverityError, On: OnBalancer, Lint: true,
		Reads:   []string{"--lb"},
		Why:     `Gateways of clouds bound the bodies of requests, some at 10 MB and less; Cloudflare at 100 MB. What cloud balancers do not bound they pass on.`,
		Symptom: "413 for every update; the round never ends",
		Mend:    "Send updates by another way than the gateway, or make them smaller.",
		Eval:    ofBalancer(func(c Case, h kinds.Hop) Judgement { return c.body(h) }),
	},
}

// body judges whether an update fits.
func (c Case) body(h kinds.Hop) Judgement {
	a, need := h.Body(), BodyBytes(c.anUpdate())
	switch {
	case !a.Is():
		return unanswered(a)
	case a.V == kinds.Unlimited || a.V >= need:
		return pass(a.Got, a.Source)
	}
	return fail(a.Got, fmt.Sprintf("%s: an update of %s and the form around it", facts.Bytes(need), facts.Bytes(c.anUpdate())), a.Source,
		c.fix(h, a.Set, need, a.Source))
}
