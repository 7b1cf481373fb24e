package loadgen

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// queue watches the kernel's count of connections that found an accept queue full, where
// the server is on this host; nil where it is not, or nothing is known.
type queue struct{ before facts.ListenCounters }

func watchQueue(target string) *queue {
	addr, err := netip.ParseAddrPort(target)
	if err != nil {
		return nil // a name, of the tests' pipes
	}
	if here, err := isLocal(addr.Addr()); err != nil || !here {
		return nil
	}
	c, err := facts.ReadListenCounters(facts.NewRoot("/"))
	if err != nil {
		return nil
	}
	return &queue{c}
}

// since is what was counted since; nil if nothing was.
func (q *queue) since() *reports.Queue {
	if q == nil {
		return nil
	}
	c, err := facts.ReadListenCounters(facts.NewRoot("/"))
	sum := reports.Queue{Overflows: c.Overflows - q.before.Overflows, Drops: c.Drops - q.before.Drops}
	if err != nil || sum == (reports.Queue{}) {
		return nil
	}
	return &sum
}

// isLocal says whether an address is one of this host's.
func isLocal(addr netip.Addr) (bool, error) {
	if addr.IsLoopback() {
		return true, nil
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("this host's addresses: %w", err)
	}
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == addr.Unmap() {
			return true, nil
		}
	}
	return false, nil
}
