package facts

import (
	"regexp"
	"slices"
	"strconv"
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

// strangersBefore are programs of no kind that listen themselves and pass on to one of
// the chosen: proxies that nobody knows, such as stunnel. They are connected to it
// now, or their command lines name a port of it.
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
