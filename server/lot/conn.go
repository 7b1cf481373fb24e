package lot

import (
	"cmp"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection that a lot waits for and nobody else does: the runtime's poller,
// which would be told of all that comes as well, knows nothing of its socket. It has no
// buffers and no goroutine.
//
// It is a net.Conn like any other. Besides, it can be read and written without waiting,
// which heeds no deadlines, and it can park: while one goroutine does that, waits or has it
// park, no other reads, and so with writing.
type Conn struct {
	socket descriptor
	lot    *Lot
	asks   sync.Mutex  // held while the kernel is asked
	unread atomic.Bool // something may have come that nobody has read
	place              // in the lot

	mu            sync.Mutex
	reads, writes limit

	remote netip.AddrPort
}

// limit is a deadline, and how who waits until then is told to look again.
type limit struct {
	turn sync.Mutex    // of Read, or Write
	at   time.Time     // zero for none
	look chan struct{} // has room for one; nil before somebody has waited
}

// Own takes a connection away from the runtime. It is closed, and what is given is in its
// place. Own fails where there is no descriptor or no memory for that.
func (l *Lot) Own(tcp *net.TCPConn) (*Conn, error) {
	defer tcp.Close()
	c := &Conn{lot: l}
	if remote, is := tcp.RemoteAddr().(*net.TCPAddr); is {
		c.remote = remote.AddrPort()
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	gone := raw.Control(func(fd uintptr) { c.socket.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err = cmp.Or(gone, err); err != nil {
		return nil, err
	}
	if err := c.join(); err != nil {
		return nil, cmp.Or(c.Close(), err)
	}
	return c, nil
}

// again makes a call until no signal interrupts it.
func again(f func() (int, error)) (n int, err error) {
	for {
		if n, err = f(); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// Control lets f have the descriptor for as long as it takes, and fails with its error.
func (c *Conn) Control(f func(fd int) error) error {
	if err := c.socket.use(); err != nil {
		return err
	}
	defer c.socket.release()
	return f(c.socket.fd)
}

// ReadNow reads what has come. It fails with EAGAIN if that is nothing, and with io.EOF at
// the end.
func (c *Conn) ReadNow(p []byte) (n int, err error) {
	if err := c.socket.use(); err != nil {
		return 0, err
	}
	defer c.socket.release()
	c.unread.Store(false) // what comes from now on is told
	n, err = read(c.socket.fd, p)
	return c.have(n, len(p), err)
}

// Receive is ReadNow that gives in oob what the kernel says of what was read.
func (c *Conn) Receive(p, oob []byte) (n, told int, err error) {
	if err := c.socket.use(); err != nil {
		return 0, 0, err
	}
	defer c.socket.release()
	c.unread.Store(false)
	n, told, err = receive(c.socket.fd, p, oob)
	n, err = c.have(n, len(p), err)
	return n, told, err
}

// have gives what was read. Where there may be more, that is noted.
func (c *Conn) have(n, most int, err error) (int, error) {
	switch {
	case err == unix.EAGAIN, err == nil && 0 < n && n < most:
		return n, err
	case err == nil && n == 0 && most > 0:
		err = io.EOF
	}
	c.unread.Store(true)
	return n, err
}

// WriteNow writes what the kernel takes; it fails with EAGAIN if that is nothing.
func (c *Conn) WriteNow(p []byte) (n int, err error) {
	if err := c.socket.use(); err != nil {
		return 0, err
	}
	defer c.socket.release()
	return write(c.socket.fd, p)
}

// Look says how much of one byte can be read, which is none at the end. It fails with
// EAGAIN if that can't be known yet.
func (c *Conn) Look() (n int, err error) {
	if err := c.socket.use(); err != nil {
		return 0, err
	}
	defer c.socket.release()
	return peek(c.socket.fd)
}

// Read reads what has come, and waits for it until the deadline.
func (c *Conn) Read(p []byte) (n int, err error) {
	c.reads.turn.Lock()
	defer c.reads.turn.Unlock()
	for err = c.in(&c.reads); err == nil; err = c.Wait() {
		if n, err = c.ReadNow(p); err != unix.EAGAIN {
			return n, err
		}
	}
	return 0, err
}

// Wait waits until something may have come, if only the end. It fails with
// os.ErrDeadlineExceeded, or where the connection or the lot is closed.
func (c *Conn) Wait() error {
	c.waits(&c.reads)
	if !c.Park((*reader)(c)) {
		return net.ErrClosed
	}
	err := c.wait(&c.reads)
	c.Take((*reader)(c))
	return err
}

// reader is a connection whose reader waits.
type reader Conn

// Come has the reader look again.
func (r *reader) Come() { (*Conn)(r).look(&r.reads) }

// Write writes all, and waits for room until the deadline.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writes.turn.Lock()
	defer c.writes.turn.Unlock()
	for err = c.in(&c.writes); err == nil; err = c.room() {
		var more int
		more, err = c.WriteNow(p[n:])
		n += more
		if n == len(p) || err != nil && err != unix.EAGAIN {
			return n, err
		}
	}
	return n, err
}

// room waits until the kernel may take more.
func (c *Conn) room() error {
	c.waits(&c.writes)
	if err := c.hear(); err != nil {
		return err
	}
	return c.wait(&c.writes)
}

// waits is before somebody waits: whatever happens from then on is noted.
func (c *Conn) waits(l *limit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.look == nil {
		l.look = make(chan struct{}, 1)
	}
}

// wait waits until there is something to look at, or the deadline.
func (c *Conn) wait(l *limit) error {
	c.mu.Lock()
	at, look := l.at, l.look
	c.mu.Unlock()
	var over <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-look:
	case <-over:
	}
	return c.in(l)
}

// in says whether there is time left, by its error.
func (c *Conn) in(l *limit) error {
	c.mu.Lock()
	at := l.at
	c.mu.Unlock()
	switch {
	case c.socket.over():
		return net.ErrClosed
	case !at.IsZero() && !time.Now().Before(at):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// look has who waits look again, if somebody does.
func (c *Conn) look(l *limit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.wake()
}

// wake is look; the connection's lock is held.
func (l *limit) wake() {
	select {
	case l.look <- struct{}{}:
	default: // nobody has ever waited, or one is enough
	}
}

func (c *Conn) until(at time.Time, limits ...*limit) error {
	if c.socket.over() {
		return net.ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range limits {
		l.at = at
		l.wake()
	}
	return nil
}

// SetReadDeadline is for Read and Wait, under way or to come.
func (c *Conn) SetReadDeadline(at time.Time) error { return c.until(at, &c.reads) }

// SetWriteDeadline is for Write, under way or to come.
func (c *Conn) SetWriteDeadline(at time.Time) error { return c.until(at, &c.writes) }

// SetDeadline is for both.
func (c *Conn) SetDeadline(at time.Time) error { return c.until(at, &c.reads, &c.writes) }

// Close closes the connection, and ends what waits for it. One that parks is not told:
// whoever closes it takes it out.
func (c *Conn) Close() error {
	c.forget() // before its descriptor can be another's
	err := c.socket.close()
	c.look(&c.reads)
	c.look(&c.writes)
	return err
}

// CloseWrite says that no more comes.
func (c *Conn) CloseWrite() error {
	return c.Control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// LocalAddr is this end's address; that of nobody where the connection is closed.
func (c *Conn) LocalAddr() net.Addr {
	local := &net.TCPAddr{}
	_ = c.Control(func(fd int) error {
		at, err := unix.Getsockname(fd)
		switch at := at.(type) {
		case *unix.SockaddrInet4:
			local = &net.TCPAddr{IP: at.Addr[:], Port: at.Port}
		case *unix.SockaddrInet6:
			local = &net.TCPAddr{IP: at.Addr[:], Port: at.Port}
		}
		return err
	})
	return local
}
