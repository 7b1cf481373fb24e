package server

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"

	"github.com/fltool/fltool/server/wire"
)

// verdict is what a desk makes of what has come on a connection.
type verdict int

const (
	plain   verdict = iota // a whole request that a desk answers
	partial                // the start of what may become one
	unusual                // anything else: net/http answers it
)

var headEnd = []byte("\r\n\r\n")

// reader reads plain requests: of a route that workers use, whole, of HTTP/1.1, on a
// connection that goes on, and with nothing in them that wants a second thought.
//
// It is net/http's parser that reads them, so that there are no two opinions on what
// bytes mean; what net/http's server looks at besides is not plain. FuzzPlain holds
// one against the other.
type reader struct {
	bytes bytes.Reader
	in    *bufio.Reader // of bytes
}

func newReader() *reader { return &reader{in: bufio.NewReader(nil)} }

// read reads a request of what has come on a connection; a plain one has size bytes.
// Nothing is kept of what is not plain. Where the start of a request says that all of
// it has more than most bytes, it is not.
func (p *reader) read(come []byte, most int) (r *http.Request, size int, what verdict) {
	end := bytes.Index(come, headEnd)
	if end < 0 {
		if len(come) >= most || !plainBytes(come) {
			return nil, 0, unusual
		}
		return nil, 0, partial
	}
	head := end + len(headEnd)
	if !plainBytes(come[:head]) {
		return nil, 0, unusual
	}
	p.bytes.Reset(come)
	p.in.Reset(&p.bytes)
	r, err := http.ReadRequest(p.in)
	if err != nil || !isPlain(r) || r.ContentLength > int64(most-head) {
		return nil, 0, unusual
	}
	if size = head + int(r.ContentLength); size > len(come) {
		return nil, 0, partial
	}
	return r, size, plain
}

// plainBytes says whether a head has nothing but printable ASCII, tabs and lines
// that end as they should.
func plainBytes(head []byte) bool {
	for i, c := range head {
		switch {
		case ' ' <= c && c <= '~', c == '\t':
		case c == '\r':
			if i+1 < len(head) && head[i+1] != '\n' {
				return false
			}
		case c == '\n':
			if i == 0 || head[i-1] != '\r' {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// isPlain looks at a request that net/http could read.
func isPlain(r *http.Request) bool {
	switch {
	case r.Proto != "HTTP/1.1", r.Close, r.ContentLength < 0, len(r.TransferEncoding) > 0, r.Trailer != nil:
		return false
	case !isWordWith(r.Host, ".:-[]"):
		return false
	}
	for name := range r.Header {
		switch name {
		case "Expect", "Upgrade", "Transfer-Encoding", "Trailer":
			return false
		}
		if !isWordWith(name, "-") {
			return false
		}
	}
	for _, option := range r.Header["Connection"] {
		if !strings.EqualFold(option, "keep-alive") {
			return false
		}
	}
	return plainRoute(r.Method, r.RequestURI, r.ContentLength)
}

// plainRoute says whether a desk answers a method and target: those by which workers
// take part in rounds.
func plainRoute(method, target string, length int64) bool {
	if method == http.MethodGet {
		return length == 0 && isWorkers(target, wire.PathChallenge)
	}
	switch {
	case method != http.MethodPost:
		return false
	case target == wire.PathRegister, target == wire.PathPoll, target == wire.PathModel:
		return true
	}
	return isWorkers(target, wire.PathUpdate)
}

// isWorkers says whether a target is that path of a worker.
func isWorkers(target, path string) bool {
	before, id := splitWorker(target)
	return before == path && isWord(id)
}

// isWord says whether a text is letters, digits and underscores, as ids are.
func isWord(text string) bool { return isWordWith(text, "") }

// isWordWith is isWord for a text that may have other marks too, between its letters.
func isWordWith(text, marks string) bool {
	letters := false
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
			letters = true
		case strings.IndexByte(marks, c) < 0:
			return false
		}
	}
	return letters
}
