package server

import (
	"io"
	"net"
	"net/http"
	"slices"
)

// takeOver takes a connection away from net/http or a desk, with what has come already of
// the next request.
func takeOver(w http.ResponseWriter, r *http.Request) (*poll, error) {
	if w, is := w.(*response); is {
		w.taken = true
		w.visit.gate.left(w.visit)
		return &poll{conn: w.visit.conn, next: slices.Clone(w.ahead)}, nil
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	c := &poll{conn: conn, closes: r.Close}
	if n := buffered.Reader.Buffered(); n > 0 {
		ahead, _ := buffered.Reader.Peek(n) // no error: they are there
		c.next = slices.Clone(ahead)
	}
	if again, ok := conn.(*resumed); ok {
		c.conn, c.next = again.Conn, append(c.next, again.next...)
	}
	return c, nil
}

// takeBack takes a stranger's connection back from net/http once it is answered. There its
// next requests would be out of line, plain ones too. Where it can't be, net/http keeps it.
func (g *gate) takeBack(w http.ResponseWriter, r *http.Request) {
	v := visitOf(w, r)
	if v == nil || v.desk != nil || r.TLS != nil || socket(v.conn) == nil || g.workerOf(v) != "" || r.Close ||
		r.Header.Get("Expect") != "" || w.Header().Get("Connection") != "" || w.Header().Get("Content-Length") == "" {
		return
	}
	// What is left of a body must not be read as a request.
	if n, err := r.Body.Read(make([]byte, 1)); n > 0 || err != io.EOF || http.NewResponseController(w).Flush() != nil {
		return
	}
	c, err := takeOver(w, r)
	if err != nil {
		return // a handler has it, or it is gone
	}
	back := &visit{conn: c.conn, next: c.next, gate: g, stranger: stranger{from: v.from}}
	g.mu.Lock()
	g.meet(back)
	g.mu.Unlock()
	if len(back.next) > 0 {
		g.again(back)
	} else {
		g.rest(back)
	}
}

// resumed is a connection that goes back to net/http, with the start of the next
// request.
type resumed struct {
	net.Conn
	next []byte
}

func (r *resumed) Read(p []byte) (int, error) {
	if len(r.next) > 0 {
		n := copy(p, r.next)
		r.next = r.next[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// CloseWrite is what net/http looks for when it closes a connection gently.
func (r *resumed) CloseWrite() error {
	if half, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
