package server

import (
	"crypto/tls"
	"net"

	"github.com/fltool/fltool/server/lot"
)

// tcpConn is a plain connection with its socket.
type tcpConn struct {
	*net.TCPConn
	socket *lot.Socket
}

// withSocket gives a connection that has just been accepted its socket, if it has one.
func withSocket(c net.Conn) net.Conn {
	if tcp, is := c.(*net.TCPConn); is {
		return &tcpConn{tcp, lot.NewSocket(tcp)}
	}
	return c
}

func (c *tcpConn) Close() error {
	if c.socket != nil {
		c.socket.Forget()
	}
	return c.TCPConn.Close()
}

// socket is the socket below a connection, nil if there is none.
func socket(c net.Conn) *lot.Socket {
	switch c := under(c).(type) {
	case *tcpConn:
		return c.socket
	case *net.TCPConn: // below TLS that is not ServeTLS's
		return lot.NewSocket(c)
	}
	return nil
}

// under is the connection that all others are wrapped around.
func under(c net.Conn) net.Conn {
	switch c := c.(type) {
	case *tls.Conn:
		return under(c.NetConn())
	case *resumed:
		return under(c.Conn)
	case *impatient:
		return c.tcpConn
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
