package server

import (
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
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeFor(size)))
	w.WriteHeader(status)
}

// timeFor is how long a client may take for size bytes.
func timeFor(size int) time.Duration { return grace + time.Duration(size/slowest)*time.Second }

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
