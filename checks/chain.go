package checks

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// server is the application's hop: as it runs, else as its unit would start it. Where
// there is none, or where that can't be told, o says so.
func (c Case) server() (h kinds.Hop, o *Judgement) {
	none := func(o Judgement) (kinds.Hop, *Judgement) { return kinds.Hop{}, &o }
	if !c.Processes.Known() {
		return none(cantTell("processes", c.Processes))
	}
	var group []facts.Process
	for _, p := range c.Processes.V {
		if p.Serves() {
			group = append(group, p)
		}
	}
	stated, err := c.stated()
	if err != "" {
		return none(unknownFor("%s", err))
	}
	if len(group) > 0 {
		// Its leader, whose settings count, is the one that listens.
		slices.SortStableFunc(group, func(a, b facts.Process) int { return cmp.Compare(part(a), part(b)) })
		return hopOf(group, stated), nil
	}
	switch u := c.Service; {
	case !u.Known():
		return none(cantTell("unit", u))
	case u.V == nil && c.Asked.Elsewhere() != "":
		return none(unknownFor("%s", c.elsewhere()))
	case u.V == nil:
		return none(notApplicable("no server runs"))
	case u.V.Kind != "" && u.V.Role == facts.RoleServer:
		k := kinds.ByName(u.V.Kind)
		return kinds.Hop{Kind: k, Settings: u.V.Settings, Version: u.V.Version, Stated: stated.of(k)}, nil
	case u.V.Scripted:
		return none(unknownFor("%s starts %s, and what that runs shows only while it runs: start it", u.V.Name, u.V.Executable))
	}
	return kinds.Hop{Kind: kinds.Other, Stated: stated.of(kinds.Other)}, nil
}

// part sorts a group's leader first.
func part(p facts.Process) int {
	if p.Part == "worker" {
		return 1
	}
	return 0
}

// hopOf is the hop of a group, its leader first.
func hopOf(group []facts.Process, stated statements) kinds.Hop {
	k := kinds.ByName(group[0].Kind)
	if k == kinds.Other && !group[0].Serves() {
		k = kinds.Named(group[0].Name)
	}
	said := stated.of(k)
	for q, v := range stated[group[0].Name] {
		said[q] = v
	}
	return kinds.Hop{Kind: k, Processes: group, Settings: group[0].Settings, Version: group[0].Version, Stated: said}
}

// statements are what the user says of hops, by kind; "" is the application's.
type statements map[string]map[kinds.Question]string

// of is what is stated of a kind.
func (s statements) of(k *kinds.Kind) map[kinds.Question]string {
	out := map[kinds.Question]string{}
	for q, v := range s[k.Kind] {
		out[q] = v
	}
	if k.Role == facts.RoleServer {
		for q, v := range s[""] {
			out[q] = v
		}
	}
	return out
}

// stated reads what was asked with --hop and --holds.
func (c Case) stated() (s statements, err string) {
	s = statements{}
	for _, text := range c.Asked.Hops {
		kind, said, err := kinds.ParseHop(text)
		if err != nil {
			return nil, "--hop " + text + ": " + err.Error()
		}
		if s[kind] == nil {
			s[kind] = said
			continue
		}
		for q, v := range said {
			s[kind][q] = v
		}
	}
	if c.Asked.Holds > 0 {
		s[""] = map[kinds.Question]string{kinds.Holds: strconv.FormatInt(c.Asked.Holds, 10)}
	}
	return s, ""
}

// fronts are the hops before the application on one host, the outermost first: load
// balancers in the order that they were named in, then what was stated and is not
// seen, then what runs, by how many hops it is away, then the kernel's IPVS. nginx's
// that does not run is one by its config.
func (c Case) fronts() (hops []kinds.Hop, o *Judgement) {
	none := func(o Judgement) ([]kinds.Hop, *Judgement) { return nil, &o }
	if !c.Processes.Known() && !c.Lint {
		return none(cantTell("processes", c.Processes))
	}
	stated, err := c.stated()
	if err != "" {
		return none(unknownFor("%s", err))
	}
	for _, name := range c.Asked.Balancers {
		b, err := kinds.ParseBalancer(name)
		if err != nil {
			return none(unknownFor("--lb %s: %v", name, err))
		}
		hops = append(hops, kinds.Hop{Kind: b, Stated: stated.of(b)})
	}
	if !c.IPVS.Known() && !c.Lint {
		return none(cantTell("IPVS", c.IPVS))
	}
	groups := c.frontGroups()
	ipvs := c.behindIPVS()
	for _, name := range slices.Sorted(maps.Keys(stated)) {
		k := kinds.ByName(name)
		seen := name == "" || k.Role == facts.RoleServer && k != kinds.Other ||
			slices.ContainsFunc(groups, func(g []facts.Process) bool { return g[0].Kind == name }) ||
			slices.ContainsFunc(hops, func(h kinds.Hop) bool { return h.Kind.Kind == name }) ||
			ipvs && name == kinds.IPVS.Kind
		if !seen && !c.isApplication(name) {
			if k == kinds.Other {
				k = kinds.Named(name)
			}
			hops = append(hops, kinds.Hop{Kind: k, Stated: stated[name]})
		}
	}
	for _, g := range groups {
		hops = append(hops, hopOf(g, stated))
	}
	if c.Nginx.V != nil && len(c.Nginx.V.Sites) > 0 && !slices.ContainsFunc(groups, func(g []facts.Process) bool { return g[0].Kind == facts.KindNginx }) {
		hops = append(hops, kinds.Hop{Kind: kinds.Nginx, Stated: stated.of(kinds.Nginx)})
	}
	if ipvs {
		hops = append(hops, kinds.Hop{Kind: kinds.IPVS, Stated: stated.of(kinds.IPVS)})
	}
	return hops, nil
}

// behindIPVS says whether the kernel passes connections of a virtual service on to the
// application's port.
func (c Case) behindIPVS() bool {
	ports := c.applicationPorts()
	return slices.ContainsFunc(c.IPVS.V, func(s facts.VirtualService) bool {
		return slices.ContainsFunc(s.Servers, func(to netip.AddrPort) bool { return ports[int(to.Port())] })
	})
}

// applicationPorts are the ports that the application is reached at.
func (c Case) applicationPorts() map[int]bool {
	ports := map[int]bool{c.Asked.Port: true}
	for _, p := range c.Processes.V {
		if p.Serves() {
			addPorts(ports, p)
		}
	}
	return ports
}

// isApplication says whether a name that was stated is the application's program.
func (c Case) isApplication(name string) bool {
	return slices.ContainsFunc(c.Deployment.App.Processes.V, func(p facts.Process) bool { return p.Serves() && (p.Kind == name || p.Name == name) })
}

// way is a hop with the settings of the way that it passes polls on by. What differs
// between several ways is unknown: polls may take any.
func (c Case) way(h kinds.Hop) kinds.Hop {
	if len(h.Processes) == 0 {
		return h
	}
	ways := c.ways(h.Processes[0])
	if len(ways) == 0 {
		return h
	}
	s := facts.Settings{}
	maps.Copy(s, h.Settings)
	maps.Copy(s, ways[0].Settings)
	for _, p := range ways[1:] {
		for name, v := range p.Settings {
			if was := s[name]; was.Known() && v.Known() && was.V != v.V {
				s[name] = facts.Value[string]{Err: fmt.Sprintf("%s has %s and %s has %s, and polls may take either way", was.Source, orNone(was.V), v.Source, orNone(v.V))}
			} else if was.Known() && !v.Known() {
				s[name] = v
			}
		}
	}
	h.Settings = s
	return h
}

func orNone(s string) string { return cmp.Or(s, "none") }

// ways are the ways through a process that may lead on to the application: those from
// the port of the workers' URL where it is told and some begin there.
func (c Case) ways(p facts.Process) (list []facts.Pass) {
	for _, w := range p.Passes.V {
		if len(w.Settings) > 0 && c.leads(w) {
			list = append(list, w)
		}
	}
	u, err := url.Parse(c.Asked.URL)
	if err != nil || u.Port() == "" {
		return list
	}
	there := slices.DeleteFunc(slices.Clone(list), func(w facts.Pass) bool {
		return !slices.ContainsFunc(w.From, func(from string) bool { return strconv.Itoa(portOf(from)) == u.Port() })
	})
	if len(there) == 0 {
		return list
	}
	return there
}

// leads says whether a pass may lead to the application or to another hop before it.
func (c Case) leads(p facts.Pass) bool {
	to := portOf(p.To)
	if to == c.Asked.Port || to < 0 {
		return true
	}
	return slices.ContainsFunc(c.Processes.V, func(q facts.Process) bool { return q.ListensOn(uint16(to)) })
}

// eachNginx are a case for each nginx of a row, the one next to the application
// first; the case itself where there is one at most.
func (c Case) eachNginx() []Case {
	if len(c.Outer) == 0 {
		return []Case{c}
	}
	groups := c.frontGroups()
	var out []Case
	for _, v := range append([]facts.Value[*facts.Nginx]{c.Nginx}, c.Outer...) {
		one := c
		one.Nginx, one.Outer = v, nil
		if v.V != nil {
			one.Processes.V = slices.DeleteFunc(slices.Clone(c.Processes.V), func(p facts.Process) bool {
				return p.Kind == facts.KindNginx && p.PID != v.V.Master && p.PPID != v.V.Master
			})
			if i := slices.IndexFunc(groups, func(g []facts.Process) bool { return g[0].PID == v.V.Master }); i >= 0 {
				one.Hop = &kinds.Hop{Kind: kinds.Nginx, Processes: groups[i]}
				if unit := groups[i][0].Unit; c.NginxUnit.V != nil && unit.V != c.NginxUnit.V.Name {
					one.NginxUnit = facts.Value[*facts.Unit]{Source: "nginx " + strconv.Itoa(v.V.Master) + " is not of " + c.NginxUnit.V.Name}
				}
			}
		}
		out = append(out, one)
	}
	return out
}

// configOf is the config of an nginx hop.
func (c Case) configOf(h kinds.Hop) *facts.Nginx {
	for _, v := range append([]facts.Value[*facts.Nginx]{c.Nginx}, c.Outer...) {
		if v.V != nil && (len(h.Processes) == 0 || h.Processes[0].PID == v.V.Master || len(c.Outer) == 0) {
			return v.V
		}
	}
	return nil
}

// Chain is the way from workers to the application as a report has it.
func Chain(d Deployment, demand reports.Demand, ledger []reports.Row) []reports.Hop {
	if d.App == nil {
		return nil
	}
	out := []reports.Hop{}
	add := func(c Case) bool {
		fronts, o := c.fronts()
		if o != nil {
			return false
		}
		for _, h := range fronts {
			out = append(out, c.shown(c.way(h), ledger))
		}
		return true
	}
	proxy := Case{Facts: *d.Proxy, Deployment: d, Demand: demand}
	app := Case{Facts: *d.App, Deployment: d, Demand: demand}
	if !d.Single() && !add(proxy) || !add(app) {
		return nil
	}
	server, o := app.server()
	if o != nil {
		return append(out, reports.Hop{Name: "application", Why: o.Reason})
	}
	return append(out, app.shown(server, ledger))
}

// shown is a hop as a report has it.
func (c Case) shown(h kinds.Hop, ledger []reports.Row) reports.Hop {
	out := reports.Hop{Name: h.Name(), Kind: h.Kind.Kind, Role: string(h.Kind.Role)}
	if h.Version.Known() {
		out.Version = h.Version.V
	}
	if len(h.Processes) > 0 {
		for _, l := range h.Processes[0].Listen.V {
			out.Listen = append(out.Listen, l.Addr.String())
		}
	}
	group := map[facts.Role]string{facts.RoleServer: "app/", facts.RoleProxy: "proxy/", facts.RoleForwarder: "proxy/", kinds.RoleBalancer: "lb/"}[h.Kind.Role]
	if h.Kind == kinds.Nginx {
		group = "nginx/"
		if v := c.configOf(h); v != nil {
			out.Version = v.Build.Version
			for i := range v.Sites {
				if at := v.Sites[i].At(facts.RoutePoll); at != nil && at.ProxyReadTimeout.Known() {
					out.Silence = short(at.ProxyReadTimeout.V)
				}
			}
		}
	} else {
		silence := h.Silence()
		switch silence.Status {
		case kinds.Known:
			out.Silence = kinds.Short(silence.V)
		case kinds.NA:
			out.Silence = kinds.Short(kinds.Forever)
		default:
			out.Why = silence.Why
		}
	}
	for _, r := range ledger {
		if !strings.HasPrefix(r.Limit, group) || r.Waived || (group == "proxy/" || group == "lb/") && r.Hop != h.Name() || group == "nginx/" && r.Hop != "" && r.Hop != h.Name() {
			continue
		}
		if r.NoLimit {
			continue
		}
		if r.Unknown() {
			out.Holds, out.Why = nil, cmp.Or(out.Why, r.Limit+" is unknown")
			return out
		}
		if out.Holds == nil || *r.Workers < *out.Holds {
			out.Holds = r.Workers
		}
	}
	return out
}
