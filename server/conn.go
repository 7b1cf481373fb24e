package server

import (
	"crypto/tls"
	"net"
	"syscall"

	"github.com/fltool/fltool/server/lot"
)

// socket is the connection below all that is wrapped around it, nil if it is not the lot's.
func socket(c net.Conn) *lot.Conn {
	s, _ := under(c).(*lot.Conn)
	return s
}

// park has p be told of what comes on a connection, which is given; nil if that can't be.
func park(c net.Conn, p lot.Parked) *lot.Conn {
	if s := socket(c); s != nil && s.Park(p) {
		return s
	}
	return nil
}

// descriptor lets f have that of a connection, the lot's or not, and says whether there is one.
func descriptor(c net.Conn, f func(fd int) error) bool {
	switch c := under(c).(type) {
	case *lot.Conn:
		_ = c.Control(f)
	case syscall.Conn:
		raw, err := c.SyscallConn()
		return err == nil && raw.Control(func(fd uintptr) { _ = f(int(fd)) }) == nil
	default: // in memory
		return false
	}
	return true
}

// under is the connection that all others are wrapped around.
func under(c net.Conn) net.Conn {
	switch c := c.(type) {
	case *tls.Conn:
		return under(c.NetConn())
	case *resumed:
		return under(c.Conn)
	case *impatient:
		return c.Conn
	}
	return c
}

// cut closes a connection at once: an encrypted one without a last word, which may
// have to wait for its client.
func cut(c net.Conn) { _ = under(c).Close() }

// closeWrite says that no more comes, as quickly.
func closeWrite(c net.Conn) {
	if half, ok := under(c).(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
