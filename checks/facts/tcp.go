package facts

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Listener is an address that a process accepts TCP connections on.
type Listener struct {
	Addr        netip.AddrPort `json:"addr"`
	Established int            `json:"established"` // connections to its port now
	Queued      int            `json:"queued"`      // in its accept queue now
}

// tcpTable is what /proc/net/tcp and tcp6 tell, summed up.
type tcpTable struct {
	listeners   map[uint64]Listener // by inode
	established map[uint16]int      // by local port
	accepted    map[uint16][]string // the other ends of those that a program has taken from the accept queue
	timeWait    map[uint16]int      // by local port: closed, and kept for a minute
	towards     map[uint64]uint16   // by inode of an established connection: the port at its other end
}

// readTCP reads tcp and tcp6 of a directory: /proc/net, or /proc/PID/net of
// another network namespace.
func readTCP(r Root, dir string) (tcpTable, error) {
	t := tcpTable{listeners: make(map[uint64]Listener), established: make(map[uint16]int), accepted: make(map[uint16][]string), timeWait: make(map[uint16]int), towards: make(map[uint64]uint16)}
	for _, path := range []string{dir + "/tcp", dir + "/tcp6"} {
		f, err := r.Open(path)
		if absent(err) && strings.HasSuffix(path, "6") {
			continue // no IPv6
		}
		if err != nil {
			return t, err
		}
		err = t.parse(f)
		f.Close()
		if err != nil {
			return t, fmt.Errorf("%s: %w", path, err)
		}
	}
	for inode, l := range t.listeners {
		l.Established = t.established[l.Addr.Port()]
		t.listeners[inode] = l
	}
	return t, nil
}

// The kernel's numbers for socket states.
const (
	tcpEstablished = "01"
	tcpTimeWait    = "06" // both ends have closed it
	tcpListen      = "0A"
)

// parse adds one file: a head, then a line a socket, as
// "sl local remote state tx:rx timer retransmits uid timeout inode …".
func (t *tcpTable) parse(rd io.Reader) error {
	sc := bufio.NewScanner(rd)
	sc.Scan() // the head
	for sc.Scan() {
		var f [10][]byte
		n := 0
		for field := range bytes.FieldsSeq(sc.Bytes()) { // of tens of thousands of lines most are of no interest
			if f[n] = field; n == len(f)-1 {
				break
			}
			n++
		}
		if f[9] == nil {
			return fmt.Errorf("%q is no socket", sc.Text())
		}
		local := f[1]
		switch string(f[3]) {
		case tcpEstablished, tcpTimeWait:
			port, err := strconv.ParseUint(string(local[bytes.LastIndexByte(local, ':')+1:]), 16, 16)
			if err != nil {
				return fmt.Errorf("%q is no address", local)
			}
			if string(f[3]) == tcpTimeWait {
				t.timeWait[uint16(port)]++
				continue
			}
			t.established[uint16(port)]++
			remote, inode := string(f[2]), string(f[9])
			if inode != "0" { // of a file that somebody has open
				t.accepted[uint16(port)] = append(t.accepted[uint16(port)], remote)
			}
			t.addClient(remote, inode)
		case tcpListen:
			addr, err := parseKernelAddr(string(local))
			if err != nil {
				return err
			}
			inode, err := strconv.ParseUint(string(f[9]), 10, 64)
			if err != nil {
				return fmt.Errorf("%q is no inode", f[9])
			}
			_, rx, _ := strings.Cut(string(f[4]), ":")
			queued, err := strconv.ParseUint(rx, 16, 31)
			if err != nil {
				return fmt.Errorf("%q are no queues", f[4])
			}
			t.listeners[inode] = Listener{Addr: addr, Queued: int(queued)}
		}
	}
	return sc.Err()
}

// addClient keeps which port an established connection leads to. One whose address
// or inode can't be read leads nowhere that is of interest.
func (t *tcpTable) addClient(remote, inode string) {
	port, err := strconv.ParseUint(remote[strings.LastIndexByte(remote, ':')+1:], 16, 16)
	n, inodeErr := strconv.ParseUint(inode, 10, 64)
	if err == nil && inodeErr == nil && n != 0 && t.towards != nil {
		t.towards[n] = uint16(port)
	}
}

// readTimeWait counts the ports of the local range that connections just closed
// still keep. Where the table shows none the kernel's own count stands, which
// holds those of listeners, too.
func readTimeWait(nets *networks, ports Value[PortRange], counted Value[Sockstat]) Value[int] {
	if !ports.Known() {
		return Value[int]{Err: ports.Why()}
	}
	t, err := nets.table("", 0) // the host's
	if err != nil {
		return unknown[int](err)
	}
	n := 0
	for port, c := range t.timeWait {
		if ports.V.Lo <= int(port) && int(port) <= ports.V.Hi {
			n += c
		}
	}
	if len(t.timeWait) > 0 {
		return known(n, "/proc/net/tcp")
	}
	return convert(counted, func(s Sockstat) (int, error) { return s.TimeWait, nil })
}

// parseKernelAddr reads "0100007F:1388": 32-bit words in the host's order
// (little-endian on what fltool is built for), then the port.
func parseKernelAddr(s string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if !ok || err != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", s)
	}
	for i := 0; i < len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", s)
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// Accepted are the other ends of the connections that these processes have accepted on
// the ports that they listen on: not those that wait in an accept queue, where they look
// accepted to their clients.
func Accepted(r Root, pids []int) ([]string, error) {
	t, err := readTCP(r, "/proc/net")
	if err != nil {
		return nil, err
	}
	ports := map[uint16]bool{}
	for _, pid := range pids {
		own, err := t.portsOf(r, pid)
		if err != nil {
			return nil, err
		}
		for _, port := range own {
			ports[port] = true
		}
	}
	var all []string
	for port := range ports {
		all = append(all, t.accepted[port]...)
	}
	return all, nil
}

// portsOf are the ports that a process listens on.
func (t *tcpTable) portsOf(r Root, pid int) (ports []uint16, err error) {
	inodes, err := readSockets(r, pid)
	for _, inode := range inodes {
		if l, ok := t.listeners[inode]; ok {
			ports = append(ports, l.Addr.Port())
		}
	}
	return ports, err
}

// Serving is the first process of a tree that listens on a port: the server, where a
// shell that started it stays. It is the tree's own where none does.
func Serving(r Root, pid int) (int, error) {
	tree, err := ReadTree(r, pid)
	if err != nil {
		return 0, err
	}
	t, err := readTCP(r, "/proc/net")
	if err != nil {
		return 0, err
	}
	for _, member := range tree {
		if ports, err := t.portsOf(r, member); err == nil && len(ports) > 0 { // else it has ended
			return member, nil
		}
	}
	return pid, nil
}

// CountConnections counts this network namespace's TCP connections to a remote
// address that the other end has not closed: all but those in TIME_WAIT. A
// connection that this end has closed alone counts for as long as the kernel
// keeps it (net.ipv4.tcp_fin_timeout).
func CountConnections(r Root, remote netip.AddrPort) (int, error) {
	path := "/proc/net/tcp"
	if remote.Addr().Unmap().Is6() {
		path = "/proc/net/tcp6"
	}
	f, err := r.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := countConnections(f, netip.AddrPortFrom(remote.Addr().Unmap().WithZone(""), remote.Port()))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

func countConnections(rd io.Reader, remote netip.AddrPort) (int, error) {
	sc := bufio.NewScanner(rd)
	sc.Scan() // the head
	n := 0
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 4 {
			return 0, fmt.Errorf("%q is no socket", sc.Text())
		}
		if f[3] == tcpTimeWait || f[3] == tcpListen {
			continue
		}
		to, err := parseKernelAddr(f[2])
		if err != nil {
			return 0, err
		}
		if netip.AddrPortFrom(to.Addr().Unmap(), to.Port()) == remote {
			n++
		}
	}
	return n, sc.Err()
}
