package server

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
	raw := socket(c)
	if raw == nil {
		return b, nil
	}
	if _, encrypted := c.(*net.TCPConn); !encrypted {
		return writeRoomy(c, raw, b)
	}
	var n int
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		n, failed = syscall.Write(int(fd), b)
		return true // never wait
	})
	if err == nil && !errors.Is(failed, unix.EAGAIN) && !errors.Is(failed, unix.EINTR) {
		err = failed
	}
	return b[max(n, 0):], err
}

// writeRoomy writes to an encrypted connection if its socket says that it has room:
// it has a third of its buffer then, which a short answer fits in.
func writeRoomy(c net.Conn, raw syscall.RawConn, b []byte) (rest []byte, err error) {
	if len(b) > roomyBytes {
		return b, nil
	}
	ready := []unix.PollFd{{Events: unix.POLLOUT}}
	err = raw.Control(func(fd uintptr) {
		ready[0].Fd = int32(fd)
		_, _ = unix.Poll(ready, 0) // when it fails, nothing is ready
	})
	if err != nil || ready[0].Revents&unix.POLLOUT == 0 {
		return b, err
	}
	_ = c.SetWriteDeadline(time.Now().Add(answerTime)) // under memory pressure there may be no room after all
	n, err := c.Write(b)
	_ = c.SetWriteDeadline(time.Time{})
	return b[n:], err
}

// socket is the socket below a connection, nil if there is none.
func socket(c net.Conn) syscall.RawConn {
	tcp, ok := under(c).(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil // closed; who writes or reads sees it
	}
	return raw
}

// under is the connection that all others are wrapped around.
func under(c net.Conn) net.Conn {
	switch c := c.(type) {
	case *tls.Conn:
		return under(c.NetConn())
	case *resumed:
		return under(c.Conn)
	case *impatient:
		return c.TCPConn
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
