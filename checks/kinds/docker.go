package kinds

import (
	"path"

	"net"

	"github.com/fltool/fltool/checks/facts"
)

// DockerProxy is docker-proxy, which carries what comes to a published port into a
// container: one process a port, and of it two descriptors a connection.
var DockerProxy = &Kind{
	Spec: facts.Spec{
		Kind: "docker-proxy", Role: facts.RoleForwarder,
		Match: func(args []string) bool { return path.Base(args[0]) == "docker-proxy" },
		Read:  readDockerProxy,
	},
	Source: "moby/moby cmd/docker-proxy",

	Holds:       always(is(Bound{Unlimited, Unlimited, ""}, "no limit of its own", dockerSource)),
	Connections: always(na[Bound]("it bounds no connections")),
	Tasks:       always(is(int64(0), "no thread", dockerSource)),
	Descriptors: always(is(Files{Own: 8, Poll: 2}, "two a connection", dockerSource)),
	Memory:      always(is(Cost{Most: 80 << 10, Least: 10 << 10}, "two goroutines that copy", dockerSource)),
	Silence:     always(is(Forever, "no timeout", dockerSource)),
	Body:        always(na[int64]("it carries bytes, not requests")),
	Keepalive:   always(is(Forever, "for ever", dockerSource)),
	Restart:     always(is(Ending{Does: "cuts all polls when the container or dockerd restarts"}, "cuts held polls", dockerSource)),
	State:       always(is(int64(0), "none", dockerSource)),
	Backlog:     always(is(Unlimited, "as much as the kernel gives", "Go's net package")),
}

const dockerSource = "cmd/docker-proxy of moby"

func readDockerProxy(_ facts.Root, p facts.Program) facts.Details {
	flags := []flag{
		{name: "host-ip", long: "-host-ip", exact: true}, {name: "host-port", long: "-host-port", exact: true},
		{name: "container-ip", long: "-container-ip", exact: true}, {name: "container-port", long: "-container-port", exact: true},
		{name: "proto", long: "-proto", exact: true},
	}
	s := commandLine{args: p.Args[1:], from: p.From}.parse(flags)
	d := facts.Details{Settings: layer{}}
	if !s["container-port"].Known() || s["proto"].V != "tcp" {
		d.Passes = facts.Value[[]facts.Pass]{V: []facts.Pass{}, Source: p.From}
		return d
	}
	d.Passes = facts.Value[[]facts.Pass]{V: []facts.Pass{{
		To:     net.JoinHostPort(s["container-ip"].V, s["container-port"].V),
		From:   []string{net.JoinHostPort(s["host-ip"].V, s["host-port"].V)},
		Source: p.From,
	}}, Source: p.From}
	return d
}
