package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// Whether a proxy lets workers in.
var entryChecks = []Check{{
	ID: "proxy/access", Title: "a proxy lets workers in", Severity: reports.SeverityError, On: OnHop,
	Reads: []string{
		"Apache's Require, Order, Allow, Deny and Satisfy in Location, Proxy and If",
		"HAProxy's http-request and tcp-request rules that deny, tarpit, auth, reject, return or silent-drop, with their ACLs",
		"Caddy's directives that run before reverse_proxy, with their matchers, and client_auth of tls; of JSON its handlers and their match",
		"Traefik's middlewares of entry points and routers, their rules, and clientAuth of TLS options, by the file provider",
		"Envoy's filters of listeners, connections and HTTP, require_client_certificate, and routes that answer themselves", "--hop",
	},
	Why: `dc_federated's workers have no password, no certificate and no header of their own: they register, poll and
upload by POST. What asks them for more keeps all of them out. Where a rule hangs on addresses, rates or headers, or
asks another server, it can't be told from here whom it keeps out; nor of a plugin or filter that fltool does not know.`,
	Symptom: "401, 403 or a closed connection for every worker, each of which asks again at once",
	Mend:    "Let the workers' routes through. Where they meet a condition that fltool can't read, state access=open by --hop.",
	Eval: ofFront(func(_ Case, h kinds.Hop) Judgement {
		a := h.Access()
		switch {
		case !a.Is():
			return unanswered(a)
		case !a.V:
			return fail(a.Got, "workers that have nothing but their signature", a.Source,
				reports.Remedy{Text: fmt.Sprintf("at %s let the routes of workers through, or state --hop '%s access=open' where they get in", a.Source, h.Kind.Kind), Then: "reload"})
		}
		return pass(a.Got, a.Source)
	}),
}}
