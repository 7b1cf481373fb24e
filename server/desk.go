package server

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A desk's buffer, in bytes: room for all that workers send but large updates, and
	// for what a held poll's client may have sent ahead.
	deskBytes = maxAhead
	// Of requests that came together so many are answered before others have their turn.
	deskTurns = 8
	// So long the lot waits for the rest of a request that has begun, and then net/http
	// does, which has bounds for it.
	restPatience = time.Second
)

// desk is a goroutine with a buffer, at which plain requests are answered. From a
// connection on which something has come it reads as much as is there, has the
// handler answer it, writes the answer as far as the socket takes it, and lets the
// connection wait in the lot again. It never waits for a client. There are a few
// desks, however many connections, and they stay: a request costs neither a goroutine
// nor buffers, and no stack has to grow for it.
//
// What is not plain goes to net/http, with all that has come of it.
type desk struct {
	gate    *gate
	polls   *polls
	handler http.Handler
	log     *slog.Logger
	wake    chan struct{} // has one when it was idle and somebody has come

	stranger bool // a newcomer is at it; the gate's lock is held

	buf    [deskBytes]byte
	n      int // bytes in buf that have come and were not answered
	reader *reader
	answer response
	out    []byte
}

func (d *desk) run() {
	for v := d.gate.next(d); v != nil; v = d.gate.next(d) {
		d.serve(v)
		d.gate.free(d)
	}
}

// serve answers what has come on a connection, and sees to it that it goes where it
// is to wait.
func (d *desk) serve(v *visit) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error(fmt.Sprintf("panic serving a request: %v\n%s", p, debug.Stack()))
			d.gate.gone(v)
		}
	}()
	d.n = copy(d.buf[:], v.next)
	v.next = nil
	for range deskTurns {
		r, size, what, err := d.read(v)
		switch {
		case what == plain:
			if !d.reply(v, r, size) {
				return
			}
			if d.n == 0 {
				d.rest(v)
				return
			}
		case what == unusual, d.n > 0 && (v.begun || err != unix.EAGAIN):
			v.next = d.ahead()
			d.gate.hand(v)
			return
		case d.n > 0:
			v.next = d.ahead()
			d.gate.pause(v)
			return
		case err == unix.EAGAIN:
			d.rest(v)
			return
		default:
			d.gate.gone(v)
			return
		}
	}
	v.next = d.ahead()
	d.gate.again(v)
}

// ahead is what has come and is not answered.
func (d *desk) ahead() []byte { return slices.Clone(d.buf[:d.n]) }

// read reads until there is a plain request of that size, or what can't be one, or no
// more has come, for which err is the reason.
func (d *desk) read(v *visit) (r *http.Request, size int, what verdict, err error) {
	for {
		if what = partial; d.n > 0 {
			r, size, what = d.reader.read(d.buf[:d.n], len(d.buf))
		}
		if what != partial {
			return r, size, what, nil
		}
		n, err := readNow(v.conn, d.buf[d.n:])
		if n == 0 {
			return nil, 0, partial, err
		}
		d.n += n
	}
}

// reply has a request answered, which the buffer begins with, and says whether the
// connection is free for its next one.
func (d *desk) reply(v *visit, r *http.Request, size int) bool {
	v.begun = false
	v.asked++
	w := &d.answer
	w.reset(v, d.buf[size:d.n])
	d.handler.ServeHTTP(w, r)
	if w.taken {
		return false
	}
	d.n = copy(d.buf[:], d.buf[size:d.n])
	d.out = w.appendTo(d.out[:0])
	rest := net.Buffers{d.out}
	if w.blob == nil {
		left, err := writeNow(v.conn, d.out)
		if err != nil {
			d.gate.gone(v)
			return false
		}
		if rest[0] = left; len(left) == 0 && !w.closes() {
			return true
		}
	}
	// All else takes time.
	v.next = d.ahead()
	rest[0] = slices.Clone(rest[0])
	rest = append(rest, w.blob...)
	closes := w.closes()
	d.gate.enters()
	d.polls.finish(v.conn, rest, func(err error) {
		defer d.gate.served()
		switch {
		case err != nil:
			d.gate.gone(v)
		case closes:
			d.gate.left(v)
			d.polls.linger(v.conn)
		case len(v.next) > 0:
			d.gate.again(v)
		default:
			d.rest(v)
		}
	})
	return false
}

// rest lets a connection wait for its next request.
func (d *desk) rest(v *visit) {
	if v.worker == "" {
		d.gate.rest(v)
		return
	}
	d.gate.left(v)
	d.polls.rest(v.conn, nil, v.worker, v.asked)
}
