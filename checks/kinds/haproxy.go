package kinds

import (
	"fmt"
	"path"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// HAProxy is HAProxy. What it holds depends on the way from frontend to server:
// settings without a level in their name are of the whole process.
var HAProxy = &Kind{
	Spec: facts.Spec{
		Kind: "haproxy", Role: facts.RoleProxy,
		Match: func(args []string) bool { return path.Base(args[0]) == "haproxy" },
		Read:  readHAProxy,
	},
	Source: "HAProxy's configuration manual; HAProxy 2.6, measured",
	Proof:  "haproxy-maxconn, haproxy-server-maxconn",

	Holds: func(h Hop) Answer[Bound] {
		most, least := haproxySetting(h, "server.maxconn", haproxyCount), haproxySetting(h, "server.minconn", haproxyCount)
		set := func(n int64) string { return fmt.Sprintf("maxconn %d on its server line", n) }
		queue := haproxySetting(h, "timeout.queue", haproxyTime)
		if queue.Known() && queue.V == 0 {
			queue = haproxySetting(h, "timeout.connect", haproxyTime)
		}
		beyond := "waits in a queue"
		if queue.V > 0 {
			beyond += ", then gets a 503 after " + Short(queue.V)
		}
		switch {
		case !most.Known():
			return cant[Bound]("maxconn of the server", most)
		case !least.Known():
			return cant[Bound]("minconn of the server", least)
		case most.V < 0:
			return is(Bound{Unlimited, Unlimited, ""}, "no maxconn on the server", most.Source)
		case least.V > 0 && least.V < most.V: // as many while the backend is far from fullconn
			return is(Bound{least.V, most.V, beyond}, fmt.Sprintf("minconn %d, maxconn %d", least.V, most.V), most.Source).settable(set)
		}
		return is(Bound{most.V, most.V, beyond}, fmt.Sprintf("maxconn %d", most.V), most.Source).settable(set)
	},
	Connections: haproxyConnections,
	Tasks:       always(is(int64(0), "no thread", haproxyDocs)),
	Descriptors: always(is(Files{Own: haproxyOwn, Poll: 2}, "two a poll", "measured")),
	Memory:      always(is(Cost{Most: 16 << 10, Least: 5 << 10}, "5 to 16 KiB a poll", "4.8 KiB measured, and the kernel's part")),
	Silence: func(h Hop) Answer[time.Duration] {
		client, server := haproxySetting(h, "timeout.client", haproxyTime), haproxySetting(h, "timeout.server", haproxyTime)
		tunnel, mode := haproxySetting(h, "timeout.tunnel", haproxyTime), h.Text("frontend.mode")
		switch {
		case !mode.Known():
			return cant[time.Duration]("mode", mode)
		case !server.Known():
			return cant[time.Duration]("timeout server", server)
		case mode.V == "http": // once the request is complete that of the client does not count
			return haproxyPatience(server, "timeout server")
		case !client.Known():
			return cant[time.Duration]("timeout client", client)
		case !tunnel.Known():
			return cant[time.Duration]("timeout tunnel", tunnel)
		case tunnel.V > 0:
			return haproxyPatience(tunnel, "timeout tunnel")
		case client.V > 0 && (server.V == 0 || client.V < server.V):
			return haproxyPatience(client, "timeout client")
		}
		return haproxyPatience(server, "timeout server")
	},
	Body: always(is(Unlimited, "no limit", haproxyDocs)),
	Keepalive: func(h Hop) Answer[time.Duration] {
		mode, closes := h.Text("frontend.mode"), h.Text("closes")
		switch {
		case !mode.Known():
			return cant[time.Duration]("mode", mode)
		case !closes.Known():
			return cant[time.Duration]("option httpclose", closes)
		case mode.V == "http" && closes.V != "":
			return is(time.Duration(0), "option "+closes.V, closes.Source)
		}
		names := []string{"http-keep-alive", "http-request", "client"}
		if mode.V != "http" {
			names = []string{"tunnel", "client"}
		}
		for _, name := range names {
			v := haproxySetting(h, "timeout."+name, haproxyTime)
			switch {
			case !v.Known():
				return cant[time.Duration]("timeout "+name, v)
			case v.V > 0:
				return is(v.V, Short(v.V)+" ("+name+")", v.Source).
					settable(func(n int64) string { return fmt.Sprintf("timeout %s %ds", name, n) })
			}
		}
		return is(Forever, "for ever", haproxyDefault)
	},
	Restart: func(h Hop) Answer[Ending] {
		v := haproxySetting(h, "hard-stop-after", haproxyTime)
		switch {
		case !v.Known():
			return cant[Ending]("hard-stop-after", v)
		case v.V == 0:
			return is(Ending{Grace: Forever, Does: "waits for all polls on a reload, and cuts them on a restart"}, "a reload waits, a restart cuts", v.Source)
		}
		return is(Ending{Grace: v.V, Does: "cuts polls after " + Short(v.V)}, "hard-stop-after "+Short(v.V), v.Source).
			settable(func(n int64) string { return fmt.Sprintf("hard-stop-after %ds in global", n) })
	},
	State: always(is(int64(0), "none", haproxyDocs)),
	Backlog: func(h Hop) Answer[int64] {
		set := func(n int64) string { return fmt.Sprintf("backlog %d in the frontend", n) }
		for _, name := range []string{"frontend.backlog", "bind.maxconn", "frontend.maxconn", "maxconn"} {
			v := haproxySetting(h, name, haproxyCount)
			switch {
			case !v.Known():
				return cant[int64](name, v)
			case v.V > 0:
				return is(v.V, fmt.Sprint(v.V), v.Source).settable(set)
			}
		}
		return is(Unlimited, "as many as it may have connections", haproxyDefault)
	},
	Peers:  spread,
	Access: access,
	Mend:   inConfig,
}

const (
	haproxyDocs = "HAProxy's configuration manual"
	// haproxyOwn is what it has beside connections and reckons when it works out
	// maxconn, measured with two threads; more threads have two each.
	haproxyOwn = 28
)

// haproxySetting is one of h's as what it is.
func haproxySetting[T any](h Hop, name string, read func(string) (T, error)) facts.Value[T] {
	return convert(name, h.Settings.Get(name), read)
}

func haproxyPatience(v facts.Value[time.Duration], name string) Answer[time.Duration] {
	if v.V == 0 {
		return is(Forever, "no "+name, v.Source)
	}
	return is(v.V, name+" "+Short(v.V), v.Source).settable(func(n int64) string { return fmt.Sprintf("%s %ds", name, n) })
}

// haproxyConnections is the least maxconn on the way. Where the process has none it
// is what its descriptors allow.
func haproxyConnections(h Hop) Answer[Bound] {
	var least facts.Value[int64]
	level := ""
	for _, l := range []struct{ name, where string }{{"maxconn", "in global"}, {"frontend.maxconn", "in the frontend"}, {"bind.maxconn", "on bind"}} {
		v := haproxySetting(h, l.name, haproxyCount)
		if !v.Known() {
			return cant[Bound]("maxconn "+l.where, v)
		}
		if v.V > 0 && (level == "" || v.V < least.V) {
			least, level = v, l.where
		}
		if l.name != "maxconn" || v.V > 0 {
			continue
		}
		limit, err := runningLimit(h)
		switch {
		case err != "":
			return unknown[Bound]("maxconn is not set, and what HAProxy makes of its descriptors: " + err)
		case limit.V > 0:
			least, level = facts.Value[int64]{V: (limit.V - haproxyOwn) / 2, Source: limit.Source}, "in global, worked out of its descriptors"
		}
	}
	if h.Text("bind.ssl").V != "" {
		switch v := haproxySetting(h, "maxsslconn", haproxyCount); {
		case !v.Known():
			return cant[Bound]("maxsslconn", v)
		case v.V > 0 && (level == "" || v.V < least.V):
			return is(Bound{v.V / 2, v.V, "is not accepted, and nothing is logged"}, fmt.Sprintf("maxsslconn %d in global", v.V), v.Source).
				settable(func(n int64) string { return fmt.Sprintf("maxsslconn %d", 2*n+100) })
		}
	}
	if level == "" {
		return is(Bound{Unlimited, Unlimited, ""}, "no maxconn", haproxyDefault)
	}
	// Idle connections count, and a worker may have one beside its poll's.
	return is(Bound{least.V / 2, least.V, "is not accepted, and nothing is logged"}, fmt.Sprintf("maxconn %d %s", least.V, level), least.Source).
		settable(func(n int64) string { return fmt.Sprintf("maxconn %d", 2*n+100) })
}

// runningLimit is the soft NOFILE of the process that holds the polls; 0 where there
// is no limit.
func runningLimit(h Hop) (v facts.Value[int64], err string) {
	for i := len(h.Processes) - 1; i >= 0; i-- {
		p := h.Processes[i]
		if !p.HoldsPolls() {
			continue
		}
		if !p.Limits.Known() {
			return v, p.Limits.Why()
		}
		soft := p.Limits.V.NoFile.Soft
		if soft == facts.Unlimited {
			return facts.Value[int64]{V: 0, Source: p.Limits.Source}, ""
		}
		return facts.Value[int64]{V: int64(soft), Source: p.Limits.Source}, ""
	}
	return v, "it does not run"
}
