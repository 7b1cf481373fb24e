package server

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// Slow clients get a deadline for what they send and take: a grace, and a second
// more for every slowest bytes that go over.
const (
	grace   = 30 * time.Second
	slowest = 4 << 10 // bytes a second
)

// Header values that never change are shared between all answers.
var (
	typeText    = []string{"text/html; charset=UTF-8"}
	corsOrigin  = []string{"*"}
	corsMethods = []string{"GET, POST, PUT, OPTIONS"}
	corsHeaders = []string{"Origin, Accept, Content-Type, X-Requested-With, X-CSRF-Token"}
)

// answer sends a text.
func answer(w http.ResponseWriter, status int, text string) {
	begin(w, status, len(text))
	// A client that is gone needs no answer.
	_, _ = io.WriteString(w, text)
}

// setHeader sets the headers that every answer with that status has.
func setHeader(h http.Header, status int) {
	h["Content-Type"] = typeText
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusInternalServerError:
	default:
		h["Access-Control-Allow-Origin"] = corsOrigin
		h["Access-Control-Allow-Methods"] = corsMethods
		h["Access-Control-Allow-Headers"] = corsHeaders
	}
}

// begin sends the head of an answer of size bytes.
func begin(w http.ResponseWriter, status, size int) {
	setHeader(w.Header(), status)
	w.Header()["Content-Length"] = []string{strconv.Itoa(size)}
	// Where deadlines are not to be had, as in tests, there are no slow clients.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(grace + time.Duration(size/slowest)*time.Second))
	w.WriteHeader(status)
}

// body reads a request's body at no less than the slowest rate and no further
// than limit; behind that it gives errBody.
type body struct {
	r        io.Reader
	control  *http.ResponseController
	left     int64
	deadline time.Time
	credit   int  // bytes since the deadline was moved
	begun    bool // reading was
	ended    bool // with its end
}

// errBody is a body that is longer than it may be.
var errBody = errors.New("request body too large")

func newBody(w http.ResponseWriter, r *http.Request, limit int64) *body {
	b := &body{r: r.Body, control: http.NewResponseController(w), left: limit, deadline: time.Now().Add(grace)}
	_ = b.control.SetReadDeadline(b.deadline) // as in begin
	return b
}

func (b *body) Read(p []byte) (int, error) {
	b.begun = true
	if b.left <= 0 {
		// The end may stand exactly at the limit.
		if n, err := b.r.Read(p[:1]); n == 0 {
			b.ended = err == io.EOF
			return 0, err
		}
		return 0, errBody
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.ended = err == io.EOF
	b.left -= int64(n)
	b.credit += n
	if b.credit >= slowest {
		b.deadline = b.deadline.Add(time.Duration(b.credit/slowest) * time.Second)
		b.credit %= slowest
		_ = b.control.SetReadDeadline(b.deadline)
	}
	return n, err
}

// free takes the deadline off again, if all of the body was read. Else net/http
// reads what may come of the rest before it goes on, which must have an end too.
func (b *body) free() {
	if b.ended {
		_ = b.control.SetReadDeadline(time.Time{})
	}
}

// isJSON says whether a request declares its body as JSON. Python's server takes
// any other body for none at all.
func isJSON(r *http.Request) bool {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// decode reads a JSON message; what is wrong with it is the error.
func decode(w http.ResponseWriter, r *http.Request, v any, keys ...string) error {
	if !isJSON(r) {
		return wire.MissingKeys(keys)
	}
	b := newBody(w, r, wire.MaxMessage+1) // one more, so that wire sees what is too long
	defer b.free()
	return wire.DecodeMessage(b, v, keys...)
}
