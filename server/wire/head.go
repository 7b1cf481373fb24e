package wire

import (
	"bufio"
	"errors"
	"io"
	"net/http"
)

// MaxHead is how long an answer's status and header fields may be, in bytes, with
// what is read ahead of the body.
const MaxHead = 256 << 10

// ErrLongHead is a head longer than MaxHead, or one that does not end.
var ErrLongHead = errors.New("an answer whose head does not end")

// A Head bounds what a client reads of a connection while it reads an answer's
// head. The zero Head bounds nothing: it is between two answers.
type Head struct {
	bound bool
	left  int // bytes
}

// Read reads from r, unless a head has become too long.
func (h *Head) Read(r io.Reader, p []byte) (int, error) {
	if !h.bound {
		return r.Read(p)
	}
	if h.left <= 0 {
		return 0, ErrLongHead
	}
	n, err := r.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}

// Response reads an answer as far as its body, which is the response's to read.
// All that br reads must pass h.Read.
func (h *Head) Response(br *bufio.Reader, req *http.Request) (*http.Response, error) {
	h.bound, h.left = true, MaxHead
	defer func() { h.bound = false }()
	return http.ReadResponse(br, req)
}
