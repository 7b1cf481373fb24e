package loadgen

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/fltool/fltool/checks/facts"
)

// spareFDs is what a generator needs besides its workers' connections: standard
// streams, epoll, files of /proc and reports, connections being replaced.
const spareFDs = 32

// RoomError is a machine that can't generate so many workers.
type RoomError struct {
	What string // "7000 workers need 7032 open descriptors, this process may have 1024"
	Hint string
}

func (e *RoomError) Error() string { return e.What }

// CheckRoom says before the start whether so many processes like this one have
// descriptors, and this machine local ports, for so many workers, each with so many
// connections of its own, one of them to the same address.
// The error is a *RoomError, or what reading the limits failed with.
func CheckRoom(workers, each, procs, sources int) error {
	root := facts.NewRoot("/")
	limits, err := facts.ReadLimits(root, os.Getpid())
	if err != nil {
		return err
	}
	part := (workers + procs - 1) / procs
	if need := int64(part)*int64(each) + spareFDs; limits.NoFile.Soft.Below(need) {
		return &RoomError{
			What: fmt.Sprintf("%d workers need %d open descriptors, this process may have %s", part, need, limits.NoFile.Soft),
			Hint: "raise the hard limit (ulimit -Hn, LimitNOFILE), or split the run over processes with simulate's --procs or over hosts with --shard",
		}
	}
	ports, err := facts.ReadPortRange(root)
	if err != nil {
		return err
	}
	if have := ports.Usable() * max(1, sources); workers > have {
		return &RoomError{
			What: fmt.Sprintf("%d workers need as many local ports, there are %d from %d source address(es)", workers, have, max(1, sources)),
			Hint: "add source addresses with --source-ip 127.0.0.2,127.0.0.3, or widen net.ipv4.ip_local_port_range",
		}
	}
	return nil
}

// CheckSources says before the start whether the addresses to dial from are this
// machine's. The error is a *RoomError.
func CheckSources(sources []netip.Addr) error {
	for _, ip := range sources {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
		if err != nil {
			return &RoomError{What: fmt.Sprintf("can't dial from %s: %s", ip, cause(err)), Hint: "ip address shows the addresses of this machine"}
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// CheckServer says before the start whether a process can be measured.
func CheckServer(pid int) error {
	u, err := facts.ReadUsage(facts.NewRoot("/"), pid)
	if u.RSSBytes == 0 && err != nil {
		return err
	}
	return nil // another user's descriptors can't be counted; they stay out of the report
}
