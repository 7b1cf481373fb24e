package loadgen

import "sync"

// orphans are connections that workers leave open behind them and read no more. Each
// stays until the server closes it, or the run ends.
type orphans struct {
	mu       sync.Mutex
	open     []*orphan
	taken    int
	answered int // on which something came, which nobody reads
	closed   int // by the server
}

type orphan struct {
	conn     *conn
	answered bool
}

func (o *orphans) take(c *conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken++
	o.open = append(o.open, &orphan{conn: c})
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
		came, ended := x.conn.drain()
		if came && !x.answered {
			x.answered = true
			o.answered++
		}
		if ended {
			x.conn.Close()
			o.closed++
			continue
		}
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

// drain reads what has come without waiting, and says whether there was something and
// whether it was the end. Of a connection that is no socket nothing can be said.
func (c *conn) drain() (came, ended bool) {
	if c.socket == nil {
		return false, false
	}
	c.socket.asis = true
	defer func() { c.socket.asis = false }()
	var b [512]byte
	for {
		n, err := c.socket.Read(b[:])
		came = came || n > 0
		if err != nil {
			return came, err != errNothing
		}
	}
}
