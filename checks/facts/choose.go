package facts

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// DefaultPorts are where an application listens unless it is told otherwise: as
// dc_federated's notes have it, its own default, gunicorn's.
var DefaultPorts = []int{5000, 8080, 8000}

// nothingRuns is the source of an empty list where the root is files alone.
const nothingRuns = "no running host: files alone"

// errDenied says that the application could not be told from other processes.
var errDenied = errors.New("the process that listens on the port may not be read: run as root, or name it by --service")

// NameIt ends the reason of what is unknown since several programs may be the
// application, or since what was asked for is none.
const NameIt = "name the application by --port or --pid"

func unclear(format string, a ...any) error {
	return fmt.Errorf("%s: %s", fmt.Sprintf(format, a...), NameIt)
}

// readProcesses finds the processes of the application and of what may stand before
// it, and the port that the application is reached at: the asked one, else as
// found, else 0.
func readProcesses(r Root, specs []Spec, asked Asked, running Value[[]*candidate], nets *networks) (Value[[]Process], int) {
	all := running.V
	switch {
	case !running.Known():
		return Value[[]Process]{Err: running.Why()}, asked.Port
	case len(all) == 0:
		return known([]Process{}, running.Source), asked.Port
	}
	c := chooser{r: r, specs: specs, nets: nets, all: all, groups: groups(all)}
	app, err := c.application(asked)
	if err != nil {
		return unknown[[]Process](err), asked.Port
	}
	port := asked.Port
	var chosen []*group
	if app != nil {
		chosen = append(chosen, app)
		port = c.reachedAt(app, port)
	}
	chosen = append(chosen, c.before(app, port)...)
	if app != nil {
		chosen = append(chosen, c.strangersBefore(chosen)...)
	}
	var out []Process
	for _, g := range chosen {
		for _, m := range g.members {
			p := complete(r, specs, g, m, nets)
			if m != g.leader && !r.Exists(fmt.Sprintf("/proc/%d/stat", m.PID)) {
				continue // a child that has ended meanwhile
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Process) int { return a.PID - b.PID })
	return known(out, running.Source), port
}

// chooser tells who of a host's processes is the application, and who is before it.
type chooser struct {
	r      Root
	specs  []Spec
	nets   *networks
	all    []*candidate
	groups []*group
}

// application is the group that was asked for, else the one that looks the part; nil
// where none runs. Where several do that is the error.
func (c *chooser) application(asked Asked) (*group, error) {
	switch {
	case asked.PID != 0:
		return c.byPID(asked.PID)
	case asked.Service != "":
		return c.byService(asked.Service), nil
	case asked.Port != 0:
		return c.onPort(asked.Port)
	}
	return c.likeliest()
}

func (c *chooser) byPID(pid int) (*group, error) {
	i := slices.IndexFunc(c.all, func(m *candidate) bool { return m.PID == pid })
	m := c.all[i] // readRunning has seen to it
	if m.ended {
		return nil, unclear("process %d (%s) has ended: it is no server", pid, m.Name)
	}
	for _, g := range c.groups {
		if slices.Contains(g.members, m) {
			if g.leader.Role != RoleServer {
				return nil, nil // it is before the application
			}
			return g, nil
		}
	}
	g := c.stranger(m)
	if l := g.listen(c.nets); g.spec == nil && l.Known() && len(l.V) == 0 && len(g.inodes) == 0 {
		return nil, unclear("process %d (%s) listens nowhere: it is no server", pid, m.Name)
	}
	return g, nil
}

func (c *chooser) byService(unit string) *group {
	for _, m := range c.all {
		if _, of, err := readCgroup(c.r, m.PID); of != unit || err != nil || m.ended {
			continue
		}
		for _, g := range c.groups {
			if slices.Contains(g.members, m) && g.leader.Role == RoleServer {
				return g
			}
		}
		if m.spec == nil && len(m.args) > 0 && m.args[0] != "" && !c.startsServer(m) {
			return c.stranger(m)
		}
	}
	return nil
}

// startsServer says whether a process of no kind is the parent of a known server.
func (c *chooser) startsServer(m *candidate) bool {
	return slices.ContainsFunc(c.groups, func(g *group) bool { return g.leader.PPID == m.PID && g.leader.Role == RoleServer })
}

func (c *chooser) servers() (list []*group) {
	for _, g := range c.groups {
		if g.leader.Role == RoleServer {
			list = append(list, g)
		}
	}
	return list
}

// onPort is who serves what comes to a port: by listening there, or behind what does.
func (c *chooser) onPort(port int) (*group, error) {
	servers := c.servers()
	here := slices.DeleteFunc(c.on(servers, port), func(g *group) bool { return g.leader.NetNS != "" })
	switch len(here) {
	case 0:
	case 1:
		return here[0], nil
	default: // by reuseport, or each at an address of its own
		return nil, c.anyOf(here)
	}
	for _, g := range c.groups {
		if g.leader.Role == RoleServer || !slices.Contains(g.ports(c.nets), port) {
			continue
		}
		if behind := c.behind(g); len(behind) == 1 {
			return behind[0], nil
		}
	}
	if g, err := c.strangerOn(port); g != nil || err != nil {
		return g, err
	}
	for _, g := range servers { // in a network namespace of its own, without a way from here
		if slices.Contains(g.ports(c.nets), port) {
			return g, nil
		}
	}
	var hidden []*group
	for _, g := range servers {
		if l := g.listen(c.nets); !l.Known() || len(l.V) == 0 {
			hidden = append(hidden, g)
		}
	}
	switch {
	case len(hidden) == 1 && len(servers) == 1:
		return hidden[0], nil
	case len(servers) > 0:
		return nil, unclear("nothing is seen to listen on port %d, and there is %s", port, c.names(servers))
	}
	return nil, nil
}

// behind are the servers that a proxy or forwarder passes to.
func (c *chooser) behind(front *group) (list []*group) {
	for _, p := range front.read(c.r, c.specs).Passes.V {
		_, port := splitAddress(p.To)
		for _, g := range c.servers() {
			l := g.listen(c.nets)
			seen := slices.Contains(g.ports(c.nets), port)
			// In a container whose sockets can't be seen from here there is no telling.
			unseen := front.leader.Role == RoleForwarder && (!l.Known() || len(l.V) == 0)
			if (seen || unseen) && !slices.Contains(list, g) {
				list = append(list, g)
			}
		}
	}
	return list
}

// likeliest is the application where nobody has said who it is: what proxies pass
// to, what listens on the first of the default ports, the one server that runs.
func (c *chooser) likeliest() (*group, error) {
	servers := c.servers()
	if passed := c.passedTo(servers); len(passed) == 1 {
		return passed[0], nil
	} else if len(passed) > 1 {
		servers = passed
	}
	switch found := c.on(servers, DefaultPorts[0]); len(found) {
	case 0:
	case 1:
		return found[0], nil
	default:
		return nil, c.anyOf(found)
	}
	maybe := slices.Clone(servers)
	for _, port := range c.likelyPorts() {
		g, err := c.strangerOn(port)
		if err != nil && len(servers) == 0 {
			return nil, err
		}
		if g != nil && !slices.ContainsFunc(maybe, func(m *group) bool { return m.leader == g.leader }) {
			maybe = append(maybe, g)
		}
	}
	switch len(maybe) {
	case 0:
		return nil, nil
	case 1:
		return maybe[0], nil
	}
	return nil, c.anyOf(maybe)
}

func (c *chooser) anyOf(list []*group) error {
	return unclear("%s run, and any may be the application", c.names(list))
}

// likelyPorts are those that proxies pass to, then the default ones.
func (c *chooser) likelyPorts() (ports []int) {
	for _, g := range c.groups {
		if g.leader.Role == RoleServer {
			continue
		}
		for _, p := range g.read(c.r, c.specs).Passes.V {
			if host, port := splitAddress(p.To); port != 0 && local(host) && !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	for _, p := range DefaultPorts {
		if !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return ports
}

// passedTo are the servers that some proxy or forwarder passes to.
func (c *chooser) passedTo(servers []*group) (list []*group) {
	for _, g := range c.groups {
		if g.leader.Role == RoleServer {
			continue
		}
		for _, to := range c.behind(g) {
			if slices.Contains(servers, to) && !slices.Contains(list, to) {
				list = append(list, to)
			}
		}
	}
	return list
}

// on are those that listen on a port.
func (c *chooser) on(list []*group, port int) (found []*group) {
	for _, g := range list {
		if slices.Contains(g.ports(c.nets), port) {
			found = append(found, g)
		}
	}
	return found
}

// names are groups as a user finds them: "gunicorn 100 on :5001".
func (c *chooser) names(list []*group) string {
	var out []string
	for _, g := range list {
		name := g.leader.Kind
		if g.spec == nil {
			name = g.leader.Name
		}
		name = fmt.Sprintf("%s %d", name, g.leader.PID)
		if ports := g.ports(c.nets); len(ports) > 0 {
			name += fmt.Sprintf(" on :%d", ports[0])
		}
		out = append(out, name)
	}
	if n := len(out); n > 1 {
		return strings.Join(out[:n-1], ", ") + " and " + out[n-1]
	}
	return strings.Join(out, "")
}

// reachedAt is the port that the application is reached at from its host.
func (c *chooser) reachedAt(app *group, asked int) int {
	if asked != 0 {
		return asked
	}
	for _, g := range c.groups {
		if g.leader.Role == RoleForwarder && slices.Contains(c.behind(g), app) {
			if ports := g.ports(c.nets); len(ports) > 0 {
				return ports[0]
			}
		}
	}
	ports := app.ports(c.nets)
	for _, p := range DefaultPorts {
		if slices.Contains(ports, p) {
			return p
		}
	}
	if len(ports) > 0 {
		return ports[0]
	}
	return 0
}

// before are the groups that may pass requests on to the application, however many
// hops away: those whose settings lead there, and those of which that is not known.
// Where none leads there all are kept: somebody will want to know why.
func (c *chooser) before(app *group, port int) []*group {
	var fronts []*group
	for _, g := range c.groups {
		if g.leader.Role != RoleServer {
			fronts = append(fronts, g)
		}
	}
	targets := map[int]bool{port: port != 0}
	if app != nil {
		for _, p := range app.ports(c.nets) {
			targets[p] = true
		}
	}
	var leads, unclear []*group
	for grew := true; grew; {
		grew = false
		for _, g := range fronts {
			if slices.Contains(leads, g) {
				continue
			}
			passes := g.read(c.r, c.specs).Passes
			if !slices.ContainsFunc(passes.V, func(p Pass) bool { _, to := splitAddress(p.To); return targets[to] || to == 0 && app != nil }) &&
				!(app != nil && g.leader.Role == RoleForwarder && slices.Contains(c.behind(g), app)) { // into a container whose sockets can't be seen
				continue
			}
			leads, grew = append(leads, g), true
			for _, p := range g.ports(c.nets) {
				targets[p] = true
			}
		}
	}
	for _, g := range fronts {
		if !slices.Contains(leads, g) && !g.read(c.r, c.specs).Passes.Known() {
			unclear = append(unclear, g)
		}
	}
	if len(leads)+len(unclear) == 0 {
		return slices.DeleteFunc(fronts, func(g *group) bool { return g.leader.Role == RoleForwarder })
	}
	return append(leads, unclear...)
}

// splitAddress takes "host:port" apart; port 0 is of a unix socket or of none.
func splitAddress(s string) (host string, port int) {
	h, p, err := net.SplitHostPort(s)
	if err != nil {
		return s, 0
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return h, 0
	}
	return h, int(n)
}

// local says whether a name or address may be of this host.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
