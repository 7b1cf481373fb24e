package server

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/lot"
)

// maxAhead is how much a client may send of its next requests while its poll is
// held, in bytes. Behind more, the server could not see its end.
const maxAhead = 16 << 10

// wait sees to it that what comes next on a connection is noticed: its end, or
// another request. It parks in the lot if it can and nothing is under way on it; else
// a goroutine watches it.
func (p *polls) wait(c *poll) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waitLocked(c)
}

func (p *polls) waitLocked(c *poll) {
	if !p.park(c) {
		if !c.answered || !c.closes {
			_ = c.conn.SetReadDeadline(time.Time{}) // of an earlier stay; the lot and desks heed none
		}
		p.goroutines.Go(func() { p.watch(c) })
	}
	if p.dismissed {
		p.dismiss(c)
	}
}

// park says whether a connection could park; the lock is held. One that is closed
// soon has a deadline for that, and one whose next request has begun is not to wait.
func (p *polls) park(c *poll) bool {
	if !parks(c.conn) || c.answered && (c.closes || len(c.next) > 0) {
		return false
	}
	if encrypted, below := impatiently(c.conn); encrypted != nil {
		// Its socket says nothing of what has been read from it already.
		var ahead [1 << 10]byte
		n, err := readTLSNow(encrypted, below, ahead[:])
		if c.next = append(c.next, ahead[:n]...); err != unix.EAGAIN {
			return false
		}
	}
	c.parked = park(c.conn, c)
	return c.parked != nil
}

// parks says whether a connection can wait in the lot, and be read from without
// waiting.
func parks(c net.Conn) bool {
	if _, plain := c.(*lot.Conn); plain {
		return true
	}
	encrypted, _ := impatiently(c)
	return encrypted != nil
}

// unpark takes a connection out of the lot and says whether it was there; the lock
// is held.
func (p *polls) unpark(c *poll) bool {
	parked := c.parked
	c.parked = nil
	return parked != nil && parked.Take(c)
}

// Come reads what has come on a parked connection; one at a time is told.
func (c *poll) Come() {
	p := c.room
	p.mu.Lock()
	if c.parked = nil; c.answered && !c.closes && !p.stopped {
		p.mu.Unlock()
		p.leave(c, true) // a desk reads what it is
		return
	}
	p.mu.Unlock()
	n, err := readNow(c.conn, p.buf[:])
	p.mu.Lock()
	what := waits
	if err != unix.EAGAIN {
		what = c.heard(p.buf[:n], err)
	}
	if what == waits && p.stopped {
		what = gone
	}
	if what == waits {
		p.waitLocked(c)
	}
	p.mu.Unlock()
	if what != waits {
		p.leave(c, what == comesBack)
	}
}

// readNow reads what has come without waiting; if that is nothing, it fails with
// EAGAIN.
func readNow(c net.Conn, b []byte) (n int, err error) {
	if encrypted, below := impatiently(c); encrypted != nil {
		return readTLSNow(encrypted, below, b)
	}
	s := socket(c)
	if s == nil {
		return 0, net.ErrClosed
	}
	return s.ReadNow(b)
}

// watch reads from a connection until its next request may be served or none will
// come.
func (p *polls) watch(c *poll) {
	var first [1]byte
	buf := first[:]
	for {
		p.mu.Lock()
		what := c.heard(nil, nil)
		begun := len(c.next) > 0
		p.mu.Unlock()
		if what != waits {
			_ = c.conn.SetReadDeadline(time.Time{}) // an error shows when it is read
			p.leave(c, what == comesBack)
			return
		}
		if begun && len(buf) == 1 {
			buf = make([]byte, 1<<10)
		}
		n, err := c.conn.Read(buf)
		p.mu.Lock()
		what = c.heard(buf[:n], err)
		p.mu.Unlock()
		if what != waits {
			_ = c.conn.SetReadDeadline(time.Time{}) // an error shows when it is read
			p.leave(c, what == comesBack)
			return
		}
	}
}

// heard is what follows from what a client said.
type heard int

const (
	waits     heard = iota // for more, or for its answer
	comesBack              // its next request has begun, and may be served
	gone                   // it, or the server's interest in it
)

// heard notes what has come on a connection, and the error that reading ended with;
// the lock is held. A request that comes before the poll is answered waits for that,
// and the end may still come behind it.
func (c *poll) heard(b []byte, err error) heard {
	lingers := c.closes && c.answered
	if !lingers {
		c.next = append(c.next, b...)
	}
	switch {
	case len(c.next) > maxAhead:
		return gone
	case c.answered && !c.closes && len(c.next) > 0:
		return comesBack // net/http sees the error
	case err != nil:
		return gone
	}
	return waits
}

// leave ends a connection's stay: it goes back to the gate, or is closed. Until it
// is in line there it counts as one that waits here, for Dismiss.
func (p *polls) leave(c *poll, back bool) {
	p.mu.Lock()
	if !c.answered && p.held[c.worker] == c {
		p.forget(c)
	}
	c.leaves = true
	p.mu.Unlock()
	if back {
		p.gate.comeBack(c.conn, c.next, c.worker, c.asked)
	} else {
		cut(c.conn) // whatever was to be said has been
	}
	p.mu.Lock()
	p.gone(c)
	p.mu.Unlock()
}
