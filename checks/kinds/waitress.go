package kinds

import (
	"fmt"

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
	Commands: []string{"waitress-serve --listen=127.0.0.1:5000 app:app", "python3 -m waitress app:app"},
	Source:   "waitress/adjustments.py, runner.py and wasyncore.py of waitress 2.1; measured",
	Proof:    "waitress-threads, waitress-connections, waitress-keepalive",

	Holds: func(h Hop) Answer[Bound] {
		v := h.Count("threads")
		if !v.Known() {
			return cant[Bound]("threads", v)
		}
		return is(Bound{v.V, v.V, "waits in a queue (Task queue depth)"}, fmt.Sprintf("%d threads, one a poll", v.V), v.Source).
			settable(func(n int64) string { return fmt.Sprintf("--threads=%d %s", n, waitressRoom(h, n)) })
	},
	Connections: waitressConnections,
	Tasks:       always(is(int64(1), "a thread a poll", waitressDocs)),
	Descriptors: always(is(Files{Own: ownFiles, Poll: 1, Upload: 2, Spool: 512 << 10}, "one a poll, two an update above 512 KiB", waitressDocs)),
	Memory:      always(waitressCost),
	Silence:     always(is(Forever, "no timeout", waitressDocs+": channel_timeout spares a request that is served")),
	Body:        byteCount("max_request_body_size", "--max-request-body-size=%d"),
	Keepalive:   seconds("channel_timeout", "--channel-timeout=%d"),
	Restart:     always(is(Ending{Does: "cuts all polls"}, "cuts held polls", waitressDocs)),
	State:       always(is(int64(1), "1 process", waitressDocs)),
	Backlog:     number("backlog", "--backlog=%d"),
}

// selectable is how many descriptors select(2) can watch: a connection that gets a
// higher one ends waitress's loop.
const selectable = 1024

// waitressConnections is connection_limit less the listener and the trigger, which its
// map holds, too. Without poll(2) no descriptor may be above 1023.
func waitressConnections(h Hop) Answer[Bound] {
	v, polls := h.Count("connection_limit"), h.Text("asyncore_use_poll")
	switch {
	case !v.Known():
		return cant[Bound]("connection_limit", v)
	case !polls.Known():
		return cant[Bound]("asyncore_use_poll", polls)
	}
	n, got := max(0, v.V-2), fmt.Sprint(v.V)
	if most := int64(selectable - ownFiles); polls.V != "true" && n > most {
		n, got = most, got+", of which select(2) can watch those below descriptor 1024"
	}
	return is(Bound{n / 2, n, "is not accepted until another ends"}, got, v.Source).
		settable(func(n int64) string { return waitressRoom(h, n) })
}

// waitressRoom is what to write where n polls are to be held, each with an idle
// connection beside it.
func waitressRoom(h Hop, n int64) string {
	set := fmt.Sprintf("--connection-limit=%d", 2*n+100)
	if 2*n+100 > selectable-ownFiles && h.Text("asyncore_use_poll").V != "true" {
		set += " --asyncore-use-poll"
	}
	return set
}

const waitressDocs = "waitress/adjustments.py"

var waitressFlags = []flag{
	{name: "threads", long: "--threads", def: "4"},
	{name: "connection_limit", long: "--connection-limit", def: "100"},
	{name: "backlog", long: "--backlog", def: "1024"},
	{name: "channel_timeout", long: "--channel-timeout", def: "120"},
	{name: "max_request_body_size", long: "--max-request-body-size", def: "1073741824"},
	{name: "asyncore_use_poll", long: "--asyncore-use-poll", def: "false", alone: true},
}

func readWaitress(_ facts.Root, p facts.Program) facts.Details {
	at := programAt(p.Args, "waitress-serve", "waitress")
	line := commandLine{args: p.Args[at+1:], from: p.From, unexpanded: p.Unexpanded}
	return facts.Details{Settings: over(defaults(waitressFlags, "waitress's default"), line.parse(waitressFlags))}
}
