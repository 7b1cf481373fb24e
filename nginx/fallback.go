package nginx

import (
	"fmt"
	"slices"
	"strconv"
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

// Text is the body as Render writes it.
func (f *Fallback) Text() (string, error) {
	text, _, err := f.text()
	return text, err
}

// Instead is what nginx answers with in place of some error of its own.
type Instead struct {
	Status string `json:"status,omitempty"` // "=200"; "": the error's own, "=": that of what it leads to
	To     string `json:"to"`               // a path or a named location
	Text   string `json:"text,omitempty"`   // that a named location returns with 200, before any charset
	Source string `json:"source"`
}

// Instead is what the error_page in force at a location has for a status; nil: nothing.
func (s *Server) Instead(l *Location, code int) *Instead {
	for _, line := range l.ErrorPage.V {
		words := strings.Fields(line)
		if len(words) < 2 || !slices.Contains(words[:len(words)-1], strconv.Itoa(code)) {
			continue
		}
		in := &Instead{To: words[len(words)-1], Source: l.ErrorPage.Source}
		if status := words[len(words)-2]; strings.HasPrefix(status, "=") {
			in.Status = status
		}
		for i := range s.Locations {
			if n := &s.Locations[i]; n.Kind == Named && n.Pattern == in.To && n.Return != nil && n.Return.Code == 200 {
				in.Text = n.Return.Text
			}
		}
		return in
	}
	return nil
}

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
