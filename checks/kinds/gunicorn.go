package kinds

import (
	"fmt"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Gunicorn is gunicorn, and any program that runs it inside, as dc_federated does.
var Gunicorn = &Kind{
	Spec: facts.Spec{
		Kind: "gunicorn", Role: facts.RoleServer, Env: []string{gunicornArgs, gunicornWorkers},
		Title: []facts.Title{{Prefix: "gunicorn: master", Part: "master"}, {Prefix: "gunicorn: worker", Part: "worker"}},
		Match: func(args []string) bool { return gunicornAt(args) >= 0 },
		Look:  looksLikeGunicorn, Read: readGunicorn,
	},
	Commands: []string{"gunicorn -k gevent app:app", "python3 -m gunicorn app:app"},
	Source:   "gunicorn 20.1 with gevent 22.10 and bottle 0.12, measured; gunicorn's documentation of its settings",
	Proof:    "gunicorn-connections, gunicorn-reconnect, gunicorn-threads",

	Holds:       gunicornHolds,
	Connections: gunicornConnections,
	Tasks: gunicornByClass(func(h Hop, c class) Answer[int64] {
		if c.blocks {
			return is(int64(1), "a thread a poll", h.Text("worker_class").Source)
		}
		return is(int64(0), "no thread", h.Text("worker_class").Source)
	}),
	// bottle writes bodies above its MEMFILE_MAX into a file: 20 half-sent updates
	// took the server from 13 descriptors to 53.
	Descriptors: always(is(Files{Own: ownFiles, Poll: 1, Upload: 2, Spool: 100 << 10}, "one a poll, two an update above 100 KiB", "measured")),
	// Each download of a model of 10 MB held 11 MB until it was sent.
	Memory: gunicornMemory,
	Silence: gunicornByClass(func(h Hop, c class) Answer[time.Duration] {
		if c.name == "tornado" {
			return gunicornTornado[time.Duration]()
		}
		if c.beats {
			return na[time.Duration](fmt.Sprintf("with %s the timeout is a heartbeat only", c.name))
		}
		v := h.Seconds("timeout")
		switch {
		case !v.Known():
			return cant[time.Duration]("timeout", v)
		case v.V == 0:
			return is(Forever, "no timeout", v.Source)
		}
		return is(v.V, Short(v.V), v.Source)
	}),
	Body: always(is(Unlimited, "no limit", "gunicorn's documentation: it bounds lines and fields, not bodies")),
	Keepalive: gunicornByClass(func(h Hop, c class) Answer[time.Duration] {
		if c.name == "sync" {
			return is(time.Duration(0), "sync workers close each connection", h.Text("worker_class").Source).
				settable(func(n int64) string { return fmt.Sprintf("--worker-class gevent --keep-alive %d", n) })
		}
		return seconds("keepalive", "--keep-alive %d")(h)
	}),
	Restart: func(h Hop) Answer[Ending] {
		grace, requests := h.Seconds("graceful_timeout"), h.Count("max_requests")
		switch {
		case !requests.Known():
			return cant[Ending]("max_requests", requests)
		case !grace.Known():
			return cant[Ending]("graceful_timeout", grace)
		}
		end := Ending{Grace: grace.V, Does: "cuts polls after " + Short(grace.V)}
		source := grace.Source
		if requests.V > 0 {
			end.Recycled, end.Never, source = afterRequests(requests.V), "--max-requests 0", requests.Source
		}
		return is(end, Short(grace.V), source).
			settable(func(n int64) string { return fmt.Sprintf("--graceful-timeout %d", n) })
	},
	State:   processCount("workers", "--workers %d"),
	Backlog: number("backlog", "--backlog %d"),
	Mend:    gunicornMend,
	Variable: func(h Hop) string {
		if h.Text("heeds").V == gunicornArgs {
			return gunicornArgs
		}
		return ""
	},
}

// The variables that gunicorn reads.
const (
	gunicornArgs    = "GUNICORN_CMD_ARGS"
	gunicornWorkers = "WEB_CONCURRENCY"
)

// ownFiles is how many descriptors a server of Python has beside its connections,
// measured of gunicorn; what is open now less the connections counts where that can be read.
const ownFiles = 13

// GunicornSpare is how many of worker_connections are no worker's.
const GunicornSpare = 64

// class is a class of gunicorn's workers.
type class struct {
	name   string
	blocks bool // a held poll takes a thread or process
	beats  bool // it says that it lives while polls are held, so that timeout does not kill it
	capped bool // worker_connections bounds it
}

// classes by the name that readGunicorn shortens to. Uvicorn's heeds none of
// gunicorn's own limits of connections.
var classes = map[string]class{
	"sync":     {"sync", true, false, false},
	"gthread":  {"gthread", true, true, true},
	"gevent":   {"gevent", false, true, true},
	"eventlet": {"eventlet", false, true, true},
	"tornado":  {"tornado", false, false, false},
	"uvicorn":  {"uvicorn", false, true, false},
}

// gunicornByClass answers what the class of workers decides.
func gunicornByClass[T any](answer func(Hop, class) Answer[T]) func(Hop) Answer[T] {
	return func(h Hop) Answer[T] {
		v := h.Text("worker_class")
		if !v.Known() {
			return cant[T]("worker class", v)
		}
		c, ok := classes[v.V]
		if !ok {
			return unknown[T](fmt.Sprintf("worker class %s: what it does with a held poll is not known", v.V))
		}
		return answer(h, c)
	}
}

// gunicornTornado says why a question of tornado's class is open: it runs WSGI in its
// event loop, and a held poll stops that: 1 of 200 was held.
func gunicornTornado[T any]() Answer[T] {
	return unknown[T]("worker class tornado holds 1 poll of a WSGI application such as dc_federated's, and many of one of Tornado's own: state it by --hop 'gunicorn holds=…'")
}

// gunicornMemory is that of dc_federated's polls where they share a thread.
func gunicornMemory(h Hop) Answer[Cost] {
	measured := is(Cost{Most: 38 << 10, Least: 34 << 10, Download: 1.1}, "34 to 38 KiB a poll", "measured")
	if len(h.Settings) == 0 { // none runs: one like dc_federated's is assumed
		return measured
	}
	switch v := h.Text("worker_class"); {
	case !v.Known():
		return cant[Cost]("worker class", v)
	case v.V == "gthread":
		return threadCost
	case v.V == "uvicorn":
		return uvicornCost
	}
	return measured
}

var gunicornHolds = gunicornByClass(func(h Hop, c class) Answer[Bound] {
	class := h.Text("worker_class")
	if c.name == "tornado" {
		return gunicornTornado[Bound]()
	}
	if !c.blocks {
		return is(Bound{Safe: Unlimited, Hard: Unlimited}, c.name, class.Source)
	}
	workers, threads := h.Count("workers"), facts.Value[int64]{V: 1, Source: class.Source}
	if !workers.Known() {
		return cant[Bound]("processes", workers)
	}
	if c.name == "gthread" {
		if threads = h.Count("threads"); !threads.Known() {
			return cant[Bound]("threads", threads)
		}
	}
	n := workers.V * threads.V
	return is(Bound{n, n, "hangs"}, fmt.Sprintf("%s, %d × %d", c.name, workers.V, threads.V), threads.Source).
		settable(func(want int64) string {
			set := "--worker-class gevent"
			if have := h.Count("worker_connections"); GunicornConnectionsFor(want) > have.V {
				set += fmt.Sprintf(" --worker-connections %d", GunicornConnectionsFor(want)) // or that fails next
			}
			return set
		})
})

var gunicornConnections = gunicornByClass(func(h Hop, c class) Answer[Bound] {
	if !c.capped {
		return na[Bound](fmt.Sprintf("worker_connections does not bound %s workers", c.name))
	}
	v := h.Count("worker_connections")
	if !v.Known() {
		return cant[Bound]("worker_connections", v)
	}
	return is(GunicornBound(v.V), fmt.Sprint(v.V), v.Source).
		settable(func(want int64) string { return fmt.Sprintf("--worker-connections %d", GunicornConnectionsFor(want)) })
})

// GunicornBound is the formula gunicorn-connections.
func GunicornBound(connections int64) Bound {
	return Bound{min(connections, max(0, (connections-GunicornSpare)/2)), connections, "gets not one byte"}
}

// GunicornConnectionsFor is the inverse: worker_connections for n workers.
func GunicornConnectionsFor(n int64) int64 { return 2*n + GunicornSpare }

// gunicornMend says where a flag is to be written so that it counts.
func gunicornMend(h Hop, set, from string) string {
	args := h.Text(gunicornArgs).Known()
	switch {
	case h.Text("embedded").Known() && !h.Text("heeds").Known():
		return fmt.Sprintf(`set %s in the program that runs gunicorn inside; up to bottle 0.12 %s="%s" in its environment does it`, set, gunicornArgs, set)
	case h.Text("embedded").Known() && h.Text("heeds").V != gunicornArgs:
		return fmt.Sprintf("have the program that runs gunicorn inside set it, as %s would: under this bottle neither its command line nor %s is read", set, gunicornArgs)
	case strings.Contains(from, gunicornArgs):
		return fmt.Sprintf("change %s to hold %s", gunicornArgs, set)
	case args:
		return fmt.Sprintf("add %s to %s", set, gunicornArgs)
	case strings.Contains(from, "cmdline") || strings.Contains(from, ".service"):
		return fmt.Sprintf("change the command line that starts gunicorn to hold %s: it wins over file and environment", set)
	case h.Text("embedded").Known():
		return fmt.Sprintf(`start the program with %s="%s" in its environment`, gunicornArgs, set)
	}
	return fmt.Sprintf("start gunicorn with %s", set)
}
