package nginx

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// passKind is which protocol a statement passes requests on by, or "".
func passKind(n *node) string {
	switch n.name {
	case "proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass", "tunnel_pass":
		return strings.TrimSuffix(n.name, "_pass")
	}
	return ""
}

// passedBy is the protocol by which a location passes requests on; "proxy" where it
// passes none.
func passedBy(location *node) string {
	for _, s := range location.block {
		switch kind := passKind(s); kind {
		case "grpc", "fastcgi", "uwsgi", "scgi":
			return kind
		}
	}
	return "proxy"
}

// pass reads where a statement passes requests. context is "if" or
// "limit_except", "location" for one without a prefix, else "".
func (d *decoder) pass(l *level, n *node, kind, context string) *Pass {
	p := &Pass{Kind: kind, Raw: strings.Join(n.args, " "), Source: n.source()}
	raw := l.settled(p.Raw)
	if kind == "proxy" && d.addressOnly(p, raw) {
		return p
	}
	if vars := variables(raw); vars != nil {
		p.Err = fmt.Sprintf("holds %s, known only while a request runs", strings.Join(vars, ", "))
		return p
	}
	rest, port := raw, ""
	if kind == "uwsgi" {
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, "suwsgi://"), "uwsgi://")
	}
	if kind == "proxy" || kind == "grpc" {
		scheme, after, found := strings.Cut(raw, "://")
		plain := map[string]string{"proxy": "http", "grpc": "grpc"}[kind]
		switch {
		case found && strings.EqualFold(scheme, plain):
			port = "80"
		case found && strings.EqualFold(scheme, plain+"s"):
			port, p.TLS = "443", true
		case kind == "proxy":
			p.Err = d.refuse(n, "invalid URL prefix")
			return p
		default:
			after = raw
		}
		rest = after
	}
	name := rest
	if strings.HasPrefix(rest, "unix:") {
		// The URI of a socket follows a second colon.
		if socket, uri, ok := strings.Cut(rest[len("unix:"):], ":"); ok {
			name, p.URI = "unix:"+socket, uri
		}
	} else if i := strings.IndexAny(rest, "/?"); i >= 0 && (kind == "proxy" || kind == "grpc") {
		name, p.URI = rest[:i], rest[i:]
	}
	late := raw != p.Raw // the name is looked up while nginx runs
	if kind == "proxy" && p.URI != "" && context != "" && !late {
		d.refuse(n, `"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block`)
	}
	if u := d.cfg.Upstream(name); u != nil && !u.Implicit {
		p.Upstream = u.Name
		return p
	}
	// What has a port of its own is a host: nginx refuses it where an upstream block has
	// that name.
	if d.http != nil && d.http.broken != "" && !isAddress(name) && !strings.Contains(name, ":") {
		p.Err = fmt.Sprintf("whether an upstream block is called %q is unknown: %s", name, d.http.broken)
		p.Outside = d.outside(p.Err)
		return p
	}
	if host, port, ok := strings.Cut(name, ":"); ok {
		if u := d.cfg.Upstream(host); u != nil && !u.Implicit && !late {
			p.Err = d.refuse(n, "upstream %q may not have port %s", host, port)
			return p
		}
	}
	if why := badAddress(name); why != "" {
		p.Err = d.refuse(n, "%s in upstream %q", why, rest)
		return p
	}
	p.Upstream = withPort(name, port)
	late = late && !isAddress(name)
	if late {
		if p.Err = l.nameless(name); p.Err != "" {
			return p
		}
	}
	d.implicit(p, late)
	return p
}

// addressOnly reads an address that is written out before a path of variables.
func (d *decoder) addressOnly(p *Pass, raw string) bool {
	scheme, rest, _ := strings.Cut(raw, "://")
	i := strings.IndexAny(rest, "/$")
	tls := strings.EqualFold(scheme, "https")
	if i < 1 || !tls && !strings.EqualFold(scheme, "http") || !HasVariables(rest[i:]) || rest[i] == '$' && rest[i:] != "$request_uri" && rest[i:] != "$uri" {
		return false
	}
	name := rest[:i]
	if u := d.cfg.Upstream(name); u != nil && !u.Implicit {
		p.Upstream, p.URI, p.TLS = u.Name, rest[i:], tls
		return true
	}
	if !isAddress(name) || badAddress(name) != "" { // looked up while nginx runs
		return false
	}
	p.Upstream, p.URI, p.TLS = withPort(name, map[bool]string{false: "80", true: "443"}[tls]), rest[i:], tls
	d.implicit(p, false)
	return true
}

// implicit adds the upstream of an address that stands in a pass itself, which is looked
// up while nginx runs where it comes of a variable. nginx keeps no idle connections to
// such a one.
func (d *decoder) implicit(p *Pass, late bool) {
	if u := d.cfg.Upstream(p.Upstream); u != nil {
		if u.Implicit && !late {
			u.Peers[0].Resolve = false
		}
		return
	}
	none := Value[int64]{Raw: "none without an upstream block", Source: Default}
	idle := Value[time.Duration]{Raw: none.Raw, Source: Default}
	d.cfg.Upstreams = append(d.cfg.Upstreams, Upstream{
		Name: p.Upstream, Source: p.Source, Implicit: true, Method: "round_robin",
		Peers:     []Peer{{Address: p.Upstream, Weight: 1, MaxFails: 1, FailTimeout: 10 * time.Second, Source: p.Source, Resolve: late}},
		Keepalive: none, KeepaliveRequests: none, KeepaliveTime: idle, KeepaliveTimeout: idle,
		Zone: Value[string]{Source: Default},
	})
}

// upstream reads an upstream block.
func (d *decoder) upstream(n *node) {
	if len(n.args) != 1 {
		return
	}
	if d.cfg.Upstream(n.args[0]) != nil {
		d.refuse(n, "duplicate upstream %q", n.args[0])
		return
	}
	l := d.level(nil, n)
	u := Upstream{
		Name: n.args[0], Source: n.source(), Incomplete: l.broken, Method: "round_robin",
		Keepalive:         l.number("keepalive", d.since("1.29.7", "32", "0")),
		KeepaliveRequests: l.number("keepalive_requests", d.since("1.19.10", "1000", "100")),
		KeepaliveTime:     l.duration("keepalive_time", d.since("1.19.10", "1h", "0")),
		KeepaliveTimeout:  l.duration("keepalive_timeout", is("60s")),
		Zone:              Value[string]{Source: Default},
	}
	if v := u.Keepalive; v.Raw == "0" && !v.IsDefault() {
		if new, known := d.cfg.Build.Since("1.29.7"); known && !new {
			u.Keepalive.Err = d.refuse(l.own["keepalive"][0], `invalid value "0" in "keepalive" directive`)
		}
	}
	for _, s := range l.block {
		switch s.name {
		case "server":
			if len(s.args) > 0 {
				u.Peers = append(u.Peers, d.peer(s))
			}
		case "zone": // again with the same name is no fault
			if len(s.args) > 0 {
				u.Zone = Value[string]{V: s.args[0], Raw: strings.Join(s.args, " "), Source: s.source()}
			}
		case "ip_hash", "least_conn", "hash", "random", "least_time", "sticky":
			u.Method = s.text()
		}
	}
	if len(u.Peers) == 0 && l.broken == "" {
		d.problems.add(true, n.source(), "no servers are inside upstream")
	}
	if resolves := slices.IndexFunc(u.Peers, func(p Peer) bool { return p.Resolve }); resolves >= 0 && l.own["resolver"] == nil && d.http != nil && d.http.own["resolver"] == nil && d.http.unread() == "" {
		d.problems.add(true, n.source(), "no resolver defined to resolve names at run time in upstream %q", u.Name)
	}
	d.cfg.Upstreams = append(d.cfg.Upstreams, u)
}

func (d *decoder) peer(n *node) Peer {
	p := Peer{Address: withPort(n.args[0], "80"), Weight: 1, MaxFails: 1, FailTimeout: 10 * time.Second, Source: n.source()}
	if why := badAddress(n.args[0]); why != "" {
		d.refuse(n, "%s in upstream %q", why, n.args[0])
	}
	for _, arg := range n.args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		var err error
		switch name {
		case "weight":
			p.Weight, err = parseInt(value)
		case "max_conns":
			p.MaxConns, err = parseInt(value)
		case "max_fails":
			p.MaxFails, err = parseInt(value)
		case "fail_timeout":
			p.FailTimeout, err = ParseSeconds(value)
		case "backup":
			p.Backup = true
		case "down":
			p.Down = true
		default:
			err = d.peerParameter(name)
			p.Resolve = p.Resolve || name == "resolve"
		}
		if err != nil {
			d.refuse(n, "invalid parameter %q", arg)
		}
	}
	return p
}

// peerParameter judges the parameters of an upstream's server that hang on the
// flavour and the version.
func (d *decoder) peerParameter(name string) error {
	b := d.cfg.Build
	new, known := b.Since(map[string]string{"resolve": "1.27.3", "service": "1.27.3", "route": "1.29.6", "drain": "1.29.6", "slow_start": "99.0.0"}[name])
	if b.Flavour != Plus && (known && !new || !slices.Contains([]string{"resolve", "service", "route", "drain", "slow_start"}, name)) {
		return errValue
	}
	return nil
}

// badAddress says in nginx's words what is wrong with an upstream's address, names
// that it would look up excepted; "" is nothing.
func badAddress(s string) string {
	if strings.HasPrefix(s, "unix:") {
		return ""
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i < strings.LastIndexByte(s, ']') {
		return ""
	}
	if n, err := parseInt(s[i+1:]); err != nil || n < 1 || n > 65535 {
		return "invalid port"
	}
	if i == 0 {
		return "no host"
	}
	return ""
}

// isAddress tells a literal address, with or without a port, from a name.
func isAddress(s string) bool {
	if strings.HasPrefix(s, "unix:") {
		return true
	}
	if _, err := netip.ParseAddrPort(s); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil
}

// withPort writes an address in one way only: lower case, with its port.
func withPort(s, port string) string {
	if strings.HasPrefix(s, "unix:") {
		return s
	}
	s = strings.ToLower(s)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil && a.Is6() {
		s = "[" + a.String() + "]"
	}
	if i := strings.LastIndexByte(s, ':'); (i < 0 || i < strings.LastIndexByte(s, ']')) && port != "" {
		s += ":" + port
	}
	return s
}

// Upstream finds an upstream by name; nil is none.
func (c *Config) Upstream(name string) *Upstream {
	for i := range c.Upstreams {
		// nginx compares names of blocks so; an implicit one is in lower case
		// already, but for the path of a socket.
		if u := &c.Upstreams[i]; u.Name == name || !u.Implicit && strings.EqualFold(u.Name, name) {
			return &c.Upstreams[i]
		}
	}
	return nil
}
