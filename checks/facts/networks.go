package facts

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// networks are the TCP sockets of the network namespaces that processes live in.
type networks struct {
	r      Root
	host   string // the namespace that /proc/net shows; "" where links are not to be seen
	tables map[string]tcpTable
	errs   map[string]error
}

func newNetworks(r Root) *networks {
	n := &networks{r: r, tables: map[string]tcpTable{}, errs: map[string]error{}}
	for _, self := range []string{"/proc/self/ns/net", "/proc/1/ns/net"} {
		if link, err := r.Readlink(self); err == nil {
			n.host = link
			break
		}
	}
	return n
}

// of is the namespace of a process: "" is the host's, and where it can't be seen
// taken to be.
func (n *networks) of(pid int) string {
	link, err := n.r.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil || link == n.host {
		return ""
	}
	return link
}

// table is the sockets of a namespace, read once, by way of a process in it.
func (n *networks) table(ns string, pid int) (tcpTable, error) {
	if _, ok := n.tables[ns]; !ok {
		dir := "/proc/net"
		if ns != "" {
			dir = fmt.Sprintf("/proc/%d/net", pid)
		}
		n.tables[ns], n.errs[ns] = readTCP(n.r, dir)
	}
	return n.tables[ns], n.errs[ns]
}

// maxScannedFDs bounds the descriptors looked at: a listener is opened before
// its connections, and a process that holds thousands is not read through.
const maxScannedFDs = 256

// readSockets lists the inodes of a process's first sockets.
func readSockets(r Root, pid int) ([]uint64, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := r.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, func(a, b string) int { // numeric: low descriptors are the old ones
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	var out []uint64
	for _, n := range names[:min(len(names), maxScannedFDs)] {
		target, err := r.Readlink(path.Join(dir, n))
		if err != nil {
			continue
		}
		if s, ok := strings.CutPrefix(target, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64); err == nil {
				out = append(out, inode)
			}
		}
	}
	return out, nil
}

// Listening are the addresses that anybody listens on in the network namespace of a
// process.
func (r Root) Listening(pid int) ([]netip.AddrPort, error) {
	t, err := readTCP(r, fmt.Sprintf("/proc/%d/net", pid))
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, l := range t.listeners {
		out = append(out, l.Addr)
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return out, nil
}
