package nginx

import (
	"fmt"
	"net"
	"strings"
)

// Proxy is a place that passes requests on.
type Proxy struct {
	Server   *Server
	Location *Location // nil: in an if of the server
	Pass     *Pass
	Block    *Block // the if or limit_except that the pass stands in; nil: none
	Err      string // why it is unknown whether it passes to what was asked for
}

// Effective is what is in force there, the statements of Block left out.
func (p Proxy) Effective() *Effective {
	if p.Location != nil {
		return &p.Location.Effective
	}
	return &p.Server.Effective
}

// Proxies lists every place that passes requests on to an application, in the order
// of the config: by HTTP, gRPC, FastCGI, uwsgi or SCGI.
func (c *Config) Proxies() []Proxy {
	var all []Proxy
	add := func(p Proxy) {
		if p.Pass != nil && p.Pass.Kind != "memcached" && p.Pass.Kind != "tunnel" {
			all = append(all, p)
		}
	}
	var walk func(s *Server, locations []Location)
	walk = func(s *Server, locations []Location) {
		for i := range locations {
			l := &locations[i]
			add(Proxy{Server: s, Location: l, Pass: l.Pass})
			for j := range l.Blocks {
				add(Proxy{Server: s, Location: l, Pass: l.Blocks[j].Pass, Block: &l.Blocks[j]})
			}
			walk(s, l.Locations)
		}
	}
	for i := range c.Servers {
		s := &c.Servers[i]
		for j := range s.Blocks {
			add(Proxy{Server: s, Pass: s.Blocks[j].Pass, Block: &s.Blocks[j]})
		}
		walk(s, s.Locations)
	}
	return all
}

// ProxiesTo lists the places that pass requests to an address, such as
// "127.0.0.1:5000" or "unix:/run/app.sock", directly or through an upstream
// block. Those of which that can't be told are in the list with Err.
func (c *Config) ProxiesTo(address string) []Proxy {
	want := withPort(address, "")
	var found []Proxy
	for _, p := range c.Proxies() {
		if p.Pass.Err != "" {
			p.Err = "where it passes requests to is unknown: " + p.Pass.Err
			found = append(found, p)
			continue
		}
		u := c.Upstream(p.Pass.Upstream)
		if u == nil {
			continue
		}
		is, named := false, ""
		for _, peer := range u.Peers {
			switch sameAddress(peer.Address, want) {
			case yes:
				is = true
			case maybe:
				named = peer.Address
			}
		}
		if !is && named == "" {
			continue
		}
		if !is {
			p.Err = fmt.Sprintf("%s is a name that nginx looks up when it starts", named)
		}
		found = append(found, p)
	}
	return found
}

type answer int

const (
	no answer = iota
	yes
	maybe
)

// sameAddress compares two addresses; a name other than localhost may be any
// address of its port.
func sameAddress(a, b string) answer {
	if a == b {
		return yes
	}
	if strings.HasPrefix(a, "unix:") || strings.HasPrefix(b, "unix:") {
		return no
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB {
		return no
	}
	if loopback(hostA) && loopback(hostB) && (hostA == "localhost" || hostB == "localhost") {
		return yes
	}
	// localhost is settled above.
	isName := func(host string) bool { return host != "localhost" && !isAddress(host) }
	if isName(hostA) || isName(hostB) {
		return maybe
	}
	return no
}

func loopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}
