package facts

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// stranger is the group of a process that its arguments don't tell, looked at closely.
func (c *chooser) stranger(m *candidate) *group {
	if m.spec = lookAt(c.r, c.specs, m, true); m.spec != nil {
		m.Kind, m.Role = m.spec.Kind, m.spec.Role
	}
	return alone(m, c.all)
}

// strangerOn is the program of no kind that listens on a port.
func (c *chooser) strangerOn(port int) (*group, error) {
	table, err := c.nets.table("", 0)
	if err != nil {
		return nil, err
	}
	inodes := make(map[uint64]bool)
	for inode, l := range table.listeners {
		if int(l.Addr.Port()) == port {
			inodes[inode] = true
		}
	}
	if len(inodes) == 0 {
		return nil, nil
	}
	denied := false
	for _, m := range c.all {
		if m.spec != nil || m.ended || len(m.args) == 0 || m.args[0] == "" || m.NetNS != "" {
			continue
		}
		sockets, err := readSockets(c.r, m.PID)
		if err != nil && !gone(err) {
			denied = true
		}
		if slices.ContainsFunc(sockets, func(n uint64) bool { return inodes[n] }) {
			return c.stranger(m), nil
		}
	}
	for _, g := range c.groups { // known ones, not of the application
		if g.leader.NetNS == "" && slices.Contains(g.ports(c.nets), port) {
			return nil, nil
		}
	}
	if denied {
		return nil, errDenied
	}
	return nil, nil
}

// strangersBefore are programs of no kind that pass on to one of the chosen: proxies that
// nobody knows, such as stunnel, which listen themselves and are connected to it now, or
// whose command lines name a port of it; and tunnels.
func (c *chooser) strangersBefore(chosen []*group) (list []*group) {
	for i := 0; i < len(chosen)+len(list); i++ {
		behind := slices.Concat(chosen, list)[i]
		ports := behind.ports(c.nets)
		table, err := c.nets.table(behind.leader.NetNS, behind.leader.PID)
		if err != nil {
			continue // its listeners are unknown for the same reason
		}
		clients := make(map[uint64]bool)
		for inode, port := range table.towards {
			if slices.Contains(ports, int(port)) {
				clients[inode] = true
			}
		}
		for _, m := range c.all {
			if m.spec != nil || m.ended || m.Kind != "" || len(m.args) == 0 || m.args[0] == "" || m.NetNS != behind.leader.NetNS {
				continue
			}
			if to, tunnels := tunnelsTo(m.args); tunnels {
				// One that names nobody passes on to whom its config says, or the service.
				if len(to) == 0 || slices.ContainsFunc(to, func(port int) bool { return slices.Contains(ports, port) }) {
					m.Kind, m.Role = KindOther, RoleProxy
					list = append(list, &group{leader: m, members: []*candidate{m}})
				}
				continue
			}
			named := namesPort(m.args[1:], ports)
			if !named && len(clients) == 0 {
				continue
			}
			sockets, err := readSockets(c.r, m.PID)
			if err != nil {
				continue // gone, or another user's: root sees them all
			}
			// What listens for this machine alone is before nothing but the application: a
			// meter may well ask a proxy.
			listens := slices.ContainsFunc(sockets, func(n uint64) bool {
				l, ok := table.listeners[n]
				return ok && (behind.leader.Role == RoleServer || !l.Addr.Addr().IsLoopback())
			})
			if !listens || !named && !slices.ContainsFunc(sockets, func(n uint64) bool { return clients[n] }) {
				continue
			}
			m.Kind, m.Role = KindOther, RoleProxy
			list = append(list, &group{leader: m, members: []*candidate{m}})
		}
	}
	return list
}

// tunnels are programs that listen nowhere: they connect to a service far away, and pass
// on what comes from there.
var tunnels = []string{"bore", "chisel", "cloudflared", "frpc", "inlets", "inlets-pro", "ngrok", "rathole", "zrok"}

// tunnelsTo says whether a command line is a tunnel's, as ssh's is with -R, and what ports
// of this machine it names.
func tunnelsTo(args []string) (ports []int, tunnel bool) {
	name := path.Base(args[0])
	tunnel = slices.Contains(tunnels, name)
	if name == "ssh" || name == "autossh" {
		tunnel = slices.ContainsFunc(args[1:], func(arg string) bool { return strings.HasPrefix(arg, "-R") })
	}
	for i, arg := range args[1:] {
		m := localAddress.FindStringSubmatch(arg)
		switch {
		case args[i] == "--metrics", strings.HasPrefix(arg, "--metrics="):
			continue // where cloudflared tells about itself
		case m != nil:
			arg = m[1]
		case strings.HasPrefix(args[i], "-"):
			continue // a number of an option's, such as --retries 5
		}
		if n, err := strconv.ParseUint(arg, 10, 16); err == nil {
			ports = append(ports, int(n))
		}
	}
	return ports, tunnel
}

var localAddress = regexp.MustCompile(`(?:^|[^0-9A-Za-z.])(?:127\.[0-9]+\.[0-9]+\.[0-9]+|localhost|\[::1\]):([0-9]{1,5})$`)

// namesPort says whether an argument ends in the address of one of the ports of this
// machine: "127.0.0.1:5000", "TCP:localhost:80".
func namesPort(args []string, ports []int) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		m := localAddress.FindStringSubmatch(arg)
		if m == nil {
			return false
		}
		n, err := strconv.Atoi(m[1])
		return err == nil && slices.Contains(ports, n)
	})
}
