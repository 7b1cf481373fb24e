package nginx

import (
	"cmp"
	"strconv"
	"strings"
)

func (d *decoder) config(top *node) {
	l := d.level(nil, top)
	d.foreign(top, map[string]bool{})
	d.logs(top, map[string]bool{})
	d.touches(top)
	d.cfg.Main = d.main(l)

	events := &level{broken: l.broken, d: d}
	if n := d.only(l, "events"); n != nil {
		events = d.level(nil, n)
	} else if l.broken == "" {
		d.problems.add(true, "", `no "events" section in configuration`)
	}
	d.cfg.Events = d.events(events)

	if n := d.only(l, "http"); n != nil {
		http := d.level(l, n)
		if d.defaults {
			http.up, http.defaults = nil, true
		}
		d.httpBlock(http, n)
	}
	for _, kind := range []string{"stream", "mail"} {
		if n := d.only(l, kind); n != nil {
			d.other(kind, n)
		}
	}
	d.cfg.Incomplete = l.broken
	if d.http != nil && d.http.broken != "" {
		d.cfg.Incomplete = d.http.broken
	}
	d.cfg.Outside = d.outside(d.cfg.Incomplete)
	d.via()
}

// only is the one block of that name.
func (d *decoder) only(l *level, name string) *node {
	found := l.own[name]
	if len(found) == 0 {
		return nil
	}
	if len(found) > 1 {
		d.refuse(found[1], "%q directive is duplicate", name)
	}
	return found[0]
}

func (d *decoder) main(l *level) Main {
	m := Main{
		User:                  l.word("user", d.compiled(d.cfg.Build.User)),
		PID:                   l.word("pid", d.compiled(d.cfg.Build.PIDPath)),
		WorkerRlimitNofile:    l.number("worker_rlimit_nofile", is("0")),
		WorkerShutdownTimeout: l.duration("worker_shutdown_timeout", is("0")),
		ErrorLog:              l.lines("error_log", d.compiled(d.cfg.Build.ErrorLogPath)),
		Daemon:                l.flag("daemon", is("on")),
		MasterProcess:         l.flag("master_process", is("on")),
		WorkerProcesses: scalar(l, "worker_processes", is("1"), one(func(s string) (int64, error) {
			if s == "auto" {
				return 0, nil
			}
			n, err := parseInt(s)
			if err != nil {
				return 0, errValue
			}
			return n, nil
		})),
	}
	if m.WorkerProcesses.Raw == "0" {
		m.WorkerProcesses.Err = "0 starts no worker at all"
	}
	for _, n := range l.own["load_module"] {
		m.Modules = append(m.Modules, Line{Text: strings.Join(n.args, " "), Source: n.source()})
	}
	return m
}

func (d *decoder) events(l *level) Events {
	return Events{
		WorkerConnections: l.number("worker_connections", is("512")),
		AcceptMutex:       l.flag("accept_mutex", d.since("1.11.3", "off", "on")),
		AcceptMutexDelay:  l.duration("accept_mutex_delay", is("500ms")),
		MultiAccept:       l.flag("multi_accept", is("off")),
		Use:               l.word("use", is("")),
	}
}

// foreign lists the directives of no table, where tables apply at all.
func (d *decoder) foreign(top *node, seen map[string]bool) {
	for _, n := range top.block {
		if len(d.cfg.Build.masks(n.name)) == 0 && n.name != "include" {
			if d.cfg.Build.mayKnow(n.name) && !seen[n.name] {
				seen[n.name] = true
				d.cfg.Foreign = append(d.cfg.Foreign, Line{Text: n.text(), Source: n.source()})
			}
			continue // what an unknown block holds is its own affair
		}
		switch n.name {
		case "events", "http", "server", "location", "upstream", "if", "limit_except", "stream", "mail":
			d.foreign(n, seen)
		}
	}
}

// touches lists what nginx does when it reads a config beside reading it.
func (d *decoder) touches(block *node) {
	for _, n := range block.block {
		switch {
		case len(n.args) > 0 && (strings.HasSuffix(n.name, "_temp_path") || strings.HasSuffix(n.name, "_cache_path")):
			d.cfg.Temps = append(d.cfg.Temps, n.args[0])
		case n.name == "ssl_engine" || n.name == "perl" || strings.HasPrefix(n.name, "perl_") || strings.HasPrefix(n.name, "init_by_lua") || strings.HasPrefix(n.name, "js_") || len(d.cfg.Build.masks(n.name)) == 0 && n.name != "include" && block.name != "map" && block.name != "types" && block.name != "geo":
			d.cfg.Code = append(d.cfg.Code, Line{Text: n.name, Source: n.source()})
		}
		d.touches(n)
	}
}

// logs lists the files that nginx logs to. A name with a variable is opened for
// each request; syslog and memory are no files.
func (d *decoder) logs(block *node, seen map[string]bool) {
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			d.cfg.Logs = append(d.cfg.Logs, name)
		}
	}
	own := map[string]bool{}
	for _, n := range block.block {
		if n.name != "access_log" && n.name != "error_log" || len(n.args) == 0 {
			d.logs(n, seen)
			continue
		}
		own[n.name] = true
		to := n.args[0]
		if to == "stderr" || n.name == "access_log" && (to == "off" || HasVariables(to)) || strings.HasPrefix(to, "syslog:") || strings.HasPrefix(to, "memory:") {
			continue
		}
		add(to)
	}
	switch { // nginx adds its own
	case block.name == "" && !own["error_log"]:
		add(cmp.Or(d.cfg.Build.ErrorLogPath, "default error_log"))
	case block.name == "http" && !own["access_log"]:
		add(cmp.Or(d.cfg.Build.AccessLogPath, "default access_log"))
	}
}

func (d *decoder) httpBlock(l *level, block *node) {
	d.http = l
	d.zones(l)
	l.effective("proxy") // for what is wrong with it, be there a server or not
	for _, n := range l.own["upstream"] {
		d.upstream(n)
	}
	d.cfg.Servers = make([]Server, 0, len(l.own["server"]))
	for _, n := range l.own["server"] {
		d.cfg.Servers = append(d.cfg.Servers, d.server(l, n))
	}
	d.certificates(l.own["server"])
	d.refusals(block)
}

func (d *decoder) zones(l *level) {
	for _, n := range l.block {
		kind, ok := strings.CutSuffix(n.name, "_zone")
		if !ok || kind != "limit_req" && kind != "limit_conn" || len(n.args) < 2 {
			continue
		}
		z := Zone{Kind: kind, Key: n.args[0], Source: n.source()}
		for _, arg := range n.args[1:] {
			name, value, _ := strings.Cut(arg, "=")
			switch name {
			case "zone":
				zone, size, _ := strings.Cut(value, ":")
				n64, err := ParseSize(size)
				if err != nil {
					d.refuse(n, "invalid zone size %q", arg)
				}
				z.Name, z.Size = zone, n64
			case "rate":
				number, unit := strings.CutSuffix(value, "r/s")
				per := 1.0
				if !unit {
					number, unit = strings.CutSuffix(value, "r/m")
					per = 60
				}
				rate, err := parseInt(number)
				if err != nil || !unit && number != value || rate == 0 {
					d.refuse(n, "invalid rate %q", arg)
				}
				z.Rate = float64(rate) / per
			}
		}
		if kind == "limit_req" && z.Rate == 0 {
			z.Rate = 1 // nginx's own when none is given
		}
		d.cfg.Zones = append(d.cfg.Zones, z)
	}
}

func (d *decoder) server(http *level, n *node) Server {
	l := d.level(http, n)
	s := Server{
		Source:                    n.source(),
		Incomplete:                l.broken,
		ClientHeaderTimeout:       l.duration("client_header_timeout", is("60s")),
		ClientHeaderBufferSize:    l.size("client_header_buffer_size", is("1k")),
		LargeClientHeaderBuffers:  l.buffers("large_client_header_buffers", is("4 8k")),
		HTTP2:                     l.flag("http2", is("off")),
		HTTP2MaxConcurrentStreams: l.number("http2_max_concurrent_streams", is("128")),
		MergeSlashes:              l.flag("merge_slashes", is("on")),
		SSLCertificate:            l.words("ssl_certificate", is("")),
		SSLCertificateKey:         l.words("ssl_certificate_key", is("")),
		SSLProtocols:              l.words("ssl_protocols", d.sslProtocols()),
		SSLVerifyClient:           l.enum("ssl_verify_client", is("off"), "off", "on", "optional", "optional_no_ca"),
		SSLRejectHandshake:        l.flag("ssl_reject_handshake", is("off")),
		Effective:                 l.effective("proxy"),
	}
	for _, n := range l.own["server_name"] {
		s.Names = append(s.Names, n.args...)
	}
	if s.Names == nil {
		s.Names = []string{""}
	}
	s.Listen = d.listen(len(d.cfg.Servers), "http", l)
	s.Return, s.Rewrites, s.Blocks = d.rewrites(l)
	s.Locations = d.locations(l, nil)
	return s
}

func (d *decoder) sslProtocols() dflt {
	newest := d.since("1.27.3", "TLSv1.2 TLSv1.3", "")
	if newest.err == "" && newest.text == "" {
		return d.since("1.23.4", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", "TLSv1 TLSv1.1 TLSv1.2")
	}
	if newest.err != "" {
		newest.err = "the default hangs on nginx's version, which is unknown: TLSv1 and TLSv1.1 are in it before 1.27.3"
	}
	return newest
}

// rewrites collects what answers or redirects by itself, and the blocks whose
// content depends on the request.
func (d *decoder) rewrites(l *level) (ret *Return, rewrites []Rewrite, blocks []Block) {
	for _, n := range l.block {
		switch n.name {
		case "return":
			if r := d.ret(n); ret == nil {
				ret = r
			}
		case "rewrite":
			r := Rewrite{Line: Line{Text: n.text(), Source: n.source()}}
			if len(n.args) > 0 {
				r.Pattern = n.args[0]
			}
			if len(n.args) == 3 {
				r.Flag = n.args[2]
			}
			rewrites = append(rewrites, r)
		case "if", "limit_except":
			b := Block{Kind: n.name, Args: strings.Join(n.args, " "), Source: n.source()}
			for _, in := range n.block {
				b.Lines = append(b.Lines, Line{Text: in.text(), Source: in.source()})
				if kind := passKind(in); kind != "" && b.Pass == nil {
					b.Pass = d.pass(l, in, kind, n.name)
				}
			}
			blocks = append(blocks, b)
		}
	}
	return ret, rewrites, blocks
}

func (d *decoder) ret(n *node) *Return {
	r := &Return{Source: n.source()}
	if len(n.args) == 0 {
		return r
	}
	code, err := strconv.Atoi(n.args[0])
	switch {
	case err == nil && code >= 0 && code <= 999:
		r.Code, r.Text = code, strings.Join(n.args[1:], " ")
	case len(n.args) == 1 && (strings.HasPrefix(n.args[0], "http://") || strings.HasPrefix(n.args[0], "https://") || strings.HasPrefix(n.args[0], "$")):
		r.Code, r.Text = 302, n.args[0]
	default:
		d.refuse(n, "invalid return code %q", n.args[0])
	}
	return r
}

func (d *decoder) locations(l *level, within *Location) []Location {
	if l.own["location"] == nil {
		return nil
	}
	all := make([]Location, 0, len(l.own["location"]))
	seen := map[string]bool{}
	for _, n := range l.own["location"] {
		if !n.isBlock {
			continue
		}
		loc, ok := d.location(l, n)
		if !ok {
			continue
		}
		key := loc.Pattern
		switch loc.Kind {
		case Exact:
			key = "= " + key
		case Regex, RegexNoCase, Named: // nginx takes a name twice
			key = ""
		}
		if key != "" && seen[key] {
			d.refuse(n, "duplicate location %q", loc.Pattern)
			continue
		}
		seen[key] = true
		if within != nil {
			switch {
			case within.Kind == Exact:
				d.refuse(n, "location %q cannot be inside the exact location %q", loc.Pattern, within.Pattern)
			case within.Kind == Named:
				d.refuse(n, "location %q cannot be inside the named location %q", loc.Pattern, within.Pattern)
			case loc.Kind == Named:
				d.refuse(n, "named location %q can be on the server level only", loc.Pattern)
			case loc.Kind != Regex && loc.Kind != RegexNoCase &&
				!strings.HasPrefix(loc.Pattern, within.Pattern):
				d.refuse(n, "location %q is outside location %q", loc.Pattern, within.Pattern)
			}
		}
		all = append(all, loc)
	}
	return all
}

func (d *decoder) location(up *level, n *node) (Location, bool) {
	loc := Location{Source: n.source()}
	switch len(n.args) {
	case 1:
		loc.Kind, loc.Pattern = splitLocation(n.args[0])
	case 2:
		loc.Kind, loc.Pattern = LocationKind(n.args[0]), n.args[1]
		switch loc.Kind {
		case Exact, PrefixFinal, Regex, RegexNoCase:
		default:
			d.refuse(n, "invalid location modifier %q", n.args[0])
			return loc, false
		}
	default:
		return loc, false
	}
	l := d.level(up, n)
	loc.Incomplete = l.broken
	loc.Effective = l.effective(passedBy(n))
	loc.Internal = l.own["internal"] != nil
	loc.Return, loc.Rewrites, loc.Blocks = d.rewrites(l)
	for _, s := range l.own["try_files"] {
		loc.TryFiles = s.args
	}
	for _, s := range n.block {
		if kind := passKind(s); kind != "" {
			if loc.Pass != nil {
				d.refuse(s, "%q directive is duplicate", s.name)
				continue
			}
			context := ""
			switch loc.Kind {
			case Regex, RegexNoCase, Named:
				context = "location"
			}
			loc.Pass = d.pass(l, s, kind, context)
		}
	}
	loc.Locations = d.locations(l, &loc)
	return loc, true
}

// splitLocation reads a location whose modifier stands without a space:
// "=/x", "~\.php$".
func splitLocation(s string) (LocationKind, string) {
	for _, kind := range []LocationKind{Exact, PrefixFinal, RegexNoCase, Regex} {
		if rest, ok := strings.CutPrefix(s, string(kind)); ok {
			return kind, rest
		}
	}
	if strings.HasPrefix(s, "@") {
		return Named, s
	}
	return Prefix, s
}

func (d *decoder) other(kind string, block *node) {
	l := d.level(nil, block)
	upstreams := map[string][]string{}
	for _, u := range l.own["upstream"] {
		for _, s := range u.block {
			if s.name == "server" && len(u.args) == 1 && len(s.args) > 0 {
				upstreams[u.args[0]] = append(upstreams[u.args[0]], s.args[0])
			}
		}
	}
	for _, n := range l.own["server"] {
		s := d.level(l, n)
		o := Other{Kind: kind, Source: n.source(), ProxyTimeout: s.duration("proxy_timeout", is("10m")), ProxyConnectTimeout: s.duration("proxy_connect_timeout", is("60s"))}
		for _, p := range append(s.own["proxy_pass"], s.own["pass"]...) {
			o.Pass = strings.Join(p.args, " ")
		}
		if o.Peers = upstreams[o.Pass]; o.Peers == nil && o.Pass != "" && !HasVariables(o.Pass) {
			o.Peers = []string{o.Pass}
		}
		d.listen(len(d.cfg.Others), kind, s)
		d.cfg.Others = append(d.cfg.Others, o)
	}
}
