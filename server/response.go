package server

import (
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// blobBytes is the longest answer that a desk copies before it writes it.
const blobBytes = 64 << 10

// response is a desk's http.ResponseWriter. It keeps what the handler says until
// that has returned, and has no deadlines: the desk waits for nobody.
type response struct {
	visit  *visit
	header http.Header
	status int
	text   []byte
	blob   net.Buffers // follows the text, and is not copied
	ahead  []byte      // what has come of the next request
	taken  bool        // the connection is not the desk's any more
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.text = append(w.text, p...)
	return len(p), nil
}

func (w *response) WriteString(text string) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.text = append(w.text, text...)
	return len(text), nil
}

func (w *response) SetReadDeadline(time.Time) error  { return nil }
func (w *response) SetWriteDeadline(time.Time) error { return nil }

// reset makes it that of the next request.
func (w *response) reset(v *visit, ahead []byte) {
	if w.header == nil {
		w.header = http.Header{}
	}
	clear(w.header)
	w.visit, w.status, w.text, w.blob, w.ahead, w.taken = v, 0, w.text[:0], nil, ahead, false
}

// closes says whether the connection is not to go on.
func (w *response) closes() bool { return len(w.header["Connection"]) > 0 }

// appendTo appends the response as HTTP to b, but for the blob.
func (w *response) appendTo(b []byte) []byte {
	w.WriteHeader(http.StatusOK)
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(append(append(b, ' '), http.StatusText(w.status)...), "\r\n"...)
	for name, values := range w.header {
		for _, value := range values {
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	if w.header["Content-Length"] == nil { // as net/http adds it
		b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(w.text)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(append(append(b, "Date: "...), date()...), "\r\n\r\n"...)
	return append(b, w.text...)
}

// dated is a second, and how a header says it.
type dated struct {
	second int64
	text   string
}

var today atomic.Pointer[dated]

// date is now, for a header.
func date() string {
	now := time.Now()
	d := today.Load()
	if d == nil || d.second != now.Unix() {
		d = &dated{now.Unix(), now.UTC().Format(http.TimeFormat)}
		today.Store(d)
	}
	return d.text
}
