package kinds

import (
	"fmt"
	"slices"

	"github.com/fltool/fltool/checks/facts"
)

// Uvicorn is uvicorn, and the fastapi command that runs it. A program that calls
// uvicorn.run by itself can't be told from any other of Python.
var Uvicorn = &Kind{
	Spec: facts.Spec{
		Kind: "uvicorn", Role: facts.RoleServer, Env: append(variableNames("UVICORN_", uvicornFlags), webConcurrency),
		Match: func(args []string) bool { return uvicornAt(args) >= 0 },
		Read:  readUvicorn,
	},
	Commands: []string{"uvicorn app:app", "python3 -m uvicorn app:app", "fastapi run app.py"},
	Source:   "uvicorn 0.17.6: main.py, server.py and protocols/http; uvicorn's documentation of settings; measured",
	Proof:    "uvicorn-limit",

	Holds: func(h Hop) Answer[Bound] {
		switch v := h.Text("interface"); {
		case !v.Known():
			return cant[Bound]("interface", v)
		case v.V == "wsgi":
			return is(Bound{wsgiThreads, wsgiThreads, "waits for a thread"}, fmt.Sprintf("%d threads for WSGI", wsgiThreads), v.Source)
		}
		return uvicornLimit(h, func(n int64) Bound { return Bound{n, n, "gets a 503"} })
	},
	// Idle keep-alive connections count, too.
	Connections: func(h Hop) Answer[Bound] {
		a := uvicornLimit(h, func(n int64) Bound { return Bound{n / 2, n, "gets a 503"} })
		if a.Is() && a.V.Hard == Unlimited {
			return na[Bound]("it bounds no connections")
		}
		return a
	},
	Tasks: func(h Hop) Answer[int64] {
		switch v := h.Text("interface"); {
		case !v.Known():
			return cant[int64]("interface", v)
		case v.V == "wsgi":
			return is(int64(1), "a thread a poll", v.Source)
		}
		return is(int64(0), "no thread, where the application is asynchronous", uvicornDocs)
	},
	// Starlette writes files of forms above 1 MiB to disk.
	Descriptors: always(is(Files{Own: ownFiles, Poll: 1, Upload: 2, Spool: 1 << 20}, "one a poll, two an update above 1 MiB", uvicornDocs)),
	Memory:      always(uvicornCost),
	Silence:     always(is(Forever, "no timeout while a request is served", uvicornDocs)),
	Body:        always(is(Unlimited, "no limit", uvicornDocs)),
	Keepalive:   seconds("timeout_keep_alive", "--timeout-keep-alive %d"),
	Restart: func(h Hop) Answer[Ending] {
		requests, grace := h.Text("limit_max_requests"), h.Text("timeout_graceful_shutdown")
		switch {
		case !requests.Known():
			return cant[Ending]("limit_max_requests", requests)
		case !grace.Known():
			return cant[Ending]("timeout_graceful_shutdown", grace)
		}
		end, got, source := Ending{Grace: Forever, Does: "waits for held polls"}, "waits for held polls, as long as nothing kills it", grace.Source
		if grace.V != "" {
			v := h.Seconds("timeout_graceful_shutdown")
			if !v.Known() {
				return cant[Ending]("timeout_graceful_shutdown", v)
			}
			end.Grace, end.Does, got = v.V, "cuts polls after "+Short(v.V), Short(v.V)
		}
		if requests.V != "" {
			v := h.Count("limit_max_requests")
			if !v.Known() {
				return cant[Ending]("limit_max_requests", v)
			}
			end.Recycled, end.Never, source = afterRequests(v.V), "no --limit-max-requests", v.Source
		}
		return is(end, got, source).settable(by("--timeout-graceful-shutdown %d"))
	},
	State:   processCount("workers", "--workers %d"),
	Backlog: number("backlog", "--backlog %d"),
}

const uvicornDocs = "uvicorn's sources"

// webConcurrency is the variable by which platforms say how many processes to run.
const webConcurrency = "WEB_CONCURRENCY"

// wsgiThreads is how many threads uvicorn runs WSGI in (middleware/wsgi.py).
const wsgiThreads = 10

// uvicornLimit is what limit_concurrency leaves: at that many connections or tasks,
// that of the request itself counted, uvicorn answers 503.
func uvicornLimit(h Hop, bound func(n int64) Bound) Answer[Bound] {
	if v := h.Text("limit_concurrency"); !v.Known() || v.V == "" {
		if !v.Known() {
			return cant[Bound]("limit_concurrency", v)
		}
		return is(Bound{Unlimited, Unlimited, ""}, "no limit", v.Source)
	}
	v := h.Count("limit_concurrency")
	if !v.Known() {
		return cant[Bound]("limit_concurrency", v)
	}
	return is(bound(max(0, v.V-1)), fmt.Sprintf("limit_concurrency %d, the connection that asks counted", v.V), v.Source).
		settable(func(n int64) string { return fmt.Sprintf("--limit-concurrency %d", 2*n+100) })
}

var uvicornFlags = []flag{
	{name: "limit_concurrency", long: "--limit-concurrency", exact: true},
	{name: "limit_max_requests", long: "--limit-max-requests", exact: true},
	{name: "timeout_keep_alive", long: "--timeout-keep-alive", def: "5", exact: true},
	{name: "timeout_graceful_shutdown", long: "--timeout-graceful-shutdown", exact: true},
	{name: "backlog", long: "--backlog", def: "2048", exact: true},
	{name: "workers", long: "--workers", def: "1", exact: true},
	{name: "interface", long: "--interface", def: "auto", exact: true},
}

// uvicornOthers are flags that units often give a variable.
var uvicornOthers = []string{"--host", "--port", "--uds", "--fd", "--app-dir", "--env-file", "--log-level", "--log-config", "--root-path"}

// uvicornAt finds the argument that is uvicorn, or fastapi's command that runs it.
func uvicornAt(args []string) int {
	if at := programAt(args, "uvicorn"); at >= 0 {
		return at
	}
	if at := programAt(args, "fastapi"); at >= 0 && (slices.Contains(args[at+1:], "run") || slices.Contains(args[at+1:], "dev")) {
		return at
	}
	return -1
}

func readUvicorn(_ facts.Root, p facts.Program) facts.Details {
	line := commandLine{args: p.Args[uvicornAt(p.Args)+1:], from: p.From, unexpanded: p.Unexpanded, others: uvicornOthers}
	var concurrency layer
	if v, ok := p.Env[webConcurrency]; ok {
		concurrency = layer{"workers": v}
	}
	var env layer
	if p.EnvErr != nil { // it may hold any of them
		env = every(uvicornFlags, p.EnvErr)
	}
	return facts.Details{Settings: over(defaults(uvicornFlags, "uvicorn's default"), env, concurrency, variables(p, "UVICORN_", uvicornFlags), line.parse(uvicornFlags))}
}
