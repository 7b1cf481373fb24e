package checks

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

const minuteAtLeast = time.Minute

// Balancers are the idle timeouts of what stands before nginx, as their
// vendors' documentation gives the defaults.
var Balancers = map[string]time.Duration{
	"aws-alb":    60 * time.Second,
	"aws-nlb":    350 * time.Second,
	"azure-lb":   4 * time.Minute,
	"gcp-https":  30 * time.Second,
	"cloudflare": 120 * time.Second,
}

// balancerSetting is where each of them is raised.
var balancerSetting = map[string]string{
	"aws-alb":    "set the attribute idle_timeout.timeout_seconds, up to 4000 s",
	"aws-nlb":    "set the listener's attribute tcp.idle_timeout.seconds, up to 6000 s",
	"azure-lb":   "set the rule's idle timeout, up to 100 minutes, and TCP reset with it",
	"gcp-https":  "set timeoutSec of the backend service",
	"cloudflare": "only plans for enterprises raise it: go round the proxy",
}

// ParseBalancer reads a name of Balancers or a duration.
func ParseBalancer(s string) (time.Duration, error) {
	if d, ok := Balancers[s]; ok {
		return d, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("want aws-alb, aws-nlb, azure-lb, gcp-https, cloudflare or an idle timeout such as 90s")
	}
	return d, nil
}

var timeoutChecks = []Check{
	{
		ID: "nginx/proxy-read-timeout", Title: "nginx waits for as long as a poll is held", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After: []string{"nginx/config"},
		Reads: []string{"proxy_read_timeout in force where polls are passed on"},
		Why: `While a poll is held nothing comes from the application. After proxy_read_timeout without a byte, 60 s by
default, nginx gives up and answers 504; dc_federated's workers poll again at once, all of them, every minute.`,
		Symptom: "504 after the timeout: upstream timed out (110: Connection timed out) while reading response header from upstream",
		Mend:    "Set proxy_read_timeout above the longest hold in the location of polls, or have the server end holds earlier.",
		Eval:    onRoutes(evalReadTimeout, facts.RoutePoll),
	},
	{
		ID: "lb/idle-timeout", Title: "the load balancer waits for as long as a poll is held", Severity: reports.SeverityError, On: OnProxy,
		Reads: []string{"--lb: " + strings.Join(slices.Sorted(maps.Keys(Balancers)), ", ") + ", or a duration"},
		Why: `What stands before nginx has an idle timeout of its own: AWS ALB 60 s, NLB 350 s, Azure 4 min, Google 30 s,
Cloudflare about 120 s. Some answer 504, some drop the connection and tell nobody: such a worker waits for ever.`,
		Symptom: "504, or polls that never return though the model is out",
		Mend:    "Raise its idle timeout above the longest hold, or end holds earlier: fltool serve --max-hold does.",
		Eval:    evalBalancer,
	},
	{
		ID: "nginx/timeout-chain", Title: "every hop outlasts a held poll", Severity: reports.SeverityInfo, On: OnProxy,
		After: []string{"nginx/proxy-read-timeout", "lb/idle-timeout", "app/timeout"},
		Reads: []string{"--lb", "proxy_read_timeout", "gunicorn's worker class and timeout", "--hold"},
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
		Reads: []string{"send_timeout and proxy_send_timeout in force for models and updates"},
		Why: `They count between two writes and do not matter while a poll is held. Too short they cut downloads and
uploads of big models over slow links; a day long they keep the slot of a worker that went away for a day.`,
		Symptom: "downloads cut half-way; or slots and memory of workers that are gone",
		Mend:    "Leave them at 60s, or set between 10s and 1h.",
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
		ID: "nginx/keepalive-timeout", Title: "a worker's connection outlasts its thinking", Severity: reports.SeverityInfo, On: OnProxy, Lint: true,
		Reads: []string{"keepalive_timeout in force"},
		Why: `nginx closes a connection that is idle for keepalive_timeout, 75 s by default. A worker that trains for
longer sends its next request into a connection that is being closed, now and then.`,
		Symptom: "now and then a worker's first request after training is reset",
		Mend:    "Set keepalive_timeout above the time that workers train for.",
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

func evalReadTimeout(c Case, p place) Outcome {
	v := p.at.ProxyReadTimeout
	if !v.Known() {
		return unset("proxy_read_timeout", v)
	}
	if v.V > c.hold() {
		return pass(short(v.V), source(v, p.at.Source))
	}
	want := readTimeoutFor(c.hold())
	return fail(short(v.V), "more than the hold of "+short(c.hold()), source(v, p.at.Source),
		write(v, p.block(), p.at.Source, "proxy_read_timeout "+nginxTime(want)+";", "wait for longer than a poll is held"))
}

// readTimeoutFor is proxy_read_timeout for a hold: a minute more, so that the
// server's own end of a hold comes first.
func readTimeoutFor(hold time.Duration) time.Duration { return hold + minuteAtLeast }

func evalBalancer(c Case) Outcome {
	if c.Asked.Balancer == "" {
		return notApplicable("none is named by --lb")
	}
	d, err := ParseBalancer(c.Asked.Balancer)
	if err != nil {
		return unknownFor("--lb %s: %v", c.Asked.Balancer, err)
	}
	got := short(d)
	if _, named := Balancers[c.Asked.Balancer]; named {
		got = c.Asked.Balancer + " " + got + " by default"
	}
	if d > c.hold() {
		return pass(got, "--lb")
	}
	mend := balancerSetting[c.Asked.Balancer]
	if mend == "" {
		mend = "raise its idle timeout"
	}
	return fail(got, "more than the hold of "+short(c.hold()), "--lb",
		reports.Remedy{Text: mend + "; then say so by --lb DURATION. Or have the server end holds sooner, by fltool serve --max-hold"})
}

// evalChain shows the hops of a poll in a row, the weakest marked.
func evalChain(c Case, p place) Outcome {
	type hop struct {
		name, note string // note: why it has no limit; "" where it has one
		limit      time.Duration
	}
	hops := []hop{{name: "worker", note: "no timeout"}}
	if c.Asked.Balancer != "" {
		d, err := ParseBalancer(c.Asked.Balancer)
		if err != nil {
			return unknownFor("--lb %s: %v", c.Asked.Balancer, err)
		}
		hops = append(hops, hop{name: "lb", limit: d})
	}
	v := p.at.ProxyReadTimeout
	if !v.Known() {
		return unset("proxy_read_timeout", v)
	}
	hops = append(hops, hop{name: "nginx", limit: v.V})
	app := *c.Deployment.App
	g, unknown := Case{Facts: app}.gunicorn()
	if unknown != nil {
		return *unknown
	}
	if g != nil {
		if !g.WorkerClass.Known() {
			return cantTell("gunicorn's worker class", g.WorkerClass)
		}
		h := hop{name: "gunicorn", note: "heartbeat only"}
		only, known := heartbeat(g.WorkerClass.V)
		if !known {
			return unknownFor("gunicorn's worker class %s: whether its timeout cuts held polls is not known", g.WorkerClass.V)
		}
		if !only {
			if !g.Timeout.Known() {
				return cantTell("gunicorn's timeout", g.Timeout)
			}
			if h.note = "no timeout"; g.Timeout.V > 0 {
				h.note, h.limit = "", duration(g.Timeout.V)
			}
		}
		hops = append(hops, h)
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
	got := strings.Join(append(parts, "hold "+short(c.hold())), " → ")
	if weakest >= 0 && hops[weakest].limit <= c.hold() {
		return fail(got, hops[weakest].name+" above "+short(c.hold()), source(v, p.at.Source),
			reports.Remedy{Text: "raise the timeout of " + hops[weakest].name + ", or end holds earlier"})
	}
	return pass(got, source(v, p.at.Source))
}

func evalConnectTimeout(_ Case, p place) Outcome {
	v := p.at.ProxyConnectTimeout
	if !v.Known() {
		return unset("proxy_connect_timeout", v)
	}
	if v.V <= 75*time.Second {
		return pass(short(v.V), source(v, p.at.Source))
	}
	return fail(short(v.V), "75s at most: more is void", source(v, p.at.Source),
		write(v, p.block(), p.at.Source, "proxy_connect_timeout 5s;", "it does not lengthen holds"))
}

// within judges times that must be neither short nor endless.
func within(p place, least, most time.Duration, line string, named ...any) Outcome {
	var all []Outcome
	for i := 0; i < len(named); i += 2 {
		name, v := named[i].(string), named[i+1].(nginx.Value[time.Duration]) // #nosec G602 -- they come in pairs
		got := name + " " + short(v.V)
		want := fmt.Sprintf("between %s and %s", short(least), short(most))
		mend := write(v, p.block(), p.at.Source, name+" "+line+";", "time for slow links, and an end")
		switch {
		case !v.Known():
			all = append(all, unset(name, v))
		case v.V < least || v.V > most:
			all = append(all, fail(got, want, source(v, p.at.Source), mend))
		default:
			all = append(all, pass(got, source(v, p.at.Source)))
		}
	}
	return worst(all)
}

func evalSendTimeout(_ Case, p place) Outcome {
	return within(p, 10*time.Second, time.Hour, "60s", "send_timeout", p.at.SendTimeout, "proxy_send_timeout", p.at.ProxySendTimeout)
}

func evalClientTimeouts(_ Case, p place) Outcome {
	named := []any{"client_header_timeout", p.site.Server.ClientHeaderTimeout, "client_body_timeout", p.at.ClientBodyTimeout}
	for _, d := range p.site.Defaults {
		named = append(named, "client_header_timeout", d.ClientHeaderTimeout)
	}
	return within(p, 10*time.Second, 10*time.Minute, "60s", named...)
}

func evalClientKeepalive(_ Case, p place) Outcome {
	v := p.at.KeepaliveTimeout
	if !v.Known() {
		return unset("keepalive_timeout", v)
	}
	if v.V >= minuteAtLeast {
		return pass(short(v.V), source(v, p.at.Source))
	}
	return fail(short(v.V), "a minute at least, more where training takes longer", source(v, p.at.Source),
		write(v, p.block(), p.at.Source, "keepalive_timeout 75s;", "keep idle connections for longer"))
}

// longHold is from when on dead peers are worth probing for.
const longHold = 5 * time.Minute

func evalSocketKeepalive(c Case, _ *facts.Nginx, s *facts.Site) Outcome {
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
			return unset("so_keepalive", v)
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
