package loadgen

import (
	"bytes"
	"strconv"

	"github.com/fltool/fltool/server/wire"
)

// plain is an answer that has come whole and has nothing in it that wants a second
// thought: of HTTP/1.1, with a length, on a connection that goes on.
type plain struct {
	status    int
	published int64 // ns since the epoch by the server's word, 0 if it said nothing
	body      []byte
}

// readPlain reads a plain answer, of which nothing else may follow. All that is not plain
// net/http reads, from the same bytes: there are two parsers, and FuzzPlainAnswer
// holds this one against the other.
func readPlain(b []byte) (a plain, ok bool) {
	line, rest, ok := cutLine(b)
	if !ok || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || len(line) < len("HTTP/1.1 200 ") || line[12] != ' ' {
		return a, false
	}
	status, ok := digits(line[9:12])
	if !ok || status < 200 || status == 204 || status == 304 {
		return a, false
	}
	length, said := int64(-1), false
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return a, false
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(": "))
		if !ok || !isName(name) {
			return a, false
		}
		switch {
		case is(name, "Content-Length"):
			if length >= 0 {
				return a, false
			}
			if length, ok = digits(value); !ok {
				return a, false
			}
		case is(name, wire.HeaderPublished):
			if said {
				return a, false
			}
			said = true
			if a.published, ok = digits(value); !ok {
				return a, false
			}
		case is(name, "Connection"):
			if string(value) != "keep-alive" {
				return a, false
			}
		case is(name, "Content-Encoding"), is(name, "Transfer-Encoding"), is(name, "Trailer"), is(name, "Upgrade"):
			return a, false
		}
	}
	if length != int64(len(rest)) {
		return a, false
	}
	a.status, a.body = int(status), rest
	return a, true
}

// cutLine cuts a line of printable ASCII that ends as it should.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	for i, c := range b {
		switch {
		case ' ' <= c && c <= '~':
		case c == '\r' && i+1 < len(b) && b[i+1] == '\n':
			return b[:i], b[i+2:], true
		default:
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// isName says whether a field's name is letters, digits and hyphens.
func isName(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || 'z' < c) && (c < 'A' || 'Z' < c) && (c < '0' || '9' < c) && c != '-' {
			return false
		}
	}
	return len(name) > 0
}

func is(name []byte, other string) bool {
	return len(name) == len(other) && bytes.EqualFold(name, []byte(other))
}

// digits reads digits and nothing else.
func digits(text []byte) (int64, bool) {
	for _, c := range text {
		if c < '0' || '9' < c {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, err == nil
}

// text is the body as a string. What all workers are told is not allocated for each.
func (a plain) text() string {
	if string(a.body) == wire.TextUpdated {
		return wire.TextUpdated
	}
	return string(a.body)
}
