package checks

import (
	"fmt"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// How long a hop keeps idle connections: for longer than the one in front of it uses them.
var keepaliveChecks = []Check{
	{
		ID: "app/keepalive", Title: "the application keeps idle connections for long enough", Severity: reports.SeverityWarn, On: OnApp,
		Reads: []string{"the server's command line, environment and config file", "what stands before it: --lb, the proxy's settings"},
		Why: `A hop must keep an idle connection for longer than the hop in front of it may use it. gunicorn closes one
after 2 s by default; a load balancer of 60 s sends a request into a connection that is being closed, now and then, and answers 502.
Where workers come directly, one that trains for longer than that meets the close half-way. Behind nginx nginx/upstream-keepalive
judges it.`,
		Symptom: "now and then a 502, or a worker's request after training is reset",
		Mend:    "Set the server's keep-alive above the idle time of what is in front of it: gunicorn --keep-alive.",
		Eval:    ofServer(evalKeepalive),
	},
	{
		ID: "proxy/keepalive", Title: "a proxy keeps idle connections for longer than the hop in front of it uses them", Severity: reports.SeverityWarn, On: OnHop,
		Reads:   []string{"the proxy's config", "--lb"},
		Why:     `A load balancer that reuses a connection which the proxy behind it is closing answers 502. nginx closes after 75 s, too soon behind a balancer of 4000 s.`,
		Symptom: "now and then a 502 that stands in no log of the application",
		Mend:    "Set the proxy's idle timeout above that of the hop in front of it.",
		Eval:    ofFront(evalHopKeepalive),
	},
}

// thinks is how long a worker may be silent between two requests: a training of a
// small model.
const thinks = 60 * time.Second

func evalKeepalive(c Case, h kinds.Hop) Judgement {
	proxy := c.Deployment.Proxy
	fronts, o := Case{Facts: *proxy, Deployment: c.Deployment, Demand: c.Demand}.fronts()
	if o != nil {
		return *o
	}
	if len(fronts) == 0 || fronts[len(fronts)-1].Kind != kinds.Nginx {
		if !proxy.HasNginx.Known() {
			return cantTell("nginx", proxy.HasNginx)
		}
		if len(fronts) == 0 && proxy.HasNginx.V {
			return notApplicable("nginx is in front: it decides how long connections live")
		}
	}
	if len(fronts) == 0 {
		return c.outlasts(h, "workers think", thinks)
	}
	front := c.way(fronts[len(fronts)-1])
	switch front.Kind.Role {
	case facts.RoleForwarder:
		return c.outlasts(h, "workers think", thinks)
	case kinds.RoleBalancer:
		return c.outlastsHop(h, front)
	}
	if front.Kind == kinds.Nginx {
		return notApplicable("nginx is in front: it decides how long connections live")
	}
	return c.outlastsHop(h, front)
}

func evalHopKeepalive(c Case, h kinds.Hop) Judgement {
	fronts, o := c.fronts()
	if o != nil {
		return *o
	}
	for i, f := range fronts {
		if f.Name() != h.Name() || i == 0 {
			continue
		}
		return c.outlastsHop(h, c.way(fronts[i-1]))
	}
	return notApplicable("no proxy or balancer is in front of it")
}

// outlastsHop says whether a hop keeps idle connections for longer than the one in
// front of it uses them.
func (c Case) outlastsHop(h, front kinds.Hop) Judgement {
	a := front.Keepalive()
	switch {
	case !a.Is():
		return unanswered(a)
	case a.V == 0:
		return notApplicable("%s opens a connection for each request", front.Kind.Kind)
	case a.V == kinds.Forever:
		return c.outlasts(h, front.Kind.Kind+" uses them", kinds.Forever)
	}
	return c.outlasts(h, front.Kind.Kind+" uses them", a.V)
}

func (c Case) outlasts(h kinds.Hop, who string, uses time.Duration) Judgement {
	a := h.Keepalive()
	switch {
	case !a.Is():
		return unanswered(a)
	case a.V == kinds.Forever, uses != kinds.Forever && a.V > uses, uses == thinks && a.V >= uses:
		return pass(a.Got, a.Source)
	}
	return fail(a.Got, fmt.Sprintf("more than %s, for which %s", kinds.Short(uses), who), a.Source,
		c.fix(h, a.Set, int64((max(uses, 0)+15*time.Second).Seconds()), a.Source))
}
