package server

import "time"

// maxAhead is how much a client may send of its next requests while its poll is
// held, in bytes. Behind more, the server could not see its end.
const maxAhead = 16 << 10

// watch waits for what comes next on a connection: its end, or another request.
// A request that comes before the poll is answered waits for that, and the end may
// still come behind it.
func (p *polls) watch(c *poll) {
	again := p.request(c)
	p.mu.Lock()
	if p.held[c.worker] == c {
		p.forget(c)
	}
	delete(p.waiting, c)
	p.mu.Unlock()
	if !again {
		cut(c.conn) // whatever was to be said has been
		return
	}
	_ = c.conn.SetReadDeadline(time.Time{}) // an error shows when it is read
	p.gate.comeBack(&resumed{c.conn, c.next})
}

// request reads until the next request may be served, or says that none will be.
func (p *polls) request(c *poll) bool {
	var first [1]byte
	buf := first[:]
	for {
		p.mu.Lock()
		begun, answered, closes := len(c.next) > 0, c.answered, c.closes
		p.mu.Unlock()
		switch {
		case begun && answered && !closes:
			return true
		case begun && len(buf) == 1:
			buf = make([]byte, 1<<10)
		}
		n, err := c.conn.Read(buf)
		p.mu.Lock()
		if !c.closes || !c.answered {
			c.next = append(c.next, buf[:n]...)
		}
		ended := err != nil && (c.closes || !c.answered || len(c.next) == 0) || len(c.next) > maxAhead
		p.mu.Unlock()
		if ended {
			return false
		}
	}
}
