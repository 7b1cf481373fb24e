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
have been: many have defaults that nobody changes. Between those of one time the status decides, and the headers Server and
Via: who made the answer, and what it went through. A hop that forgets a connection without a word shows as silence, found
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
		Mend:    "Fix the lowest limit of the ledger, and run again. Where the ledger promises more than the run held, a limit is at work that no check knows: fltool explain --log names it by nginx's and the server's logs.",
		Eval:    evalHeld,
	},
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
	if like := looksLike(*h, c.Probe.V.Alive.V); like != "" {
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
	o := fail(got, fmt.Sprintf("all %d", h.Asked), v.Source, reports.Remedy{Text: "fix the lowest limit of the ledger, and run again"})
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
