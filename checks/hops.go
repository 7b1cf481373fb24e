package checks

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// ofServer runs a check that is about the application's hop.
func ofServer(eval func(Case, kinds.Hop) Judgement) func(Case) Judgement {
	return func(c Case) Judgement {
		h, o := c.server()
		if o != nil {
			return *o
		}
		return eval(c, h)
	}
}

// ofFront runs a check that is about a hop before the application other than nginx,
// of which checks of its own tell.
func ofFront(eval func(Case, kinds.Hop) Judgement) func(Case) Judgement {
	return ofHop("nothing but nginx is seen before the application", eval)
}

// ofBalancer runs a check that is about a load balancer.
func ofBalancer(eval func(Case, kinds.Hop) Judgement) func(Case) Judgement {
	return ofHop("none is named by --lb", eval)
}

// ofHop runs a check that is about the case's hop; without one it does not apply, for
// the reason in none.
func ofHop(none string, eval func(Case, kinds.Hop) Judgement) func(Case) Judgement {
	return func(c Case) Judgement {
		switch {
		case c.Hop != nil:
			return eval(c, *c.Hop)
		case c.noHops != nil:
			return *c.noHops
		}
		return notApplicable("%s", none)
	}
}

// hopCases are a case for each load balancer, or for each other hop before the
// application but nginx; one without a hop where there is none, or where that can't
// be told.
func (c Case) hopCases(balancers bool) []Case {
	fronts, o := c.fronts()
	c.noHops = o
	var out []Case
	for _, h := range fronts {
		if h.Kind == kinds.Nginx || (h.Kind.Role == kinds.RoleBalancer) != balancers {
			continue
		}
		one := c
		h = c.way(h)
		one.Hop = &h
		out = append(out, one)
	}
	if len(out) == 0 {
		return []Case{c}
	}
	return out
}

// unanswered is what a check says of an answer that is not known: n/a because of the kind,
// or unknown.
func unanswered[T any](a kinds.Answer[T]) Judgement {
	if a.Status == kinds.NA {
		return notApplicable("%s", a.Why)
	}
	return Judgement{Status: reports.StatusUnknown, Reason: a.Why, Source: a.Source}
}

var number = regexp.MustCompile(`[0-9]+`)

// bounded judges how many a hop holds.
func (c Case) bounded(h kinds.Hop, a kinds.Answer[kinds.Bound], inUse facts.Value[int64]) Judgement {
	switch {
	case !a.Is():
		return unanswered(a)
	case a.V.Safe == kinds.Unlimited:
		return pass(a.Got, a.Source)
	}
	want := fmt.Sprintf("room for %d polls", c.Demand.Workers)
	if a.V.Beyond != "" {
		want += "; one more " + a.V.Beyond
	}
	if a.V.Hard != a.V.Safe && a.Set != nil {
		want = number.FindString(a.Set(int64(c.Demand.Workers))) + ": two a worker and some spare"
	}
	o := c.limits(Capacity{Safe: workers(a.V.Safe), Hard: workers(a.V.Hard), InUse: inUse, Unit: "connections"}, a.Got, want, a.Source,
		func() reports.Remedy { return c.fix(h, a.Set, int64(c.Demand.Workers), a.Source) })
	o.Proof = h.Kind.Proof
	return o
}

// fix is the remedy that gives a hop's setting another value.
func (c Case) fix(h kinds.Hop, set func(int64) string, want int64, from string) reports.Remedy {
	then := "restart"
	if h.Kind.Role == kinds.RoleBalancer {
		then = ""
	}
	if set == nil {
		if h.Kind.Mend != nil && h.Kind.Role == kinds.RoleBalancer {
			return reports.Remedy{Text: h.Kind.Mend(h, "", from)}
		}
		return reports.Remedy{Text: fmt.Sprintf("%s has no setting for it: put another kind of server in its place, or spread the workers over several", h.Kind.Kind), Then: then}
	}
	text := set(want)
	if v := c.variable(h, from); v != "" {
		return c.unitRemedy(c.app().unit, "", fmt.Sprintf(`Environment="%s=%s"`, v, text), "set it for the service by "+v)
	}
	if h.Kind.Mend != nil {
		return reports.Remedy{Text: h.Kind.Mend(h, text, from), Then: then}
	}
	return reports.Remedy{Text: fmt.Sprintf("start %s with %s", h.Kind.Kind, text), Then: then}
}

// variable is that of the environment by which a drop-in changes the application's
// flags; "" where none does, or where something else would win.
func (c Case) variable(h kinds.Hop, from string) string {
	if h.Kind.Variable == nil || h.Kind.Role != facts.RoleServer {
		return ""
	}
	s, name := c.app(), h.Kind.Variable(h)
	if name == "" || s.unit == "" || !c.Systemd.V {
		return ""
	}
	// A variable of somebody else's may hold more flags than fltool keeps; its
	// own drop-in's are merged.
	dropIn := "/etc/systemd/system/" + s.unit + ".d/" + facts.OwnName
	ours := strings.Contains(c.Own.V[dropIn], name)
	wins := strings.Contains(from, "cmdline") || strings.Contains(from, ".service") && !strings.HasPrefix(from, dropIn+":")
	if wins || h.Text(name).Known() && !ours {
		return ""
	}
	return name
}
