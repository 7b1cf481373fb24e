package loadgen

import (
	"bytes"
	"crypto/tls"
	"sync"

	"github.com/fltool/fltool/server/wire"
)

// orphans are connections that workers leave open behind them and read no more. Each
// stays until the server closes it, or the run ends.
type orphans struct {
	mu       sync.Mutex
	open     []*orphan
	taken    int
	answered int // on which something came, which nobody reads
	evicted  int // of those: their worker had sent another poll, by the server's word
	closed   int // by the server
	shut     int // of those: nothing had come
}

type orphan struct {
	conn     *conn
	answered bool
	evicted  bool
	ended    bool
	looked   int // times, before something came
}

func (o *orphans) take(c *conn) *orphan {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken++
	x := &orphan{conn: c}
	o.open = append(o.open, x)
	return x
}

// count is how many there were, and how many the server has left open.
func (o *orphans) count() (taken, open int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.taken, len(o.open)
}

// unheard are those that are open and on which nothing came; the lock is held.
func (o *orphans) unheard() (n int) {
	for _, x := range o.open {
		if !x.answered {
			n++
		}
	}
	return n
}

// look drops what has come on them, and those that the server has closed.
func (o *orphans) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := o.open[:0]
	for _, x := range o.open {
		came, evicted, ended := x.conn.drain()
		if came && !x.answered {
			x.answered = true
			o.answered++
		}
		if evicted && !x.evicted {
			x.evicted = true
			o.evicted++
		}
		if ended {
			x.conn.Close()
			x.ended = true
			o.closed++
			if !x.answered {
				o.shut++
			}
			continue
		}
		x.looked++
		rest = append(rest, x)
	}
	clear(o.open[len(rest):])
	o.open = rest
}

// close closes what is left of them.
func (o *orphans) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.open {
		x.conn.Close()
	}
	o.open = nil
}

// drain reads what has come without waiting, and says whether there was something,
// whether that was the word of another poll of the same worker, and whether it was the
// end. Of a connection that is no socket nothing can be said.
func (c *conn) drain() (came, evicted, ended bool) {
	if c.socket == nil {
		return false, false, false
	}
	c.socket.asis = true
	defer func() { c.socket.asis = false }()
	var b [512]byte
	for {
		n, err := c.Conn.Read(b[:]) // not the socket: what TLS says of itself is no answer
		came = came || n > 0
		evicted = evicted || bytes.Contains(b[:n], []byte(wire.SupersededStart))
		if err != nil {
			return came, evicted, err != errNothing
		}
	}
}

// hangUp closes this end of the connection as far as the server can see, which lets what
// the server makes of that be seen here.
func (c *conn) hangUp() {
	if t, ok := c.Conn.(*tls.Conn); ok {
		_ = t.CloseWrite() // fails on a connection that has ended, as the next does
	}
	if c.socket == nil {
		c.Close()
	} else {
		_ = c.socket.CloseWrite()
	}
}
