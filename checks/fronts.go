package checks

import (
	"cmp"
	"net"
	"slices"
	"strconv"

	"github.com/fltool/fltool/checks/facts"
)

// frontGroups are the groups of processes before the application, the outermost
// first: each passes on to what listens behind it.
func (c Case) frontGroups() [][]facts.Process {
	byLeader := make(map[int][]facts.Process)
	var leaders []facts.Process
	for _, p := range c.Processes.V {
		if p.Serves() {
			continue
		}
		leader := p.PID
		if p.Part == "worker" && slices.ContainsFunc(c.Processes.V, func(q facts.Process) bool { return q.PID == p.PPID && q.Kind == p.Kind }) {
			leader = p.PPID
		} else {
			leaders = append(leaders, p)
		}
		byLeader[leader] = append(byLeader[leader], p)
	}
	away := c.away(leaders)
	slices.SortStableFunc(leaders, func(a, b facts.Process) int { return cmp.Compare(away[b.PID], away[a.PID]) })
	out := make([][]facts.Process, len(leaders))
	for i, p := range leaders {
		out[i] = byLeader[p.PID]
		slices.SortStableFunc(out[i], func(a, b facts.Process) int { return cmp.Compare(part(a), part(b)) })
	}
	return out
}

// away is by how many hops each leader is from the application; of those of which nobody
// can say it is more than of all others.
func (c Case) away(leaders []facts.Process) map[int]int {
	application := make(map[int]bool)
	listens := make(map[int]map[int]bool, len(leaders))
	fronted := false // a port before the application is what it is reached at
	for _, p := range leaders {
		listens[p.PID] = make(map[int]bool)
		addPorts(listens[p.PID], p)
		fronted = fronted || listens[p.PID][c.Asked.Port]
	}
	for _, p := range c.Processes.V {
		if p.Serves() {
			addPorts(application, p)
		}
	}
	if !fronted {
		application[c.Asked.Port] = true
	}
	behind := make(map[int][]int, len(leaders))
	known := make(map[int]bool, len(leaders)) // on the way, for one that passes to it or to whom it passes
	for _, p := range leaders {
		known[p.PID] = known[p.PID] || p.Role == facts.RoleForwarder
		for _, to := range p.Passes.V {
			port := portOf(to.To)
			known[p.PID] = known[p.PID] || application[port]
			for _, q := range leaders {
				if q.PID != p.PID && listens[q.PID][port] && !slices.Contains(behind[p.PID], q.PID) {
					behind[p.PID] = append(behind[p.PID], q.PID)
					known[q.PID] = true
				}
			}
		}
	}
	out := make(map[int]int, len(leaders))
	for range leaders { // as often as the longest way has hops; they may form a circle
		for _, p := range leaders {
			out[p.PID] = max(out[p.PID], 1)
			for _, next := range behind[p.PID] {
				out[p.PID] = max(out[p.PID], min(out[next]+1, len(leaders)))
			}
		}
	}
	for _, p := range leaders {
		if !known[p.PID] && len(behind[p.PID]) == 0 {
			out[p.PID] = len(leaders) + 1
		}
	}
	return out
}

func addPorts(ports map[int]bool, p facts.Process) {
	for _, l := range p.Listen.V {
		ports[int(l.Addr.Port())] = true
	}
}

// portOf is the port of "host:port"; -1 where there is none.
func portOf(address string) int {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		return -1
	}
	return n
}
