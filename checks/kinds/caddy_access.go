package kinds

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// caddyOrder is the order in which Caddy runs the directives of a block, whatever theirs
// in the file; in route that of the file counts.
var caddyOrder = strings.Fields(`tracing map vars fs root log_append log_skip skip_log log_name header copy_response_headers request_body redir
	method rewrite uri try_files basic_auth basicauth forward_auth request_header encode push intercept templates invoke handle handle_path route
	abort error respond metrics reverse_proxy php_fastcgi file_server acme_server`)

// caddyHarmless are the directives that keep nobody out.
var caddyHarmless = strings.Fields(`tracing map vars fs root log log_append log_skip skip_log log_name header copy_response_headers request_body
	method rewrite uri try_files request_header encode push intercept templates reverse_proxy bind handle_errors`)

// caddyAsks is the gate of a server that is asked before, which forward_auth is short for.
const caddyAsks = "it asks a server first, and whether that lets workers in is not known"

// A caddySite is what is asked of a site while its ways are looked for.
type caddySite struct {
	matchers map[string]caddyLine // the named ones: "@admin"
	ordered  bool                 // the global option order has changed what runs first
}

// newCaddySite knows the named matchers of a site.
func newCaddySite(lines []caddyLine, ordered bool) *caddySite {
	s := &caddySite{make(map[string]caddyLine), ordered}
	s.name(lines)
	return s
}

func (s *caddySite) name(lines []caddyLine) {
	for _, l := range lines {
		if len(l.words) > 0 && strings.HasPrefix(l.words[0], "@") {
			s.matchers[l.words[0]] = l
			continue
		}
		s.name(l.block)
	}
}

// matcher is that of a directive; "" where it is of all requests.
func (l caddyLine) matcher() string {
	if len(l.words) > 1 && (strings.HasPrefix(l.words[1], "@") || strings.HasPrefix(l.words[1], "/")) {
		return l.words[1]
	}
	return ""
}

// before is what keeps workers from the line i of a block: what runs before it, and what
// its neighbours take away. base is the path that workers ask below.
func (s *caddySite) before(block []caddyLine, i int, literal bool, base string) gate {
	var all []gate
	on := block[i]
	covers := s.covers(on)
	if covers != surely {
		all = append(all, s.unmatched(on))
	}
	for j, l := range block {
		if j == i || len(l.words) == 0 || strings.HasPrefix(l.words[0], "@") {
			continue
		}
		g := s.gate(l, base)
		if g.open() {
			continue
		}
		rank, own := slices.Index(caddyOrder, l.words[0]), slices.Index(caddyOrder, on.words[0])
		if own < 0 {
			own = len(caddyOrder)
		}
		sibling := slices.Contains([]string{"handle", "handle_path"}, l.words[0])
		switch {
		case sibling && l.matcher() == "" && covers == surely:
			continue // it has what no other takes
		case literal && !sibling && j > i, !literal && !s.ordered && rank > own:
			if covers == surely {
				continue
			}
			g = g.unsure()
		case s.ordered || sibling:
			g = g.unsure()
		}
		all = append(all, g)
	}
	return narrowest(all...)
}

// unmatched is the gate of a way that not all of the workers' requests need match.
func (s *caddySite) unmatched(l caddyLine) gate {
	m, ok := s.matchers[l.matcher()]
	if !ok || s.only(m, "path", "host", "path_regexp", "protocol") {
		return gate{}
	}
	return gate{l.matcher() + ": whether workers meet it is not known", m.at, true}
}

// only says whether a named matcher is made of none but the tests that are named.
func (s *caddySite) only(m caddyLine, tests ...string) bool {
	for _, t := range m.tests() {
		if len(t) > 0 && !slices.Contains(tests, t[0]) {
			return false
		}
	}
	return true
}

// tests are those of a named matcher, all of which must hold.
func (l caddyLine) tests() (out [][]string) {
	if len(l.words) > 1 {
		out = append(out, l.words[1:])
	}
	for _, in := range l.block {
		words := in.words
		if len(in.block) > 0 { // such as not { … }
			words = []string{"{"}
		}
		out = append(out, words)
	}
	return out
}

// covers says whether a directive takes all that workers ask for, below some path.
func (s *caddySite) covers(l caddyLine) chance {
	m := l.matcher()
	if m == "" {
		return surely
	}
	tests := [][]string{{"path", m}}
	if strings.HasPrefix(m, "@") {
		if tests = s.matchers[m].tests(); len(tests) == 0 {
			return perhaps
		}
	}
	below := func(p string) bool { return strings.HasSuffix(p, "*") && strings.Count(p, "*") == 1 && caddyRoot(p) }
	for _, q := range facts.WorkerRequests() {
		for _, t := range tests {
			named := len(t) > 1 && (t[0] == "host" || t[0] == "path" && slices.ContainsFunc(t[1:], below))
			if !named && caddyTest(t, q, "") != surely {
				return perhaps
			}
		}
	}
	return surely
}

// caddyRoot says whether a pattern is of what stands below one path, such as "/fl/*", and
// not of some of the workers' routes alone, such as "/receive_*".
func caddyRoot(pattern string) bool {
	for _, q := range facts.WorkerRequests() {
		if p := strings.TrimSuffix(pattern, "*"); p != "/" && strings.HasPrefix(q.Path, p) {
			return false
		}
	}
	return true
}

// gate is what a line keeps workers out by, wherever it runs.
func (s *caddySite) gate(l caddyLine, base string) gate {
	name := l.words[0]
	asks := name == "reverse_proxy" && slices.ContainsFunc(l.block, func(in caddyLine) bool { return len(in.words) > 0 && in.words[0] == "handle_response" })
	if slices.Contains(caddyHarmless, name) && !asks {
		return gate{}
	}
	if name == "tls" {
		return caddyClients(l)
	}
	c := s.holds(l.matcher(), base)
	if c == never {
		return gate{}
	}
	g := gate{name + ": whether it keeps workers out is not known", l.at, true}
	switch name {
	case "basic_auth", "basicauth":
		g = gate{text: name + " asks for a password, and workers send none: 401", at: l.at}
	case "abort":
		g = gate{text: "abort closes the connection", at: l.at}
	case "respond":
		g = gate{text: "respond: Caddy answers itself", at: l.at}
	case "metrics", "file_server", "php_fastcgi", "acme_server":
		g.text = name + ": whether Caddy answers workers by it is not known"
	case "reverse_proxy":
		g.text = "reverse_proxy with handle_response: " + caddyAsks
	case "forward_auth":
		g.text = "forward_auth: " + caddyAsks
	case "redir":
		g.text = "redir: whether workers follow where it leads is not known"
	case "handle", "handle_path", "route":
		var all []gate
		for _, in := range l.block {
			if len(in.words) > 0 && !strings.HasPrefix(in.words[0], "@") {
				all = append(all, s.gate(in, base))
			}
		}
		if g = narrowest(all...); name == "route" && len(l.block) > 1 {
			g = g.unsure() // what stands before it there may end the request
		}
		if g.open() {
			return g
		}
	}
	if c != surely {
		g = gate{name + " under a matcher: whether workers meet it is not known", l.at, true}
	}
	return g
}

// caddyClients is the gate of tls: whether clients need a certificate.
func caddyClients(l caddyLine) gate {
	for _, in := range l.block {
		if len(in.words) == 0 || in.words[0] != "client_auth" {
			continue
		}
		mode, at := "", in.at
		for _, o := range in.block {
			if len(o.words) > 1 && o.words[0] == "mode" {
				mode, at = o.words[1], o.at
			}
		}
		return caddyMode(mode, at)
	}
	return gate{}
}

// caddyMode is the gate of a mode of client_auth.
func caddyMode(mode, at string) gate {
	switch mode {
	case "request", "verify_if_given":
		return gate{}
	case "require", "require_and_verify":
		return gate{text: "client_auth asks for a certificate, and workers have none", at: at}
	}
	return gate{"client_auth: whether it asks workers for a certificate is not known", at, true}
}

// holds says whether one of the workers' requests meets a matcher.
func (s *caddySite) holds(matcher, base string) chance {
	if matcher == "" {
		return surely
	}
	out := never
	for _, q := range facts.WorkerRequests() {
		c := s.meets(matcher, q, "")
		if base != "" && c != s.meets(matcher, q, base) { // by which path Caddy compares is not known here
			c = perhaps
		}
		out = max(out, c)
	}
	return out
}

// meets says whether a request meets a matcher.
func (s *caddySite) meets(matcher string, q facts.WorkerRequest, base string) chance {
	if strings.HasPrefix(matcher, "/") {
		return caddyPath(matcher, base+q.Path)
	}
	named, ok := s.matchers[matcher]
	tests := named.tests()
	if !ok || len(tests) == 0 {
		return perhaps
	}
	out := surely
	for _, t := range tests {
		out = min(out, caddyTest(t, q, base))
	}
	return out
}

// caddyTest is one test of a named matcher.
func caddyTest(words []string, q facts.WorkerRequest, base string) chance {
	if len(words) < 2 {
		return perhaps
	}
	switch words[0] {
	case "not":
		return caddyTest(words[1:], q, base).not()
	case "method":
		return chanceOf(slices.Contains(words[1:], q.Method))
	case "path":
		out := never
		for _, p := range words[1:] {
			out = max(out, caddyPath(p, base+q.Path))
		}
		return out
	}
	return perhaps
}

// caddyPath compares a path with a pattern, as Caddy does: in any case of letters, with *
// at its ends. Of others than the protocol's there is no saying that no worker has them
// before its own.
func caddyPath(pattern, path string) chance {
	pattern, path = strings.ToLower(pattern), strings.ToLower(path)
	begins, ends := strings.CutSuffix(pattern, "*")
	switch {
	case strings.Contains(begins, "*"), strings.ContainsAny(pattern, "{[?\\%"):
		return perhaps
	case ends && strings.HasPrefix(path, begins), pattern == path:
		return surely
	case strings.HasSuffix(begins, path): // below a path that workers may have
		return perhaps
	}
	return never
}

// caddyBase is the path below which a directive's requests are; "" of all.
func caddyBase(l caddyLine) string {
	m := l.matcher()
	if !strings.HasSuffix(m, "*") || !strings.HasPrefix(m, "/") || !caddyRoot(m) {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(m, "*"), "/")
}

// caddyGlobal says of the global options whether directives have an order of their own,
// and what keeps workers out before any site has them.
func caddyGlobal(lines []caddyLine) (ordered bool, g gate) {
	for _, l := range lines {
		if len(l.words) == 0 {
			continue
		}
		ordered = ordered || l.words[0] == "order"
		if l.words[0] != "servers" {
			continue
		}
		for _, in := range l.block {
			if len(in.words) == 0 || in.words[0] != "listener_wrappers" {
				continue
			}
			for _, w := range in.block {
				if len(w.words) > 0 && !slices.Contains(caddyWrappers, w.words[0]) {
					g = narrowest(g, gate{w.words[0] + ": whether it keeps workers out is not known", w.at, true})
				}
			}
		}
	}
	return ordered, g
}

// caddyWrappers are the wrappers of listeners that keep nobody out.
var caddyWrappers = []string{"tls", "http_redirect", "proxy_protocol"}

// caddyPassing are the handlers of JSON that keep nobody out.
var caddyPassing = strings.Fields("reverse_proxy request_body encode headers rewrite vars map templates tracing log_append intercept copy_response_headers")

// A caddyShut is a gate of JSON that stands before the routes that follow.
type caddyShut struct {
	gate
	hosts []string // of the route; none: of all
}

// A caddyWalk is one through the routes of a server of JSON, in their order.
type caddyWalk struct {
	file string
	seen []caddyShut
	out  []gate // of each reverse_proxy
}

// gates are what keeps workers from each reverse_proxy of a server, as caddyHandlers has
// them.
func (s caddyServer) gates(file string) []gate {
	w := &caddyWalk{file: file}
	for _, l := range s.Wrappers {
		if !slices.Contains(caddyWrappers, l.Wrapper) {
			w.keep(gate{l.Wrapper + ": whether it keeps workers out is not known", file, true}, nil)
		}
	}
	for _, p := range s.TLS {
		if p.Client == nil {
			continue
		}
		g := caddyMode(p.Client.Mode, file)
		if len(s.TLS) > 1 || len(p.Match) > 0 {
			g = g.unsure()
		}
		w.keep(g, nil)
	}
	w.routes(s.Routes, surely, true, nil)
	return w.out
}

func (w *caddyWalk) keep(g gate, hosts []string) {
	if !g.open() {
		w.seen = append(w.seen, caddyShut{g, hosts})
	}
}

// routes goes through routes that requests come to by c, of these hosts alone; free says
// that nothing but their URL was asked for.
func (w *caddyWalk) routes(routes []caddyRoute, c chance, free bool, hosts []string) {
	for _, r := range routes {
		met, all, of := r.meets()
		all = all && free
		if of == nil {
			of = hosts
		}
		met = min(met, c)
		for _, h := range r.Handle {
			switch {
			case h.Handler == "reverse_proxy":
				var gates []gate
				for _, s := range w.seen {
					if len(s.hosts) == 0 || len(of) == 0 || slices.ContainsFunc(s.hosts, func(host string) bool { return strings.Contains(host, "*") || slices.Contains(of, host) }) {
						gates = append(gates, s.gate)
					}
				}
				if !all {
					gates = append(gates, gate{"the match of its route: whether workers meet it is not known", w.file, true})
				}
				w.out = append(w.out, narrowest(gates...))
				if len(h.Response) > 0 && met > never {
					w.keep(gate{"reverse_proxy with handle_response: " + caddyAsks, w.file, true}, of)
				}
			case h.Handler == "subroute":
			case slices.Contains(caddyPassing, h.Handler) || met == never:
			default:
				w.keep(w.handler(h, met), of)
			}
			w.routes(h.Routes, met, all, of)
		}
	}
}

// handler is what a handler keeps workers out by that come to it by c.
func (w *caddyWalk) handler(h caddyHandler, c chance) gate {
	_, basic := h.Providers["http_basic"]
	switch {
	case c != surely:
		return gate{h.Handler + " under a match: whether workers meet it is not known", w.file, true}
	case h.Handler == "authentication" && basic && len(h.Providers) == 1:
		return gate{text: "authentication asks for a password, and workers send none: 401", at: w.file}
	}
	return gate{h.Handler + ": whether it keeps workers out is not known", w.file, true}
}

// meets says whether one of the workers' requests meets a route, whether no more than
// their URL is asked for, and of which hosts the route is.
func (r caddyRoute) meets() (c chance, all bool, hosts []string) {
	c, all = surely, true
	for i, set := range r.Match {
		one := surely
		for name, raw := range set {
			var values []string
			err := json.Unmarshal(raw, &values)
			switch {
			case err == nil && name == "host":
				if len(r.Match) == 1 {
					hosts = values
				}
			case err == nil && name == "path":
				m := caddyLine{words: append([]string{"@", "path"}, values...)}
				one = min(one, (&caddySite{matchers: map[string]caddyLine{"@": m}}).holds("@", ""))
			case name == "path_regexp" || name == "protocol":
				one = min(one, perhaps)
			default:
				one, all = min(one, perhaps), false
			}
		}
		if i == 0 {
			c = one
		} else {
			c = max(c, one)
		}
	}
	return c, all, hosts
}
