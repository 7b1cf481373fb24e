package checks

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

const minuteAtLeast = time.Minute

var timeoutChecks = []Check{
	{
		ID: "nginx/proxy-read-timeout", Title: "nginx waits for as long as a poll is held", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After: []string{"nginx/config"},
		Reads: []string{"proxy_read_timeout (of uwsgi, fastcgi, grpc and scgi their own) in force where polls are passed on"},
		Why: `While a poll is held nothing comes from the application. After proxy_read_timeout without a byte, 60 s by
default, nginx gives up and answers 504; dc_federated's workers poll again at once, all of them, every minute.`,
		Symptom: "504 after the timeout: upstream timed out (110: Connection timed out) while reading response header from upstream",
		Mend:    "Set proxy_read_timeout above the longest hold in the location of polls, or have the server end holds earlier.",
		Eval:    onRoutes(evalReadTimeout, facts.RoutePoll),
	},
	{
		ID: "nginx/timeout-chain", Title: "every hop outlasts a held poll", Severity: reports.SeverityInfo, On: OnProxy,
		After: []string{"nginx/proxy-read-timeout", "lb/idle-timeout", "proxy/timeout", "app/timeout"},
		Reads: []string{"--lb", "proxy_read_timeout", "the timeouts of every other hop", "--hold"},
		Why: `A poll lives for as long as the most impatient hop lets it. gunicorn's timeout is in the chain only with
sync workers; with gevent and threads it is a heartbeat. dc_federated's workers have no timeout of their own.`,
		Symptom: "polls end at the time of the weakest hop",
		Mend:    "Raise the hop that is marked, or end holds earlier.",
		Eval:    onRoutes(evalChain, facts.RoutePoll),
	},
	{
		ID: "nginx/proxy-connect-timeout", Title: "a dead upstream is found soon", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"proxy_connect_timeout in force where requests are passed on"},
		Why: `proxy_connect_timeout has nothing to do with how long polls are held, and can't usually exceed 75 s: the
kernel gives up connecting after about two minutes. A day, as in dc_federated's notes, is void and hides a dead upstream.`,
		Symptom: "504 minutes late while the application is down",
		Mend:    "Leave proxy_connect_timeout at its default, or set 5s for an upstream on the same host.",
		Eval:    onRoutes(evalConnectTimeout, facts.RoutePoll, facts.RouteModel, facts.RouteUpdate),
	},
	{
		ID: "nginx/send-timeout", Title: "slow links neither cut models nor pin slots", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"send_timeout, proxy_send_timeout and limit_rate in force for models and updates"},
		Why: `They count between two writes and do not matter while a poll is held. Too short they cut downloads and
uploads of big models over slow links; a day long they keep the slot of a worker that went away for a day. limit_rate
makes every link a slow one: a model of 20 MB takes five hours and a half by limit_rate 1k.`,
		Symptom: "downloads cut half-way; or slots and memory of workers that are gone",
		Mend:    "Leave them at 60s, or set between 10s and 1h; set no limit_rate for models.",
		Eval:    onRoutes(evalSendTimeout, facts.RouteModel, facts.RouteUpdate, facts.RoutePoll),
	},
	{
		ID: "nginx/client-timeouts", Title: "slow clients get time, idle ones do not", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"client_header_timeout, also that of the default server, and client_body_timeout"},
		Why: `They count while a request comes in: the whole head, by the rule of the listener's default server where the name is not
known yet, and between two reads of a body. Too short they cut
uploads over slow links: nginx writes a 408 into its access log and closes the connection without an answer. Too long
they let anybody hold slots by sending nothing.`,
		Symptom: "uploads are cut without an answer, which ends dc_federated's workers; 408 stands in nginx's access log alone. Or slots taken by clients that send nothing",
		Mend:    "Leave them at 60s, or set between 10s and 10m.",
		Eval:    onRoutes(evalClientTimeouts, facts.RouteUpdate, facts.RoutePoll),
	},
	{
		ID: "nginx/keepalive-timeout", Title: "idle connections to nginx outlast what uses them", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"keepalive_timeout in force", "--lb"},
		Why: `nginx closes a connection that is idle for keepalive_timeout, 75 s by default. A worker that trains for
longer sends its next request into a connection that is being closed, now and then; a load balancer that keeps connections for longer
does so for all of them, and answers 502.`,
		Symptom: "now and then a worker's first request after training is reset, or a 502 that stands in no log of nginx",
		Mend:    "Set keepalive_timeout above the time that workers train for, and above the idle timeout of a load balancer.",
		Eval:    onRoutes(evalClientKeepalive, facts.RoutePoll, facts.RouteUpdate),
	},
	{
		ID: "nginx/socket-keepalive", Title: "nginx finds workers that went away silently", Severity: reports.SeverityInfo, On: OnProxy, Lint: true,
		Reads: []string{"so_keepalive of listen"},
		Why: `A worker behind a NAT that forgot it never says goodbye. Without TCP keep-alive its poll stays held until
proxy_read_timeout, which with long holds is hours: slots that nobody uses. Probes also keep a NAT from forgetting.`,
		Symptom: "more polls held than there are workers; polls that never return though the model is out",
		Mend:    "Add so_keepalive=60s:30s:4 to listen.",
		Eval:    onSites(evalSocketKeepalive),
	},
}

func evalReadTimeout(c Case, p place) Judgement {
	for _, s := range p.site.Streams {
		switch v := s.ProxyTimeout; {
		case !v.Known():
			return cantTell("proxy_timeout", v)
		case v.V <= c.hold():
			return fail("proxy_timeout "+short(v.V)+" of stream", "more than the hold of "+short(c.hold()), source(v, s.Source),
				write(v, "the server of stream", s.Source, "proxy_timeout "+nginxTime(readTimeoutFor(c.hold()))+";", "wait for longer than a poll is held"))
		}
	}
	v := p.at.ProxyReadTimeout
	if !v.Known() {
		return cantTell(p.setting("read_timeout"), v)
	}
	if v.V > c.hold() {
		return pass(short(v.V), source(v, p.at.Source))
	}
	want := readTimeoutFor(c.hold())
	return fail(short(v.V), "more than the hold of "+short(c.hold()), source(v, p.at.Source),
		write(v, p.block(), p.at.Source, p.setting("read_timeout")+" "+nginxTime(want)+";", "wait for longer than a poll is held"))
}

// readTimeoutFor is proxy_read_timeout for a hold: a minute more, so that the
// server's own end of a hold comes first.
func readTimeoutFor(hold time.Duration) time.Duration { return hold + minuteAtLeast }

// evalChain shows the hops of a poll in a row, the weakest marked.
func evalChain(c Case, p place) Judgement {
	type hop struct {
		name, note string // note: why it has no limit; "" where it has one
		limit      time.Duration
	}
	hops := []hop{{name: "worker", note: "no timeout"}}
	if c.Hop != nil && p.n.Master != c.Deployment.Proxy.Nginx.V.Master {
		return notApplicable("told of the nginx next to the application")
	}
	whole := Case{Facts: *c.Deployment.Proxy, Deployment: c.Deployment, Demand: c.Demand}
	add := func(h kinds.Hop) *Judgement {
		if h.Kind == kinds.Nginx {
			at := p.at
			if n := whole.configOf(h); n != nil && n.Master != p.n.Master {
				if at = pollOf(n); at == nil {
					o := unknownFor("where %s passes polls on is not known", h.Name())
					return &o
				}
			}
			v := at.ProxyReadTimeout
			if !v.Known() {
				o := cantTell(p.setting("read_timeout"), v)
				return &o
			}
			hops = append(hops, hop{name: "nginx", limit: v.V})
			return nil
		}
		a := h.Silence()
		switch {
		case a.Status == kinds.NA:
			hops = append(hops, hop{name: h.Kind.Kind, note: "heartbeat only"})
		case !a.Is():
			o := unanswered(a)
			return &o
		case a.V == kinds.Forever:
			hops = append(hops, hop{name: h.Kind.Kind, note: "no timeout"})
		default:
			hops = append(hops, hop{name: h.Kind.Kind, limit: a.V})
		}
		return nil
	}
	fronts, o := whole.fronts()
	if o != nil {
		return *o
	}
	for _, h := range fronts {
		if o := add(whole.way(h)); o != nil {
			return *o
		}
	}
	app := Case{Facts: *c.Deployment.App, Deployment: c.Deployment, Demand: c.Demand}
	server, none := app.server()
	switch {
	case none != nil && none.Status == reports.StatusUnknown:
		return *none
	case none == nil:
		if o := add(server); o != nil {
			return *o
		}
	}
	weakest := -1
	for i, h := range hops {
		if h.note == "" && (weakest < 0 || h.limit < hops[weakest].limit) {
			weakest = i
		}
	}
	var parts []string
	for i, h := range hops {
		text := h.name + " " + cmp.Or(h.note, short(h.limit))
		if i == weakest {
			text += " (weakest)"
		}
		parts = append(parts, text)
	}
	v := p.at.ProxyReadTimeout
	got := strings.Join(append(parts, "hold "+short(c.hold())), " → ")
	if weakest >= 0 && hops[weakest].limit <= c.hold() {
		return fail(got, hops[weakest].name+" above "+short(c.hold()), source(v, p.at.Source),
			reports.Remedy{Text: "raise the timeout of " + hops[weakest].name + ", or end holds earlier"})
	}
	return pass(got, source(v, p.at.Source))
}

func evalConnectTimeout(_ Case, p place) Judgement {
	v := p.at.ProxyConnectTimeout
	if !v.Known() {
		return cantTell(p.setting("connect_timeout"), v)
	}
	if v.V <= 75*time.Second {
		return pass(short(v.V), source(v, p.at.Source))
	}
	return fail(short(v.V), "75s at most: more is void", source(v, p.at.Source),
		write(v, p.block(), p.at.Source, p.setting("connect_timeout")+" 5s;", "it does not lengthen holds"))
}

// within judges times that must be neither short nor endless.
func within(p place, least, most time.Duration, line string, named ...any) Judgement {
	var all []Judgement
	for i := 0; i < len(named); i += 2 {
		name, v := named[i].(string), named[i+1].(nginx.Value[time.Duration]) // #nosec G602 -- they come in pairs
		got := name + " " + short(v.V)
		want := fmt.Sprintf("between %s and %s", short(least), short(most))
		fix := write(v, p.block(), p.at.Source, name+" "+line+";", "time for slow links, and an end")
		switch {
		case !v.Known():
			all = append(all, cantTell(name, v))
		case v.V < least || v.V > most:
			all = append(all, fail(got, want, source(v, p.at.Source), fix))
		default:
			all = append(all, pass(got, source(v, p.at.Source)))
		}
	}
	return worst(all)
}

// rateTime is how long a model may take at most by limit_rate: as long as the longest
// of a client's timeouts.
const rateTime = 10 * time.Minute

func evalSendTimeout(c Case, p place) Judgement {
	for _, of := range []struct {
		name string
		v    nginx.Value[int64]
	}{{"limit_rate", p.at.LimitRate}, {p.setting("limit_rate"), p.at.ProxyLimitRate}} {
		switch {
		case !of.v.Known():
			return cantTell(of.name, of.v)
		case of.v.V > 0 && float64(c.Demand.ModelBytes)/float64(of.v.V) > rateTime.Seconds():
			took := duration(float64(c.Demand.ModelBytes) / float64(of.v.V)).Round(time.Second)
			return fail(fmt.Sprintf("%s %s a second: %s for a model", of.name, size(of.v.V), short(took)), short(rateTime)+" at most", source(of.v, p.at.Source),
				write(of.v, p.block(), p.at.Source, of.name+" 0;", "send models as fast as the link takes them"))
		}
	}
	return within(p, 10*time.Second, time.Hour, "60s", "send_timeout", p.at.SendTimeout, p.setting("send_timeout"), p.at.ProxySendTimeout)
}

func evalClientTimeouts(_ Case, p place) Judgement {
	named := []any{"client_header_timeout", p.site.Server.ClientHeaderTimeout, "client_body_timeout", p.at.ClientBodyTimeout}
	for _, d := range p.site.Defaults {
		named = append(named, "client_header_timeout", d.ClientHeaderTimeout)
	}
	return within(p, 10*time.Second, 10*time.Minute, "60s", named...)
}

func evalClientKeepalive(c Case, p place) Judgement {
	v := p.at.KeepaliveTimeout
	if !v.Known() {
		return cantTell("keepalive_timeout", v)
	}
	least, want := minuteAtLeast, "a minute at least, more where training takes longer"
	if n := len(c.Asked.Balancers); n > 0 { // the last of them reuses connections
		b, err := kinds.ParseBalancer(c.Asked.Balancers[n-1])
		if err != nil {
			return unknownFor("--lb: %v", err)
		}
		if uses := (kinds.Hop{Kind: b}).Keepalive(); uses.Is() && uses.V >= least {
			least, want = uses.V+time.Second, fmt.Sprintf("more than %s, for which %s uses them", short(uses.V), b.Kind)
		}
	}
	if v.V >= least {
		return pass(short(v.V), source(v, p.at.Source))
	}
	return fail(short(v.V), want, source(v, p.at.Source),
		write(v, p.block(), p.at.Source, "keepalive_timeout "+nginxTime(max(75*time.Second, least+14*time.Second))+";", "keep idle connections for longer"))
}

// longHold is from when on dead peers are worth probing for.
const longHold = 5 * time.Minute

func evalSocketKeepalive(c Case, _ *facts.Nginx, s *facts.Site) Judgement {
	if c.hold() <= longHold {
		return notApplicable("holds end after %s", short(c.hold()))
	}
	if len(s.Sockets) == 0 {
		return unknownFor("what the server of %s listens at", s.Source)
	}
	for _, socket := range s.Sockets {
		v := socket.SoKeepalive
		switch {
		case !v.Known():
			return cantTell("so_keepalive", v)
		case v.V == "off" || v.V == "":
			return fail("off", "probes, as holds last "+short(c.hold()), source(v, s.Source),
				reports.Remedy{Text: fmt.Sprintf("add to the listen of %s: so_keepalive=60s:30s:4", s.Source), Then: "restart"})
		}
	}
	return pass(s.Sockets[0].SoKeepalive.V, source(s.Sockets[0].SoKeepalive, s.Source))
}

// onLoopback tells an address that nobody else reaches.
func onLoopback(address string) bool {
	if strings.HasPrefix(address, "unix:") || strings.HasPrefix(address, "localhost:") {
		return true
	}
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().IsLoopback()
}
