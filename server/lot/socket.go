package lot

import (
	"io"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Socket is one that is read and written without waiting, and that can park. It has no
// buffers and heeds no deadlines. One goroutine at a time reads, and one writes.
type Socket struct {
	raw    syscall.RawConn
	unread atomic.Bool // something may have come that nobody has read
	place              // in a lot
}

// NewSocket gives the socket of a connection; nil if it is closed.
func NewSocket(c syscall.Conn) *Socket {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return &Socket{raw: raw}
}

// Control lets f have the descriptor; its error is that of a closed socket.
func (s *Socket) Control(f func(fd uintptr)) error { return s.raw.Control(f) }

// Read reads what has come. It fails with EAGAIN if that is nothing, and with io.EOF at
// the end.
func (s *Socket) Read(p []byte) (n int, err error) {
	c := getCall(p)
	defer c.put()
	s.unread.Store(false) // what comes from now on is told
	return s.have(c, s.raw.Control(c.read))
}

// Receive is Read that gives in oob what the kernel says of what was read.
func (s *Socket) Receive(p, oob []byte) (n, told int, err error) {
	return s.receive(p, oob, func(c *call) error { return s.raw.Control(c.receive) })
}

// Await is Receive that waits until something has come, or the connection's deadline for
// reading passes.
func (s *Socket) Await(p, oob []byte) (n, told int, err error) {
	return s.receive(p, oob, func(c *call) error { return s.raw.Read(c.await) })
}

func (s *Socket) receive(p, oob []byte, how func(*call) error) (n, told int, err error) {
	c := getCall(p)
	defer c.put()
	c.oob = oob
	s.unread.Store(false)
	n, err = s.have(c, how(c))
	return n, c.told, err
}

// have gives what was read. Where there may be more, that is noted.
func (s *Socket) have(c *call, err error) (int, error) {
	if err == nil {
		err = c.err
	}
	switch n := max(c.n, 0); {
	case err == unix.EAGAIN, err == nil && 0 < n && n < len(c.p):
		return n, err
	case err == nil && n == 0 && len(c.p) > 0:
		err = io.EOF
	}
	s.unread.Store(true)
	return max(c.n, 0), err
}

// Write writes what the kernel takes; it fails with EAGAIN if that is nothing.
func (s *Socket) Write(p []byte) (n int, err error) {
	c := getCall(p)
	defer c.put()
	if err = s.raw.Control(c.write); err == nil {
		err = c.err
	}
	return max(c.n, 0), err
}

// Look says how much of one byte can be read, which is none at the end. It fails with
// EAGAIN if that can't be known yet.
func (s *Socket) Look() (n int, err error) {
	c := getCall(nil)
	defer c.put()
	if err = s.raw.Control(c.peek); err == nil {
		err = c.err
	}
	return max(c.n, 0), err
}

// call is a system call on a socket and what came of it. Calls are used again: what they
// need would be allocated for each.
type call struct {
	p, oob  []byte
	n, told int
	err     error

	read, receive, write, peek func(fd uintptr)
	await                      func(fd uintptr) (done bool)
}

var calls = sync.Pool{New: func() any {
	c := &call{}
	// Package syscall tells the race detector that who reads comes after who wrote.
	c.read = func(fd uintptr) { c.n, c.err = again(func() (int, error) { return syscall.Read(int(fd), c.p) }) }
	c.write = func(fd uintptr) { c.n, c.err = again(func() (int, error) { return syscall.Write(int(fd), c.p) }) }
	c.receive = func(fd uintptr) {
		c.n, c.err = again(func() (n int, err error) {
			n, c.told, _, _, err = unix.Recvmsg(int(fd), c.p, c.oob, unix.MSG_DONTWAIT)
			return n, err
		})
	}
	c.await = func(fd uintptr) bool {
		c.receive(fd)
		return c.err != unix.EAGAIN
	}
	c.peek = func(fd uintptr) {
		var b [1]byte
		c.n, c.err = again(func() (n int, err error) {
			n, _, err = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			return n, err
		})
	}
	return c
}}

// again makes a system call until no signal interrupts it.
func again(f func() (int, error)) (n int, err error) {
	for {
		if n, err = f(); err != unix.EINTR {
			return n, err
		}
	}
}

func getCall(p []byte) *call {
	c := calls.Get().(*call)
	c.p, c.n, c.told, c.err = p, 0, 0, nil
	return c
}

func (c *call) put() {
	c.p, c.oob = nil, nil
	calls.Put(c)
}
