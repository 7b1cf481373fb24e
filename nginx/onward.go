package nginx

import (
	"net"
	"regexp"
	"strconv"
	"strings"
)

// Onward is the way on of a request that a location passes to this nginx itself;
// false where it goes elsewhere, or may. host is what the client asked for, "" where
// that is unknown.
func (c *Config) Onward(l *Location, host, path string) (Route, bool) {
	if l == nil || l.Pass == nil || l.Pass.Kind != "proxy" {
		return Route{}, false
	}
	u := c.Upstream(l.Pass.Upstream)
	if u == nil || len(u.Peers) == 0 {
		return Route{}, false
	}
	socket := c.socketAt(u.Peers[0].Address)
	if socket == nil || socket.Kind != "http" {
		return Route{}, false
	}
	path, known := l.Passed(path)
	if !known {
		return Route{}, false
	}
	switch h, _ := l.UpstreamHeader("Host"); h.Value {
	case "$host", "$http_host":
	case "$proxy_host":
		host, _, _ = strings.Cut(l.Pass.Upstream, ":")
	default:
		if host = h.Value; HasVariables(host) {
			host = ""
		}
	}
	return c.through(socket, Request{Host: host, Path: path, TLS: l.Pass.TLS}), true
}

// Passed is the path by which a location passes a request on; false where that is
// unknown.
func (l *Location) Passed(path string) (string, bool) {
	if l.Pass == nil || l.Pass.Kind != "proxy" {
		return "", false
	}
	for _, w := range l.Rewrites {
		matched, err := matches("", w.Pattern, path)
		if err != nil {
			return "", false
		}
		if !matched || w.Flag != "break" {
			continue
		}
		to, ok := replaced(w, path) // what stands behind the address counts no more
		return to, ok
	}
	switch uri := l.Pass.URI; {
	case uri == "":
		return path, true
	case HasVariables(uri): // nothing is added to it
		to := strings.NewReplacer("$request_uri", path, "$uri", path, "$is_args", "", "$args", "").Replace(uri)
		return to, !HasVariables(to)
	case l.Kind == Prefix || l.Kind == PrefixFinal || l.Kind == Exact:
		return uri + strings.TrimPrefix(path, l.Pattern), true
	}
	return path, true
}

// replaced is what a rewrite that matches makes of a path; false where it holds more
// than what the expression took.
func replaced(w Rewrite, path string) (string, bool) {
	words := strings.Fields(w.Text)
	e, err := regexp.Compile(w.Pattern)
	if err != nil || len(words) < 3 {
		return "", false
	}
	found := e.FindStringSubmatch(path)
	to := strings.Trim(words[2], `"'`)
	for i, part := range found {
		to = strings.ReplaceAll(to, "$"+strconv.Itoa(i), part)
	}
	to, _, _ = strings.Cut(to, "?")
	return to, !HasVariables(to)
}

// socketAt is the socket of this nginx that takes a connection of its own host to an
// address; nil where none does.
func (c *Config) socketAt(address string) *Socket {
	host, port, err := net.SplitHostPort(address)
	var wildcard *Socket
	for i := range c.Sockets {
		s := &c.Sockets[i]
		switch {
		case s.UDP:
		case s.Address == address:
			return s
		case err == nil && loopback(host) && (s.Address == "0.0.0.0:"+port || s.Address == "[::]:"+port || host == "localhost" && (s.Address == "127.0.0.1:"+port || s.Address == "[::1]:"+port)):
			wildcard = s
		}
	}
	return wildcard
}

// Streams are the servers of stream that pass connections on to one of the sockets.
func (c *Config) Streams(to []Socket) (all []Other) {
	for _, o := range c.Others {
		if o.Kind != "stream" {
			continue
		}
		for _, peer := range o.Peers {
			socket := c.socketAt(withPort(peer, ""))
			for i := range to {
				if socket != nil && socket.Kind == "http" && socket.Address == to[i].Address {
					all = append(all, o)
				}
			}
		}
	}
	return all
}

// BehindStream is where a connection to a port goes that stream alone listens at;
// "" where http does, or nothing.
func (c *Config) BehindStream(port string) string {
	behind := ""
	for i := range c.Sockets {
		s := &c.Sockets[i]
		if !strings.HasSuffix(s.Address, ":"+port) || s.UDP {
			continue
		}
		switch {
		case s.Kind == "http":
			return ""
		case s.Kind == "stream" && s.DefaultServer < len(c.Others) && len(c.Others[s.DefaultServer].Peers) > 0:
			behind = c.Others[s.DefaultServer].Peers[0]
		}
	}
	return behind
}

// ShadowedBy is the server that takes all that another was written for: each of its
// names at each of its sockets; nil where something is left to it.
func (c *Config) ShadowedBy(s *Server) *Server {
	var by *Server
	for _, socket := range c.socketsOf(s) {
		for _, name := range s.Names {
			first := s
			for _, i := range socket.Servers {
				for _, other := range c.Servers[i].Names {
					if first == s && &c.Servers[i] != s && strings.EqualFold(other, name) && i < indexOf(c, s) {
						first = &c.Servers[i]
					}
				}
			}
			if first == s || &c.Servers[socket.DefaultServer] == s {
				return nil
			}
			by = first
		}
	}
	return by
}

func indexOf(c *Config, s *Server) int {
	for i := range c.Servers {
		if &c.Servers[i] == s {
			return i
		}
	}
	return -1
}
