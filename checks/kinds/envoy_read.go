package kinds

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// The settings of a way, but for those of the process.
var envoyWaySettings = slices.Concat(envoyTimes, []string{"max_connection_duration", "idle_timeout", "max_request_bytes",
	"max_active_downstream_connections", "tcp_backlog_size", "upstream", "access"}, envoyBreaker)

// pollPath is the route of a held poll.
const pollPath = "/notify_me_if_gm_version_updated"

// envoyStreaming are filters of HTTP that hold back no body.
var envoyStreaming = []string{"Router", "Buffer", "Cors", "CsrfPolicy", "HealthCheck", "JwtAuthentication", "RBAC", "LocalRateLimit", "RateLimit", "Compressor", "HeaderMutation"}

// readEnvoy reads the bootstrap that a command line names.
func readEnvoy(r facts.Root, p facts.Program) facts.Details {
	s := envoyFlags(p)
	fail := func(err error) facts.Details {
		d := unreadable(err)
		d.Settings = over(s, envoyUnread(err))
		return d
	}
	text, file, err := envoyBootstrap(r, p)
	if err != nil {
		return fail(err)
	}
	root, err := parseEnvoy(text, file)
	if err != nil {
		return fail(err)
	}
	passes, err := envoyPasses(root)
	if err != nil {
		return fail(err)
	}
	return facts.Details{Settings: s, Passes: facts.Value[[]facts.Pass]{V: passes, Source: file}}
}

// envoyUnread are settings of a way that nothing is known of.
func envoyUnread(err error) layer {
	s := layer{}
	for _, name := range envoyWaySettings {
		s[name] = unread(err)
	}
	return s
}

// envoyFlags are the settings that the command line has.
func envoyFlags(p facts.Program) layer {
	const name = "parent-shutdown-time-s"
	flags := []flag{{name: name, long: "--" + name, def: "900", exact: true}, {name: "alone", long: "--disable-hot-restart", alone: true}}
	s := over(defaults(flags, envoyDefault), commandLine{args: p.Args[1:], from: p.From, unexpanded: p.Unexpanded}.parse(flags))
	if alone := s["alone"]; alone.V == "true" {
		s[name] = known("0", p.From)
	}
	delete(s, "alone")
	return s
}

// envoyBootstrap is the text that the command line has or names.
func envoyBootstrap(r facts.Root, p facts.Program) (text, file string, err error) {
	flags := []flag{{name: "file", long: "--config-path", short: "-c", exact: true}, {name: "text", long: "--config-yaml", exact: true}}
	given := commandLine{args: p.Args[1:], from: p.From, unexpanded: p.Unexpanded}.parse(flags)
	name, hasFile := given["file"]
	inline, hasText := given["text"]
	switch {
	case hasFile && !name.Known():
		return "", "", fmt.Errorf("--config-path: %s", name.Why())
	case hasText && !inline.Known():
		return "", "", fmt.Errorf("--config-yaml: %s", inline.Why())
	case hasFile && hasText:
		return "", "", fmt.Errorf("%s: what --config-yaml adds to the file is not read", p.From)
	case hasText:
		return inline.V, p.From, nil
	case !hasFile:
		return "", "", fmt.Errorf("%s: no config is named", p.From)
	}
	if ext := path.Ext(name.V); strings.HasPrefix(ext, ".pb") || ext == ".prototxt" {
		return "", "", fmt.Errorf("%s: a config as %s is not read", p.From, ext)
	}
	return configFile(r, p, "", name.V)
}

// envoyConfig is a bootstrap, and what its parts need of each other.
type envoyConfig struct {
	clusters []envoyNode
	runtime  layer
	anywhere error // the runtime has values that the file does not
	passes   []envoyWay
}

// An envoyWay is one by a route: sure to take polls, perhaps, or none of them.
type envoyWay struct {
	facts.Pass
	rank int
}

// The ranks, the way of polls first.
const (
	envoySure = iota
	envoyPerhaps
	envoyNever
)

// envoyPasses are the ways of a bootstrap, those that polls take first.
func envoyPasses(root envoyNode) ([]facts.Pass, error) {
	for _, name := range []string{"lds_config", "cds_config", "ads_config"} {
		if d := root.get("dynamic_resources", name); d.set() {
			return nil, d.errorf("listeners or clusters come by xDS, and are not in the file")
		}
	}
	c := &envoyConfig{clusters: root.get("static_resources", "clusters").list(), runtime: layer{}}
	c.readRuntime(root)
	connections := envoyValue("")
	for _, m := range root.get("overload_manager", "resource_monitors").list() {
		if m.kind() == "DownstreamConnectionsConfig" {
			connections = envoyValue("", m.get("typed_config", "max_active_downstream_connections"))
		}
	}
	connections = c.ofRuntime("overload.global_downstream_max_connections", connections)
	for _, l := range root.get("static_resources", "listeners").list() {
		if err := c.listener(l, connections); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(c.passes, func(a, b envoyWay) int { return cmp.Compare(a.rank, b.rank) })
	out := []facts.Pass{}
	for _, w := range c.passes {
		out = append(out, w.Pass)
	}
	return out, nil
}

// readRuntime reads the static layers of the runtime; that of the admin page is empty
// at the start.
func (c *envoyConfig) readRuntime(root envoyNode) {
	for _, l := range root.get("layered_runtime", "layers").list() {
		for _, name := range []string{"disk_layer", "rtds_layer"} {
			if other := l.get(name); other.set() {
				c.anywhere = other.errorf("the values of %s are not in the file", name)
			}
		}
		c.flatten("", l.get("static_layer"))
	}
}

// flatten takes a runtime's values, by names with dots.
func (c *envoyConfig) flatten(prefix string, e envoyNode) {
	for key, v := range e.fields() {
		if v.text() != "" {
			c.runtime[prefix+key] = known(v.text(), v.at())
		}
		c.flatten(prefix+key+".", v)
	}
}

// ofRuntime is a value that the runtime may replace.
func (c *envoyConfig) ofRuntime(key string, v facts.Value[string]) facts.Value[string] {
	if r, ok := c.runtime[key]; ok {
		v = r
	}
	if c.anywhere != nil {
		return unread(c.anywhere)
	}
	return v
}

// listener adds the ways of one.
func (c *envoyConfig) listener(l envoyNode, connections facts.Value[string]) error {
	var from []string
	addresses := []envoyNode{l.get("address")}
	for _, more := range l.get("additional_addresses").list() {
		addresses = append(addresses, more.get("address"))
	}
	for _, a := range addresses {
		if address, err := a.address(); err == nil {
			from = append(from, address)
		}
	}
	own := c.ofRuntime("envoy.resource_limits.listener."+l.get("name").text()+".connection_limit", known("", envoyDefault))
	if own.V != "" || own.Err != "" {
		connections = own
	}
	for _, chain := range append(l.get("filter_chains").list(), l.get("default_filter_chain")) {
		way := layer{"tcp_backlog_size": envoyValue("", l.get("tcp_backlog_size")), "max_active_downstream_connections": connections}
		g := narrowest(envoyListenerGate(l), envoyChainGate(chain))
		for _, f := range chain.get("filters").list() {
			config := f.get("typed_config")
			var err error
			switch f.kind() {
			case "ConnectionLimit":
				way["max_active_downstream_connections"] = unread(f.errorf("what connection_limit lets in is not read"))
			case "HttpConnectionManager":
				err = c.manager(config, way, from, g)
			case "TcpProxy":
				s := over(envoyUnread(f.errorf("tcp_proxy is not read")), layer{"access": g.setting(f.at())})
				err = c.to(config, facts.Pass{From: from, Settings: s}, envoySure, "")
			case "":
				err = f.errorf("a filter without a typed_config is not read")
			default:
				g = narrowest(g, envoyMayKeep("the filter", f))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// manager adds the ways of a manager of HTTP connections.
func (c *envoyConfig) manager(m envoyNode, way layer, from []string, g gate) error {
	for _, d := range []envoyNode{m.get("rds"), m.get("scoped_routes"), m.get("route_config", "vhds")} {
		if d.set() {
			return d.errorf("routes come by xDS, and are not in the file")
		}
	}
	common := m.get("common_http_protocol_options")
	way = over(way, layer{
		"idle_timeout":            envoyValue("3600s", common.get("idle_timeout")),
		"max_connection_duration": envoyValue("", common.get("max_connection_duration")),
		"max_request_bytes":       envoyBody(m),
	})
	for _, host := range m.get("route_config", "virtual_hosts").list() {
		if tree := host.get("matcher"); tree.set() {
			return tree.errorf("a matcher of routes is not read")
		}
		keeps := narrowest(g, envoyFilterGate(m, host), envoyHostGate(host))
		taken := false // by a route that all polls match
		for _, route := range host.get("routes").list() {
			rank := envoyRank(route.get("match"))
			if taken {
				rank = envoyNever
			}
			taken = taken || rank == envoySure
			action := route.get("route")
			if !action.set() { // it redirects, or answers itself
				continue
			}
			retry := action.get("retry_policy")
			if !retry.set() {
				retry = host.get("retry_policy")
			}
			s := over(way, layer{
				"timeout":              envoyValue("15s", action.get("timeout")),
				"stream_idle_timeout":  envoyValue("300s", action.get("idle_timeout"), m.get("stream_idle_timeout")),
				"max_stream_duration":  envoyValue("", action.get("max_stream_duration", "max_stream_duration"), common.get("max_stream_duration")),
				"per_try_timeout":      envoyValue("", retry.get("per_try_timeout")),
				"per_try_idle_timeout": envoyValue("", retry.get("per_try_idle_timeout")),
				"access":               keeps.setting(route.at()),
			})
			for _, at := range []envoyNode{route, host, m.get("route_config")} {
				if filters := at.get("typed_per_filter_config"); filters.set() {
					s["max_request_bytes"] = unread(filters.errorf("what it sets of filters is not read"))
				}
			}
			if err := c.to(action, facts.Pass{From: from, Settings: s}, rank, strings.ToLower(cmp.Or(action.get("priority").text(), "default"))); err != nil {
				return err
			}
		}
	}
	return nil
}

// envoyBody is the largest body: that of the buffer filter; without one there is none.
func envoyBody(m envoyNode) facts.Value[string] {
	v := known("", envoyDefault)
	for _, f := range m.get("http_filters").list() {
		kind := f.kind()
		if !slices.Contains(envoyStreaming, kind) {
			return unread(f.errorf("whether the filter %s bounds bodies is not known", cmp.Or(kind, f.get("name").text())))
		}
		if kind == "Buffer" {
			v = envoyValue("", f.get("typed_config", "max_request_bytes"))
		}
	}
	return v
}

// envoyRank says whether a route takes polls.
func envoyRank(match envoyNode) int { return envoyTakes(match, pollPath) }

// envoyTakes says whether a route takes requests for a path.
func envoyTakes(match envoyNode, asked string) int {
	rank := envoySure
	for key, v := range match.fields() {
		taken := true
		switch plainField(key) {
		case "prefix":
			taken = strings.HasPrefix(asked, v.text())
		case "path", "pathseparatedprefix":
			taken = v.text() == asked
		case "saferegex":
			re, err := regexp.Compile(`\A(?:` + v.get("regex").text() + `)\z`)
			if err != nil {
				rank = envoyPerhaps
				continue
			}
			taken = re.MatchString(asked)
		case "connectmatcher":
			taken = false
		default:
			rank = envoyPerhaps
		}
		if !taken {
			return envoyNever
		}
	}
	return rank
}
