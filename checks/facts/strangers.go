package facts

import "slices"

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

// strangersBefore are programs of no kind that listen themselves and are connected
// to the application now: proxies that nobody knows.
func (c *chooser) strangersBefore(app *group) (list []*group) {
	table, err := c.nets.table(app.leader.NetNS, app.leader.PID)
	if err != nil {
		return nil // the application's listeners are unknown for the same reason
	}
	clients := make(map[uint64]bool)
	for inode, port := range table.towards {
		if slices.Contains(app.ports(c.nets), int(port)) {
			clients[inode] = true
		}
	}
	if len(clients) == 0 {
		return nil
	}
	for _, m := range c.all {
		if m.spec != nil || m.ended || len(m.args) == 0 || m.args[0] == "" || m.NetNS != app.leader.NetNS || slices.Contains(app.members, m) {
			continue
		}
		sockets, err := readSockets(c.r, m.PID)
		if err != nil {
			continue // gone, or another user's: root sees them all
		}
		listens := slices.ContainsFunc(sockets, func(n uint64) bool { _, ok := table.listeners[n]; return ok })
		if !listens || !slices.ContainsFunc(sockets, func(n uint64) bool { return clients[n] }) {
			continue
		}
		g := &group{leader: m, members: []*candidate{m}}
		m.Kind, m.Role = KindOther, RoleProxy
		list = append(list, g)
	}
	return list
}
