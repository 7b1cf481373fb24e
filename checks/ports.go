package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

// overTCP says whether nginx reaches the application by TCP: as its config has
// it, else as far as the application's listeners tell; where nothing tells it is
// taken to.
func (c Case) overTCP() bool {
	if !c.Nginx.Known() {
		return true
	}
	if n := c.Nginx.V; n != nil && len(n.Sites) > 0 {
		return upstreamAddresses(n) > 0
	}
	app := c.Deployment.App
	served := false
	for _, p := range app.Processes.V {
		if !p.Serves() || p.Part == "worker" {
			continue
		}
		if !p.Listen.Known() || len(p.Listen.V) > 0 {
			return true
		}
		served = true
	}
	return !served
}

var evalPortRange = withNginx(func(c Case) Judgement {
	if !c.overTCP() {
		return notApplicable("the application listens on no TCP port")
	}
	v := c.Ports
	if !v.Known() {
		return cantTell("port range", v)
	}
	addresses := 1
	if c.Nginx.Known() && c.Nginx.V != nil && len(c.Nginx.V.Sites) > 0 {
		addresses = upstreamAddresses(c.Nginx.V)
	}
	n := byPorts(v.V, addresses)
	got := fmt.Sprintf("%d–%d", v.V.Lo, v.V.Hi)
	if v.V.Reserved > 0 {
		got += fmt.Sprintf(" less %d reserved", v.V.Reserved)
	}
	if addresses > 1 {
		got += fmt.Sprintf(", for each of %d addresses", addresses)
	}
	inUse := facts.Value[int64]{Err: "the application is on another host"}
	if c.Deployment.Single() {
		inUse = c.connections(false)
	}
	return c.limits(Capacity{Safe: n, Hard: n, InUse: inUse, Unit: "ports"},
		got, fmt.Sprintf("%d ports, one a poll", c.Demand.Workers), v.Source,
		func() reports.Remedy {
			if c.Demand.Workers > 64000 {
				return reports.Remedy{Text: "let the application listen on a unix socket or several ports, or give nginx more source addresses by proxy_bind"}
			}
			return c.sysctlRemedy("give outgoing connections more ports, but for the application's own",
				"net.ipv4.ip_local_port_range = 1024 65535", facts.ReservedPorts+" = "+reservedWith(v.V.Kept, c.Asked.Port))
		})
})

var evalTimeWait = withNginx(func(c Case) Judgement {
	if !c.overTCP() {
		return notApplicable("the application listens on no TCP port")
	}
	reuse := c.Sysctls.TWReuse
	if !reuse.Known() {
		return cantTell("tcp_tw_reuse", reuse)
	}
	local := c.loopback()
	if reuse.V == 1 || reuse.V == 2 && local.Known() && local.V {
		return pass(fmt.Sprintf("tcp_tw_reuse %d", reuse.V), reuse.Source)
	}
	if !c.Ports.Known() {
		return cantTell("port range", c.Ports)
	}
	if reuse.V == 2 && !local.Known() {
		return cantTell("whether nginx reaches the application over loopback", local)
	}
	if !c.TimeWait.Known() {
		return cantTell("connections just closed", c.TimeWait)
	}
	need := portsAfterRound(c.Demand.Workers)
	free := c.Ports.V.Usable() - c.TimeWait.V
	got := fmt.Sprintf("%d ports", c.Ports.V.Usable())
	if c.TimeWait.V > 0 {
		got += fmt.Sprintf(", %d of them kept by connections just closed", c.TimeWait.V)
	}
	if c.Ports.V.Usable() >= need && free >= c.Demand.Workers {
		return pass(got, c.Ports.Source)
	}
	return fail(fmt.Sprintf("%s, tcp_tw_reuse %d", got, reuse.V),
		fmt.Sprintf("%d in the %d s around a round, and a free one a poll", need, timeWaitSeconds), c.TimeWait.Source,
		c.sysctlRemedy("let new connections take ports of closed ones", "net.ipv4.tcp_tw_reuse = 1"))
})

// loopback says whether nginx and the application are on one host and meet there:
// as nginx's config has it, else as far as the application's listeners tell.
func (c Case) loopback() facts.Value[bool] {
	answer := func(v bool, source string) facts.Value[bool] { return facts.Value[bool]{V: v, Source: source} }
	switch {
	case !c.Deployment.Single():
		return answer(false, "two hosts")
	case !c.Nginx.Known():
		return facts.Value[bool]{Err: c.Nginx.Why()}
	case c.Nginx.V == nil || len(c.Nginx.V.Sites) == 0:
		return c.listensLocally()
	}
	for i := range c.Nginx.V.Sites {
		s := &c.Nginx.V.Sites[i]
		at := s.At(facts.RoutePoll)
		if at == nil || at.Upstream == nil {
			return facts.Value[bool]{Err: "where the server of " + s.Source + " passes polls to is not known"}
		}
		if slices.ContainsFunc(at.Upstream.Peers, func(p nginx.Peer) bool { return !onLoopback(p.Address) }) {
			return answer(false, at.Upstream.Source)
		}
		if at.Upstream.Incomplete != "" {
			return facts.Value[bool]{Err: at.Upstream.Incomplete}
		}
	}
	return answer(true, c.Nginx.Source)
}

// listensLocally says whether nothing keeps nginx from reaching the application
// over loopback: it listens at no one address of another network.
func (c Case) listensLocally() facts.Value[bool] {
	for _, p := range c.Processes.V {
		if !p.Serves() || p.Part == "worker" {
			continue
		}
		if !p.Listen.Known() {
			return facts.Value[bool]{Err: p.Listen.Why()}
		}
		for _, l := range p.Listen.V {
			if a := l.Addr.Addr().Unmap(); a != (netip.Addr{}) && !a.IsLoopback() && !a.IsUnspecified() {
				return facts.Value[bool]{V: false, Source: p.Listen.Source}
			}
		}
	}
	return facts.Value[bool]{V: true, Source: c.Processes.Source}
}
