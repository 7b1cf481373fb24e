package loadgen

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is what a connection reads from and writes to. It tells when what it read had
// come, can be looked into without a buffer, and can be told not to wait. It waits
// only for what the kernel does not give or take at once: until then its deadlines cost
// nothing, and its hit keeps its hand.
//
// The moment is the kernel's: a generator that is slow to read a burst of answers
// would else count its own slowness as the server's.
type socket struct {
	net.Conn
	raw  syscall.RawConn
	hit  *hit
	asis bool      // reads give what has come, errNothing where nothing has
	came time.Time // when the last of what was read had come to this machine

	reads, writes limit
}

// limit is a deadline of one direction of a socket.
type limit struct {
	mu      sync.Mutex
	at      time.Time // zero for none
	waiting bool      // somebody waits, or is about to: at holds at once
	set     time.Time // what the socket has been told
}

// be changes the deadline. One that has passed ends whatever waits.
func (l *limit) be(at time.Time, tell func(time.Time) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = at
	if !l.waiting && at != past {
		return nil
	}
	l.set = at
	return tell(at)
}

// wait begins to wait.
func (l *limit) wait(tell func(time.Time) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = true
	if l.at.Equal(l.set) {
		return nil
	}
	l.set = l.at
	return tell(l.at)
}

func (l *limit) end() {
	l.mu.Lock()
	l.waiting = false
	l.mu.Unlock()
}

func (s *socket) SetReadDeadline(t time.Time) error  { return s.reads.be(t, s.Conn.SetReadDeadline) }
func (s *socket) SetWriteDeadline(t time.Time) error { return s.writes.be(t, s.Conn.SetWriteDeadline) }

func (s *socket) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// newSocket gives nil for a connection that is no socket.
func newSocket(c net.Conn) *socket {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	// A kernel that tells no moments leaves those of reading, which is all that was
	// known without it.
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, stampArrivals, 1) })
	return &socket{Conn: c, raw: raw}
}

// nothing is an error after which TLS can be read again. TLS has messages of its
// own, such as session tickets: that the socket can be read does not mean that an
// answer has come.
type nothing struct{}

func (nothing) Error() string   { return "nothing has come" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

var errNothing error = nothing{}

func (s *socket) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	c := getCall(p)
	defer c.put()
	// Control, not Read: it heeds no deadline, which has long passed for who thinks long.
	rerr := s.raw.Control(c.read)
	if rerr == nil && c.err == unix.EAGAIN && !s.asis {
		s.hit.rest()
		if rerr = s.reads.wait(s.Conn.SetReadDeadline); rerr == nil {
			rerr = s.raw.Read(c.readable)
		}
		s.reads.end()
	}
	switch {
	case rerr != nil:
		return 0, rerr
	case c.err == unix.EAGAIN:
		return 0, errNothing
	case c.err != nil:
		return 0, c.err
	case c.n == 0:
		err = io.EOF
	}
	s.came = arrival(c.oob[:c.told], time.Now())
	return c.n, err
}

func (s *socket) Write(p []byte) (n int, err error) {
	c := getCall(p)
	defer c.put()
	if err := s.raw.Control(c.write); err != nil {
		return 0, err
	}
	switch {
	case c.err == unix.EAGAIN:
		c.n = 0
	case c.err != nil:
		return 0, c.err
	}
	if c.n == len(p) {
		return c.n, nil
	}
	s.hit.rest()
	if err = s.writes.wait(s.Conn.SetWriteDeadline); err == nil {
		n, err = s.Conn.Write(p[c.n:])
	}
	s.writes.end()
	return c.n + n, err
}

// look says how much of one byte can be read, which is none at the end; errNothing
// if that can't be known yet.
func (s *socket) look() (n int, err error) {
	c := getCall(nil)
	defer c.put()
	rerr := s.raw.Control(c.peek)
	if c.err == unix.EAGAIN {
		return 0, errNothing
	}
	return c.n, errors.Join(rerr, c.err)
}

// call is a system call on a socket and what came of it. Calls are used again: what they
// need would be allocated for each.
type call struct {
	p       []byte
	oob     [64]byte
	n, told int
	err     error

	read, write, peek func(fd uintptr)
	readable          func(fd uintptr) bool
}

var calls = sync.Pool{New: func() any {
	c := &call{}
	c.read = func(fd uintptr) { c.n, c.told, c.err = receive(fd, c.p, c.oob[:]) }
	c.readable = func(fd uintptr) bool {
		c.read(fd)
		return c.err != unix.EAGAIN
	}
	c.write = func(fd uintptr) { c.n, c.err = send(fd, c.p) }
	c.peek = func(fd uintptr) { c.n, c.err = peek(fd) }
	return c
}}

func getCall(p []byte) *call {
	c := calls.Get().(*call)
	c.p, c.n, c.told, c.err = p, 0, 0, nil
	return c
}

func (c *call) put() {
	c.p = nil
	calls.Put(c)
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

// send writes what the kernel takes: sockets of Go's don't block.
func send(fd uintptr, p []byte) (int, error) {
	for {
		n, err := unix.Write(int(fd), p)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// receive reads what has come, and what the kernel says of it into oob.
func receive(fd uintptr, p, oob []byte) (n, told int, err error) {
	for {
		n, told, _, _, err = unix.Recvmsg(int(fd), p, oob, unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, told, err
		}
	}
}

// arrival is when bytes that were read now had come by the kernel's word; now if it
// said nothing. The word is of the wall clock, so only how long ago it was is used:
// the result goes by now's monotonic clock.
func arrival(oob []byte, now time.Time) time.Time {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		if h.Level == unix.SOL_SOCKET && h.Type == stampArrivals {
			at, ok := moment(data)
			if !ok {
				break
			}
			return now.Add(-max(0, now.Sub(at)))
		}
		oob = rest
	}
	return now
}

// moment is what the kernel says of one.
func moment(timespec []byte) (time.Time, bool) {
	if len(timespec) == 2*8 { // as on all machines of 64 bits
		sec, nsec := binary.NativeEndian.Uint64(timespec), binary.NativeEndian.Uint64(timespec[8:])
		return time.Unix(int64(sec), int64(nsec)), true // signed, as they are written
	}
	var ts unix.Timespec
	_, err := binary.Decode(timespec, binary.NativeEndian, &ts)
	return time.Unix(ts.Unix()), err == nil
}
