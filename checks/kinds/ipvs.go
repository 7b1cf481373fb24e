package kinds

import (
	"fmt"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// IPVS is the kernel's, which kube-proxy in mode ipvs and Docker Swarm set up: packets
// of a connection go to one of several servers. No process of it runs.
var IPVS = &Kind{
	Spec:   facts.Spec{Kind: "ipvs", Role: facts.RoleForwarder},
	Source: "Linux's net/netfilter/ipvs",

	Holds:       always(is(Bound{Unlimited, Unlimited, ""}, "no limit of its own", ipvsSource)),
	Connections: always(na[Bound]("it bounds no connections")),
	Tasks:       always(is(int64(0), "no thread", ipvsSource)),
	Descriptors: always(na[Files]("packets take no descriptor")),
	Memory:      always(is(Cost{Most: 1 << 10, Least: 256}, "an entry of its table", ipvsSource)),
	// What ipvsadm --set changed is not to be read below /proc.
	Silence: always(is(15*time.Minute, "15m by default", ipvsSource).
		settable(func(n int64) string {
			return fmt.Sprintf("ipvsadm --set %d 120 300, or ipvs.tcpTimeout: %ds of kube-proxy", n, n)
		})),
	Body:      always(na[int64]("it carries packets, not requests")),
	Keepalive: always(is(15*time.Minute, "15m by default", ipvsSource)),
	Restart:   always(is(Ending{Grace: Forever, Does: "held polls go on: the table is the kernel's"}, "cuts none", ipvsSource)),
	State:     always(is(int64(0), "none", ipvsSource)),
	Backlog:   always(na[int64]("it accepts no connection")),
	Mend: func(_ Hop, set, _ string) string {
		return set + "; or have the application's host send TCP keep-alive more often"
	},
}

const ipvsSource = "ip_vs_proto_tcp.c of Linux"
