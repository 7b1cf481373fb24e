package server

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/lot"
)

// ServeTLS is Serve over TLS, on a listener of plain connections.
//
// An encrypted connection waits for requests like a plain one: its socket parks, and
// its TLS state sleeps. It is net/http that begins with it, handshake included.
func (s *Server) ServeTLS(l net.Listener, cfg *tls.Config) error {
	return s.serve(l, cfg)
}

// encrypt puts TLS on top of a new connection.
func encrypt(c net.Conn, cfg *tls.Config) net.Conn {
	if owned, is := c.(*lot.Conn); is {
		c = &impatient{Conn: owned}
	}
	return tls.Server(c, cfg)
}

// impatient is a socket below TLS from which can be read what has come, without
// waiting for more.
type impatient struct {
	*lot.Conn
	now atomic.Bool
}

func (c *impatient) Read(p []byte) (int, error) {
	if !c.now.Load() {
		return c.Conn.Read(p)
	}
	n, err := c.ReadNow(p)
	if err == unix.EAGAIN {
		err = errNothing
	}
	return n, err
}

// Write writes for who reads without waiting, as crypto/tls does where a client wants other
// keys or breaks the protocol: one that takes no answer to that is no client.
func (c *impatient) Write(p []byte) (int, error) {
	if !c.now.Load() {
		return c.Conn.Write(p)
	}
	n, err := c.WriteNow(p)
	if n < len(p) && (err == nil || err == unix.EAGAIN) {
		err = errUnread
	}
	return n, err
}

var errUnread = errors.New("the client reads nothing")

// errNothing is, to crypto/tls, a deadline that has passed: reading may go on later.
var errNothing net.Error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing has come" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// impatiently gives the encrypted connection that c is, and its socket; nil if it
// can't be read from without waiting.
func impatiently(c net.Conn) (*tls.Conn, *impatient) {
	encrypted, is := c.(*tls.Conn)
	if !is {
		return nil, nil
	}
	below, is := encrypted.NetConn().(*impatient)
	if !is {
		return nil, nil
	}
	return encrypted, below
}

// readTLSNow reads what has come without waiting, as readNow does.
func readTLSNow(c *tls.Conn, below *impatient, b []byte) (n int, err error) {
	below.now.Store(true)
	n, err = c.Read(b)
	below.now.Store(false)
	if n > 0 {
		return n, nil // the error comes again
	}
	if errors.Is(err, errNothing) {
		err = unix.EAGAIN
	}
	return n, err
}
