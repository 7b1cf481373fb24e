package kinds

import (
	"fmt"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// UWSGI is uWSGI. Of an emperor's vassals each has settings of its own.
var UWSGI = &Kind{
	Spec: facts.Spec{
		Kind: "uwsgi", Role: facts.RoleServer, Env: variableNames("UWSGI_", uwsgiFlags),
		Title: []facts.Title{{Prefix: "uWSGI master", Part: "master"}, {Prefix: "uWSGI worker ", Part: "worker"}, {Prefix: "uWSGI http ", Part: "worker"}},
		Match: func(args []string) bool { return uwsgiAt(args) >= 0 },
		Read:  readUWSGI,
	},
	Commands: []string{"uwsgi --http-socket :5000 --threads 40 --wsgi-file app.py", "uwsgi --ini app.ini", "pyuwsgi app.ini"},
	Source:   "uWSGI 2.0.21, measured; uWSGI's documentation of its options",
	Proof:    "uwsgi-threads",

	Holds:       uwsgiHolds,
	Connections: always(na[Bound]("it accepts no more connections than it serves")),
	Tasks: func(h Hop) Answer[int64] {
		v := h.Count("gevent")
		switch {
		case !v.Known():
			return cant[int64]("gevent", v)
		case v.V > 0:
			return is(int64(0), "no thread", v.Source)
		}
		return is(int64(1), "a thread or a process a poll", uwsgiMeasured)
	},
	// Its router holds two a poll, a worker one; each thread has an epoll descriptor.
	Descriptors: func(h Hop) Answer[Files] {
		http, threads := h.Text("http"), h.Count("threads")
		switch {
		case !http.Known():
			return cant[Files]("http", http)
		case !threads.Known():
			return cant[Files]("threads", threads)
		case http.V != "":
			return is(Files{Own: ownFiles + threads.V, Poll: 2}, "two a poll in the router of --http", uwsgiMeasured)
		}
		return is(Files{Own: ownFiles + threads.V, Poll: 1}, "one a poll, one a thread", uwsgiMeasured)
	},
	Memory:  uwsgiMemory,
	Silence: uwsgiSilence,
	Body: func(h Hop) Answer[int64] {
		if v := h.Count("limit-post"); v.Known() && v.V == 0 {
			return is(Unlimited, "no limit", v.Source)
		}
		return byteCount("limit-post", "--limit-post %d")(h)
	},
	Keepalive: func(h Hop) Answer[time.Duration] {
		http := h.Text("http")
		switch {
		case !http.Known():
			return cant[time.Duration]("http", http)
		case http.V == "":
			return is(time.Duration(0), "closes each connection", uwsgiMeasured).
				settable(func(n int64) string {
					return fmt.Sprintf("--http :5000 --http-keepalive=%d instead of --http-socket", n)
				})
		}
		return seconds("http-keepalive", "--http-keepalive=%d")(h)
	},
	Restart: uwsgiRestart,
	State:   processCount("processes", "--processes %d"),
	Backlog: number("listen", "--listen %d"),
}

const uwsgiMeasured = "measured of uWSGI 2.0.21"

// What a poll takes, in KiB: as a greenlet, and in the router of --http.
const (
	greenletKiB = 21
	routerKiB   = 14
)

func uwsgiHolds(h Hop) Answer[Bound] {
	processes := h.Count("processes")
	if !processes.Known() {
		return cant[Bound]("processes", processes)
	}
	for _, loop := range []string{"async", "asyncio", "tornado"} {
		v := h.Count(loop)
		if !v.Known() {
			return cant[Bound](loop, v)
		}
		if v.V > 0 {
			return unknown[Bound](fmt.Sprintf("%s: with %s it holds many only if the application yields: state it by --hop 'uwsgi holds=%d'", v.Source, loop, v.V))
		}
	}
	gevent, threads := h.Count("gevent"), h.Count("threads")
	switch {
	case !gevent.Known():
		return cant[Bound]("gevent", gevent)
	case !threads.Known():
		return cant[Bound]("threads", threads)
	case gevent.V > 0:
		return is(Bound{gevent.V, gevent.V * processes.V, "waits in the listen queue"}, fmt.Sprintf("gevent, %d × %d", processes.V, gevent.V), gevent.Source).
			settable(by("--gevent %d"))
	}
	n := max(processes.V, 1) * max(threads.V, 1)
	return is(Bound{n, n, "waits in the listen queue"}, fmt.Sprintf("%d × %d threads", processes.V, threads.V), threads.Source).
		settable(func(n int64) string { return fmt.Sprintf("--threads %d, or --gevent %d --gevent-monkey-patch", n, n) })
}

// uwsgiMemory is as measured of threads that wait, and of greenlets. A process of
// its own for each poll runs from the start, and costs what the application does.
func uwsgiMemory(h Hop) Answer[Cost] {
	gevent, threads, http := h.Count("gevent"), h.Count("threads"), h.Text("http")
	switch {
	case !gevent.Known():
		return cant[Cost]("gevent", gevent)
	case !threads.Known():
		return cant[Cost]("threads", threads)
	case !http.Known():
		return cant[Cost]("http", http)
	case gevent.V > 0 && http.V != "":
		return held(greenletKiB+routerKiB, 1.1)
	case gevent.V > 0:
		return held(greenletKiB, 1.1)
	case http.V != "":
		return held(threadKiB+routerKiB, 1.1)
	}
	return held(threadKiB, 1.1)
}

func uwsgiSilence(h Hop) Answer[time.Duration] {
	http, harakiri := h.Text("http"), h.Seconds("harakiri")
	switch {
	case !http.Known():
		return cant[time.Duration]("http", http)
	case !harakiri.Known():
		return cant[time.Duration]("harakiri", harakiri)
	}
	out := is(Forever, "no timeout", harakiri.Source)
	if harakiri.V > 0 {
		out = is(harakiri.V, "harakiri "+Short(harakiri.V)+", which kills the process and all its polls", harakiri.Source).settable(by("--harakiri %d"))
	}
	if http.V == "" {
		return out
	}
	router := h.Seconds("http-timeout")
	if !router.Known() {
		return cant[time.Duration]("http-timeout", router)
	}
	if out.V == Forever || router.V < out.V {
		return is(router.V, "http-timeout "+Short(router.V)+": the router of --http closes the connection", router.Source).settable(by("--http-timeout %d"))
	}
	return out
}

func uwsgiRestart(h Hop) Answer[Ending] {
	mercy := h.Seconds("worker-reload-mercy")
	if !mercy.Known() {
		return cant[Ending]("worker-reload-mercy", mercy)
	}
	end, source := Ending{Grace: mercy.V, Does: "cuts polls after " + Short(mercy.V)}, mercy.Source
	for _, c := range []struct{ name, after string }{
		{"max-requests", "after %d requests"},
		{"max-worker-lifetime", "after %d s"},
		{"reload-on-rss", "above %d MB of memory"},
		{"evil-reload-on-rss", "above %d MB of memory"},
		{"reload-on-as", "above %d MB of address space"},
		{"evil-reload-on-as", "above %d MB of address space"},
	} {
		v := h.Count(c.name)
		if !v.Known() {
			return cant[Ending](c.name, v)
		}
		if v.V > 0 && end.Recycled == "" {
			end.Recycled, end.Never, source = fmt.Sprintf(c.after, v.V), "no "+c.name, v.Source
		}
	}
	return is(end, Short(mercy.V), source).settable(by("--worker-reload-mercy %d"))
}
