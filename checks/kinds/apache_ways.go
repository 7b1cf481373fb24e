package kinds

import (
	"fmt"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// passes are the ways on.
func (a *apache) passes() []facts.Pass {
	out := []facts.Pass{}
	for _, w := range a.ways {
		targets := []apacheWay{w}
		if strings.HasPrefix(w.to, "balancer://") {
			targets = a.members[strings.TrimSuffix(w.to, "/")]
		}
		spread := over(a.spread(w, targets), layer{"access": a.gate(w).setting(w.at)})
		for _, t := range targets {
			s := layer{"timeout": known(t.timeout, t.at), "max": known(t.max, t.at)}
			for name, v := range map[string]string{"timeout": w.timeout, "max": w.max} {
				if s[name].V == "" && v != "" {
					s[name] = known(v, w.at)
				}
				if a.reset != "" {
					s[name] = unread(fmt.Errorf("%s: ProxySet may change it", a.reset))
				}
			}
			var from []string
			if w.host != nil {
				s, from = over(s, w.host.set), w.host.from
			}
			s = over(s, spread)
			out = append(out, facts.Pass{To: urlTarget(t.to), From: from, Settings: s, Source: t.at})
		}
	}
	return out
}

// spread is over which members a way spreads requests: neither those that are off nor
// spares.
func (a *apache) spread(w apacheWay, targets []apacheWay) layer {
	var addresses []string
	for _, t := range targets {
		if !strings.HasPrefix(t.status, "+") || !strings.ContainsAny(t.status, "dhrs") {
			addresses = append(addresses, urlTarget(t.to))
		}
	}
	sticky := known("", "httpd's default")
	if v, ok := a.sticky[strings.TrimSuffix(w.to, "/")]; ok {
		sticky = v
	}
	if w.sticky != "" {
		sticky = known("stickysession="+w.sticky, w.at)
	}
	return peersOf(addresses, sticky, w.at)
}
