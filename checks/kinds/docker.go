package kinds

import (
	"net"
	"path"

	"github.com/fltool/fltool/checks/facts"
)

// DockerProxy is docker-proxy, which carries what comes to a published port into a
// container: one process a port, and of it two descriptors a connection.
var DockerProxy = carrier(facts.Spec{
	Kind:  "docker-proxy",
	Match: func(args []string) bool { return path.Base(args[0]) == "docker-proxy" },
	Read:  readDockerProxy,
}, "cmd/docker-proxy of moby")

// carrier is a program of Go's that copies bytes between a port of the host and one of
// a container, by two goroutines a connection.
func carrier(s facts.Spec, source string) *Kind {
	s.Role = facts.RoleForwarder
	return &Kind{
		Spec: s, Source: source,
		Holds:       always(is(Bound{Unlimited, Unlimited, ""}, "no limit of its own", source)),
		Connections: always(na[Bound]("it bounds no connections")),
		Tasks:       always(is(int64(0), "no thread", source)),
		Descriptors: always(is(Files{Own: 8, Poll: 2}, "two a connection", source)),
		Memory:      always(is(Cost{Most: 80 << 10, Least: 10 << 10}, "two goroutines that copy", source)),
		Silence:     always(is(Forever, "no timeout", source)),
		Body:        always(na[int64]("it carries bytes, not requests")),
		Keepalive:   always(is(Forever, "for ever", source)),
		Restart:     always(is(Ending{Does: "cuts all polls when the container restarts"}, "cuts held polls", source)),
		State:       always(is(int64(0), "none", source)),
		Backlog:     always(is(Unlimited, "as much as the kernel gives", "Go's net package")),
	}
}

func readDockerProxy(_ facts.Root, p facts.Program) facts.Details {
	flags := []flag{
		{name: "host-ip", long: "-host-ip", exact: true}, {name: "host-port", long: "-host-port", exact: true},
		{name: "container-ip", long: "-container-ip", exact: true}, {name: "container-port", long: "-container-port", exact: true},
		{name: "proto", long: "-proto", exact: true},
	}
	s := commandLine{args: p.Args[1:], from: p.From}.parse(flags)
	passes := []facts.Pass{}
	if s["container-port"].Known() && s["proto"].V == "tcp" {
		passes = append(passes, facts.Pass{
			To:     net.JoinHostPort(s["container-ip"].V, s["container-port"].V),
			From:   []string{net.JoinHostPort(s["host-ip"].V, s["host-port"].V)},
			Source: p.From,
		})
	}
	return facts.Details{Settings: layer{}, Passes: facts.Value[[]facts.Pass]{V: passes, Source: p.From}}
}
