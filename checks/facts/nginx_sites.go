package facts

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/fltool/fltool/nginx"
)

// sites finds the servers that pass polls to the application.
func sites(c *nginx.Config, asked Asked) (found []Site, guessed bool, err error) {
	if asked.URL != "" {
		q, err := nginx.RequestFor(asked.URL)
		if err != nil {
			return nil, false, err
		}
		base := strings.TrimSuffix(q.Path, "/")
		q.Path = base + routePaths[RoutePoll]
		if _, port, err := net.SplitHostPort(q.Address); err == nil {
			if behind := c.BehindStream(port); behind != "" { // stream hands connections on as they are
				q.Address = behind
			}
		}
		route := c.Route(q)
		if route.Server == nil {
			if route.Err != "" {
				s := Site{Source: c.Path, Names: []string{q.Host}, Base: base, Routes: map[string]Route{}}
				for name, p := range routePaths {
					s.Routes[name] = Route{Path: base + p, Err: route.Err, Outside: route.Outside}
				}
				return []Site{s}, false, nil
			}
			return nil, false, nil
		}
		return []Site{site(c, route.Server, base, &q, asked)}, false, nil
	}
	to := asked.Upstream
	if to == "" {
		to = net.JoinHostPort("127.0.0.1", fmt.Sprint(asked.Port))
	}
	proxies := c.ProxiesTo(to)
	if len(proxies) == 0 && asked.Upstream == "" {
		proxies, guessed = c.Proxies(), true
	}
	proxies = outermost(c, proxies)
	var servers []*nginx.Server
	bases := make(map[*nginx.Server][]string)
	for _, p := range proxies {
		if !slices.Contains(servers, p.Server) {
			servers = append(servers, p.Server)
		}
		base := ""
		if l := p.Location; l != nil && p.Pass.URI != "" && (l.Kind == nginx.Prefix || l.Kind == nginx.PrefixFinal) {
			base = strings.TrimSuffix(l.Pattern, "/")
			for _, at := range routePaths { // a location that is one of the routes
				if strings.HasPrefix(at, l.Pattern) {
					base = ""
				}
			}
		}
		if !slices.Contains(bases[p.Server], base) {
			bases[p.Server] = append(bases[p.Server], base)
		}
	}
	servers = slices.DeleteFunc(servers, func(s *nginx.Server) bool { return c.ShadowedBy(s) != nil })
	for _, s := range servers {
		for _, base := range bases[s] {
			one := site(c, s, base, nil, asked)
			if poll := one.At(RoutePoll); one.Routes[RoutePoll].Err != "" || poll != nil && passes(proxies, poll) {
				found = append(found, one)
			}
		}
	}
	return found, guessed && len(found) > 0, nil
}

// outermost puts the places that pass polls to a server of this nginx itself in the
// stead of that server's.
func outermost(c *nginx.Config, proxies []nginx.Proxy) []nginx.Proxy {
	inner := map[*nginx.Server]bool{}
	var outer []nginx.Proxy
	for _, p := range c.Proxies() {
		way, ok := c.Onward(p.Location, "", routePaths[RoutePoll])
		if !ok || way.Err != "" || way.Server == p.Server || !slices.ContainsFunc(proxies, func(q nginx.Proxy) bool { return q.Server == way.Server }) {
			continue
		}
		inner[way.Server] = true
		outer = append(outer, p)
	}
	return append(outer, slices.DeleteFunc(proxies, func(p nginx.Proxy) bool {
		return inner[p.Server] || slices.ContainsFunc(outer, func(q nginx.Proxy) bool { return q.Location == p.Location })
	})...)
}

func passes(proxies []nginx.Proxy, l *Location) bool {
	return slices.ContainsFunc(proxies, func(p nginx.Proxy) bool {
		return p.Location != nil && p.Location.Source == l.Source && p.Location.Name() == l.Name()
	})
}

// site follows every route through a server; q is the request of the URL that was
// asked about, nil where none was.
func site(c *nginx.Config, s *nginx.Server, base string, q *nginx.Request, asked Asked) Site {
	out := Site{Source: s.Source, Names: s.Names, Base: base, Server: *s, Routes: make(map[string]Route)}
	out.Server.Locations = nil
	out.Server.Effective = nginx.Effective{} // the locations' is what counts
	for _, socket := range c.Sockets {
		if socket.Kind == "http" && slices.ContainsFunc(socket.Servers, func(i int) bool { return &c.Servers[i] == s }) {
			if first := &c.Servers[socket.DefaultServer]; first != s {
				out.addDefault(first, socket.SSL || socket.QUIC)
			}
			socket.Servers, socket.DefaultServer = []int{}, 0
			out.Sockets = append(out.Sockets, socket)
		}
	}
	client := nginx.Client{Balancer: len(asked.Balancers) > 0, Loopback: len(asked.Balancers) == 0 && len(out.Sockets) > 0}
	asks := nginx.Request{TLS: len(out.Sockets) > 0}
	for _, socket := range out.Sockets {
		client.Loopback = client.Loopback && (strings.HasPrefix(socket.Address, "127.") || strings.HasPrefix(socket.Address, "[::1]"))
		asks.TLS = asks.TLS && socket.SSL
	}
	if q != nil {
		asks = *q
	}
	for _, name := range append(WorkerRoutes[:len(WorkerRoutes):len(WorkerRoutes)], RouteAdmin) {
		at := base + routePaths[name]
		way := c.RouteIn(s, at)
		to := Route{Path: at, Err: way.Err}
		if way.Err == "" && way.Return == nil && way.Final != nil {
			to.Location = out.add(c, way.Final)
		}
		if asks.Path = at; way.Err == "" {
			to.Answer, to.AnswerAt = ownAnswer(way)
			to.Gates = c.Gates(way, asks, routeMethods[name], client)
		}
		if to.Location > 0 {
			to.Arrives, _ = way.Final.Passed(at)
			to.onward(c, &out, way.Final, asks, name)
			if name == RouteModel {
				for _, code := range Unreachable {
					to.Instead = append(to.Instead, s.Instead(way.Final, code))
				}
			}
		}
		out.Routes[name] = to
	}
	out.Streams = c.Streams(out.Sockets)
	for i := range c.Servers {
		if other := &c.Servers[i]; other != s && redirects(other) && sharesName(other, s) {
			out.Redirected = true
		}
	}
	return out
}

// add keeps a location, once, and gives its number: the first is 1. Several may stand
// in one line.
func (s *Site) add(c *nginx.Config, at *nginx.Location) int {
	if i := slices.IndexFunc(s.Locations, func(l Location) bool { return l.Source == at.Source && l.Name() == at.Name() }); i >= 0 {
		return i + 1
	}
	l := Location{Location: *at}
	l.Locations = nil
	if l.Pass != nil && l.Pass.Upstream != "" {
		l.Upstream = c.Upstream(l.Pass.Upstream)
	}
	s.Locations = append(s.Locations, l)
	return len(s.Locations)
}

// mostHops bounds how often nginx passes a request to itself: one that never stops
// is cut by nginx's slots.
const mostHops = 8

// onward follows a request that nginx passes to itself.
func (r *Route) onward(c *nginx.Config, s *Site, at *nginx.Location, asks nginx.Request, name string) {
	for range mostHops {
		way, ok := c.Onward(at, asks.Host, asks.Path)
		if !ok {
			return
		}
		if r.Err = way.Err; r.Err != "" {
			return
		}
		if arrives, known := at.Passed(asks.Path); known {
			asks.Path = arrives
		}
		r.Gates = append(r.Gates, c.Gates(way, nginx.Request{Host: asks.Host, Path: asks.Path, TLS: at.Pass.TLS}, routeMethods[name], nginx.Client{Loopback: true})...)
		if r.Answer, r.AnswerAt = ownAnswer(way); r.Answer != "" || way.Final == nil {
			return
		}
		at = way.Final
		r.Onward = append(r.Onward, s.add(c, at))
		r.Arrives, _ = at.Passed(asks.Path)
	}
	r.Err = "nginx passes it to itself again and again"
}

// ownAnswer says what nginx does with a request that it does not pass on.
func ownAnswer(way nginx.Route) (answer, source string) {
	switch l := way.Final; {
	case way.Return != nil:
		return fmt.Sprintf("return %d", way.Return.Code), way.Return.Source
	case way.Redirect != "":
		return "sent on to " + way.Redirect, way.Location.Source
	case l == nil:
		return "no location matches, and there is no such file", way.Server.Source
	case l.Pass == nil && l.Incomplete == "":
		return fmt.Sprintf("location %s passes nothing on", l.Name()), l.Source
	}
	return "", ""
}

// addDefault keeps a socket's default server, once.
func (s *Site) addDefault(server *nginx.Server, tls bool) {
	i := slices.IndexFunc(s.Defaults, func(d DefaultServer) bool { return d.Source == server.Source })
	if i < 0 {
		i = len(s.Defaults)
		s.Defaults = append(s.Defaults, DefaultServer{Source: server.Source, ClientHeaderTimeout: server.ClientHeaderTimeout})
	}
	if tls {
		s.Defaults[i].SSLProtocols = &server.SSLProtocols
	}
}

// redirects says whether a server sends all that comes to https.
func redirects(s *nginx.Server) bool {
	for _, l := range s.Listen {
		if l.SSL {
			return false
		}
	}
	toHTTPS := func(r *nginx.Return) bool {
		return r != nil && r.Code/100 == 3 && strings.HasPrefix(r.Text, "https://")
	}
	return toHTTPS(s.Return) || slices.ContainsFunc(s.Locations, func(l nginx.Location) bool {
		return l.Kind == nginx.Prefix && l.Pattern == "/" && toHTTPS(l.Return)
	})
}

func sharesName(a, b *nginx.Server) bool {
	if slices.ContainsFunc(a.Listen, func(l nginx.Listen) bool { return l.DefaultServer }) {
		return true
	}
	for _, n := range a.Names {
		if slices.Contains(b.Names, n) || n == "_" {
			return true
		}
	}
	return len(a.Names) == 0
}
