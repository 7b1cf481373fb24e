package checks

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

var securityChecks = []Check{
	{
		ID: "nginx/limit-conn", Title: "limit_conn lets every worker hold a poll", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After:   []string{"nginx/config"},
		Reads:   []string{"limit_conn in force where polls are passed on, and the key of its zone", "behind --lb set_real_ip_from and real_ip_header"},
		Formula: "nginx-limit-conn",
		Why: `A held poll counts against limit_conn for as long as it is held. Workers of one office or one cloud come
from one address, and behind a load balancer all do, unless real_ip tells them apart.`,
		Symptom: "limiting connections by zone: a 503 for every worker above the limit, which polls again at once",
		Mend:    "Set limit_conn above the workers behind one address. Where each has an address of its own waive this check.",
		Eval:    onRoutes(evalLimitConn, facts.RoutePoll),
	},
	{
		ID: "nginx/limit-req", Title: "limit_req lets all workers in when a model is out", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After:   []string{"nginx/config"},
		Reads:   []string{"limit_req in force on the way to challenges and polls, and the key of its zone", "behind --lb set_real_ip_from and real_ip_header"},
		Formula: "nginx-limit-req",
		Why: `When a model is published every worker asks for a challenge at the same moment, and for the model and the
rest of a round soon after. What exceeds burst, and rate for as long as it takes, is refused; without nodelay what exceeds
delay, 0 unless it is set, waits its turn at the rate. Whenever a hold ends its worker asks for a challenge and polls
anew, so that the rate itself must carry twice the workers a hold: burst lets a crowd in once. Behind one address all workers share one budget. Once some are refused all spin, since they ask again at once.`,
		Symptom: "limiting requests, excess: a 503 for most workers whenever a round ends",
		Mend:    "Set burst to twenty times the workers behind one address, with nodelay, and the zone's rate above twice the workers a hold.",
		Eval:    onRoutes(evalLimitReq, facts.RouteChallenge, facts.RoutePoll, facts.RouteModel, facts.RouteUpdate),
	},
	{
		ID: "nginx/unlimited", Title: "one address can't take all slots", Severity: reports.SeverityInfo, On: OnProxy, Lint: true,
		Reads: []string{"limit_conn and limit_req in force where requests are passed on"},
		Why: `Without limit_conn anybody who opens connections takes the slots that workers need; a registration costs
nothing in unsafe mode.`,
		Symptom: "workers are refused while one address holds all slots",
		Mend:    "Set limit_conn to what one address may hold, above the workers behind one address.",
		Eval:    onRoutes(evalUnlimited, facts.RoutePoll),
	},
	{
		ID: "nginx/admin-exposed", Title: "the admin route is closed to strangers", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"allow, deny, auth_basic and auth_request in force for /workers"},
		Why: `/workers lists, adds and removes workers. The application asks for a password, which is all that stands
between it and everybody, and over plain HTTP the password can be read on the way.`,
		Symptom: "nothing, until somebody guesses the password",
		Mend:    "Give /workers a location of its own with allow and deny all.",
		Eval:    onRoutes(evalAdminExposed, facts.RouteAdmin),
	},
	{
		ID: "nginx/plain-http", Title: "workers come by https", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"the listeners of the servers that pass polls on", "--lb"},
		Why: `Over plain HTTP models, updates and the admin's password can be read and changed on the way; signatures
protect updates alone. A server of port 80 should send on to https and pass nothing.`,
		Symptom: "nothing, until somebody listens",
		Mend:    "Let the server listen with ssl, and another on port 80 return 301 https://$host$request_uri.",
		Eval:    onSites(evalPlainHTTP),
	},
	{
		ID: "nginx/upstream-exposed", Title: "nobody reaches the application past nginx", Severity: reports.SeverityWarn, On: OnProxy,
		Reads: []string{"the addresses that the application listens at"},
		Why: `Whoever reaches the application's own port passes nginx by: its limits, its TLS and the closed admin route.
A firewall may stand before it, which preflight can't see.`,
		Symptom: "nothing, until somebody scans the ports",
		Mend:    "Let the application listen at 127.0.0.1 or a unix socket.",
		Eval:    onSites(evalUpstreamExposed),
	},
}

// byAddress tells a zone's key that counts each client address by itself.
func byAddress(key string) bool {
	return strings.Contains(key, "remote_addr") || strings.Contains(key, "realip") || strings.Contains(key, "x_forwarded_for")
}

// tellsApart says whether a zone's key differs between workers of different
// addresses: behind a load balancer that speaks HTTP, whose own address every
// connection has, it does where the balancer's word for the client is taken.
func (c Case) tellsApart(p place, key string) bool {
	switch {
	case !byAddress(key):
		return false
	case !c.endsTLS(), strings.Contains(key, "x_forwarded_for"):
		return true
	case strings.Contains(key, "realip"): // the peer's, whatever is said of the client
		return false
	}
	from, header := p.at.RealIPFrom, p.at.RealIPHeader
	return from.Known() && len(from.V) > 0 && header.Known() && slices.Contains([]string{"x-forwarded-for", "cf-connecting-ip", "true-client-ip"}, strings.ToLower(header.V))
}

var (
	keyOfRequest = regexp.MustCompile(`^"?(\$\{?(cookie|arg|http)_\w+\}?)+"?$`)
	sentHeaders  = regexp.MustCompile(`\$\{?http_(host|user_agent|accept|connection|content|transfer|x_forwarded|x_real|x_client|x_amzn|forwarded|via|cf_|true_client)`)
)

// neverSent says whether a key is of what workers send none of, nor what proxies
// add: headers of their own, cookies, arguments.
func neverSent(key string) bool {
	return keyOfRequest.MatchString(key) && !sentHeaders.MatchString(key)
}

// perWorker tells a key that each worker has of its own, whatever its address.
func perWorker(key string) bool {
	return strings.Contains(key, "remote_port") || strings.Contains(key, "$connection")
}

// A share is what a limit_conn or a limit_req lets through for each key of its zone.
type share struct {
	key, source, err string
	outside          bool // err is for want of what stands outside of the file given
	workers          int64
	got, want        string
	line             string // that lets all workers through
}

// judgeShares takes the least of what is in force, as all workers may have the
// same key.
func judgeShares[T any](c Case, p place, name string, v nginx.Value[[]T], dry nginx.Value[bool], of func(T) share) Judgement {
	if !v.Known() {
		return cantTell(name, v)
	}
	if !dry.Known() {
		return cantTell(name+"_dry_run", dry)
	}
	var least *share
	for _, l := range v.V {
		s := of(l)
		switch {
		case s.err != "" && s.outside:
			return c.outside(name + ": " + s.err)
		case s.err != "":
			return unknownFor("%s: %s", name, s.err)
		case neverSent(s.key): // and an empty key is not counted
			continue
		}
		if !perWorker(s.key) && (least == nil || s.workers < least.workers) {
			least = &s
		}
	}
	if least == nil || dry.V {
		return notApplicable("no %s is in force there", name)
	}
	safe := workers(least.workers)
	hard := safe
	if c.tellsApart(p, least.key) {
		hard = maxWorkers
	}
	return c.limits(Capacity{Safe: safe, Hard: hard, InUse: facts.Value[int64]{Err: "not counted"}},
		least.got+" by "+least.key, least.want+", as all workers may share it", least.source,
		func() reports.Remedy {
			if name == "limit_conn" && c.Demand.Workers > maxLimitConn {
				return reports.Remedy{Text: fmt.Sprintf("remove it at %s, since nginx counts to %d, or waive this check where workers have addresses of their own", least.source, maxLimitConn), Then: "reload"}
			}
			return reports.Remedy{Text: fmt.Sprintf("at %s write: %s or waive this check where workers have addresses of their own", least.source, least.line), Then: "reload"}
		})
}

func evalLimitConn(c Case, p place) Judgement {
	return judgeShares(c, p, "limit_conn", p.at.LimitConn, p.at.LimitConnDryRun, func(l nginx.LimitConn) share {
		return share{
			key: l.Key, source: l.Source, err: l.Err, outside: l.Outside, workers: l.Limit,
			got: fmt.Sprint(l.Limit), want: fmt.Sprint(c.Demand.Workers),
			line: fmt.Sprintf("limit_conn %s %d;", l.Zone, limitConnFor(c.Demand.Workers)),
		}
	})
}

func evalLimitReq(c Case, p place) Judgement {
	return judgeShares(c, p, "limit_req", p.at.LimitReq, p.at.LimitReqDryRun, func(l nginx.LimitReq) share {
		steady, atOnce := bySteadyRate(l.Rate, c.hold(), p.limited(l.Zone)), byRequests(l)
		if steady < atOnce {
			rate := steadyRateFor(c.Demand.Workers, c.hold())
			return share{
				key: l.Key, source: l.Source, err: l.Err, outside: l.Outside, workers: steady,
				got: fmt.Sprintf("%s, for ever", perSecond(l.Rate)), want: fmt.Sprintf("%dr/s: a challenge and a poll of each worker every %s", rate, short(c.hold())),
				line: fmt.Sprintf("limit_req zone=%s burst=%d nodelay; and at %s rate=%dr/s;", l.Zone, limitReqFor(c.Demand.Workers), l.RateAt, max(rate, int64(l.Rate))),
			}
		}
		return share{
			key: l.Key, source: l.Source, err: l.Err, outside: l.Outside, workers: atOnce,
			got: burst(l) + " at " + perSecond(l.Rate), want: fmt.Sprintf("burst %d, nodelay", limitReqFor(c.Demand.Workers)),
			line: fmt.Sprintf("limit_req zone=%s burst=%d nodelay;", l.Zone, limitReqFor(c.Demand.Workers)),
		}
	})
}

// limited is how many of the things that a worker asks for every hold a zone counts.
func (p place) limited(zone string) (n int) {
	for _, route := range []string{facts.RouteChallenge, facts.RoutePoll} {
		if at := p.site.At(route); at != nil && slices.ContainsFunc(at.LimitReq.V, func(l nginx.LimitReq) bool { return l.Zone == zone }) {
			n++
		}
	}
	return n
}

// burst writes what limit_req lets through above its rate, and whether it waits.
func burst(l nginx.LimitReq) string {
	switch text := fmt.Sprintf("burst %d", l.Burst); {
	case l.Burst == 0:
		return text
	case l.Nodelay:
		return text + ", nodelay"
	default:
		return fmt.Sprintf("%s, of which %d need not wait", text, min(l.Burst, l.Delay))
	}
}

// perSecond writes a rate as nginx does.
func perSecond(rate float64) string {
	if rate < 1 {
		return fmt.Sprintf("%.0fr/m", rate*60)
	}
	return fmt.Sprintf("%.0fr/s", rate)
}

func evalUnlimited(c Case, p place) Judgement {
	conn, req := p.at.LimitConn, p.at.LimitReq
	if !conn.Known() {
		return cantTell("limit_conn", conn)
	}
	if !req.Known() {
		return cantTell("limit_req", req)
	}
	if len(conn.V) > 0 {
		return pass(fmt.Sprintf("limit_conn %d", conn.V[0].Limit), conn.V[0].Source)
	}
	if c.Demand.Workers > maxLimitConn {
		return notApplicable("one address has fewer ports than there are workers")
	}
	got := "no limit_conn"
	if len(req.V) == 0 {
		got += ", no limit_req"
	}
	return fail(got, "a limit_conn above the workers of one address", p.at.Source,
		reports.Remedy{Text: fmt.Sprintf("in http write: limit_conn_zone $binary_remote_addr zone=fl_conn:10m; and in %s of %s: limit_conn fl_conn %d;", p.block(), p.at.Source, limitConnFor(c.Demand.Workers)), Then: "reload"})
}

func evalAdminExposed(_ Case, p place) Judgement {
	access, basic, request := p.at.Access, p.at.AuthBasic, p.at.AuthRequest
	if basic.Known() && basic.V != "off" {
		return pass("auth_basic", source(basic, p.at.Source))
	}
	if request.Known() && request.V != "off" {
		return pass("auth_request", source(request, p.at.Source))
	}
	if access.Known() {
		for _, r := range access.V {
			if r.Who == "all" && r.Allow {
				break
			}
			if r.Who == "all" {
				if r.Source == access.V[0].Source {
					return pass("closed", r.Source)
				}
				return pass("closed but for "+access.V[0].Who, r.Source)
			}
		}
	}
	switch {
	case !access.Known():
		return cantTell("allow and deny", access)
	case !basic.Known():
		return cantTell("auth_basic", basic)
	case !request.Known():
		return cantTell("auth_request", request)
	}
	if p.at.Pattern == p.site.Base+"/workers" { // it has a location of its own
		fix := reports.Remedy{Text: fmt.Sprintf("add to location %s of %s: allow 127.0.0.1; deny all;", p.at.Name(), p.at.Source), Then: "reload"}
		for _, r := range access.V {
			if r.Allow && r.Who == "all" {
				fix.Text = fmt.Sprintf("at %s write: deny all;", r.Source)
			}
		}
		return fail("/workers is open to everybody", "allow for admins, deny all", p.at.Source, fix)
	}
	return fail("/workers is open to everybody", "allow for admins, deny all", p.at.Source,
		reports.Remedy{Text: fmt.Sprintf("in the server of %s add: location ^~ %s/workers { allow 127.0.0.1; deny all; %s %s; }", p.site.Source, p.site.Base, p.setting("pass"), p.at.Pass.Raw), Then: "reload"})
}

// endsTLS says whether a load balancer speaks TLS to workers itself.
func (c Case) endsTLS() bool {
	return slices.ContainsFunc(c.Asked.Balancers, func(name string) bool {
		b, err := kinds.ParseBalancer(name)
		return err == nil && b.EndsTLS
	})
}

func evalPlainHTTP(c Case, _ *facts.Nginx, s *facts.Site) Judgement {
	if c.endsTLS() {
		return notApplicable("%s speaks TLS to the workers", strings.Join(c.Asked.Balancers, ", "))
	}
	if len(s.Sockets) == 0 {
		return unknownFor("what the server of %s listens at", s.Source)
	}
	for _, socket := range s.Sockets {
		if !socket.SSL && !socket.QUIC && !onLoopback(socket.Address) {
			return fail("plain HTTP at "+socket.Address, "https, and http sent on to it", socket.Sources[0],
				reports.Remedy{Text: "get a certificate (certbot does), let the server listen 443 ssl, and give port 80 a server of its own with return 301 https://$host$request_uri; fltool nginx render --tls-cert --tls-key writes both", Then: "reload"})
		}
	}
	got := "loopback alone"
	if slices.ContainsFunc(s.Sockets, func(l nginx.Socket) bool { return l.SSL }) {
		got = "TLS"
	}
	if s.Redirected {
		got += ", and plain HTTP is sent on to it"
	}
	return pass(got, s.Sockets[0].Sources[0])
}

func evalUpstreamExposed(c Case, _ *facts.Nginx, s *facts.Site) Judgement {
	at := s.At(facts.RoutePoll)
	if at == nil || at.Upstream == nil {
		return unknownFor("where the server of %s passes polls to", s.Source)
	}
	if slices.ContainsFunc(at.Upstream.Peers, func(p nginx.Peer) bool { return !onLoopback(p.Address) }) {
		return notApplicable("the application is on another host or in a container")
	}
	app := c.Deployment.App
	if !app.Processes.Known() {
		return cantTell("processes", app.Processes)
	}
	seen := false
	unseen := Judgement{}
	for _, p := range app.Processes.V {
		if !p.Serves() || p.Part == "worker" {
			continue
		}
		seen = true
		if !p.Listen.Known() {
			unseen = cantTell(fmt.Sprintf("what %s %d listens at", p.Kind, p.PID), p.Listen)
		}
		for _, l := range p.Listen.V {
			if a := l.Addr.Addr().Unmap(); a != (netip.Addr{}) && !a.IsLoopback() {
				return fail(fmt.Sprintf("%s %d listens at %s", p.Kind, p.PID, l.Addr), "127.0.0.1, or a unix socket", p.Listen.Source,
					reports.Remedy{Text: "start the application with 127.0.0.1 as its address (dc_federated: server_host_ip), or close the port by a firewall and waive this check", Then: "restart"})
			}
		}
	}
	switch {
	case unseen.Status != "":
		return unseen
	case !seen:
		return notApplicable("the application does not run")
	}
	return pass("it listens at loopback alone", "/proc/net/tcp")
}
