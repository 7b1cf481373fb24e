package nginx

import (
	"fmt"
	"slices"
	"strings"
)

// refusals are what nginx says of http when it has read all of it.
func (d *decoder) refusals(http *node) {
	var walk func(n *node)
	walk = func(n *node) {
		for _, s := range n.block {
			if placed(s) && s.wrong == "" {
				if why := d.wrongWords(s); why != "" {
					s.wrong = d.refuse(s, "%s", why)
				}
			}
			switch s.name {
			case "server", "location", "if", "limit_except":
				walk(s)
			case "map", "geo", "split_clients":
				d.parameters(s)
			}
		}
		d.sameZone(n, "limit_req")
		d.sameZone(n, "limit_conn")
		d.rootAndAlias(n)
	}
	walk(http)
	d.boundZones(http)
	d.formats(http)
	d.undefinedVariables(http)
}

// placed tells statements that nginx's own modules read.
func placed(n *node) bool { return !strings.HasSuffix(n.name, "_block") }

// parameters judges the inside of the blocks that are lists.
func (d *decoder) parameters(block *node) {
	seen := map[string]bool{}
	for _, s := range block.block {
		key := s.name
		switch block.name {
		case "map":
			special := slices.Contains([]string{"hostnames", "volatile"}, key) && len(s.args) == 0
			switch {
			case special || key == "include":
				continue
			case len(s.args) != 1:
				d.refuse(s, "invalid number of the map parameters")
			case seen[key] && !strings.HasPrefix(key, "~"):
				d.refuse(s, "conflicting parameter %q", key)
			case strings.HasPrefix(key, "~"):
				if why := wrongExpression(strings.TrimPrefix(strings.TrimPrefix(key, "~"), "*")); why != "" {
					d.refuse(s, "%s", why)
				}
			}
		case "geo":
			if slices.Contains([]string{"include", "proxy", "proxy_recursive", "ranges", "delete", "default"}, key) {
				continue
			}
			if len(s.args) != 1 {
				d.refuse(s, "invalid number of the geo parameters")
			} else if !isNetwork(key) && !strings.Contains(key, "-") {
				d.refuse(s, "invalid network %q", key)
			}
		case "split_clients":
			if len(s.args) == 1 && key != "*" && !strings.HasSuffix(key, "%") {
				d.refuse(s, "invalid percent value %q", key)
			}
		}
		seen[key] = true
	}
}

// sameZone refuses a zone that one block names twice.
func (d *decoder) sameZone(block *node, name string) {
	seen := map[string]bool{}
	for _, s := range block.block {
		if s.name != name || len(s.args) == 0 {
			continue
		}
		zone := s.args[0]
		for _, a := range s.args {
			if strings.HasPrefix(a, "zone=") {
				zone = a
			}
		}
		if seen[zone] {
			d.refuse(s, "%q directive is duplicate", name)
		}
		seen[zone] = true
	}
}

func (d *decoder) rootAndAlias(block *node) {
	first := ""
	for _, s := range block.block {
		if s.name != "root" && s.name != "alias" {
			continue
		}
		if first != "" && first != s.name {
			d.refuse(s, "%q directive is duplicate, %q directive was specified earlier", s.name, first)
		}
		first = s.name
	}
}

// boundZones refuses shared memory of one name for two keys.
func (d *decoder) boundZones(http *node) {
	key := map[string]string{}
	for _, s := range http.block {
		if s.name != "limit_req_zone" && s.name != "limit_conn_zone" || len(s.args) < 2 {
			continue
		}
		for _, a := range s.args[1:] {
			zone, ok := strings.CutPrefix(a, "zone=")
			if !ok {
				continue
			}
			name, _, _ := strings.Cut(zone, ":")
			if bound, again := key[name]; again {
				d.refuse(s, "%s %q is already bound to key %q", s.name, name, bound)
			}
			key[name] = s.args[0]
		}
	}
}

// formats refuses logs in a format that is not defined.
func (d *decoder) formats(http *node) {
	if http.broken != "" || d.defaults {
		return
	}
	defined := map[string]bool{"combined": true}
	for _, s := range http.block {
		if s.name == "log_format" && len(s.args) > 0 {
			defined[s.args[0]] = true
		}
	}
	var walk func(n *node)
	walk = func(n *node) {
		for _, s := range n.block {
			if s.name == "access_log" && len(s.args) > 1 && !strings.Contains(s.args[1], "=") && s.args[1] != "gzip" && !defined[s.args[1]] {
				d.refuse(s, "unknown log format %q", s.args[1])
			}
			walk(s)
		}
	}
	walk(http)
}

// certificates refuses TLS without one: what the default server of a socket has
// counts, unless it rejects handshakes.
func (d *decoder) certificates(nodes []*node) {
	for _, socket := range d.cfg.Sockets {
		if socket.Kind != "http" || !socket.SSL || socket.DefaultServer >= len(nodes) {
			continue
		}
		s := &d.cfg.Servers[socket.DefaultServer]
		reject := s.SSLRejectHandshake
		if !s.SSLCertificate.Known() || len(s.SSLCertificate.V) > 0 || !reject.Known() || reject.V || s.Incomplete != "" {
			continue
		}
		d.problems.add(true, s.Source, "%s", `no "ssl_certificate" is defined for the "listen ... ssl" directive`)
	}
	for i := range d.cfg.Servers {
		s := &d.cfg.Servers[i]
		certificate, key := s.SSLCertificate, s.SSLCertificateKey
		if certificate.Known() && key.Known() && len(certificate.V) > len(key.V) {
			d.problems.add(true, certificate.Source, "%s", fmt.Sprintf(`no "ssl_certificate_key" is defined for certificate %q`, certificate.V[len(key.V)]))
		}
	}
}
