package kinds

import (
	"fmt"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Waitress is waitress-serve. A program that calls waitress.serve by itself can't
// be told from any other of Python.
var Waitress = &Kind{
	Spec: facts.Spec{
		Kind: "waitress", Role: facts.RoleServer,
		Match: func(args []string) bool { return programAt(args, "waitress-serve", "waitress") >= 0 },
		Read:  readWaitress,
	},
	Source: "waitress/adjustments.py and runner.py of waitress 2.1",
	Proof:  "waitress-threads, waitress-connections",

	Holds: func(h Hop) Answer[Bound] {
		v := h.Count("threads")
		if !v.Known() {
			return cant[Bound]("threads", v)
		}
		return is(Bound{v.V, v.V, "waits in a queue (Task queue depth)"}, fmt.Sprintf("%d threads, one a poll", v.V), v.Source).
			settable(func(n int64) string { return fmt.Sprintf("--threads=%d --connection-limit=%d", n, 2*n+100) })
	},
	Connections: func(h Hop) Answer[Bound] {
		v := h.Count("connection_limit")
		if !v.Known() {
			return cant[Bound]("connection_limit", v)
		}
		free := max(v.V-waitressOwn, 0)
		return is(Bound{free / 2, free, "is not accepted until another ends"}, fmt.Sprintf("%d, %d of them its own", v.V, waitressOwn), v.Source).
			settable(func(n int64) string { return fmt.Sprintf("--connection-limit=%d", 2*n+100) })
	},
	Tasks:       always(is(int64(1), "a thread a poll", waitressDocs)),
	Descriptors: always(is(Files{Own: ownFiles, Poll: 1, Upload: 2, Spool: 512 << 10}, "one a poll, two an update above 512 KiB", waitressDocs)),
	Memory:      nil,
	Silence:     always(is(Forever, "no timeout", waitressDocs+": channel_timeout spares a request that is served")),
	Body: func(h Hop) Answer[int64] {
		v := h.Count("max_request_body_size")
		if !v.Known() {
			return cant[int64]("max_request_body_size", v)
		}
		return is(v.V, facts.Bytes(v.V), v.Source).settable(func(n int64) string { return fmt.Sprintf("--max-request-body-size=%d", n) })
	},
	Keepalive: func(h Hop) Answer[time.Duration] {
		v := h.Seconds("channel_timeout")
		if !v.Known() {
			return cant[time.Duration]("channel_timeout", v)
		}
		return is(v.V, Short(v.V), v.Source).settable(func(n int64) string { return fmt.Sprintf("--channel-timeout=%d", n) })
	},
	Restart: always(is(Ending{Does: "cuts all polls"}, "cuts held polls", waitressDocs)),
	State:   always(is(int64(1), "1 process", waitressDocs)),
	Backlog: func(h Hop) Answer[int64] {
		v := h.Count("backlog")
		if !v.Known() {
			return cant[int64]("backlog", v)
		}
		return is(v.V, fmt.Sprint(v.V), v.Source).settable(func(n int64) string { return fmt.Sprintf("--backlog=%d", n) })
	},
}

// waitressOwn is what waitress counts as connections of its own: its listener, and
// the pipe that wakes it.
const waitressOwn = 2

const waitressDocs = "waitress/adjustments.py"

var waitressFlags = []flag{
	{name: "threads", long: "--threads", def: "4"},
	{name: "connection_limit", long: "--connection-limit", def: "100"},
	{name: "backlog", long: "--backlog", def: "1024"},
	{name: "channel_timeout", long: "--channel-timeout", def: "120"},
	{name: "max_request_body_size", long: "--max-request-body-size", def: "1073741824"},
}

func readWaitress(_ facts.Root, p facts.Program) facts.Details {
	at := programAt(p.Args, "waitress-serve", "waitress")
	line := commandLine{args: p.Args[at+1:], from: p.From, unexpanded: p.Unexpanded}
	return facts.Details{Settings: over(defaults(waitressFlags, "waitress's default"), line.parse(waitressFlags))}
}
