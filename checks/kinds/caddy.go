package kinds

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/fltool/fltool/checks/facts"
)

// Caddy is Caddy as a reverse proxy, by a Caddyfile or by its own JSON.
var Caddy = &Kind{
	Spec: facts.Spec{
		Kind: "caddy", Role: facts.RoleProxy,
		Match: func(args []string) bool { return path.Base(args[0]) == "caddy" },
		Read:  readCaddy,
	},
	Source: "Caddy's documentation of reverse_proxy and servers; Caddy 2.6.2, measured",
	Proof:  "caddy-connections",

	Holds: func(h Hop) Answer[Bound] {
		v := h.Text("max_conns_per_host")
		if v.Known() && v.V == "" {
			return is(Bound{Unlimited, Unlimited, ""}, "no limit", v.Source)
		}
		n := h.Count("max_conns_per_host")
		if !n.Known() {
			return cant[Bound]("max_conns_per_host", n)
		}
		return is(Bound{n.V, n.V, "waits for a connection"}, fmt.Sprintf("max_conns_per_host %d", n.V), n.Source).
			settable(func(n int64) string { return fmt.Sprintf("max_conns_per_host %d", n) })
	},
	Connections: always(na[Bound]("Caddy bounds no connections")),
	Tasks:       always(is(int64(0), "no thread", caddyDocs)),
	Descriptors: always(is(Files{Own: 20, Poll: 2}, "two a poll", "measured")),
	Memory:      always(is(Cost{Most: 80 << 10, Least: 62 << 10}, "62 to 80 KiB a poll", "measured, and the kernel's part")),
	Silence: func(h Hop) Answer[time.Duration] {
		least := is(Forever, "no timeout", caddyDefault)
		for _, name := range []string{"response_header_timeout", "read_timeout", "write"} { // read_body does not cut what was read: measured
			v := h.caddyTime(name)
			switch {
			case !v.Known():
				return cant[time.Duration](name, v)
			case v.V > 0 && (least.V == Forever || v.V < least.V):
				least = is(v.V, name+" "+Short(v.V), v.Source).settable(func(n int64) string { return fmt.Sprintf("%s %ds", name, n) })
			}
		}
		return least
	},
	Body: func(h Hop) Answer[int64] {
		v := h.Text("max_size")
		switch {
		case !v.Known():
			return cant[int64]("request_body max_size", v)
		case v.V == "":
			return is(Unlimited, "no limit", v.Source)
		}
		n, err := humanize.ParseBytes(v.V)
		if err != nil || n > 1<<60 {
			return unknown[int64](v.Source + ": max_size is no size")
		}
		return is(int64(n), v.V, v.Source).settable(func(n int64) string { return fmt.Sprintf("request_body max_size %dMB", n/1e6+1) })
	},
	Keepalive: func(h Hop) Answer[time.Duration] {
		v := h.caddyTime("idle")
		if !v.Known() {
			return cant[time.Duration]("idle", v)
		}
		return is(v.V, Short(v.V), v.Source).settable(func(n int64) string { return fmt.Sprintf("servers { timeouts { idle %ds } }", n) })
	},
	Restart: func(h Hop) Answer[Ending] {
		v := h.caddyTime("grace_period")
		switch {
		case !v.Known():
			return cant[Ending]("grace_period", v)
		case v.V == 0:
			return is(Ending{Grace: Forever, Does: "a reload waits for held polls, a restart cuts them"}, "a reload waits, a restart cuts", v.Source)
		}
		return is(Ending{Grace: v.V, Does: "cuts polls after " + Short(v.V)}, "grace_period "+Short(v.V), v.Source).
			settable(func(n int64) string { return fmt.Sprintf("grace_period %ds", n) })
	},
	State:   always(is(int64(0), "none", caddyDocs)),
	Backlog: always(is(Unlimited, "as much as the kernel gives", "Go's net package")),
	Peers:   spread,
	Access:  access,
	Mend:    inConfig,
}

const (
	caddyDocs    = "Caddy's documentation"
	caddyDefault = "Caddy's default"
)

// caddyTime is a setting that is a time of Go's, 0 where none is set.
func (h Hop) caddyTime(name string) facts.Value[time.Duration] {
	return convert(name, h.Settings.Get(name), func(s string) (time.Duration, error) {
		if s == "" || s == "0" {
			return 0, nil
		}
		if days, ok := strings.CutSuffix(s, "d"); ok {
			s = days + "h"
			d, err := time.ParseDuration(s)
			return 24 * d, err
		}
		d, err := time.ParseDuration(s)
		if err == nil && d < 0 {
			err = errors.New("a time below zero")
		}
		return d, err
	})
}

// readCaddy reads the config that a command line names: a Caddyfile, or JSON.
func readCaddy(r facts.Root, p facts.Program) facts.Details {
	name, adapter := "Caddyfile", ""
	for i, arg := range p.Args[1:] {
		word, value, inline := strings.Cut(arg, "=")
		if !inline && i+2 < len(p.Args) {
			value = p.Args[i+2]
		}
		switch word {
		case "--config", "-config", "-c":
			name = value
		case "--adapter", "-adapter", "-a":
			if adapter = value; adapter != "caddyfile" {
				return unreadable(fmt.Errorf("%s: the config of adapter %s is not read", p.From, value))
			}
		case "--resume", "-resume":
			return unreadable(fmt.Errorf("%s: what --resume loads is not read", p.From))
		}
	}
	text, file, err := configFile(r, p, "", name)
	if err != nil {
		return unreadable(err)
	}
	if base := path.Base(name); adapter == "" && !strings.HasPrefix(base, "Caddyfile") && !strings.HasSuffix(base, ".caddyfile") { // as Caddy itself decides
		s, passes, err := parseCaddyJSON(text, file)
		if err != nil {
			return unreadable(err)
		}
		return facts.Details{Settings: s, Passes: facts.Value[[]facts.Pass]{V: passes, Source: file}}
	}
	lines, err := parseCaddyfile(text, file)
	if err != nil {
		return unreadable(err)
	}
	s, passes := caddySettings(lines)
	return facts.Details{Settings: s, Passes: facts.Value[[]facts.Pass]{V: passes, Source: file}}
}

// caddyDefaults are what counts where nothing is set.
func caddyDefaults() layer {
	all := layer{"idle": known("5m", caddyDefault)}
	for _, name := range []string{"write", "grace_period", "max_size", "response_header_timeout", "read_timeout", "max_conns_per_host"} {
		all[name] = known("", caddyDefault)
	}
	return all
}

// caddySettings are those of all, and of each way on.
func caddySettings(lines []caddyLine) (layer, []facts.Pass) {
	all := caddyDefaults()
	passes := []facts.Pass{}
	ordered, listening := false, gate{}
	for i, l := range lines {
		if len(l.words) == 0 { // global options
			if i == 0 {
				caddyFind(l.block, all, "idle", "write", "grace_period")
				ordered, listening = caddyGlobal(l.block)
			}
			continue
		}
		if strings.HasPrefix(l.words[0], "(") || len(l.block) == 0 {
			continue
		}
		site := over(layer{}, all)
		caddyFind(l.block, site, "max_size")
		var from []string
		for _, address := range l.words {
			from = append(from, strings.TrimSuffix(address, ","))
		}
		passes = append(passes, newCaddySite(l.block, ordered).ways(l.block, false, site, from, "", listening)...)
	}
	return all, passes
}

// caddyFind sets settings from wherever in the lines they stand.
func caddyFind(lines []caddyLine, into layer, names ...string) {
	for _, l := range lines {
		if len(l.words) == 2 && slices.Contains(names, l.words[0]) {
			into[l.words[0]] = known(l.words[1], l.at)
			if strings.Contains(l.words[1], "{") {
				into[l.words[0]] = unread(fmt.Errorf("%s: %s is known to Caddy alone", l.at, l.words[1]))
			}
		}
		caddyFind(l.block, into, names...)
	}
}

// ways are the reverse_proxy in lines; g is what keeps workers from these, and literal
// says that they run in the order of the file.
func (c *caddySite) ways(lines []caddyLine, literal bool, site layer, from []string, base string, g gate) (out []facts.Pass) {
	for i, l := range lines {
		if len(l.words) == 0 || l.words[0] != "reverse_proxy" {
			if len(l.words) > 0 && len(l.block) > 0 {
				below := base + caddyBase(l)
				out = append(out, c.ways(l.block, l.words[0] == "route", site, from, below, narrowest(g, c.before(lines, i, literal, below)))...)
			}
			continue
		}
		s := over(layer{}, site)
		s["access"] = narrowest(g, c.before(lines, i, literal, base+caddyBase(l))).setting(l.at)
		caddyFind(l.block, s, "response_header_timeout", "read_timeout", "max_conns_per_host")
		targets := l.words[1:]
		for _, in := range l.block {
			if len(in.words) > 0 && in.words[0] == "to" {
				targets = append(slices.Clone(targets), in.words[1:]...)
			}
		}
		targets = slices.DeleteFunc(slices.Clone(targets), func(to string) bool {
			return strings.HasPrefix(to, "@") || strings.HasPrefix(to, "/") || to == "*" // a matcher
		})
		policy := layer{}
		caddyFind(l.block, policy, "lb_policy")
		for _, in := range l.block {
			if len(in.words) > 2 && in.words[0] == "lb_policy" { // with an argument
				policy["lb_policy"] = known(in.words[1], in.at)
			}
		}
		s = over(s, peersOf(targets, caddySticky(policy["lb_policy"]), l.at))
		for _, to := range targets {
			out = append(out, facts.Pass{To: caddyTarget(to), From: from, Settings: s, Source: l.at})
		}
	}
	return out
}

// caddySticky is a policy by which all requests of a worker go to one upstream; "" of
// others, and where none is set, which is random.
func caddySticky(policy facts.Value[string]) facts.Value[string] {
	switch {
	case policy.Err == "" && policy.Source == "":
		return known("", caddyDefault)
	case !policy.Known():
		return policy
	case slices.Contains([]string{"ip_hash", "client_ip_hash", "header", "cookie", "query", "first"}, policy.V):
		return known("lb_policy "+policy.V, policy.Source)
	}
	return known("", policy.Source)
}

// caddyTarget is an upstream as facts write it.
func caddyTarget(to string) string {
	if file, ok := strings.CutPrefix(to, "unix/"); ok {
		to = "unix:" + file
	} else if strings.Contains(to, "://") {
		to = urlTarget(to)
	}
	return hostPort(to)
}
