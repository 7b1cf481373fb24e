package kinds

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Apache is Apache httpd as a proxy. A held poll takes a thread of it, with
// prefork a process.
var Apache = &Kind{
	Spec: facts.Spec{
		Kind: "apache", Role: facts.RoleProxy,
		Match: func(args []string) bool { return slices.Contains([]string{"apache2", "httpd"}, path.Base(args[0])) },
		Read:  readApache,
	},
	Source: "httpd's documentation of its directives; Apache 2.4.71 with event, measured",
	Proof:  "apache-workers",

	Holds: func(h Hop) Answer[Bound] {
		most, servers, threads, ceiling := h.Count("MaxRequestWorkers"), h.Count("ServerLimit"), h.Count("ThreadsPerChild"), h.Count("ThreadLimit")
		switch {
		case !most.Known():
			return cant[Bound]("MaxRequestWorkers", most)
		case !servers.Known():
			return cant[Bound]("ServerLimit", servers)
		case !threads.Known():
			return cant[Bound]("ThreadsPerChild", threads)
		case !ceiling.Known():
			return cant[Bound]("ThreadLimit", ceiling)
		case threads.V == 0 || ceiling.V == 0:
			return unknown[Bound]("Apache starts with no thread of none")
		}
		threads.V = min(threads.V, ceiling.V)
		// Apache lowers MaxRequestWorkers to whole processes.
		children := min(max(most.V/threads.V, 1), servers.V)
		n := children * threads.V
		switch way := h.Text("max"); { // of connections to the application, by process
		case !way.Known():
			return cant[Bound]("max of the way", way)
		case way.V != "":
			each := h.Count("max")
			if !each.Known() {
				return cant[Bound]("max of the way", each)
			}
			if each.V > 0 && each.V < threads.V {
				return is(Bound{children * each.V, children * each.V, "waits for a connection"}, fmt.Sprintf("max=%d × %d processes", each.V, children), each.Source)
			}
		}
		return is(Bound{n, n, "waits without a word"}, fmt.Sprintf("MaxRequestWorkers %d: %d × %d", most.V, children, threads.V), most.Source).
			settable(func(n int64) string {
				if threads.V == 1 {
					return fmt.Sprintf("MaxRequestWorkers %d and ServerLimit %d, better with mpm_event instead of prefork", n, n)
				}
				return fmt.Sprintf("MaxRequestWorkers %d and ServerLimit %d", (n/threads.V+1)*threads.V, n/threads.V+1)
			})
	},
	Connections: always(na[Bound]("MaxRequestWorkers answers it")),
	Tasks:       always(is(int64(1), "a thread a poll", apacheDocs)),
	Descriptors: always(is(Files{Own: 60, Poll: 2}, "two a poll", "measured")),
	Memory:      always(is(Cost{Most: 80 << 10, Least: 70 << 10}, "70 KiB a poll, with event", "measured, and the kernel's part")),
	Silence: func(h Hop) Answer[time.Duration] {
		for _, name := range []string{"timeout", "ProxyTimeout", "Timeout"} {
			if h.Text(name).V == "" && h.Text(name).Known() {
				continue
			}
			v := h.Seconds(name)
			if !v.Known() {
				return cant[time.Duration](name, v)
			}
			return is(v.V, name+" "+Short(v.V), v.Source).settable(func(n int64) string { return fmt.Sprintf("ProxyTimeout %d", n) })
		}
		return unknown[time.Duration]("no way through Apache leads to the application")
	},
	Body: func(h Hop) Answer[int64] {
		v := h.Count("LimitRequestBody")
		switch {
		case !v.Known():
			return cant[int64]("LimitRequestBody", v)
		case v.V == 0:
			return is(Unlimited, "no limit", v.Source)
		}
		return is(v.V, facts.Bytes(v.V), v.Source).settable(func(n int64) string { return fmt.Sprintf("LimitRequestBody %d", n) })
	},
	Keepalive: func(h Hop) Answer[time.Duration] {
		on, v := h.Text("KeepAlive"), h.Seconds("KeepAliveTimeout")
		switch {
		case !on.Known():
			return cant[time.Duration]("KeepAlive", on)
		case on.V == "off":
			return is(time.Duration(0), "KeepAlive Off", on.Source)
		case !v.Known():
			return cant[time.Duration]("KeepAliveTimeout", v)
		}
		return is(v.V, Short(v.V), v.Source).settable(func(n int64) string { return fmt.Sprintf("KeepAliveTimeout %d", n) })
	},
	Restart: always(is(Ending{Grace: Forever, Does: "a graceful reload waits for held polls, a restart cuts them"}, "a graceful reload waits, a restart cuts", apacheDocs)),
	State:   always(is(int64(0), "none", apacheDocs)),
	Backlog: func(h Hop) Answer[int64] {
		v := h.Count("ListenBacklog")
		if !v.Known() {
			return cant[int64]("ListenBacklog", v)
		}
		return is(v.V, strconv.FormatInt(v.V, 10), v.Source).settable(func(n int64) string { return fmt.Sprintf("ListenBacklog %d", n) })
	},
	Peers:  spread,
	Access: access,
	Mend:   inConfig,
}

const apacheDocs = "httpd's documentation"
