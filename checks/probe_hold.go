package checks

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

var probeHoldChecks = []Check{
	{
		ID: "probe/longest-hold", Title: "a poll is held as long as it must be", Severity: reports.SeverityError, On: OnURL,
		After: []string{"probe/upstream-alive", "nginx/proxy-read-timeout", "lb/idle-timeout", "proxy/timeout", "app/timeout"},
		Reads: []string{"one poll by a worker of its own, held until it was cut or --probe-hold was over"},
		Why: `Every hop between a worker and the server has an idle timeout, and a held poll is idle. The shortest
counts, and most of them are in no file that fltool could read. The time at which a poll was cut tells which hop it may
have been: many have defaults that nobody changes. A hop that forgets a connection without a word shows as silence, found
by a TCP keep-alive at the end; that the first hop still holds the connection does not prove that the hops behind it do.`,
		Symptom: "all polls end after the same time; workers spin on a 504, end on a cut, and wait for ever after silence",
		Mend: `Raise the timeout of the hop that cuts (proxy_read_timeout in nginx, the idle timeout of the load
balancer), or let the server end holds before it does (fltool serve --max-hold), which workers answer with a new poll.`,
		Eval: evalLongestHold,
	},
	{
		ID: "probe/held", Title: "the workers of a run through the URL are all held", Severity: reports.SeverityError, On: OnURL,
		After: []string{"probe/upstream-alive", "app/nofile", "app/worker-class", "app/worker-connections", "proxy/holds", "nginx/worker-connections", "nginx/nofile",
			"nginx/limit-conn", "nginx/limit-req", "nginx/max-conns", "host/port-range", "host/memory"},
		Reads:   []string{"a run of --then-simulate workers through the URL"},
		Formula: "held-run",
		Why: `The ledger predicts; a run measures. Where fewer polls are held than workers came, that is the number
that the deployment supports, whatever any formula says.`,
		Symptom: "what the run's errors say",
		Mend:    "Mend the limit that binds in the ledger, and run again. Where the ledger promises more than the run held, a limit is at work that no check knows: fltool explain --log names it by nginx's and the server's logs.",
		Eval:    evalHeld,
	},
}

// A hop is an idle timeout that somebody ships as a default.
type hop struct {
	least, most time.Duration // between which the cut was seen; a second late is usual
	name        string
}

// hops by time. What they tell is a likeness: every one of them can be set.
var hops = []hop{
	{15 * time.Second, 16500 * time.Millisecond, "Envoy's timeout of a route (15 s)"},
	{20 * time.Second, 22 * time.Second, "an Azure application gateway (20 s)"},
	{29 * time.Second, 32 * time.Second, "a Google Cloud HTTP(S) load balancer (30 s), Heroku's router (30 s to the first byte), an API gateway of AWS (29 s) or gunicorn's timeout with sync workers (30 s)"},
	{50 * time.Second, 52 * time.Second, "HAProxy's timeout server as it is packaged (50 s)"},
	{55 * time.Second, 57 * time.Second, "Heroku's router (55 s between bytes)"},
	{59 * time.Second, 63 * time.Second, "nginx's proxy_read_timeout (60 s unless set), Apache's ProxyTimeout (60 s) or an AWS application load balancer (60 s)"},
	{99 * time.Second, 125 * time.Second, "Cloudflare (100 to 120 s)"},
	{238 * time.Second, 246 * time.Second, "an Azure load balancer (4 minutes)"},
	{299 * time.Second, 304 * time.Second, "Envoy's stream_idle_timeout (300 s) or Google's Cloud Run (300 s)"},
	{348 * time.Second, 356 * time.Second, "an AWS network load balancer, NAT gateway or firewall (350 s)"},
	{899 * time.Second, 905 * time.Second, "kube-proxy or Docker Swarm by IPVS (900 s)"},
	{1195 * time.Second, 1210 * time.Second, "Google's Cloud NAT (1200 s)"},
}

// looksLike names the hops that cut after about so long, or is "".
func looksLike(h facts.Hold) string {
	if strings.HasPrefix(h.Server, "nginx") && h.Status == 504 {
		return fmt.Sprintf("nginx's proxy_read_timeout of %.0f s", math.Floor(h.Seconds))
	}
	if h.End == facts.EndSilence { // some time before
		return ""
	}
	if name := answeredBy(h.Server); name != "" {
		return fmt.Sprintf("%s, cut after %.0f s", name, math.Floor(h.Seconds))
	}
	return CutAfter(h.Seconds)
}

// answeredBy tells by the header Server of an answer who made it, where that is a
// hop and no application; "".
func answeredBy(server string) string {
	for _, s := range []struct{ prefix, name string }{
		{"awselb", "an AWS application load balancer"},
		{"cloudflare", "Cloudflare"},
		{"envoy", "Envoy's timeout of a route"}, {"istio-envoy", "Envoy's timeout of a route"},
		{"Google Frontend", "Google's front end"},
		{"Microsoft-Azure-Application-Gateway", "an Azure application gateway"},
		{"Heroku", "Heroku's router"}, {"Cowboy", "Heroku's router"},
		{"Apache", "Apache's ProxyTimeout"}, {"Caddy", "Caddy"},
	} {
		if strings.HasPrefix(server, s.prefix) {
			return s.name
		}
	}
	return ""
}

// CutAfter names the hops that by default cut a silent request after about so many
// seconds, or is "".
func CutAfter(seconds float64) string {
	t := duration(seconds)
	for _, hop := range hops {
		if t >= hop.least && t <= hop.most {
			return hop.name
		}
	}
	return ""
}

var evalLongestHold = probed(func(p *facts.Probe) facts.Value[*facts.Hold] { return p.Hold }, func(c Case, v facts.Value[*facts.Hold]) Judgement {
	h := v.V
	if h == nil {
		return notApplicable("not asked (--probe-hold 0)")
	}
	want, got := c.Demand.HoldSeconds, holdText(*h)
	switch {
	case h.Seconds >= want && h.End != facts.EndSilence:
		return pass(got, v.Source)
	case h.End == facts.EndHeld:
		return unknownFor("held for all of %s, and %s are wanted: probe as long (--probe-hold %s)", clock(h.Seconds), clock(want), clock(want))
	case h.End == facts.EndAnswer && strings.HasPrefix(h.Text, "New request"):
		return unknownFor("another worker polls with the same key: give the probe a key of its own")
	case h.End == facts.EndAnswer:
		return unknownFor("the server itself ended the poll after %s (%q): probe between rounds, or see whether it ends holds on purpose", clock(h.Seconds), h.Text)
	}
	text := "raise the idle timeout of the hop that cuts it, or let the server end holds before"
	if like := looksLike(*h); like != "" {
		got += "; looks like " + like
		if strings.HasPrefix(like, "nginx") {
			text = fmt.Sprintf("write proxy_read_timeout %ds; in nginx", int64(math.Ceil(want*1.1))+60)
		}
	}
	o := fail(got, "polls held for "+clock(want), v.Source, reports.Remedy{Text: text})
	o.RuledOut = c.Deployment.patientWith(*h)
	return o
})

// patientWith names the checks of hops whose timeouts, as the hosts' facts have
// them, are not the time at which a poll ended: they may be too short as well, and
// something else cut this one.
func (d Deployment) patientWith(h facts.Hold) (out []string) {
	ended := func(limit time.Duration) bool {
		at := duration(h.Seconds)
		if h.End == facts.EndSilence { // some time before
			return limit > 0 && limit <= at
		}
		const early, late = time.Second, 3 * time.Second // gunicorn looks once a second
		return limit > 0 && at >= limit-early && at <= limit+late
	}
	nginxGaveUp := h.Status == http.StatusGatewayTimeout && slices.ContainsFunc(d.nginxAt(facts.RoutePoll), func(at *facts.Location) bool {
		return at.ProxyReadTimeout.Known() && ended(at.ProxyReadTimeout.V)
	})
	if !nginxGaveUp {
		out = append(out, "nginx/proxy-read-timeout")
	}
	cut := map[string]bool{} // by check
	if d.Proxy != nil {
		fronts, _ := Case{Facts: *d.Proxy, Deployment: d}.fronts()
		for _, h := range fronts {
			check := "proxy/timeout"
			if h.Kind.Role == kinds.RoleBalancer {
				check = "lb/idle-timeout"
			}
			a := Case{Facts: *d.Proxy, Deployment: d}.way(h).Silence()
			cut[check] = cut[check] || a.Is() && ended(a.V)
		}
	}
	if d.App != nil {
		if server, none := (Case{Facts: *d.App, Deployment: d}).server(); none == nil {
			a := server.Silence()
			cut["app/timeout"] = a.Is() && ended(a.V)
		}
	}
	for _, check := range []string{"lb/idle-timeout", "proxy/timeout", "app/timeout"} {
		if !cut[check] {
			out = append(out, check)
		}
	}
	return out
}

// holdText says how a poll ended.
func holdText(h facts.Hold) string {
	after := clock(h.Seconds)
	switch h.End {
	case facts.EndHeld:
		return "held for all of " + after
	case facts.EndAnswer:
		return fmt.Sprintf("answered after %s (%q)", after, h.Text)
	case facts.EndStatus:
		return fmt.Sprintf("%s after %s", says(facts.Answer{Status: h.Status, Server: h.Server}), after)
	case facts.EndReset:
		return "reset after " + after
	case facts.EndClosed:
		return "closed without an answer after " + after
	case facts.EndSilence:
		return "dead without a word at some time in " + after
	}
	return "ended after " + after
}

var evalHeld = probed(func(p *facts.Probe) facts.Value[*facts.HeldWorkers] { return p.Held }, func(_ Case, v facts.Value[*facts.HeldWorkers]) Judgement {
	h := v.V
	switch {
	case h == nil:
		return notApplicable("no run followed (--then-simulate)")
	case h.Refused != "":
		return unknownFor("the run tells nothing: %s", h.Refused)
	}
	got := fmt.Sprintf("%d of %d held for %s", h.Steady, h.Asked, clock(h.Seconds))
	if h.Steady >= h.Asked {
		return pass(got, v.Source)
	}
	if h.Cause != "" {
		got += "; most of the others: " + h.Cause
	}
	o := fail(got, fmt.Sprintf("all %d", h.Asked), v.Source, reports.Remedy{Text: "mend the limit that binds in the ledger, and run again"})
	o.Capacity = &Capacity{Safe: h.Steady, Hard: h.Peak}
	return o
})

// measure writes what a run held beside what was predicted: in its own row, and
// in that of the limit that should bind.
func measure(ledger []reports.Row, h *facts.HeldWorkers) {
	if h == nil || h.Refused != "" {
		return
	}
	binds := -1
	for i := range ledger {
		r := &ledger[i]
		switch {
		case r.Limit == heldCheck:
			r.Measured = &h.Steady
		case !r.Waived && r.Workers != nil && (binds < 0 || *r.Workers < *ledger[binds].Workers):
			binds = i
		}
	}
	if binds >= 0 {
		ledger[binds].Measured = &h.Steady
	}
}

const heldCheck = "probe/held"
