package server

import (
	"net/http"
	"time"
)

// headPatience is how long the head of a request may take in net/http, which would end it
// without a word after grace, or with one that is wrong: where a line has only begun,
// with 400. With the lot's patience it is no more than grace.
const headPatience = grace - restPatience

// TextLate answers a request whose head takes too long.
const TextLate = "The head of the request took too long - try again."

var lateAnswer = unasked(http.StatusRequestTimeout, TextLate)

// hasHead notes that all of a request's head has come, or that none will; the gate's lock
// is held.
func (v *visit) hasHead() {
	if v.head != nil {
		v.head.Stop()
		v.head = nil
	}
}

// late answers one whose head takes too long, and ends it.
func (g *gate) late(v *visit) {
	g.mu.Lock()
	late := v.head != nil
	g.mu.Unlock()
	if !late {
		return
	}
	_ = v.conn.SetWriteDeadline(time.Now().Add(gatePatience)) // it may be gone, as in all that follows
	_, _ = v.conn.Write(lateAnswer)
	if half, ok := v.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = v.conn.SetDeadline(time.Now()) // net/http, which has nothing to add, closes it
}
