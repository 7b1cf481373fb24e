package kinds

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// RootlessPort is podman's, which carries what comes to a port that a user without
// root published into his container. What it was told came by its standard input: where
// it leads is seen in the container's network namespace, in which its child lives.
var RootlessPort = carrier(facts.Spec{
	Kind: "rootlessport",
	Match: func(args []string) bool {
		base := path.Base(args[0])
		return base == "rootlessport" || base == "rootlessport-child" || base == "containers-rootlessport"
	},
	Read: readRootlessPort,
}, "cmd/rootlessport of podman, and pkg/port/builtin of rootlesskit")

func readRootlessPort(r facts.Root, p facts.Program) facts.Details {
	d := facts.Details{Settings: layer{}}
	children := r.Children(p.PID)
	if len(children) == 0 {
		d.Passes.Err = "rootlessport: its child in the container is not to be seen"
		return d
	}
	listen, err := r.Listening(children[0])
	if err != nil {
		d.Passes.Err = err.Error()
		return d
	}
	d.Passes = facts.Value[[]facts.Pass]{V: []facts.Pass{}, Source: fmt.Sprintf("/proc/%d/net/tcp", children[0])}
	for _, a := range listen {
		d.Passes.V = append(d.Passes.V, facts.Pass{To: a.String(), Source: d.Passes.Source})
	}
	return d
}

// Pasta is passt's pasta, which podman uses from version 5 on: it splices what comes
// over loopback, and copies the rest to the container's tap device.
var Pasta = &Kind{
	Spec: facts.Spec{
		Kind: "pasta", Role: facts.RoleForwarder,
		Match: func(args []string) bool {
			base := path.Base(args[0])
			return base == "pasta" || base == "pasta.avx2"
		},
		Read: readPasta,
	},
	Source: pastaSource,

	Holds:       always(is(Bound{pastaFlows, pastaFlows, "is refused"}, "131072 connections", pastaSource)),
	Connections: always(is(Bound{pastaFlows, pastaFlows, "is refused"}, "131072 connections", pastaSource)),
	Tasks:       always(is(int64(0), "no thread", pastaSource)),
	Descriptors: always(is(Files{Own: 20, Poll: 6}, "two sockets and, over loopback, two pipes", pastaSource)),
	Memory:      always(is(Cost{Most: 32 << 10, Least: 4 << 10}, "sockets and empty pipes, the kernel's part", pastaSource)),
	Silence:     always(is(2*time.Hour, "2h without data, where it does not come over loopback", pastaSource)),
	Body:        always(na[int64]("it carries bytes, not requests")),
	Keepalive:   always(is(2*time.Hour, "2h", pastaSource)),
	Restart:     always(is(Ending{Does: "cuts all polls when the container restarts"}, "cuts held polls", pastaSource)),
	State:       always(is(int64(0), "none", pastaSource)),
	Backlog:     always(is(int64(128), "128", pastaSource)),
}

const (
	pastaFlows  = 1 << 17
	pastaSource = "passt's manual, tcp.c and tcp_splice.c"
)

// readPasta reads the ports that it forwards: -t [ADDRESS/]PORT[:PORT][,…], each a
// number or a range.
func readPasta(_ facts.Root, p facts.Program) facts.Details {
	d := facts.Details{Settings: layer{}, Passes: facts.Value[[]facts.Pass]{V: []facts.Pass{}, Source: p.From}}
	for i, arg := range p.Args[1:] {
		spec, inline := strings.CutPrefix(arg, "--tcp-ports=")
		if arg == "-t" || arg == "--tcp-ports" {
			if spec = ""; i+2 < len(p.Args) {
				spec = p.Args[i+2]
			}
		} else if !inline {
			continue
		}
		if spec == "none" {
			continue
		}
		address := ""
		if on, ports, ok := strings.Cut(spec, "/"); ok {
			address, _, _ = strings.Cut(on, "%")
			spec = ports
		}
		for ports := range strings.SplitSeq(spec, ",") {
			from, to, _ := strings.Cut(ports, ":")
			ways, err := portPairs(from, cmp.Or(to, from))
			if err != nil { // auto, all, ~22
				d.Passes = facts.Value[[]facts.Pass]{Err: fmt.Sprintf("%s: -t %s: %v", p.From, ports, err)}
				return d
			}
			for _, w := range ways {
				d.Passes.V = append(d.Passes.V, facts.Pass{To: ":" + strconv.Itoa(w[1]), From: []string{net.JoinHostPort(address, strconv.Itoa(w[0]))}, Source: p.From})
			}
		}
	}
	return d
}

// portPairs pairs the ports of two ranges of one length.
func portPairs(from, to string) (out [][2]int, err error) {
	a, b, err := portSpan(from)
	if err != nil {
		return nil, err
	}
	c, _, err := portSpan(to)
	if err != nil {
		return nil, err
	}
	for n := a; n <= b; n++ {
		out = append(out, [2]int{n, c + n - a})
	}
	return out, nil
}

// portSpan reads "80" or "80-89".
func portSpan(s string) (lo, hi int, err error) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	a, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return 0, 0, errors.New("no port")
	}
	b, err := strconv.ParseUint(last, 10, 16)
	if err != nil || b < a {
		return 0, 0, errors.New("no ports")
	}
	return int(a), int(b), nil
}
