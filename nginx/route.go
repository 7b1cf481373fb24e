package nginx

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Request is what nginx looks at to choose a server and a location.
type Request struct {
	Address string // where the client connects: "192.0.2.1:443"; ":443" where the address is unknown
	Host    string // of the Host field, without a port
	Path    string // as sent, a query string included
	TLS     bool
}

// RequestFor is the request that a URL makes. The address is known only where
// the URL holds one.
func RequestFor(rawURL string) (Request, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return Request{}, fmt.Errorf("reading the URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return Request{}, fmt.Errorf("reading the URL %q: want http://HOST or https://HOST", rawURL)
	}
	r := Request{Host: u.Hostname(), Path: u.EscapedPath(), TLS: u.Scheme == "https"}
	port := u.Port()
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[r.TLS]
	}
	host := ""
	if a, err := netip.ParseAddr(r.Host); err == nil {
		host = a.String()
	}
	r.Address = net.JoinHostPort(host, port)
	if r.Path == "" {
		r.Path = "/"
	}
	return r, nil
}

// Route is the way of a request through a config. With Err it is unknown, or
// there is none.
type Route struct {
	Socket   *Socket
	Server   *Server
	Location *Location // nil: no location matches
	// Final is where the request is handled: Location, or the named location
	// that its try_files ends in (where no such file exists).
	Final    *Location
	Return   *Return // nginx answers by this itself, whatever Final passes on
	Redirect string  // nginx answers with this location itself: "/fl/" for "/fl"
	Err      string
	Outside  bool // Err is for want of what stands outside of the file of http that was given
}

// Effective is what is in force where the request is handled.
func (r Route) Effective() *Effective {
	switch {
	case r.Final != nil:
		return &r.Final.Effective
	case r.Server != nil:
		return &r.Server.Effective
	}
	return nil
}

// Route chooses as nginx does: the socket by address and port, the server by
// name, the location by path.
func (c *Config) Route(q Request) Route {
	if c.Incomplete != "" {
		return Route{Err: "there may be more servers than are known: " + c.Incomplete, Outside: c.Outside}
	}
	for i := range c.Servers {
		if s := &c.Servers[i]; s.Incomplete != "" {
			return Route{Err: fmt.Sprintf("the server of %s may hold more than is known: %s", s.Source, s.Incomplete)}
		}
	}
	sockets, err := c.socketsFor(q)
	if err != nil {
		return Route{Err: err.Error()}
	}
	var found Route
	for i, s := range sockets {
		r := c.through(s, q)
		if r.Err != "" {
			return r
		}
		if i > 0 && (r.Server != found.Server || r.Location != found.Location) {
			return Route{Err: fmt.Sprintf("it hangs on the address that clients connect to: %s leads to %s, %s to %s",
				found.Socket.Address, found.Server.Source, s.Address, r.Server.Source)}
		}
		if i == 0 {
			found = r
		}
	}
	return found
}

// socketsFor lists the sockets that may take the connection: one where the
// address is known.
func (c *Config) socketsFor(q Request) ([]*Socket, error) {
	host, port, err := net.SplitHostPort(q.Address)
	if err != nil {
		return nil, fmt.Errorf("address %q: want IP:PORT or :PORT", q.Address)
	}
	var fits []*Socket
	wrongTLS, names := false, ""
	for i := range c.Sockets {
		s := &c.Sockets[i]
		if s.Kind != "http" || s.UDP || fmt.Sprint(s.Port) != port {
			continue
		}
		if s.SSL != q.TLS {
			wrongTLS = true
			continue
		}
		fits = append(fits, s)
		if a, _, _ := net.SplitHostPort(s.Address); a != "" {
			if _, err := netip.ParseAddr(a); err != nil {
				names = s.Address
			}
		}
	}
	if len(fits) == 0 {
		if wrongTLS {
			return nil, fmt.Errorf("port %s speaks %s", port, map[bool]string{true: "plain HTTP, not TLS", false: "TLS, not plain HTTP"}[q.TLS])
		}
		return nil, fmt.Errorf("no server of http listens at port %s", port)
	}
	if host == "" {
		return fits, nil
	}
	want := net.JoinHostPort(host, port)
	var wildcard *Socket
	for _, s := range fits {
		switch {
		case s.Address == want:
			return []*Socket{s}, nil
		case s.Address == (&Socket{Address: want, Port: s.Port}).wildcard():
			wildcard = s
		case s.DualStack && !strings.HasPrefix(want, "[") && wildcard == nil:
			wildcard = s
		}
	}
	if names != "" {
		return nil, fmt.Errorf("listen %s names a host, which nginx looks up when it starts", names)
	}
	if wildcard == nil {
		return nil, fmt.Errorf("no server of http listens at %s", want)
	}
	return []*Socket{wildcard}, nil
}

func (c *Config) through(s *Socket, q Request) Route {
	r := Route{Socket: s}
	index, err := c.chooseServer(s, q.Host)
	if err != nil {
		r.Err = err.Error()
		return r
	}
	// The path is read before the Host field is: by the default server's rule.
	return c.within(r, &c.Servers[index], c.Servers[s.DefaultServer].MergeSlashes, q.Path)
}

// RouteIn is the way of a request that has reached a server already.
func (c *Config) RouteIn(s *Server, path string) Route {
	if s.Incomplete != "" {
		return Route{Err: fmt.Sprintf("the server of %s may hold more than is known: %s", s.Source, s.Incomplete)}
	}
	return c.within(Route{}, s, s.MergeSlashes, path)
}

func (c *Config) within(r Route, s *Server, merge Value[bool], path string) Route {
	r.Server, r.Return = s, s.Return
	path, err := normalize(path, !merge.Known() || merge.V)
	if err != nil {
		r.Err = err.Error()
		return r
	}
	if r.Err = rewritten(s.Rewrites, path, false); r.Err != "" {
		return r
	}
	if r.Return != nil { // before any location is looked at
		if name := s.Effective.errorPage(r.Return.Code); name != "" {
			r.leadTo(name, path)
		}
		return r
	}
	r.Location, r.Redirect, _, err = find(r.Server.Locations, path)
	if err != nil {
		r.Location, r.Redirect, r.Err = nil, "", err.Error()
		return r
	}
	if r.handledAt(r.Location, path); r.Err != "" || r.Location == nil {
		return r
	}
	l := r.Location
	switch {
	case r.Return != nil:
		if name := l.errorPage(r.Return.Code); name != "" {
			r.leadTo(name, path)
		}
	case len(l.TryFiles) > 0: // before anything is passed on
		last := l.TryFiles[len(l.TryFiles)-1]
		if code, err := strconv.Atoi(strings.TrimPrefix(last, "=")); err == nil && strings.HasPrefix(last, "=") {
			if last = l.errorPage(code); last == "" {
				r.Return = &Return{Code: code, Source: l.Source}
			}
		} else if l.Pass != nil && !strings.HasPrefix(last, "@") {
			r.Err = fmt.Sprintf("the try_files of %s leads on to %s where there is no such file", l.Source, last)
			return r
		}
		r.leadTo(last, path)
	case l.Pass != nil:
	default:
		r.leadTo(l.errorPage(http.StatusNotFound), path) // there is no such file
	}
	return r
}

// leadTo goes on in a named location, if the server has it.
func (r *Route) leadTo(name, path string) {
	for i := range r.Server.Locations {
		if n := &r.Server.Locations[i]; n.Kind == Named && n.Pattern == name {
			r.handledAt(n, path)
		}
	}
}

// handledAt has a location handle the request, unless what rewrites there leads
// on. A return comes before anything is passed on.
func (r *Route) handledAt(l *Location, path string) {
	if r.Final = l; l != nil {
		r.Return, r.Err = l.Return, rewritten(l.Rewrites, path, true)
	}
}

// rewritten says why the way of a path is unknown where a rewrite matches it; ""
// where none does. Within a location a break keeps the request there.
func rewritten(all []Rewrite, path string, inLocation bool) string {
	for _, w := range all {
		matched, err := matches("", w.Pattern, path)
		switch {
		case err != nil:
			return fmt.Sprintf("rewrite of %s: %s", w.Source, err)
		case matched && inLocation && w.Flag == "break":
			return ""
		case matched:
			return fmt.Sprintf("the rewrite of %s changes where %s leads", w.Source, path)
		}
	}
	return ""
}

// chooseServer picks by name: exact, then the longest "*.example.org", then
// the longest "www.*", then the first expression, then the default.
func (c *Config) chooseServer(s *Socket, host string) (int, error) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	head, headLen, tail, tailLen := -1, 0, -1, 0
	for _, i := range s.Servers {
		for _, name := range c.Servers[i].Names {
			name = strings.ToLower(name)
			switch {
			case strings.HasPrefix(name, "~"):
			case name == host && host != "":
				return i, nil
			case strings.HasPrefix(name, "*."), strings.HasPrefix(name, "."):
				suffix := strings.TrimPrefix(name, "*")
				// ".example.org" is "example.org" and "*.example.org".
				if (strings.HasSuffix(host, suffix) && len(host) > len(suffix) || "."+host == name) && len(suffix) > headLen {
					head, headLen = i, len(suffix)
				}
			case strings.HasSuffix(name, ".*"):
				prefix := strings.TrimSuffix(name, "*")
				if strings.HasPrefix(host, prefix) && len(host) > len(prefix) && len(prefix) > tailLen {
					tail, tailLen = i, len(prefix)
				}
			}
		}
	}
	if head >= 0 {
		return head, nil
	}
	if tail >= 0 {
		return tail, nil
	}
	unknown := ""
	for _, i := range s.Servers {
		for _, name := range c.Servers[i].Names {
			if vars := variables(name); vars != nil && !strings.HasPrefix(name, "~") {
				unknown = fmt.Sprintf("server_name %s of %s holds %s, the name of the host that nginx runs on", name, c.Servers[i].Source, vars[0])
			}
			expression, ok := strings.CutPrefix(name, "~")
			if !ok || host == "" {
				continue
			}
			matched, err := matches("(?i)", expression, host)
			if err != nil {
				return 0, fmt.Errorf("server_name of %s: %w", c.Servers[i].Source, err)
			}
			if matched {
				return i, nil
			}
		}
	}
	if unknown != "" && host != "" {
		return 0, errors.New(unknown)
	}
	return s.DefaultServer, nil
}

// find walks a level of locations as nginx does. final is true where the
// search ends here for the levels above as well.
func find(all []Location, path string) (found *Location, redirect string, final bool, err error) {
	for i := range all {
		l := &all[i]
		switch l.Kind {
		case Exact:
			if l.Pattern == path {
				return l, "", true, nil
			}
		case Prefix, PrefixFinal:
			if strings.HasPrefix(path, l.Pattern) && (found == nil || len(l.Pattern) > len(found.Pattern)) {
				found = l
			}
		}
	}
	if found == nil || found.Pattern != path {
		// nginx sends "/fl" to "/fl/" where that passes requests on.
		for i := range all {
			l := &all[i]
			if (l.Kind == Exact || l.Kind == Prefix || l.Kind == PrefixFinal) && l.Pattern == path+"/" && l.Pass != nil {
				return l, l.Pattern, true, nil
			}
		}
	}
	expressions := true
	if found != nil {
		expressions = found.Kind == Prefix
		inner, to, done, err := find(found.Locations, path)
		if err != nil {
			return nil, "", false, err
		}
		if inner != nil {
			found = inner
		}
		if done {
			return found, to, true, nil
		}
	}
	if !expressions {
		return found, "", false, nil
	}
	for i := range all {
		l := &all[i]
		if l.Kind != Regex && l.Kind != RegexNoCase {
			continue
		}
		matched, err := matches(map[LocationKind]string{RegexNoCase: "(?i)"}[l.Kind], l.Pattern, path)
		if err != nil {
			return nil, "", false, fmt.Errorf("location of %s: %w", l.Source, err)
		}
		if !matched {
			continue
		}
		inner, to, _, err := find(l.Locations, path)
		if err != nil {
			return nil, "", false, err
		}
		if inner != nil {
			return inner, to, true, nil
		}
		return l, "", true, nil
	}
	return found, "", false, nil
}
