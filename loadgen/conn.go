package loadgen

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a worker's own connection. It has no buffers while nothing is read:
// that is what keeps thousands of held polls cheap.
type conn struct {
	net.Conn
	raw     syscall.RawConn // of the socket, to wait without a buffer; nil where there is none
	quiet   *quiet          // what is under TLS; nil without
	used    bool            // has carried an answer before
	in, out int64           // bytes, of HTTP
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in += int64(n)
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
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
		// Without this the kernel picks the port at bind, when it does not know the
		// destination yet, so one port range would serve all destinations.
		d.Control = func(_, _ string, c syscall.RawConn) error {
			var opt error
			err := c.Control(func(fd uintptr) {
				opt = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
			})
			return errors.Join(err, opt)
		}
	}
	return d.DialContext
}

// dial opens a connection, TLS included, within the deadline.
func dial(ctx context.Context, d Dialer, address string, cfg *tls.Config, deadline time.Time) (*conn, *failure) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	nc, err := d(ctx, "tcp", address)
	if err != nil {
		return nil, judgeConn(err)
	}
	c := &conn{Conn: nc}
	if s, ok := nc.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	if cfg != nil {
		if c.raw != nil {
			c.quiet = &quiet{Conn: nc, raw: c.raw}
			nc = c.quiet
		}
		t := tls.Client(nc, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			nc.Close()
			if f := judgeConn(err); f.class == classTimeout || f.class == classStopped {
				return nil, f
			}
			return nil, failed(classTLS, "%s", cause(err))
		}
		c.Conn = t
	}
	return c, nil
}

// quiet is a socket under TLS that can be told not to wait. TLS has messages of its
// own, such as session tickets: that the socket can be read does not mean that an
// answer has come.
type quiet struct {
	net.Conn
	raw  syscall.RawConn
	asis bool // reads give what has come, errNothing where nothing has
}

// nothing is an error after which TLS can be read again.
type nothing struct{}

func (nothing) Error() string   { return "nothing has come" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

var errNothing error = nothing{}

func (q *quiet) Read(p []byte) (int, error) {
	if q.asis {
		if _, err := look(q.raw); err != nil {
			return 0, err
		}
	}
	return q.Conn.Read(p)
}

// look says how much of one byte can be read from a socket, which is none at its
// end; errNothing if that can't be known yet.
func look(raw syscall.RawConn) (n int, err error) {
	// Control, not Read: it heeds no deadline, which has long passed for who thinks long.
	rerr := raw.Control(func(fd uintptr) { n, err = peek(fd) })
	if err == unix.EAGAIN {
		return 0, errNothing
	}
	return n, errors.Join(rerr, err)
}

// glance reads TLS as far as it has come. It gives a reader that holds the start of
// an answer, or errNothing.
func (c *conn) glance() (*bufio.Reader, error) {
	c.quiet.asis = true
	defer func() { c.quiet.asis = false }()
	br := getReader(c)
	if _, err := br.Peek(1); err != nil {
		putReader(br)
		return nil, err
	}
	return br, nil
}

// alive says whether an idle connection can be written to: not if the server has
// closed it meanwhile, nor if it has sent what nobody asked for, as some do before
// they close it.
func (c *conn) alive() bool {
	if c.raw == nil {
		return true
	}
	_, err := look(c.raw)
	if err == nil && c.quiet != nil {
		var br *bufio.Reader
		if br, err = c.glance(); err == nil {
			putReader(br)
		}
	}
	return err == errNothing
}

// readable waits until the connection has something to read or its read deadline
// passes: without a buffer, or, where there is no socket to look into, with the
// reader that it gives.
func (c *conn) readable() (*bufio.Reader, error) {
	if c.raw == nil {
		br := getReader(c)
		if _, err := br.Peek(1); err != nil {
			putReader(br)
			return nil, err
		}
		return br, nil
	}
	return nil, c.raw.Read(func(fd uintptr) bool {
		// Looked at before the first wait too: RawConn.Read forgets a readiness that
		// came before it.
		_, err := peek(fd)
		return err != unix.EAGAIN
	})
}

func peek(fd uintptr) (int, error) {
	var b [1]byte
	for {
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, err
		}
	}
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

// resolve gives a target as address and port, as seen from the sources if any.
func resolve(ctx context.Context, target *url.URL, sources []netip.Addr) (string, error) {
	port := target.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	if len(sources) == 0 {
		return lookup(ctx, target.Hostname(), port, netip.Addr{})
	}
	return lookup(ctx, target.Hostname(), port, sources[0])
}

// lookup finds the address of a host once: thousands of workers must not ask the
// resolver each for itself. Of a name with several addresses it takes one that
// answers.
func lookup(ctx context.Context, host, port string, source netip.Addr) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if source.IsValid() && source.Is4() != ip.Unmap().Is4() {
			return "", fmt.Errorf("%s can't be reached from %s: one is IPv4, one IPv6", ip, source)
		}
		return net.JoinHostPort(host, port), nil
	}
	network := "tcp"
	if source.IsValid() {
		network = "tcp6"
		if source.Is4() {
			network = "tcp4"
		}
	}
	c, err := (&net.Dialer{Timeout: probeTimeout}).DialContext(ctx, network, net.JoinHostPort(host, port))
	if err != nil {
		return "", err
	}
	return c.RemoteAddr().String(), c.Close()
}
