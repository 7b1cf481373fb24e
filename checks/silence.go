package checks

import (
	"strings"

	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// The longest silence that a hop bears: while a poll is held nobody says a word.
var silenceChecks = []Check{
	{
		ID: "app/timeout", Title: "the application does not cut a held poll", Severity: reports.SeverityError, On: OnApp,
		After: []string{"app/worker-class"},
		Reads: []string{"the server's command line, environment and config file, where that is plain data"},
		Why: `gunicorn kills a worker process that is silent for longer than timeout, 30 s by default. A sync worker
is silent while it holds a poll. With threads (gthread) or gevent the process says that it lives while polls are held:
there the timeout is a heartbeat only. Other servers have timeouts of their own, and some are set by their program alone.`,
		Symptom: "WORKER TIMEOUT in gunicorn's log every 30 s; all polls of that process are cut",
		Mend:    "Use gevent workers; with sync set --timeout above the longest hold, or 0.",
		Eval: ofServer(func(c Case, h kinds.Hop) Judgement {
			o := c.silence(h)
			if o.Status == reports.StatusFail && h.Kind == kinds.Gunicorn {
				o.Want += ", or gevent"
				o.Remedy = c.fix(h, func(int64) string { return "--worker-class gevent" }, 0, o.Source)
			}
			return o
		}),
	},
	{
		ID: "proxy/timeout", Title: "a proxy waits for as long as a poll is held", Severity: reports.SeverityError, On: OnHop,
		Reads: []string{"the proxy's command line and config", "--hop"},
		Why: `While a poll is held nothing comes from the application and nothing from the worker. HAProxy cuts after
timeout server, in mode tcp after timeout client where that is shorter, Envoy after its route's timeout of 15 s, Traefik after
readTimeout of 60 s, Apache after ProxyTimeout.`,
		Symptom: "all polls end after the same time, with a 504 (Apache's is a 502) or a cut; dc_federated's workers poll again at once, or end",
		Mend:    "Set the timeout above the longest hold, or have the server end holds before it: fltool serve --max-hold does.",
		Eval:    ofFront(func(c Case, h kinds.Hop) Judgement { return c.silence(h) }),
	},
	{
		ID: "lb/idle-timeout", Title: "the load balancer waits for as long as a poll is held", Severity: reports.SeverityError, On: OnBalancer, Lint: true,
		Reads: []string{"--lb, in the order that workers meet them: " + strings.Join(kinds.Balancers(), ", ") + ", or a duration"},
		Why: `What stands before the host has an idle timeout of its own: AWS ALB 60 s, NLB 350 s, Azure 4 min, Google 30 s, Heroku 30 s
to the first byte, gateways of APIs 15 to 29 s, Envoy 15 s, IPVS 15 min; Cloudflare 100 or 120 s: documents and reports differ. Some answer 504, some drop the connection and tell nobody: such a worker waits for ever.`,
		Symptom: "504, or polls that never return though the model is out",
		Mend:    "Raise its idle timeout above the longest hold, or end holds earlier: fltool serve --max-hold does.",
		Eval: ofBalancer(func(c Case, h kinds.Hop) Judgement {
			o := c.silence(h)
			if o.Status == reports.StatusFail {
				o.Remedy.Text += "; then say so by --lb DURATION. Or have the server end holds sooner, by fltool serve --max-hold"
			}
			return o
		}),
	},
}

// silence judges the longest one that a hop bears.
func (c Case) silence(h kinds.Hop) Judgement {
	a := h.Silence()
	switch {
	case !a.Is():
		return unanswered(a)
	case a.V == kinds.Forever || a.V > c.hold():
		return pass(a.Got, a.Source)
	}
	set := a.Set
	want := int64(readTimeoutFor(c.hold()).Seconds())
	return fail(a.Got, "more than the hold of "+short(c.hold()), a.Source, c.fix(h, set, want, a.Source))
}
