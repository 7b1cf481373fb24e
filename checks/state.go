package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// Whether the application's state is in one process.
var stateChecks = []Check{{
	ID: "app/processes", Title: "one process holds the application's state", Severity: reports.SeverityError, On: OnApp,
	Reads: []string{"the server's command line and environment, such as WEB_CONCURRENCY"},
	Why: `dc_federated keeps registrations, challenges and the model's version in memory. With two worker
processes each has its own, and a worker talks to either as it happens.`,
	Symptom: "Unregistered Worker and Invalid Worker at random, and rounds that never end",
	Mend:    "Run one process: --workers 1, and no WEB_CONCURRENCY.",
	Eval: ofServer(func(c Case, h kinds.Hop) Judgement {
		a := h.State()
		switch {
		case !a.Is():
			return unanswered(a)
		case a.V > 1:
			return fail(a.Got, "1: its state is in memory", a.Source, c.fix(h, a.Set, 1, a.Source))
		}
		return pass(a.Got, a.Source)
	}),
}, {
	ID: "proxy/peers", Title: "one application's state behind a proxy", Severity: reports.SeverityError, On: OnHop,
	Reads: []string{"the servers of HAProxy's backend, Apache's balancer, Caddy's reverse_proxy, Traefik's service, Envoy's cluster", "--hop"},
	Why: `dc_federated keeps registrations, challenges and the model's version in the memory of one process. With two
servers each has its own, and the proxy sends a challenge to one and the poll to the other, unless it is told to send each
worker to the same one always: HAProxy's balance source, a cookie or stick, Caddy's lb_policy ip_hash, Apache's stickysession, a sticky
cookie of Traefik, a hash_policy of Envoy.`,
	Symptom: "Unregistered Worker and Invalid Worker at random, and rounds that never end",
	Mend:    "Name one server, or have the proxy choose by the worker's address. Several addresses of one process are fine: state peers=1 by --hop then.",
	Eval: ofFront(func(_ Case, h kinds.Hop) Judgement {
		a := h.Peers()
		switch {
		case !a.Is():
			return unanswered(a)
		case a.V > 1:
			return fail(a.Got, "one, unless they are addresses of one process", a.Source,
				reports.Remedy{Text: fmt.Sprintf("leave one server at %s, or state --hop '%s peers=1' where they are one process", a.Source, h.Kind.Kind), Then: "reload"})
		}
		return pass(a.Got, a.Source)
	}),
}}
