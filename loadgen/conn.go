package loadgen

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/fltool/fltool/server/lot"
	"github.com/fltool/fltool/server/wire"
)

// conn is a worker's own connection. It has no buffers while nothing is read:
// that is what keeps thousands of held polls cheap.
type conn struct {
	net.Conn           // the socket, or TLS on top of it
	hit      *hit      // that works on it; nil while nobody does
	socket   *socket   // nil where there is none: a pipe of the tests
	secure   bool      // TLS is on top of the socket
	used     bool      // has carried an answer before
	in, out  int64     // bytes, of HTTP
	came     time.Time // when the last of what was read had come to this machine
	ended    error     // that reading ended with for good; nil: it has not
	head     wire.Head
}

// serve has the connection be a hit's.
func (c *conn) serve(h *hit) {
	c.hit = h
	if c.socket != nil {
		c.socket.hit = h
	}
}

func (c *conn) Read(p []byte) (int, error) {
	if c.socket == nil {
		c.hit.rest() // it may wait
	}
	n, err := c.head.Read(c.Conn, p)
	c.in += int64(n)
	if err != nil {
		if late := net.Error(nil); !errors.As(err, &late) || !late.Timeout() {
			c.ended = err
		}
	}
	if c.socket != nil {
		c.came = c.socket.came
	} else {
		c.came = time.Now()
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if c.socket == nil {
		c.hit.rest()
	}
	n, err := c.Conn.Write(p)
	c.out += int64(n)
	return n, err
}

// Dialer opens connections; net.Dialer's method of the same name is one.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// netDialer dials from a source address, or from any if it is not valid.
func netDialer(source netip.Addr) Dialer {
	d := net.Dialer{KeepAlive: 30 * time.Second}
	if source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
		d.Control = func(_, _ string, c syscall.RawConn) error {
			var opt error
			err := c.Control(func(fd uintptr) { opt = pickPortLate(fd) })
			return errors.Join(err, opt)
		}
	}
	return d.DialContext
}

// dial opens a connection, TLS included, within the deadline. It can park in the lot.
func dial(ctx context.Context, d Dialer, l *lot.Lot, address string, cfg *tls.Config, deadline time.Time) (*conn, *failure) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	nc, err := d(ctx, "tcp", address)
	if err != nil {
		return nil, judgeConn(err)
	}
	c := &conn{Conn: nc, secure: cfg != nil}
	if c.socket, err = newSocket(l, nc); err != nil {
		return nil, judgeConn(err)
	}
	if c.socket != nil {
		c.Conn = c.socket
	}
	if cfg != nil {
		t := tls.Client(c.Conn, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			c.Conn.Close()
			if f := judgeConn(err); f.class == classTimeout || f.class == classStopped {
				return nil, f
			}
			return nil, failed(classTLS, "%s", cause(err))
		}
		c.Conn = t
	}
	return c, nil
}

// glance reads what has come, TLS as far as it can. It gives a reader that holds the start of
// an answer, or errNothing.
func (c *conn) glance() (*bufio.Reader, error) {
	br := getReader(c)
	if err := c.glanceBy(br); err != nil {
		putReader(br)
		return nil, err
	}
	return br, nil
}

// glanceBy is glance by a reader that holds nothing.
func (c *conn) glanceBy(br *bufio.Reader) error {
	c.socket.asis = true
	defer func() { c.socket.asis = false }()
	_, err := br.Peek(1)
	return err
}

// more says whether TLS has read more than was asked of it, of which the socket says
// nothing any more, or can; br holds it then.
func (c *conn) more(br *bufio.Reader) bool {
	return c.secure && c.socket != nil && c.glanceBy(br) == nil
}

// alive says whether an idle connection can be written to: not if the server has
// closed it meanwhile, nor if it has sent what nobody asked for, as some do before
// they close it.
func (c *conn) alive() bool {
	if c.socket == nil {
		return true
	}
	_, err := c.socket.look()
	if err == nil && c.secure {
		var br *bufio.Reader
		if br, err = c.glance(); err == nil {
			putReader(br)
		}
	}
	return err == errNothing
}

// readable waits until an answer has begun to come or the read deadline passes, and
// gives the reader that holds its start.
func (c *conn) readable() (*bufio.Reader, error) {
	br := getReader(c)
	if _, err := br.Peek(1); err != nil {
		putReader(br)
		return nil, err
	}
	return br, nil
}

// overslept says whether waiting ended at its deadline though there is something to
// read: then this machine was late to look, and the server not late to answer.
func (c *conn) overslept(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.socket == nil {
		return false
	}
	_, err = c.socket.look()
	return err == nil
}

// readers are the buffers that answers are read through, taken only once an
// answer has begun to come.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

func getReader(r io.Reader) *bufio.Reader {
	br := readers.Get().(*bufio.Reader)
	br.Reset(r)
	return br
}

func putReader(br *bufio.Reader) {
	br.Reset(nil)
	readers.Put(br)
}
