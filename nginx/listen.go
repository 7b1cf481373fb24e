package nginx

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// nginx's backlog on Linux.
const defaultBacklog = 511

// listen adds what a server listens at to the sockets, and returns the
// directives. index is the server's in Servers or Others.
func (d *decoder) listen(index int, kind string, l *level) []Listen {
	var all []Listen
	found := l.own["listen"]
	if found == nil {
		if kind != "http" {
			return nil
		}
		// As root; others get port 8000, but no one serves a fleet so.
		found = []*node{{name: "listen", args: []string{"80"}, file: Default}}
	}
	sslOn := false
	for _, n := range l.own["ssl"] { // before 1.25.1
		sslOn = len(n.args) == 1 && n.args[0] == "on"
	}
	http2 := kind == "http" && l.flag("http2", is("off")).V
	for _, n := range found {
		if len(n.args) == 0 {
			continue
		}
		source := n.source()
		if n.file == Default {
			source = Default
		}
		addresses, why := listenAddresses(n.args[0])
		if why != "" {
			d.refuse(n, `%s in %q of the "listen" directive`, why, n.args[0])
			continue
		}
		for _, address := range addresses {
			s := d.socket(kind, address, slices.Contains(n.args[1:], "quic") || slices.Contains(n.args[1:], "udp"))
			one := Listen{Address: address, SSL: sslOn, Source: source}
			if last := len(s.Servers) - 1; last >= 0 && s.Servers[last] == index {
				d.refuse(n, "a duplicate listen %s", n.args[0])
				continue
			}
			s.Servers = append(s.Servers, index)
			s.Sources = append(s.Sources, source)
			s.SSL = s.SSL || sslOn
			s.HTTP2 = s.HTTP2 || http2
			d.listenOptions(s, n, &one)
			if one.DefaultServer {
				if s.ListenDefault {
					d.refuse(n, "a duplicate default server for %s", n.args[0])
				}
				s.DefaultServer, s.ListenDefault = index, true
			} else if len(s.Servers) == 1 {
				s.DefaultServer = index
			}
			all = append(all, one)
		}
	}
	return all
}

func (d *decoder) listenOptions(s *Socket, n *node, one *Listen) {
	source := n.source()
	if slices.ContainsFunc(n.args[1:], setsOption) {
		if s.optioned {
			d.refuse(n, "duplicate listen options for %s", n.args[0])
		}
		s.optioned = true
	}
	for _, arg := range n.args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "default_server", "default":
			one.DefaultServer = true
		case "ssl":
			s.SSL, one.SSL = true, true
		case "http2", "spdy":
			s.HTTP2 = true
		case "quic":
			s.QUIC, s.SSL, one.SSL = true, true, true
		case "proxy_protocol":
			s.ProxyProtocol = true
		case "deferred":
			s.Deferred, s.bind = true, true
		case "reuseport":
			s.Reuseport, s.bind = Value[bool]{V: true, Raw: arg, Source: source}, true
		case "backlog":
			v, err := parseInt(value)
			s.Backlog, s.bind = Value[int64]{V: v, Raw: arg, Source: source}, true
			if err != nil || v == 0 {
				s.Backlog.Err = d.refuse(n, "invalid backlog %q", arg)
			}
		case "so_keepalive":
			s.SoKeepalive, s.bind = Value[string]{V: value, Raw: arg, Source: source}, true
		case "ipv6only":
			s.DualStack, s.bind = value == "off", true
		case "bind", "setfib", "fastopen", "rcvbuf", "sndbuf", "accept_filter", "multipath":
			s.bind = true
		}
	}
}

// setsOption tells the parameters of listen that one directive of an address alone
// may hold.
func setsOption(arg string) bool {
	name, _, _ := strings.Cut(arg, "=")
	return slices.Contains([]string{"bind", "setfib", "fastopen", "backlog", "rcvbuf", "sndbuf", "accept_filter", "deferred", "ipv6only", "reuseport", "so_keepalive", "multipath"}, name)
}

type socketKey struct {
	kind, address string
	udp           bool
}

// socket finds or adds one.
func (d *decoder) socket(kind, address string, udp bool) *Socket {
	key := socketKey{kind, address, udp}
	if i, ok := d.sockets[key]; ok {
		return &d.cfg.Sockets[i]
	}
	d.sockets[key] = len(d.cfg.Sockets)
	s := Socket{
		Kind: kind, Address: address, UDP: udp,
		Reuseport:   Value[bool]{Raw: "off", Source: Default},
		Backlog:     Value[int64]{V: defaultBacklog, Raw: strconv.Itoa(defaultBacklog), Source: Default},
		SoKeepalive: Value[string]{V: "off", Raw: "off", Source: Default},
	}
	if i := strings.LastIndexByte(address, ':'); !strings.HasPrefix(address, "unix:") {
		s.Port, _ = strconv.Atoi(address[i+1:])
	}
	d.cfg.Sockets = append(d.cfg.Sockets, s)
	return &d.cfg.Sockets[len(d.cfg.Sockets)-1]
}

// via finds the sockets that nginx leaves to the wildcard of their port.
func (d *decoder) via() {
	for i := range d.cfg.Sockets {
		s := &d.cfg.Sockets[i]
		wildcard := s.wildcard()
		if wildcard == "" || wildcard == s.Address || s.bind {
			continue
		}
		if _, ok := d.sockets[socketKey{s.Kind, wildcard, s.UDP}]; ok {
			s.Via = wildcard
		}
	}
}

// wildcard is the address that takes a socket's family and port whole.
func (s *Socket) wildcard() string {
	switch {
	case s.Port == 0:
		return ""
	case strings.HasPrefix(s.Address, "["):
		return "[::]:" + strconv.Itoa(s.Port)
	}
	return "0.0.0.0:" + strconv.Itoa(s.Port)
}

// listenAddresses reads the first argument of a listen: several only for a
// range of ports. why is what is wrong with it.
func listenAddresses(s string) (all []string, why string) {
	if strings.HasPrefix(s, "unix:") {
		return []string{s}, ""
	}
	host, ports := s, "80"
	switch i := strings.LastIndexByte(s, ':'); {
	case strings.Trim(s, "0123456789-") == "":
		host, ports = "0.0.0.0", s
	case i >= 0 && i > strings.LastIndexByte(s, ']'):
		host, ports = s[:i], s[i+1:]
	}
	if host == "*" || host == "" {
		host = "0.0.0.0"
	}
	if strings.HasPrefix(host, "[") != strings.HasSuffix(host, "]") {
		return nil, "invalid host"
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		host = a.String()
		if a.Is6() {
			host = "[" + host + "]"
		}
	} else if strings.ContainsAny(host, "[]") {
		return nil, "invalid host"
	}
	from, to, isRange := strings.Cut(ports, "-")
	if !isRange {
		to = from
	}
	first, err1 := parseInt(from)
	last, err2 := parseInt(to)
	if err1 != nil || err2 != nil || first < 1 || last > 65535 || last < first {
		return nil, "invalid port"
	}
	for p := first; p <= last; p++ {
		all = append(all, strings.ToLower(host)+":"+strconv.FormatInt(p, 10))
	}
	return all, ""
}
