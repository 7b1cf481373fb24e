package server

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/lot"
)

const (
	// An answer goes to a client that waits for it with nothing else on the way: it
	// fits in the socket's buffer. A client that can't take it in time does not read.
	answerTime = time.Second
	// So many bytes fit where a socket says that it has room.
	roomyBytes = 4 << 10
	// A closed connection is left to its client for as long, so that the answer on
	// it is read before it is gone.
	lingerTime = time.Second
)

// reply sends a poll its ending and does not wait: for a client that does not take
// it at once, a goroutine of its own does, so that none holds up the others.
func (p *polls) reply(c *poll, e *ending, w *waking) {
	closes := c.closes || e.close
	rest, err := writeNow(c.conn, e.response(closes))
	if err != nil || len(rest) == 0 {
		p.replied(c, closes, err)
		w.replied(err == nil)
		return
	}
	p.goroutines.Go(func() {
		_ = c.conn.SetWriteDeadline(time.Now().Add(answerTime)) // what fails shows in Write
		_, err := c.conn.Write(rest)
		_ = c.conn.SetWriteDeadline(time.Time{})
		p.replied(c, closes, err)
		w.replied(err == nil)
	})
}

// finish writes what is left of an answer, while others are answered, and then tells
// how that went.
func (p *polls) finish(conn net.Conn, rest net.Buffers, then func(error)) {
	c := &poll{room: p, conn: conn}
	if !p.keep(c) {
		then(net.ErrClosed)
		return
	}
	size := 0
	for _, b := range rest {
		size += len(b)
	}
	p.goroutines.Go(func() {
		_ = conn.SetWriteDeadline(time.Now().Add(timeFor(size))) // what fails shows in WriteTo
		_, err := rest.WriteTo(conn)
		_ = conn.SetWriteDeadline(time.Time{})
		p.mu.Lock()
		p.gone(c)
		p.mu.Unlock()
		then(err)
	})
}

// replied notes that a poll has its answer, or will never have it. Where that is
// not all, its watcher goes on from there; errors are for it to see.
func (p *polls) replied(c *poll, closes bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.answered, c.closes = true, closes
	if (err != nil || closes || len(c.next) > 0) && p.unpark(c) {
		p.goroutines.Go(func() { p.watch(c) })
	}
	switch {
	case err != nil:
		p.owed.settle(c.worker) // it was told nothing
		cut(c.conn)
	case closes:
		_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime))
		closeWrite(c.conn)
	case len(c.next) > 0:
		// Its next request has begun already: the watcher need not wait for more.
		_ = c.conn.SetReadDeadline(time.Unix(1, 0))
	default:
		p.restsNow(c)
	}
}

// writeNow writes what a connection takes without waiting, and gives the rest.
// Of what is no socket it can't tell, and so leaves all of it.
func writeNow(c net.Conn, b []byte) (rest []byte, err error) {
	s := socket(c)
	if s == nil {
		return b, nil
	}
	if _, plain := c.(*lot.Conn); !plain {
		return writeRoomy(c, s, b)
	}
	n, err := s.WriteNow(b)
	if err == unix.EAGAIN {
		err = nil
	}
	return b[n:], err
}

// writeRoomy writes to an encrypted connection if its socket says that it has room:
// it has a third of its buffer then, which a short answer fits in.
func writeRoomy(c net.Conn, s *lot.Conn, b []byte) (rest []byte, err error) {
	if len(b) > roomyBytes {
		return b, nil
	}
	ready := []unix.PollFd{{Events: unix.POLLOUT}}
	err = s.Control(func(fd int) error {
		ready[0].Fd = int32(fd)
		_, _ = unix.Poll(ready, 0) // when it fails, nothing is ready
		return nil
	})
	if err != nil || ready[0].Revents&unix.POLLOUT == 0 {
		return b, err
	}
	_ = c.SetWriteDeadline(time.Now().Add(answerTime)) // under memory pressure there may be no room after all
	n, err := c.Write(b)
	_ = c.SetWriteDeadline(time.Time{})
	return b[n:], err
}
