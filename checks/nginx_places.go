package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

// A place is a location of nginx that one of the protocol's routes leads to.
type place struct {
	n    *facts.Nginx
	site *facts.Site
	at   *facts.Location
}

// onConfig runs a check about nginx's config.
func onConfig(eval func(Case, *facts.Nginx) Judgement) func(Case) Judgement {
	return func(c Case) Judgement {
		switch {
		case !c.Nginx.Known():
			return cantTell("nginx's config", c.Nginx)
		case c.Nginx.V == nil:
			return notApplicable("no nginx here")
		}
		return eval(c, c.Nginx.V)
	}
}

// onMain runs a check about what stands outside of http, in a config that passes
// polls on.
func onMain(eval func(Case, *facts.Nginx) Judgement) func(Case) Judgement {
	return onConfig(func(c Case, n *facts.Nginx) Judgement {
		if o, none := c.noSites(n); none {
			return o
		}
		if n.Fragment {
			return notApplicable("the file belongs into the http block; this is set outside")
		}
		return eval(c, n)
	})
}

// outside answers where what would tell stands outside of the part of a config that
// was given: lint judges that part alone.
func (c Case) outside(why string) Judgement {
	if c.Lint {
		return notApplicable("%s", why)
	}
	return unknownFor("%s", why)
}

// noSites answers for a config that passes no polls on.
func (c Case) noSites(n *facts.Nginx) (o Judgement, none bool) {
	switch {
	case len(n.Sites) > 0:
		return Judgement{}, false
	case n.Incomplete != "":
		return unknownFor("%s", n.Incomplete), true
	case n.Fragment:
		return c.outside("the file is a part of the http block, and passes no polls on"), true
	}
	return notApplicable("nginx passes no polls on"), true
}

// noWay answers for a route that nobody can follow.
func (c Case) noWay(r facts.Route) Judgement {
	why := fmt.Sprintf("where nginx handles %s: %s", r.Path, r.Err)
	if r.Outside {
		return c.outside(why)
	}
	return unknownFor("%s", why)
}

// noUpstream answers for a place of which nobody can say where it passes to.
func (c Case) noUpstream(p place) Judgement {
	why := fmt.Sprintf("where %s passes to: %s", p.at.Source, p.at.Pass.Err)
	if p.at.Pass.Outside {
		return c.outside(why)
	}
	return unknownFor("%s", why)
}

// onSites asks about every server that passes polls to the application, and
// gives the worst answer.
func onSites(eval func(Case, *facts.Nginx, *facts.Site) Judgement) func(Case) Judgement {
	return onConfig(func(c Case, n *facts.Nginx) Judgement {
		if o, none := c.noSites(n); none {
			return o
		}
		var all []Judgement
		for i := range n.Sites {
			all = append(all, eval(c, n, &n.Sites[i]))
		}
		return worst(all)
	})
}

// onRoutes asks about every location that the routes lead to and that passes
// requests on; routes that nginx answers itself are none.
func onRoutes(eval func(Case, place) Judgement, routes ...string) func(Case) Judgement {
	return onSites(func(c Case, n *facts.Nginx, s *facts.Site) Judgement {
		var all []Judgement
		seen := make(map[*facts.Location]bool)
		for _, route := range routes {
			r := s.Routes[route]
			if r.Err != "" {
				all = append(all, c.noWay(r))
				continue
			}
			at := s.At(route)
			if at == nil || at.Pass == nil || seen[at] {
				continue
			}
			for _, at := range s.Way(route) { // those of nginx behind itself, too
				if at.Pass != nil && !seen[at] {
					seen[at] = true
					all = append(all, eval(c, place{n, s, at}))
				}
			}
		}
		if len(all) == 0 {
			return notApplicable("nginx passes no such request on")
		}
		return worst(all)
	})
}

// pollOf is where an nginx passes polls on; nil where that is not known.
func pollOf(n *facts.Nginx) *facts.Location {
	for i := range n.Sites {
		if at := n.Sites[i].At(facts.RoutePoll); at != nil && at.Pass != nil {
			return at
		}
	}
	return nil
}

// nginxAt is where the deployment's nginx handles a route; none where it has none
// and where that is unknown.
func (d Deployment) nginxAt(route string) (all []*facts.Location) {
	if d.Proxy == nil || !d.Proxy.Nginx.Known() || d.Proxy.Nginx.V == nil {
		return nil
	}
	for i := range d.Proxy.Nginx.V.Sites {
		if at := d.Proxy.Nginx.V.Sites[i].At(route); at != nil {
			all = append(all, at)
		}
	}
	return all
}

// worst sums answers up: a fail, else unknown, else a pass. Of a limit the
// smallest number of workers counts, and what is unknown beats it.
func worst(all []Judgement) Judgement {
	limits := slices.ContainsFunc(all, func(o Judgement) bool { return o.Capacity != nil })
	rank := func(o Judgement) int {
		switch o.Status {
		case reports.StatusUnknown:
			if limits {
				return 0
			}
			return 2
		case reports.StatusFail:
			return 1
		case reports.StatusPass:
			return 3
		}
		return 4
	}
	most := slices.MinFunc(all, func(a, b Judgement) int {
		if c := cmp.Compare(rank(a), rank(b)); c != 0 || a.Capacity == nil || b.Capacity == nil {
			return c
		}
		return cmp.Compare(a.Capacity.Safe, b.Capacity.Safe)
	})
	if most.Status == reports.StatusFail || most.Status == reports.StatusUnknown {
		most.also(all)
	}
	return most
}

// also has an answer name the other places that fail.
func (o *Judgement) also(all []Judgement) {
	told := map[string]bool{o.Source + o.Got: true}
	for _, other := range all {
		if other.Status != reports.StatusFail || told[other.Source+other.Got] {
			continue
		}
		told[other.Source+other.Got] = true
		if o.Status == reports.StatusUnknown {
			o.Reason += fmt.Sprintf("; and %s: %s", other.Source, wanted(other.Got, other.Want))
			continue
		}
		if other.Source == o.Source {
			o.Got += "; " + other.Got
		} else {
			o.Got += fmt.Sprintf("; %s: %s", other.Source, other.Got)
		}
		if other.Remedy.Text != "" && !strings.Contains(o.Remedy.Text, other.Remedy.Text) {
			o.Remedy.Text += "; " + other.Remedy.Text
		}
	}
}

// source is where a setting in force in a place stands; of a default, the place.
func source[T any](v nginx.Value[T], place string) string {
	if v.Source == "" || v.IsDefault() {
		return place + " (" + nginx.Default + ")"
	}
	return v.Source
}

// write is the remedy of a setting: the line, and where it goes. nginx's files
// are their owner's: fltool edits none of them.
func write[T any](v nginx.Value[T], block, place, line, why string) reports.Remedy {
	text := fmt.Sprintf("%s: add to %s of %s: %s", why, block, place, line)
	if v.Source != "" && !v.IsDefault() {
		text = fmt.Sprintf("%s: at %s write: %s", why, v.Source, line)
	}
	return reports.Remedy{Text: text, Then: "reload"}
}

// setting is a directive of the protocol by which the place passes requests on.
func (p place) setting(name string) string { return p.at.Pass.Kind + "_" + name }

// block names a place's block.
func (p place) block() string { return "location " + p.at.Name() }

// hold is the demand's as a time.
func (c Case) hold() time.Duration { return duration(c.Demand.HoldSeconds) }

// nginxTime writes a time as nginx reads it, rounded up.
func nginxTime(d time.Duration) string { return fmt.Sprintf("%ds", (d+time.Second-1)/time.Second) }

// anUpdate is the largest update before compression; of none given the model's size.
func (c Case) anUpdate() int64 { return max(c.Demand.UpdateBytes, c.Demand.ModelBytes) }

// upstreamAddresses is how many TCP addresses polls go to, by the site that has
// the fewest; 0: all go to unix sockets.
func upstreamAddresses(n *facts.Nginx) int {
	least := -1
	for i := range n.Sites {
		at := n.Sites[i].At(facts.RoutePoll)
		if at == nil || at.Upstream == nil {
			return 1
		}
		tcp := 0
		for _, p := range at.Upstream.Peers {
			if !strings.HasPrefix(p.Address, "unix:") && !p.Down && !p.Backup {
				tcp++
			}
		}
		if tcp > 0 && (least < 0 || tcp < least) {
			least = tcp
		}
	}
	return max(least, 0)
}
