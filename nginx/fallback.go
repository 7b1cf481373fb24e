package nginx

import (
	"fmt"
	"strings"
)

// Fallback is what nginx answers by itself where the application does not: 502, 503 and
// 504 for Path become 200 with Body.
type Fallback struct {
	Path string `json:"path"`          // of all of a URL's path
	Body string `json:"body"`          // any bytes
	Why  string `json:"why,omitempty"` // the comment above it
}

// A config is text, and Body is not: in place of each byte that has no place in one
// stands a character, and a charset_map has nginx put the byte back.
const (
	textCharset  = "fl_text"
	bytesCharset = "fl_bytes"
	standIns     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// text is the body as a config can hold it, and the bytes that characters of it stand
// for.
func (f *Fallback) text() (text string, of []standIn, err error) {
	var b strings.Builder
	known := map[byte]byte{}
	for _, c := range []byte(f.Body) {
		if c > ' ' && c < 0x7f && !strings.ContainsRune("$`", rune(c)) {
			b.WriteByte(c)
			continue
		}
		as, ok := known[c]
		if !ok {
			free := strings.IndexFunc(standIns, func(r rune) bool { return !strings.ContainsRune(f.Body, r) && !taken(of, byte(r)) })
			if free < 0 {
				return "", nil, fmt.Errorf("the body for %s has too many bytes that are no text", f.Path)
			}
			as = standIns[free]
			known[c] = as
			of = append(of, standIn{as, c})
		}
		b.WriteByte(as)
	}
	return b.String(), of, nil
}

// standIn is a character in a config, and the byte that it stands for.
type standIn struct{ as, of byte }

func taken(list []standIn, as byte) bool {
	for _, s := range list {
		if s.as == as {
			return true
		}
	}
	return false
}

// charset writes what belongs into http.
func (p *printer) charset(f *Fallback) {
	if f == nil {
		return
	}
	_, of, _ := f.text() // location tells
	p.line("")
	p.comment("Bytes that a config can't hold, and the characters that stand for them in one.")
	p.open("charset_map " + textCharset + " " + bytesCharset)
	for _, s := range of {
		p.line(fmt.Sprintf("%02X %02X;", s.as, s.of))
	}
	p.close()
}

// fallback writes the locations of the path and of the answer. passed writes how the
// path is passed on.
func (p *printer) fallback(f *Fallback, passed func()) {
	if f == nil {
		return
	}
	text, _, err := f.text()
	if err != nil && p.err == nil {
		p.err = err
	}
	p.line("")
	p.comment(f.Why)
	p.open("location = " + quote(f.Path))
	passed()
	p.directive("proxy_intercept_errors", "on")
	p.directive("error_page", "502", "503", "504", "=200", "@fl_fallback")
	p.close()
	p.open("location @fl_fallback")
	p.directive("default_type", "text/html")
	p.directive("source_charset", textCharset)
	p.directive("charset", bytesCharset)
	p.directive("return", "200", text)
	p.close()
}
