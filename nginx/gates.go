package nginx

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Gate is what keeps a worker's request from being passed on, or may.
type Gate struct {
	Directive string `json:"directive"` // "auth_basic"
	Source    string `json:"source"`
	Text      string `json:"text"`            // what it does: "asks for a password, and workers send none: 401"
	Maybe     bool   `json:"maybe,omitempty"` // it hangs on what is not known here
}

// Client is what is known of those who ask.
type Client struct {
	Loopback bool // they come from this host alone
	Balancer bool // something before nginx passes their requests on
}

// Gates lists what stands in the way of a worker's request, whose way through the
// config is known, in the order in which nginx comes to it.
func (c *Config) Gates(way Route, q Request, method string, client Client) (all []Gate) {
	if way.Server == nil {
		return nil
	}
	add := func(maybe bool, directive, source, format string, a ...any) {
		all = append(all, Gate{Directive: directive, Source: source, Text: fmt.Sprintf(format, a...), Maybe: maybe})
	}
	s := way.Server
	for _, socket := range c.socketsOf(s) {
		c.atSocket(socket, s, client, add)
	}
	known := q.known(method)
	ifs(s.Blocks, known, &s.Effective, add)
	l := way.Final
	if l == nil {
		return all
	}
	if l.Internal && way.Location == l && l.Kind != Named {
		add(false, "internal", l.Source, "location %s is for nginx's own use: 404", l.Name())
	}
	ifs(l.Blocks, known, &l.Effective, add)
	limitExcept(l, method, client, add)
	e := &l.Effective
	access, basic, request := accessGate(e.Access, client), basicGate(e.AuthBasic), c.requestGate(s, e.AuthRequest)
	if e.Satisfy.Known() && e.Satisfy.V == "any" {
		// One open door is enough, and what is not set is no door.
		set := slices.DeleteFunc([]door{access, basic, request}, func(d door) bool { return !d.set })
		if slices.ContainsFunc(set, func(d door) bool { return d.gate == nil }) {
			access, basic, request = door{}, door{}, door{}
		} else if i := slices.IndexFunc(set, func(d door) bool { return d.gate.Maybe }); i >= 0 {
			access, basic, request = set[i], door{}, door{}
		}
	}
	for _, d := range []door{access, basic, request} {
		if d.gate != nil {
			all = append(all, *d.gate)
		}
	}
	for name, v := range map[string]Value[bool]{"proxy_pass_request_body": e.ProxyPassRequestBody, "proxy_pass_request_headers": e.ProxyPassRequestHeaders} {
		if l.Pass != nil && l.Pass.Kind == "proxy" && v.Known() && !v.V {
			add(false, name, v.Source, "%s off: the application gets no %s", name, strings.TrimPrefix(name, "proxy_pass_request_"))
		}
	}
	if v := e.ProxySetBody; l.Pass != nil && l.Pass.Kind == "proxy" && v.V && method == "POST" {
		add(false, "proxy_set_body", v.Source, "the application gets another body than the worker's")
	}
	// Whether an answer is kept hangs on proxy_cache_valid, on rules and on its headers.
	if v := e.ProxyCache; l.Pass != nil && l.Pass.Kind == "proxy" && v.V != "off" && v.V != "" && slices.Contains(append(e.ProxyCacheMethods.V, "GET", "HEAD"), method) {
		add(true, "proxy_cache", v.Source, "the answer to one worker may be given to all from a cache")
	}
	if m := e.ProxyMethod; l.Pass != nil && l.Pass.Kind == "proxy" && m.V != "" && !strings.EqualFold(m.V, method) {
		add(!m.Known(), "proxy_method", m.Source, "the application is asked by %s", m.V)
	}
	slices.SortStableFunc(all, func(a, b Gate) int {
		switch {
		case a.Maybe == b.Maybe:
			return 0
		case b.Maybe:
			return -1
		}
		return 1
	})
	return all
}

// socketsOf lists those of http that lead to a server.
func (c *Config) socketsOf(s *Server) (all []*Socket) {
	for i := range c.Sockets {
		socket := &c.Sockets[i]
		if socket.Kind == "http" && slices.ContainsFunc(socket.Servers, func(i int) bool { return &c.Servers[i] == s }) {
			all = append(all, socket)
		}
	}
	return all
}

// atSocket is what stands before any request is read.
func (c *Config) atSocket(socket *Socket, s *Server, client Client, add func(bool, string, string, string, ...any)) {
	if v := s.SSLVerifyClient; socket.SSL && v.V == "on" {
		add(!v.Known(), "ssl_verify_client", v.Source, "asks for a certificate of the worker's own, and workers have none: 400")
	}
	if v := s.SSLRejectHandshake; socket.SSL && v.V && v.Known() {
		add(false, "ssl_reject_handshake", v.Source, "refuses every TLS connection")
	}
	if socket.HTTP2 && !socket.SSL && !s.HTTP2.V {
		switch both, known := c.Build.Since("1.25.1"); {
		case !known:
			add(true, "http2", socket.Sources[0], "HTTP/2 without TLS: before nginx 1.25.1 no client of HTTP/1.1 is served, and nginx's version is unknown")
		case !both:
			add(false, "http2", socket.Sources[0], "HTTP/2 without TLS: nginx %s serves no client of HTTP/1.1 there, and workers speak that", c.Build.Version)
		}
	}
	if socket.ProxyProtocol && !client.Balancer {
		add(true, "proxy_protocol", socket.Sources[0], "takes connections alone that begin with a PROXY header, as a load balancer's do")
	}
}

// ifs follows those whose condition is known, up to one that answers.
func ifs(blocks []Block, known map[string]string, e *Effective, add func(bool, string, string, string, ...any)) {
	for _, b := range blocks {
		if b.Kind != "if" {
			continue
		}
		answers, maybe := "", false
		for _, line := range b.Lines {
			words := strings.Fields(line.Text)
			switch words[0] {
			case "return":
				answers = strings.TrimSpace("returns " + strings.Join(words[1:min(2, len(words))], ""))
				if code, err := strconv.Atoi(words[len(words)-1]); err == nil && len(words) == 2 && e.errorPage(code) != "" {
					answers, maybe = answers+" and goes on in "+e.errorPage(code), true
				}
				if len(words) == 2 && strings.Contains(words[1], "://") {
					answers = "redirects"
				}
			case "rewrite":
				if slices.Contains([]string{"redirect", "permanent"}, words[len(words)-1]) || len(words) > 2 && strings.HasPrefix(words[2], "http") {
					answers = "redirects"
				} else {
					answers = "rewrites the path"
				}
			}
			if answers != "" {
				break
			}
		}
		if b.Pass != nil && answers == "" {
			answers = "passes requests elsewhere"
		}
		if answers == "" {
			continue
		}
		switch holds(b.Args, known) {
		case isTrue:
			add(maybe || strings.HasPrefix(answers, "rewrites"), "if", b.Source, "the if about %s %s", about(b.Args), answers)
			return
		case isUnknown:
			add(true, "if", b.Source, "an if about %s %s, and whether it holds shows only while a request runs", about(b.Args), answers)
		}
	}
}

// about is what a condition looks at: what it compares it with may be a secret.
func about(args string) string {
	first, _, _ := strings.Cut(strings.TrimLeft(args, "( "), " ")
	return strings.TrimSuffix(first, ")")
}

// limitExcept judges the block that holds for other methods than it names.
func limitExcept(l *Location, method string, client Client, add func(bool, string, string, string, ...any)) {
	for _, b := range l.Blocks {
		methods := strings.Fields(strings.ToUpper(b.Args))
		if b.Kind != "limit_except" || slices.Contains(methods, method) {
			continue
		}
		var rules []Rule
		for _, line := range b.Lines {
			words := strings.Fields(line.Text)
			switch {
			case len(words) < 2:
			case words[0] == "allow" || words[0] == "deny":
				rules = append(rules, Rule{Allow: words[0] == "allow", Who: words[1], Source: line.Source})
			case words[0] == "auth_basic" && words[1] != "off":
				add(false, "limit_except", line.Source, "asks for a password for %s, and workers send none: 401", method)
			}
		}
		if d := accessGate(Value[[]Rule]{V: rules, Source: b.Source}, client); d.gate != nil {
			add(d.gate.Maybe, "limit_except", d.gate.Source, "limit_except %s: %s", b.Args, d.gate.Text)
		}
	}
}

// door is one of the three that satisfy joins.
type door struct {
	set  bool
	gate *Gate // nil: it is open
}

// accessGate goes through allow and deny for a worker: of this host, or from anywhere.
func accessGate(v Value[[]Rule], client Client) door {
	if !v.Known() {
		return door{set: true, gate: &Gate{Directive: "deny", Source: v.Source, Text: v.Err, Maybe: true}}
	}
	d := door{set: len(v.V) > 0}
	some := ""
	for _, r := range v.V {
		covers := r.Who == "all"
		if p, err := netip.ParsePrefix(r.Who); err == nil {
			covers = covers || p.Bits() == 0
			if client.Loopback {
				covers = p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
			}
		} else if a, err := netip.ParseAddr(r.Who); err == nil && client.Loopback {
			covers = a == netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		switch {
		case covers && r.Allow:
			return d
		case covers && some == "":
			d.gate = &Gate{Directive: "deny", Source: r.Source, Text: fmt.Sprintf("deny %s lets no worker in: 403", r.Who)}
			return d
		case covers:
			d.gate = &Gate{Directive: "allow", Source: r.Source, Text: fmt.Sprintf("allow %s and nobody else: whether workers come from there is not known", some), Maybe: true}
			return d
		case r.Allow && !client.Loopback && !onlyThisHost(r.Who):
			if some != "" {
				some += ", "
			}
			some += r.Who
		}
	}
	return d
}

// onlyThisHost tells addresses that no worker of another host has.
func onlyThisHost(who string) bool {
	a, err := netip.ParseAddr(who)
	return who == "unix:" || err == nil && a.IsLoopback() || strings.HasPrefix(who, "127.")
}

func basicGate(v Value[string]) door {
	switch {
	case !v.Known():
		return door{set: true, gate: &Gate{Directive: "auth_basic", Source: v.Source, Text: "auth_basic " + v.Err, Maybe: true}}
	case v.V == "off":
		return door{}
	}
	return door{set: true, gate: &Gate{Directive: "auth_basic", Source: v.Source, Text: "asks for a password, and workers send none: 401"}}
}

// requestGate follows the subrequest as far as nginx answers it itself.
func (c *Config) requestGate(s *Server, v Value[string]) door {
	switch {
	case !v.Known():
		return door{set: true, gate: &Gate{Directive: "auth_request", Source: v.Source, Text: "auth_request " + v.Err, Maybe: true}}
	case v.V == "off":
		return door{}
	}
	gate := &Gate{Directive: "auth_request", Source: v.Source, Text: "asks " + v.V + ", whose answer is not known", Maybe: true}
	if way := c.RouteIn(s, v.V); way.Err == "" && way.Return != nil {
		if way.Return.Code/100 == 2 {
			return door{set: true}
		}
		gate.Text, gate.Maybe = fmt.Sprintf("asks %s, which answers %d", v.V, way.Return.Code), false
	}
	return door{set: true, gate: gate}
}

// errorPage is the named location that an answer of nginx's own leads to; "": none.
func (e *Effective) errorPage(code int) string {
	for _, line := range e.ErrorPage.V {
		words := strings.Fields(line)
		if len(words) < 2 || !strings.HasPrefix(words[len(words)-1], "@") {
			continue
		}
		if slices.Contains(words[:len(words)-1], strconv.Itoa(code)) {
			return words[len(words)-1]
		}
	}
	return ""
}
