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

// alive says whether an idle connection can be written to: not if the server has
// closed it meanwhile.
func (c *conn) alive() bool {
	if c.raw == nil {
		return true
	}
	alive := true
	err := c.raw.Read(func(fd uintptr) bool {
		// Something to read may be a TLS session ticket; an end is an end.
		n, err := peek(fd)
		alive = err == unix.EAGAIN || err == nil && n > 0
		return true // never wait
	})
	return err == nil && alive
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

// address is host:port of a URL's host, with the scheme's port where it names none.
func address(scheme, host, port string) string {
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return net.JoinHostPort(host, port)
}

var errNoAddress = errors.New("no address")

// lookup resolves a host once: thousands of workers must not ask the resolver
// each for itself.
func lookup(ctx context.Context, host string, sources []netip.Addr) (string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return host, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	for _, ip := range ips {
		if len(sources) == 0 || sources[0].Is4() == ip.Unmap().Is4() {
			return ip.Unmap().String(), nil
		}
	}
	return "", fmt.Errorf("%s: %w", host, errNoAddress)
}
