package facts

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// candidate is a process as far as its name and arguments tell.
type candidate struct {
	Process
	args  []string
	spec  *Spec // nil: its arguments are of no kind
	ended bool  // a zombie: nobody has asked yet how it ended
}

// readRunning reads all processes of the host. The error is that the one that was asked
// for does not exist; one that ends meanwhile is none.
func readRunning(r Root, specs []Spec, asked int, net *networks) (Value[[]*candidate], error) {
	all, err := readCandidates(r, specs, asked, net)
	var named askedError
	switch {
	case errors.As(err, &named):
		return Value[[]*candidate]{}, named.error
	case asked == 0 && absent(err), err == nil && len(all) == 0:
		return known[[]*candidate](nil, nothingRuns), nil
	case err != nil:
		return unknown[[]*candidate](err), nil
	}
	return known(all, "/proc"), nil
}

func readCandidates(r Root, specs []Spec, asked int, net *networks) ([]*candidate, error) {
	names, err := r.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []*candidate
	pids := 0
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid <= 0 {
			continue
		}
		pids++
		c, err := readCandidate(r, specs, pid, net)
		switch {
		case err == nil:
			all = append(all, c)
		case pid == asked:
			return nil, askedError{fmt.Errorf("process %d: %w", pid, err)}
		case !gone(err):
			return nil, err // it might be the one
		}
	}
	switch {
	case asked != 0 && !slices.ContainsFunc(all, func(c *candidate) bool { return c.PID == asked }):
		return nil, askedError{fmt.Errorf("process %d does not run", asked)}
	case len(all) == 0 && pids > 0:
		return nil, errors.New("/proc shows processes that can't be read")
	}
	return all, nil
}

// askedError is about what the user asked for by name.
type askedError struct{ error }

// gone tells a process that ended while it was read.
func gone(err error) bool { return absent(err) || errors.Is(err, syscall.ESRCH) }

// readCandidate reads the command line and the stat line.
func readCandidate(r Root, specs []Spec, pid int, net *networks) (*candidate, error) {
	args, err := readArgs(r, fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	stat, err := readStat(r, pid)
	if err != nil {
		return nil, err
	}
	c := &candidate{Process: Process{PID: pid, PPID: stat.ppid, Name: stat.name}, args: args, ended: stat.state == "Z" || stat.state == "X"}
	if len(args) == 0 || args[0] == "" || c.ended {
		return c, nil // of the kernel, or a zombie
	}
	spec, title := specOf(specs, args)
	if spec == nil {
		spec = lookAt(r, specs, c, false)
	}
	c.spec, c.Part = spec, title.Part
	if spec != nil {
		c.Kind, c.Role = spec.Kind, spec.Role
	}
	c.Draining = title.Draining != "" && strings.Contains(args[0], title.Draining)
	c.NetNS = net.of(pid)
	return c, nil
}

// lookAt finds the kind of a process that its arguments don't tell.
func lookAt(r Root, specs []Spec, c *candidate, slow bool) *Spec {
	for i := range specs {
		if s := &specs[i]; s.Look != nil && s.Slow == slow && s.Look(r, Program{PID: c.PID, Args: c.args}) {
			return s
		}
	}
	return nil
}

// readArgs reads a list of texts that end in NUL.
func readArgs(r Root, name string) ([]string, error) {
	b, err := r.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range bytes.Split(bytes.TrimRight(b, "\x00"), []byte{0}) {
		out = append(out, string(a))
	}
	return out, nil
}

// group is the processes of one hop: a leader, and those that it started.
type group struct {
	spec    *Spec // nil: a program that no kind knows
	leader  *candidate
	members []*candidate // the leader first

	looked    bool
	inodes    map[uint64]bool
	inodesErr error // some of its sockets may not be seen
	details   *Details
}

// family finds whom a process belongs to.
type family map[int]*candidate

// parent is nil where it is not seen.
func (f family) parent(c *candidate) *candidate {
	if p := f[c.PPID]; p != c {
		return p
	}
	return nil
}

// leader is the process whose hop c is of: the first of its line of its own kind; of
// one that is of no kind the server that started it, whose children are its workers,
// whatever they look like. nil: it is of no hop.
func (f family) leader(c *candidate) *candidate {
	for range len(f) { // parents may form a circle where the files were made up
		p := f.parent(c)
		switch {
		case c.spec != nil && (p == nil || p.spec != c.spec):
			return c
		case p == nil, c.spec == nil && p.spec != nil && p.Role != RoleServer:
			return nil
		}
		c = p
	}
	return nil
}

// groups puts the processes of known kinds together.
func groups(all []*candidate) []*group {
	byPID := make(family, len(all))
	for _, c := range all {
		byPID[c.PID] = c
	}
	found := make(map[*candidate]*group)
	var out []*group
	for _, c := range all {
		leader := byPID.leader(c)
		if leader == nil || c.ended {
			continue
		}
		g := found[leader]
		if g == nil {
			g = &group{spec: leader.spec, leader: leader, members: []*candidate{leader}}
			found[leader] = g
			out = append(out, g)
		}
		if c != leader {
			g.members = append(g.members, c)
		}
	}
	for _, g := range out {
		g.settle()
	}
	return out
}

// alone is the group of a program that no kind knows, with all that it started.
func alone(c *candidate, all []*candidate) *group {
	g := &group{spec: c.spec, leader: c, members: []*candidate{c}}
	in := map[int]bool{c.PID: true}
	for grew := true; grew; {
		grew = false
		for _, child := range all {
			if !in[child.PID] && in[child.PPID] && !child.ended && (child.spec == nil || child.spec == c.spec) {
				in[child.PID], grew = true, true
				g.members = append(g.members, child)
			}
		}
	}
	g.settle()
	return g
}

// settle gives kind and part to those that have none.
func (g *group) settle() {
	for _, c := range g.members {
		c.Kind, c.Role = KindOther, RoleServer
		if g.spec != nil {
			c.Kind, c.Role = g.spec.Kind, g.spec.Role
		}
		switch {
		case c.Part != "" || g.spec == nil:
		case c != g.leader:
			c.Part = "worker"
		case len(g.members) > 1:
			c.Part = "master"
		}
	}
}

// sockets are the inodes of the group's first sockets.
func (g *group) sockets(net *networks) map[uint64]bool {
	if g.looked {
		return g.inodes
	}
	g.looked, g.inodes = true, make(map[uint64]bool)
	for _, c := range g.members[:min(len(g.members), maxScannedMembers)] {
		inodes, err := readSockets(net.r, c.PID)
		if err != nil && !gone(err) {
			g.inodesErr = err
		}
		for _, n := range inodes {
			g.inodes[n] = true
		}
	}
	return g.inodes
}

// maxScannedMembers bounds whose sockets are looked at: workers share their
// master's listeners.
const maxScannedMembers = 64

// listen is what the group listens on.
func (g *group) listen(net *networks) Value[[]Listener] {
	table, err := net.table(g.leader.NetNS, g.leader.PID)
	if err != nil {
		return unknown[[]Listener](err)
	}
	out := []Listener{}
	for inode := range g.sockets(net) {
		if l, ok := table.listeners[inode]; ok {
			out = append(out, l)
		}
	}
	if g.inodesErr != nil && len(out) == 0 {
		return unknown[[]Listener](g.inodesErr)
	}
	slices.SortFunc(out, func(a, b Listener) int { return a.Addr.Compare(b.Addr) })
	return known(out, fmt.Sprintf("/proc/%d/fd", g.leader.PID))
}

// ports are those that the group listens on.
func (g *group) ports(net *networks) (ports []int) {
	for _, l := range g.listen(net).V {
		ports = append(ports, int(l.Addr.Port()))
	}
	return ports
}

// read is what the group's own settings are, read once.
func (g *group) read(r Root, specs []Spec) Details {
	if g.details == nil {
		d := Details{Version: Value[string]{Err: "not read"}, Passes: Value[[]Pass]{Err: "where it passes requests on is not known"}}
		if g.spec != nil && g.spec.Read != nil {
			d = g.spec.Read(r, program(r, specs, *g.leader, len(g.members)-1))
		}
		g.details = &d
	}
	return *g.details
}
