package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

var accessChecks = []Check{
	{
		ID: "nginx/protocol", Title: "nginx passes the whole protocol on", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After: []string{"nginx/config", "nginx/route"},
		Reads: []string{"the location of each of the five routes, and where it passes to", "timeouts of 0 and mirror in force there"},
		Why: `A worker registers, asks for a challenge, polls, takes the model and sends its update: five routes. Where
nginx passes the poll alone and answers another itself, no round ends; dc_federated's workers spin on the reply. Nor does
one where a timeout of 0 cuts whatever does not go at once (504, or a connection that is closed), or where a mirror sends
each request twice.`,
		Symptom: "404 or 405 for a challenge or an update, and workers that ask again at once",
		Mend:    "Pass all five routes on, best by one location for the prefix that they share.",
		Eval:    onSites(evalProtocol),
	},
	{
		ID: "nginx/access", Title: "nginx lets workers in", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After: []string{"nginx/config", "nginx/route"},
		Reads: []string{"allow, deny, auth_basic, auth_request, satisfy, limit_except, if, internal, ssl_verify_client and listen on the way of each route"},
		Why: `dc_federated's workers have no password, no certificate and no header of their own: they register, poll and
upload by POST. What asks them for more keeps all of them out, and what hangs on the request can't be told from here.`,
		Symptom: "400, 401, 403 or 405 for every worker, each of which asks again at once",
		Mend:    "Let the workers' routes through: auth_basic off, allow for their networks, limit_except GET POST.",
		Eval:    onSites(evalAccess),
	},
}

func evalProtocol(c Case, _ *facts.Nginx, s *facts.Site) Judgement {
	var poll *facts.Location
	if r := s.Routes[facts.RoutePoll]; r.Err != "" {
		return c.noWay(r)
	} else if poll = s.At(facts.RoutePoll); poll == nil || poll.Pass == nil {
		return notApplicable("polls are not passed on")
	}
	var all []Judgement
	seen := map[*facts.Location]bool{}
	for _, route := range facts.WorkerRoutes {
		r := s.Routes[route]
		for _, at := range s.Way(route) {
			if at.Pass != nil && !seen[at] {
				seen[at] = true
				all = append(all, spoiled(place{site: s, at: at})...)
			}
		}
		switch at := s.At(route); {
		case r.Err != "":
			all = append(all, c.noWay(r))
		case r.Answer != "":
			all = append(all, fail(fmt.Sprintf("%s: %s", r.Path, r.Answer), "all five routes passed on to "+poll.Pass.Raw, r.AnswerAt,
				reports.Remedy{Text: fmt.Sprintf("in the server of %s add: location %s { %s_pass %s; }", s.Source, pattern(route, r.Path), poll.Pass.Kind, poll.Pass.Raw), Then: "reload"}))
		case at == nil || at.Pass == nil:
			all = append(all, unknownFor("where nginx passes %s", r.Path))
		case r.Arrives != "" && r.Arrives != strings.TrimPrefix(r.Path, s.Base):
			all = append(all, fail(fmt.Sprintf("%s arrives as %s", r.Path, r.Arrives), "as "+strings.TrimPrefix(r.Path, s.Base)+", which is all that the application knows", at.Pass.Source,
				reports.Remedy{Text: fmt.Sprintf("at %s write what stands behind the address so that the path arrives whole (location %s/ with proxy_pass http://ADDRESS/;), or waive this check where what follows takes it off", at.Pass.Source, s.Base), Then: "reload"}))
		case at.Pass.Err == "" && poll.Pass.Err == "" && !sameApplication(at, poll):
			all = append(all, fail(fmt.Sprintf("%s goes to %s, polls to %s", r.Path, at.Pass.Raw, poll.Pass.Raw), "one application for all five routes, since its state is in memory", at.Pass.Source,
				reports.Remedy{Text: fmt.Sprintf("at %s write: %s_pass %s; or waive this check where both are one process", at.Pass.Source, at.Pass.Kind, poll.Pass.Raw), Then: "reload"}))
		}
	}
	if len(all) > 0 {
		return worst(all)
	}
	return pass("all five routes go to "+poll.Pass.Raw, poll.Pass.Source)
}

// spoiled tells of settings by which nginx passes requests on, and not as they came: a
// time of 0 is over before what does not go at once, and a mirror doubles each request.
func spoiled(p place) (all []Judgement) {
	for _, of := range []struct {
		name string
		v    nginx.Value[time.Duration]
	}{
		{p.setting("connect_timeout"), p.at.ProxyConnectTimeout}, {p.setting("send_timeout"), p.at.ProxySendTimeout},
		{"send_timeout", p.at.SendTimeout}, {"client_body_timeout", p.at.ClientBodyTimeout},
	} {
		if of.v.Known() && of.v.V == 0 {
			all = append(all, fail(of.name+" 0, which is over before what does not go at once", "60s, as it is by default", source(of.v, p.at.Source),
				write(of.v, p.block(), p.at.Source, of.name+" 60s;", "give connections and bodies time")))
		}
	}
	if v := p.at.Mirror; v.Known() && v.V != "off" {
		all = append(all, fail("mirror "+v.V+": each request is sent twice, and a poll takes one more connection", "off, since a worker's second poll ends its first", source(v, p.at.Source),
			write(v, p.block(), p.at.Source, "mirror off;", "send each request once")))
	}
	return all
}

// sameApplication says whether two locations pass to the same addresses.
func sameApplication(a, b *facts.Location) bool {
	if a.Pass.Upstream == b.Pass.Upstream {
		return true
	}
	if a.Upstream == nil || b.Upstream == nil || a.Upstream.Incomplete != "" || b.Upstream.Incomplete != "" {
		return false
	}
	addresses := func(u *nginx.Upstream) (all []string) {
		for _, p := range u.Peers {
			if !p.Down {
				all = append(all, p.Address)
			}
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	return slices.Equal(addresses(a.Upstream), addresses(b.Upstream))
}

// pattern is of a location that takes a route: those of challenges and updates end in
// the worker's id.
func pattern(route, path string) string {
	if route == facts.RouteChallenge || route == facts.RouteUpdate {
		return path[:strings.LastIndexByte(path, '/')+1]
	}
	return "= " + path
}

func evalAccess(c Case, _ *facts.Nginx, s *facts.Site) Judgement {
	var maybe *nginx.Gate
	var shut []Judgement
	known, told := false, map[string]bool{}
	for _, route := range facts.WorkerRoutes {
		r := s.Routes[route]
		if r.Err != "" || r.Answer != "" && !slices.ContainsFunc(r.Gates, func(g nginx.Gate) bool { return !g.Maybe }) {
			continue // nginx/protocol and nginx/route tell
		}
		known = true
		at := s.At(route)
		for i, g := range r.Gates {
			id := g.Source
			if at != nil {
				id += at.Source
			}
			if !g.Maybe && !told[id] {
				told[id] = true
				shut = append(shut, fail(fmt.Sprintf("%s: %s", r.Path, g.Text), "workers that have nothing but their signature", g.Source, openGate(g, at, r.Path)))
			} else if g.Maybe && maybe == nil {
				maybe = &r.Gates[i]
			}
		}
	}
	switch {
	case len(shut) > 0:
		return worst(shut)
	case maybe != nil:
		o := unknownFor("%s: %s", maybe.Directive, maybe.Text)
		o.Source = maybe.Source
		return o
	case !known:
		return notApplicable("nginx/route and nginx/protocol tell")
	}
	return pass("nothing asks workers for more than they have", s.Source)
}

// openGate is how workers get past a gate.
func openGate(g nginx.Gate, at *facts.Location, path string) reports.Remedy {
	text := fmt.Sprintf("remove %s at %s, or keep it from %s and the other routes of workers", g.Directive, g.Source, path)
	switch g.Directive {
	case "auth_basic":
		if at != nil {
			text = fmt.Sprintf("in location %s of %s write: auth_basic off;", at.Name(), at.Source)
		}
	case "deny":
		text = fmt.Sprintf("at %s write before it: allow NETWORK; for each network of workers", g.Source)
	case "limit_except":
		text = fmt.Sprintf("at %s write: limit_except GET POST", g.Source)
	case "ssl_verify_client":
		text = fmt.Sprintf("at %s write: ssl_verify_client optional; since dc_federated's workers have no certificate", g.Source)
	case "http2":
		text = fmt.Sprintf("at %s remove http2 from listen, or add ssl", g.Source)
	}
	return reports.Remedy{Text: text, Then: "reload"}
}
