package kinds

import (
	"path"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Node is a server of Node.js.
var Node = &Kind{
	Spec: facts.Spec{
		Kind: "node", Role: facts.RoleServer,
		Match: func(args []string) bool { return path.Base(args[0]) == "node" || path.Base(args[0]) == "nodejs" },
	},
	Commands: []string{"node server.js"},
	Source:   "documentation of Node.js's http.Server; Node.js 20.20, measured",

	Holds:       always(is(Bound{Unlimited, Unlimited, ""}, "no limit unless server.maxConnections is set", nodeDocs)),
	Connections: always(na[Bound]("one bound serves for polls and connections")),
	Tasks:       always(is(int64(0), "no thread", nodeDocs)),
	Descriptors: always(is(Files{Own: 25, Poll: 1}, "one a poll", nodeDocs)),
	Memory:      always(nodeCost),
	Silence:     always(is(Forever, "no timeout (server.timeout is 0)", nodeDocs)),
	Body:        always(unknown[int64]("the program's parser of bodies has a limit of its own: state it by --hop 'node body=100MB'")),
	Keepalive:   always(is(5*time.Second, "5s unless server.keepAliveTimeout is set", nodeDocs)),
	Restart:     always(is(Ending{Does: "cuts all polls"}, "cuts held polls", nodeDocs)),
	State:       always(unknown[int64]("whether it runs a cluster of processes is the program's: state it by --hop 'node state=1'")),
	Backlog:     always(is(int64(511), "511", nodeDocs)),
}

const nodeDocs = "documentation of Node.js"
