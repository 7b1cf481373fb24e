package lot

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// listener is a listening socket whose connections are a lot's.
type listener struct {
	lot  *Lot
	at   net.Addr
	file *os.File // the runtime waits for it
	raw  syscall.RawConn
}

// options are what package net gives each connection.
var options = []struct{ level, name, value int }{
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

// Listen has the connections that come in on a listener be the lot's. It takes the listener
// away from the runtime: on is closed, and what is given is in its place. Listen fails where
// there is no descriptor for that; on is as it was.
func (l *Lot) Listen(on *net.TCPListener) (net.Listener, error) {
	file, err := on.File()
	if err != nil {
		return nil, err
	}
	own := &listener{lot: l, at: on.Addr(), file: file}
	if own.raw, err = file.SyscallConn(); err == nil {
		err = on.Close()
	}
	if err != nil {
		_ = file.Close() // the socket is on's still
		return nil, err
	}
	return own, nil
}

// Accept waits for a connection, and gives a Conn.
func (l *listener) Accept() (net.Conn, error) {
	var fd int
	var from unix.Sockaddr
	var err error
	accept := func(on uintptr) (done bool) {
		for again := true; again; again = err == unix.EINTR || err == unix.ECONNABORTED {
			fd, from, err = unix.Accept4(int(on), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		}
		return err != unix.EAGAIN
	}
	if l.raw.Read(accept) != nil {
		return nil, net.ErrClosed
	}
	if err != nil { // as package net says it
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.at, Err: os.NewSyscallError("accept4", err)}
	}
	for _, o := range options {
		_ = unix.SetsockoptInt(fd, o.level, o.name, o.value) // as there, without it it is no worse than slow
	}
	c := &Conn{lot: l.lot, remote: addrPort(from)}
	c.socket.fd = fd
	if err := c.join(); err != nil {
		_ = c.Close()
		return nil, passing{fmt.Errorf("wait for a connection: %w", err)}
	}
	return c, nil
}

// passing is an error after which net/http accepts again.
type passing struct{ error }

func (passing) Timeout() bool   { return false }
func (passing) Temporary() bool { return true }

// addrPort is an address of the kernel's; none that it does not know.
func addrPort(from unix.Sockaddr) netip.AddrPort {
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port))
	case *unix.SockaddrInet6:
		at := netip.AddrFrom16(from.Addr).Unmap()
		if from.ZoneId != 0 {
			at = at.WithZone(strconv.FormatUint(uint64(from.ZoneId), 10))
		}
		return netip.AddrPortFrom(at, uint16(from.Port))
	}
	return netip.AddrPort{}
}

// Close ends it. Closed twice, it fails with net.ErrClosed.
func (l *listener) Close() error {
	if l.file.Close() != nil {
		return net.ErrClosed
	}
	return nil
}

// Addr is where it listens.
func (l *listener) Addr() net.Addr { return l.at }
