package kinds

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// The settings of HAProxy that count. What a way leaves out has HAProxy's default.
var (
	haproxyProcess = []string{"maxconn", "maxsslconn", "ulimit-n", "hard-stop-after"}
	haproxyTimes   = []string{"client", "server", "tunnel", "http-keep-alive", "http-request", "queue", "connect"}
)

const haproxyDefault = "HAProxy's default"

// readHAProxy reads the files that a command line names, and the settings of each
// way from a frontend to a server.
func readHAProxy(r facts.Root, p facts.Program) facts.Details {
	c, most, err := haproxyFiles(r, p)
	if err != nil {
		return unreadable(err)
	}
	s := c.process()
	if most != "" { // -n wins over what the file has
		s["maxconn"] = known(most, p.From)
	}
	return facts.Details{Settings: s, Passes: facts.Value[[]facts.Pass]{V: c.passes(), Source: p.From}}
}

// haproxyFiles reads all that -f and what follows -- name; most is -n's, or "".
func haproxyFiles(r facts.Root, p facts.Program) (c *haproxyConfig, most string, err error) {
	var names []string
	dir := ""
	for i := 1; i < len(p.Args); i++ {
		value := func() string {
			if i+1 >= len(p.Args) {
				return ""
			}
			i++
			return p.Args[i]
		}
		switch arg := p.Args[i]; {
		case arg == "--":
			names = append(names, p.Args[i+1:]...)
			i = len(p.Args)
		case arg == "-f":
			names = append(names, value())
		case arg == "-C":
			dir = value()
		case arg == "-n":
			most = value()
		case arg == "-p" || arg == "-S" || arg == "-x" || arg == "-L":
			value()
		case p.Unexpanded && splits(arg) && !slices.Contains([]string{"$EXTRAOPTS", "$OPTIONS"}, arg):
			return nil, "", fmt.Errorf("%s: %s, which only systemd expands", p.From, arg)
		}
	}
	if p.Unexpanded { // as units of distributions have it
		for i, n := range names {
			if n == "$CONFIG" || n == "${CONFIG}" {
				names[i] = "/etc/haproxy/haproxy.cfg"
			}
		}
	}
	c = &haproxyConfig{}
	for _, name := range names {
		if name == "" {
			return nil, "", fmt.Errorf("%s: -f names no file", p.From)
		}
		files := []string{name}
		if full, err := configPath(p, dir, name); err == nil && r.IsDir(full) {
			list, err := r.ReadDir(full)
			if err != nil {
				return nil, "", err
			}
			files = nil
			for _, f := range list {
				if strings.HasSuffix(f, ".cfg") && !strings.HasPrefix(f, ".") {
					files = append(files, path.Join(full, f))
				}
			}
		}
		for _, f := range files {
			text, file, err := configFile(r, p, dir, f)
			if err != nil {
				return nil, "", err
			}
			if err := c.add(text, file); err != nil {
				return nil, "", err
			}
		}
	}
	if len(c.sections) == 0 {
		return nil, "", fmt.Errorf("%s: no config file is named", p.From)
	}
	return c, most, nil
}

// value is a setting's text on a line: its word at i.
func (l haproxyLine) value(i int) facts.Value[string] {
	switch {
	case i >= len(l.words):
		return unread(fmt.Errorf("%s: no value", l.at))
	case l.maybe:
		return unread(fmt.Errorf("%s: it stands under .if", l.at))
	case strings.Contains(l.words[i], "$"):
		return unread(fmt.Errorf("%s: %s is of HAProxy's environment", l.at, l.words[i]))
	}
	return known(l.words[i], l.at)
}

// process are the settings of global.
func (c *haproxyConfig) process() layer {
	s := make(layer)
	for _, name := range haproxyProcess {
		s[name] = known("", haproxyDefault)
		for _, g := range c.sections {
			if g.kind != "global" {
				continue
			}
			if l, ok := g.last(name); ok {
				s[name] = l.value(1)
			}
		}
	}
	return s
}

// passes are the ways from frontends to servers.
func (c *haproxyConfig) passes() []facts.Pass {
	out := []facts.Pass{}
	for _, front := range c.sections {
		switch front.kind {
		case "listen":
			out = append(out, haproxyWays(front, front)...)
		case "frontend":
			for _, back := range c.behind(front) {
				out = append(out, haproxyWays(front, back)...)
			}
		}
	}
	return out
}

// behind are the backends that a frontend may choose: all, where an expression does.
func (c *haproxyConfig) behind(front *haproxySection) (list []*haproxySection) {
	lines := front.all("use_backend")
	if l, ok := front.last("default_backend"); ok {
		lines = append(lines, l)
	}
	for _, l := range lines {
		if len(l.words) < 2 {
			continue
		}
		anyone := strings.ContainsAny(l.words[1], "%$")
		for _, s := range c.sections {
			if (s.kind == "backend" || s.kind == "listen") && (anyone || s.name == l.words[1]) && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// haproxyWays are the ways from a frontend to each server of a backend.
func haproxyWays(front, back *haproxySection) (out []facts.Pass) {
	var from []string
	bindConn, ssl := known("", haproxyDefault), known("", haproxyDefault)
	for _, l := range front.all("bind") {
		if len(l.words) < 2 {
			continue
		}
		for _, address := range strings.Split(l.words[1], ",") {
			from = append(from, haproxyAddress(address))
		}
		if v := l.option("maxconn"); v.Source != "" || v.Err != "" {
			bindConn = v
		}
		if slices.Contains(l.words, "ssl") {
			ssl = known("true", l.at)
		}
	}
	way := layer{"bind.maxconn": bindConn, "bind.ssl": ssl}
	for _, name := range []string{"maxconn", "backlog", "mode"} {
		way["frontend."+name] = front.setting(name)
	}
	for _, name := range haproxyTimes {
		s := back
		if name == "client" || strings.HasPrefix(name, "http-") {
			s = front
		}
		way["timeout."+name] = s.setting("timeout", name)
	}
	for _, s := range []*haproxySection{front, back} { // as 2.4 and later do
		for _, l := range slices.Concat(s.all("http-request"), s.all("http-response")) {
			if len(l.words) > 2 && l.words[1] == "set-timeout" {
				way["timeout."+l.words[2]] = unread(fmt.Errorf("%s: a rule sets it by request", l.at))
			}
		}
	}
	way["closes"] = known("", haproxyDefault)
	for _, option := range []string{"httpclose", "forceclose", "http-server-close"} {
		if l, ok := front.last("option", option); ok && option != "http-server-close" {
			way["closes"] = known(option, l.at)
		}
	}
	way = over(way, back.peers(from), layer{"access": haproxyGate(front, back).setting(front.at)})
	for _, l := range slices.Concat(back.all("server"), back.all("server-template")) {
		at := 2
		if l.words[0] == "server-template" {
			at = 3
		}
		if len(l.words) <= at || slices.Contains(l.words, "disabled") {
			continue
		}
		s := over(way, layer{"server.maxconn": back.serverOption(l, "maxconn"), "server.minconn": back.serverOption(l, "minconn")})
		out = append(out, facts.Pass{To: haproxyTarget(l.words[at], from), From: from, Settings: s, Source: l.at})
	}
	return out
}

// setting is one of a section or its defaults; "" where none is set.
func (s *haproxySection) setting(words ...string) facts.Value[string] {
	l, ok := s.last(words...)
	if !ok {
		return known("", haproxyDefault)
	}
	return l.value(len(words))
}

// option is the value after a word of a bind or server line.
func (l haproxyLine) option(name string) facts.Value[string] {
	if i := slices.Index(l.words, name); i > 0 {
		return l.value(i + 1)
	}
	return facts.Value[string]{}
}

// serverOption is that of a server's line, else that of default-server.
func (s *haproxySection) serverOption(server haproxyLine, name string) facts.Value[string] {
	if v := server.option(name); v.Known() || v.Err != "" {
		return v
	}
	for d, depth := s, 0; d != nil && depth < maxDefaults; d, depth = d.under, depth+1 {
		for _, l := range slices.Backward(d.all("default-server")) {
			if v := l.option(name); v.Known() || v.Err != "" {
				return v
			}
		}
	}
	return known("", haproxyDefault)
}

// haproxyAddress is an address as the chain compares it.
func haproxyAddress(s string) string {
	for _, family := range []string{"ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"} {
		s = strings.TrimPrefix(s, family)
	}
	for _, family := range []string{"unix@", "uxst@"} {
		if file, ok := strings.CutPrefix(s, family); ok {
			return "unix:" + file
		}
	}
	if strings.HasPrefix(s, "/") {
		return "unix:" + s
	}
	return s
}

// haproxyTarget is a server's address; without a port it has that of the frontend.
func haproxyTarget(s string, from []string) string {
	s = haproxyAddress(s)
	if strings.HasPrefix(s, "unix:") || strings.HasPrefix(s, "abns@") {
		return s
	}
	if _, _, err := net.SplitHostPort(s); err == nil {
		return s
	}
	for _, f := range from {
		if _, port, err := net.SplitHostPort(f); err == nil {
			return net.JoinHostPort(strings.Trim(s, "[]"), port)
		}
	}
	return s
}

// haproxyTime reads a time as HAProxy writes it: "50s", of milliseconds where it has
// no unit. 0: none.
func haproxyTime(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseInt(digits, 10, 63)
	unit, ok := map[string]time.Duration{"us": time.Microsecond, "": time.Millisecond, "ms": time.Millisecond, "s": time.Second,
		"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[s[len(digits):]]
	if err != nil || !ok || n < 0 || n > int64(1<<62)/int64(cmp.Or(unit, 1)) {
		return 0, fmt.Errorf("%q is no time", s)
	}
	return time.Duration(n) * unit, nil
}

// haproxyCount reads a number; -1 where none is set or it is 0, which is the same.
func haproxyCount(s string) (int64, error) {
	if s == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(s, 10, 63)
	switch {
	case err != nil || n < 0 || n > 1<<40:
		return 0, errors.New("no count")
	case n == 0:
		return -1, nil
	}
	return n, nil
}
