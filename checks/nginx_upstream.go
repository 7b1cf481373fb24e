package checks

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

var upstreamChecks = []Check{
	{
		ID: "nginx/upstream-http", Title: "upstream keep-alive is on or off as a whole", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"keepalive of the upstream block, proxy_http_version and the Connection header"},
		Why: `Before 1.29.7 keep-alive towards the application needs three things: keepalive in an upstream block,
proxy_http_version 1.1, and an empty Connection header. Two of three do nothing. A Connection header of upgrade or
keep-alive, copied from somewhere, goes to the application with every request.`,
		Symptom: "a connection per request though keepalive is set, and ports in TIME_WAIT",
		Mend:    "Set proxy_http_version 1.1 and proxy_set_header Connection \"\" where keepalive is set.",
		Eval:    onRoutes(evalUpstreamHTTP, facts.RoutePoll, facts.RouteModel, facts.RouteUpdate),
	},
	{
		ID: "nginx/upstream-keepalive", Title: "nginx lets go of idle connections before the application does", Severity: reports.SeverityWarn, On: OnProxy,
		Reads: []string{"keepalive and keepalive_timeout of the upstream block", "the application's keep-alive"},
		Why: `gunicorn closes an idle connection after keepalive seconds, 2 by default; nginx keeps it for 60. A request
that nginx sends into a connection that is being closed is a 502, and a POST is not sent again. From 1.29.7 on nginx
keeps connections by default.`,
		Symptom: "upstream prematurely closed connection while reading response header from upstream: a 502 now and then",
		Mend:    "Set keepalive_timeout of the upstream block below gunicorn's keepalive, or raise that: --keep-alive 75.",
		Eval:    onRoutes(evalUpstreamKeepalive, facts.RoutePoll, facts.RouteModel, facts.RouteUpdate),
	},
	{
		ID: "nginx/upstream-peers", Title: "one application's state behind one upstream", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		Reads: []string{"the servers of the upstream that polls go to"},
		Why: `dc_federated keeps registrations, challenges and the model's version in the memory of one process. With two
upstream servers each has its own, and nginx sends a challenge to one and the poll to the other, unless it is told to
send each client to the same one always.`,
		Symptom: "Unregistered Worker and Invalid Worker at random, and rounds that never end",
		Mend:    "Name one server, or choose by ip_hash, hash or sticky. Several addresses of one process are fine: waive this check then.",
		Eval:    onRoutes(evalUpstreamPeers, facts.RoutePoll, facts.RouteChallenge, facts.RouteUpdate),
	},
	{
		ID: "nginx/max-conns", Title: "max_conns of the upstream", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After:   []string{"nginx/config"},
		Reads:   []string{"max_conns and zone of the upstream"},
		Formula: "nginx-max-conns",
		Why:     `max_conns bounds the connections to an upstream server, and each held poll is one for as long as it is held.`,
		Symptom: "no live upstreams while connecting to upstream: a 502",
		Mend:    "Remove max_conns, or set it above the number of workers.",
		Eval:    onRoutes(evalMaxConns, facts.RoutePoll),
	},
	{
		ID: "nginx/next-upstream", Title: "no update is sent twice", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"proxy_next_upstream in force for updates"},
		Why: `nginx sends a request that failed to the next server of the upstream, but a POST that was sent only with
non_idempotent. An update that counts twice spoils a round, and a poll that is sent again ends the first.`,
		Symptom: "updates counted twice; polls ended by themselves",
		Mend:    "Remove non_idempotent from proxy_next_upstream.",
		Eval:    onRoutes(evalNextUpstream, facts.RouteUpdate, facts.RoutePoll),
	},
	{
		ID: "nginx/client-abort", Title: "a lost worker's poll ends", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"proxy_ignore_client_abort in force where polls are passed on"},
		Why: `When a worker goes away nginx closes its poll towards the application, which frees the slot there. With
proxy_ignore_client_abort on it stays held on both sides until the model changes.`,
		Symptom: "more polls held than there are workers",
		Mend:    "Set proxy_ignore_client_abort off, which is the default.",
		Eval:    onRoutes(evalClientAbort, facts.RoutePoll),
	},
	{
		ID: "nginx/http2-streams", Title: "polls that share an HTTP/2 connection", Severity: reports.SeverityInfo, On: OnProxy, Lint: true,
		Reads: []string{"http2 of the listeners and http2_max_concurrent_streams"},
		Why: `Over HTTP/2 one connection carries at most http2_max_concurrent_streams requests, 128 by default, and a held
poll is one of them. dc_federated's workers speak HTTP/1.1; a proxy or gateway before nginx may put many on one connection.`,
		Symptom: "128 polls are held and the rest wait, where something multiplexes them",
		Mend:    "Set http2_max_concurrent_streams above the number of workers, or turn http2 off: it brings held polls nothing.",
		Eval:    onSites(evalStreams),
	},
}

func evalUpstreamHTTP(c Case, p place) Judgement {
	if p.at.Pass.Kind != "proxy" {
		return notApplicable("nginx speaks %s to the application", p.at.Pass.Kind)
	}
	u := p.at.Upstream
	if u == nil {
		return c.noUpstream(p)
	}
	headers := p.at.ProxySetHeader
	if !headers.Known() {
		return cantTell("proxy_set_header", headers)
	}
	connection, _ := p.at.UpstreamHeader("Connection")
	fix := reports.Remedy{Text: fmt.Sprintf(`add to %s of %s: proxy_http_version 1.1; proxy_set_header Connection "";`, p.block(), p.at.Source), Then: "reload"}
	if connection.Err == "" && connection.Value != "" && connection.Value != "close" && !nginx.HasVariables(connection.Value) {
		return fail("Connection: "+connection.Value, `Connection "" or close`, connection.Source, fix)
	}
	keep := u.Keepalive
	if keep.IsDefault() { // none, or from 1.29.7 on all of it
		return pass("no keepalive is set", p.at.Pass.Source)
	}
	if !keep.Known() {
		return cantTell("keepalive", keep)
	}
	version := p.at.ProxyHTTPVersion
	switch {
	case !version.Known():
		return cantTell("proxy_http_version", version)
	case connection.Err != "":
		return unknownFor("Connection: %s", connection.Err)
	case version.V == "1.0":
		return fail("keepalive with HTTP/1.0", "proxy_http_version 1.1", source(version, p.at.Source), fix)
	case connection.Value == "close":
		return fail("keepalive with Connection: close", `proxy_set_header Connection ""`, source(headers, p.at.Source), fix)
	}
	return pass(fmt.Sprintf("keepalive %d over HTTP/%s", keep.V, version.V), keep.Source)
}

func evalUpstreamKeepalive(c Case, p place) Judgement {
	u := p.at.Upstream
	if u == nil {
		return c.noUpstream(p)
	}
	if h, _ := p.at.UpstreamHeader("Connection"); p.at.ProxySetHeader.Known() && h.Err == "" && h.Value == "close" {
		return notApplicable("nginx asks the application to close each connection")
	}
	if !u.Keepalive.Known() {
		return cantTell("keepalive", u.Keepalive)
	}
	if u.Keepalive.V == 0 {
		return notApplicable("nginx keeps no idle connections to it")
	}
	app := Case{Facts: *c.Deployment.App, Deployment: c.Deployment, Demand: c.Demand}
	h, none := app.server()
	if none != nil {
		return *none
	}
	if !u.KeepaliveTimeout.Known() {
		return cantTell("keepalive_timeout", u.KeepaliveTimeout)
	}
	a := h.Keepalive()
	if !a.Is() {
		return unanswered(a)
	}
	got := fmt.Sprintf("nginx %s, %s %s", short(u.KeepaliveTimeout.V), h.Kind.Kind, kinds.Short(a.V))
	if a.V == kinds.Forever || u.KeepaliveTimeout.V < a.V {
		return pass(got, source(u.KeepaliveTimeout, u.Source))
	}
	nginxs := fmt.Sprintf("add to the upstream of %s: keepalive_timeout %s;", u.Source, nginxTime(max(a.V/2, time.Second)))
	if a.Set == nil {
		return fail(got, "nginx's below "+h.Kind.Kind+"'s", source(u.KeepaliveTimeout, u.Source), reports.Remedy{Text: nginxs, Then: "reload"})
	}
	return fail(got, "nginx's below "+h.Kind.Kind+"'s", source(u.KeepaliveTimeout, u.Source),
		reports.Remedy{Text: fmt.Sprintf("start %s with %s, or %s", h.Kind.Kind, a.Set(75), nginxs), Then: "restart"})
}

func evalUpstreamPeers(c Case, p place) Judgement {
	u := p.at.Upstream
	if u == nil {
		return c.noUpstream(p)
	}
	addresses := map[string]bool{} // one may stand there twice
	for _, peer := range u.Peers {
		if !peer.Down && !peer.Backup {
			addresses[peer.Address] = true
		}
	}
	active := len(addresses)
	sticky := u.Method == "ip_hash" || strings.HasPrefix(u.Method, "hash ") || strings.HasPrefix(u.Method, "sticky ")
	switch {
	case active <= 1 && u.Incomplete != "":
		return unknownFor("whether the upstream of %s has more servers: %s", u.Source, u.Incomplete)
	case active <= 1:
		return pass(u.Name, u.Source)
	case sticky && !strings.Contains(u.Method, "request_uri") && !strings.Contains(u.Method, "$uri"):
		return pass(fmt.Sprintf("%d servers, each client's by %s", active, u.Method), u.Source)
	}
	return fail(fmt.Sprintf("%d servers, chosen by %s", active, u.Method), "one, unless they are addresses of one process", u.Source,
		reports.Remedy{Text: "leave one server in the upstream of " + u.Source, Then: "reload"})
}

func evalMaxConns(c Case, p place) Judgement {
	u := p.at.Upstream
	if u == nil && !p.n.MaxConns && p.n.Incomplete == "" && !p.n.Fragment {
		return notApplicable("no upstream block sets max_conns")
	}
	if u == nil {
		return c.noUpstream(p)
	}
	sum := int64(0)
	for _, peer := range u.Peers {
		switch {
		case peer.Down:
		case peer.MaxConns == 0:
			return notApplicable("max_conns is not set")
		default:
			sum = min(sum+peer.MaxConns, maxWorkers)
		}
	}
	if u.Incomplete != "" {
		return unknownFor("whether the upstream of %s has more servers: %s", u.Source, u.Incomplete)
	}
	if len(u.Peers) == 0 {
		return notApplicable("the upstream has no servers")
	}
	return c.limits(Capacity{Safe: workers(sum), Hard: workers(sum), InUse: facts.Value[int64]{Err: "not counted"}},
		fmt.Sprint(sum), fmt.Sprintf("%d at least", c.Demand.Workers), u.Source, func() reports.Remedy {
			return reports.Remedy{Text: "remove max_conns from the upstream of " + u.Source, Then: "reload"}
		})
}

func evalNextUpstream(_ Case, p place) Judgement {
	v := p.at.ProxyNextUpstream
	if !v.Known() {
		return cantTell(p.setting("next_upstream"), v)
	}
	for _, word := range v.V {
		if word == "non_idempotent" {
			return fail("non_idempotent", "without it", source(v, p.at.Source),
				write(v, p.block(), p.at.Source, p.setting("next_upstream")+" error timeout;", "send no POST twice"))
		}
	}
	return pass(cmp.Or(v.Raw, "none"), source(v, p.at.Source))
}

func evalClientAbort(_ Case, p place) Judgement {
	v := p.at.ProxyIgnoreClientAbort
	if !v.Known() {
		return cantTell(p.setting("ignore_client_abort"), v)
	}
	if !v.V {
		return pass("off", source(v, p.at.Source))
	}
	return fail("on", "off", source(v, p.at.Source),
		write(v, p.block(), p.at.Source, p.setting("ignore_client_abort")+" off;", "let go of polls whose worker is gone"))
}

func evalStreams(c Case, _ *facts.Nginx, s *facts.Site) Judgement {
	on := s.Server.HTTP2.V && s.Server.HTTP2.Known()
	for _, socket := range s.Sockets {
		on = on || socket.HTTP2
	}
	if !s.Server.HTTP2.Known() {
		return cantTell("http2", s.Server.HTTP2)
	}
	if !on {
		return notApplicable("no listener speaks HTTP/2")
	}
	v := s.Server.HTTP2MaxConcurrentStreams
	if !v.Known() {
		return cantTell("http2_max_concurrent_streams", v)
	}
	if v.V >= int64(c.Demand.Workers) {
		return pass(fmt.Sprint(v.V), source(v, s.Source))
	}
	return fail(fmt.Sprintf("%d polls a connection", v.V), "more, where something before nginx multiplexes", source(v, s.Source),
		write(v, "the server", s.Source, fmt.Sprintf("http2_max_concurrent_streams %d;", c.Demand.Workers), "only where a proxy or gateway before nginx speaks HTTP/2"))
}
