package facts

import (
	"fmt"
	"strconv"
	"strings"
)

// Where the kernel tells of its connection tracking; absent where it tracks none.
const (
	conntrackMaxPath   = "/proc/sys/net/netfilter/nf_conntrack_max"
	conntrackCountPath = "/proc/sys/net/netfilter/nf_conntrack_count"
)

// Conntrack is the kernel's table of tracked connections.
type Conntrack struct {
	Max   int64 `json:"max"`
	Count int64 `json:"count"`
}

func readConntrack(r Root) Value[*Conntrack] {
	if !r.Exists("/proc/sys/net") {
		return unknown[*Conntrack](fmt.Errorf("%s: no running kernel to ask", conntrackMaxPath))
	}
	if !r.Exists(conntrackMaxPath) {
		return known[*Conntrack](nil, conntrackMaxPath+" is absent")
	}
	return read(conntrackMaxPath, func() (*Conntrack, error) {
		var c Conntrack
		for path, p := range map[string]*int64{conntrackMaxPath: &c.Max, conntrackCountPath: &c.Count} {
			s, err := r.ReadString(path)
			if err != nil {
				return nil, err
			}
			if *p, err = strconv.ParseInt(s, 10, 64); err != nil || *p < 0 {
				return nil, fmt.Errorf("%s: %q is no count", path, s)
			}
		}
		return &c, nil
	})
}

// readKubeProxy says whether kube-proxy runs, which sets nf_conntrack_max by the
// number of cores whenever it starts (its conntrack.maxPerCore), and k3s or
// another that has it inside.
func readKubeProxy(running Value[[]*candidate]) Value[bool] {
	if !running.Known() {
		return Value[bool]{Err: running.Why()}
	}
	for _, c := range running.V {
		if c.Name == "kube-proxy" || strings.HasPrefix(c.Name, "k3s-server") || strings.HasPrefix(c.Name, "k3s-agent") {
			return known(true, fmt.Sprintf("/proc/%d/stat", c.PID))
		}
	}
	return known(false, "no kube-proxy in "+running.Source)
}
