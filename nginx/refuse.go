package nginx

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// wrongWords says in nginx's words what is wrong with a statement of http that the
// tables can't tell.
func (d *decoder) wrongWords(n *node) string {
	switch n.name {
	case "allow", "deny":
		if len(n.args) == 1 && !isNetwork(n.args[0]) {
			return fmt.Sprintf("invalid parameter %q", n.args[0])
		}
	case "add_header", "add_trailer":
		if len(n.args) == 3 && n.args[2] != "always" {
			return fmt.Sprintf("invalid parameter %q", n.args[2])
		}
	case "set":
		if len(n.args) == 2 && !strings.HasPrefix(n.args[0], "$") {
			return fmt.Sprintf("invalid variable name %q", n.args[0])
		}
	case "rewrite":
		return wrongRewrite(n.args)
	case "error_page":
		return wrongErrorPage(n.args)
	case "if":
		return wrongCondition(n.args)
	case "location":
		if len(n.args) == 2 && strings.HasPrefix(n.args[0], "~") {
			return wrongExpression(n.args[1])
		}
	case "server_name":
		for _, name := range n.args {
			if why := wrongName(name); why != "" {
				return why
			}
		}
	case "limit_req_zone", "limit_conn_zone":
		return wrongZone(n)
	case "proxy_cache_path":
		if !slices.ContainsFunc(n.args, func(a string) bool { return strings.HasPrefix(a, "keys_zone=") }) {
			return `"proxy_cache_path" must have "keys_zone" parameter`
		}
	case "listen":
		return d.wrongListen(n.args)
	}
	return ""
}

// isNetwork tells what allow and deny take: of IPv4 what nginx's own ngx_inet_addr
// does, which reads "10.0..0" and "010.0.0.1".
func isNetwork(s string) bool {
	if s == "all" || s == "unix:" {
		return true
	}
	address, mask, hasMask := strings.Cut(s, "/")
	if a, err := netip.ParseAddr(address); err == nil && a.Is6() {
		bits, err := parseInt(mask)
		return !hasMask || err == nil && bits <= 128
	}
	octets := strings.Split(address, ".")
	if len(octets) != 4 {
		return false
	}
	for _, o := range octets {
		if n, err := parseInt(o); o != "" && (err != nil || n > 255) {
			return false
		}
	}
	bits, err := parseInt(mask)
	return !hasMask || err == nil && bits <= 32 || isNetwork(mask) && strings.Contains(mask, ".")
}

func wrongRewrite(args []string) string {
	if len(args) == 3 && !slices.Contains([]string{"last", "break", "redirect", "permanent"}, args[2]) {
		return fmt.Sprintf("invalid parameter %q", args[2])
	}
	if len(args) > 1 {
		return wrongExpression(args[0])
	}
	return ""
}

// wrongExpression finds what no library of expressions takes: parentheses and
// brackets that are not closed, and a quantifier of nothing.
func wrongExpression(s string) string {
	depth := 0
	for i := 0; i < len(s); {
		n := atom(s[i:])
		switch a := s[i : i+n]; {
		case a == "(":
			depth++
		case a == ")":
			if depth--; depth < 0 {
				return fmt.Sprintf(`pcre2_compile() failed: unmatched closing parenthesis in %q at %q`, s, s[i:])
			}
		case a[0] == '[' && (a[n-1] != ']' || n == 1):
			return fmt.Sprintf(`pcre2_compile() failed: missing terminating ] for character class in %q`, s)
		case a == `\`:
			return fmt.Sprintf(`pcre2_compile() failed: \ at end of pattern in %q`, s)
		case i == 0 && (a == "*" || a == "+" || a == "?"):
			return fmt.Sprintf(`pcre2_compile() failed: quantifier does not follow a repeatable item in %q at %q`, s, s)
		}
		i += n
	}
	if depth > 0 {
		return fmt.Sprintf(`pcre2_compile() failed: missing closing parenthesis in %q`, s)
	}
	return ""
}

func wrongErrorPage(args []string) string {
	for i, a := range args {
		if i == len(args)-1 || i == len(args)-2 && strings.HasPrefix(a, "=") {
			break
		}
		code, err := parseInt(a)
		switch {
		case err != nil || a == "499":
			return fmt.Sprintf("invalid value %q", a)
		case code < 300 || code > 599:
			return fmt.Sprintf("value %q must be between 300 and 599", a)
		}
	}
	return ""
}

// wrongCondition reads the words of an if, whose parentheses the lexer leaves on
// the first and the last.
func wrongCondition(args []string) string {
	last := len(args) - 1
	if !strings.HasPrefix(args[0], "(") || !strings.HasSuffix(args[last], ")") || last == 0 && len(args[0]) < 3 {
		return fmt.Sprintf("invalid condition %q", args[0])
	}
	words := slices.Clone(args) // each whole: a quoted one may hold spaces
	words[last] = strings.TrimSuffix(words[last], ")")
	if words[last] == "" {
		words = words[:last]
	}
	if words[0] = strings.TrimPrefix(words[0], "("); words[0] == "" {
		words = words[1:]
	}
	switch {
	case len(words) == 0:
		return fmt.Sprintf("invalid condition %q", args[0])
	case slices.Contains([]string{"-f", "!-f", "-d", "!-d", "-e", "!-e", "-x", "!-x"}, words[0]):
		if len(words) < 2 {
			return fmt.Sprintf("invalid condition %q", words[0])
		}
	case !strings.HasPrefix(words[0], "$"):
		return fmt.Sprintf("invalid condition %q", words[0])
	case len(words) == 1:
	case !slices.Contains([]string{"=", "!=", "~", "~*", "!~", "!~*"}, words[1]):
		return fmt.Sprintf("unexpected %q in condition", words[1])
	case len(words) == 2:
		return fmt.Sprintf("invalid condition %q", words[1])
	case strings.Contains(words[1], "~"):
		return wrongExpression(strings.Join(words[2:], " "))
	case len(words) > 3:
		return fmt.Sprintf("invalid condition %q", words[3])
	}
	return ""
}

func wrongName(name string) string {
	if expression, ok := strings.CutPrefix(name, "~"); ok {
		if expression == "" {
			return `empty regex in server name "~"`
		}
		return wrongExpression(expression)
	}
	return ""
}

var zoneParameter = regexp.MustCompile(`^(zone=[^:]+:.+|rate=.+|sync)$`)

// leastZone is 8 pages, below which nginx takes no shared memory.
const leastZone = 8 * 4096

func wrongZone(n *node) string {
	named := false
	for _, a := range n.args[min(1, len(n.args)):] {
		if !zoneParameter.MatchString(a) {
			if strings.HasPrefix(a, "zone=") {
				return fmt.Sprintf("invalid zone size %q", a)
			}
			return fmt.Sprintf("invalid parameter %q", a)
		}
		if zone, ok := strings.CutPrefix(a, "zone="); ok {
			named = true
			_, text, _ := strings.Cut(zone, ":")
			if size, err := ParseSize(text); err == nil && size < leastZone {
				return fmt.Sprintf("zone %q is too small", a)
			}
		}
	}
	if !named {
		return fmt.Sprintf(`%q must have "zone" parameter`, n.name)
	}
	return ""
}

// listenFlags and listenValues are the parameters of http's listen.
var (
	listenFlags  = []string{"default_server", "default", "bind", "ssl", "http2", "spdy", "quic", "proxy_protocol", "deferred", "reuseport", "multipath"}
	listenValues = []string{"setfib", "fastopen", "backlog", "rcvbuf", "sndbuf", "accept_filter", "ipv6only", "so_keepalive"}
	// listenSince are those that are not of old.
	listenSince = map[string]string{"quic": "1.25.0", "multipath": "1.29.7"}
)

func (d *decoder) wrongListen(args []string) string {
	for _, a := range args[min(1, len(args)):] {
		name, value, has := strings.Cut(a, "=")
		new, versionKnown := true, false
		if since := listenSince[name]; since != "" {
			new, versionKnown = d.cfg.Build.Since(since)
		}
		switch {
		case versionKnown && !new,
			!has && !slices.Contains(listenFlags, name),
			has && !slices.Contains(listenValues, name):
			return fmt.Sprintf("invalid parameter %q", a)
		case name == "ipv6only" && value != "on" && value != "off":
			return fmt.Sprintf("invalid ipv6only flags %q", value)
		case name == "so_keepalive" && !isKeepalive(value):
			return fmt.Sprintf("invalid so_keepalive value: %q", value)
		case name == "rcvbuf" || name == "sndbuf":
			if n, err := ParseSize(value); err != nil || n == 0 {
				return fmt.Sprintf("invalid %s %q", name, a)
			}
		}
	}
	return ""
}

// isKeepalive tells "on", "off" and "30m::10".
func isKeepalive(s string) bool {
	if s == "on" || s == "off" {
		return true
	}
	parts := strings.Split(s, ":")
	if len(parts) > 3 || strings.Trim(s, ":") == "" {
		return false
	}
	for i, p := range parts {
		if p == "" {
			continue
		}
		if i < 2 {
			if t, err := ParseSeconds(p); err != nil || t == 0 {
				return false
			}
		} else if n, err := parseInt(p); err != nil || n == 0 {
			return false
		}
	}
	return true
}
