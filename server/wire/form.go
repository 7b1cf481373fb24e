package wire

import (
	"bytes"
	"strings"
)

// formType begins the content type of a form whose boundary is a plain word.
const formType = "multipart/form-data; boundary="

// disposition is what the head of a part consists of, as upstream's workers write it.
func disposition(name string) string {
	return `form-data; name="` + name + `"; filename="` + name + `"`
}

func partHead(name string) []byte {
	return []byte("Content-Disposition: " + disposition(name) + "\r\n\r\n")
}

var updateHead, signedHead = partHead(partUpdate), partHead(partSigned)

// plainForm cuts the body of an update that is byte for byte what workers write, but for
// the two parts and the boundary. Whatever differs is not plain and for mime/multipart,
// which FuzzReadUpdate holds this against: it makes 5 KB of garbage for a form, twice the
// size of a usual one.
func plainForm(body []byte, contentType string) (stream []byte, signed string, ok bool) {
	boundary, ok := strings.CutPrefix(contentType, formType)
	if !ok || !isWord(boundary) {
		return nil, "", false
	}
	begin := []byte("--" + boundary)
	rest, ok := bytes.CutPrefix(body, begin)
	if !ok {
		return nil, "", false
	}
	end := append([]byte("\r\n"), begin...)
	stream, rest, ok = cutPart(rest, updateHead, begin, end)
	if !ok {
		return nil, "", false
	}
	phrase, rest, ok := cutPart(rest, signedHead, begin, end)
	if !ok || len(phrase) > maxPhrase || !bytes.HasPrefix(rest, []byte("--\r\n")) {
		return nil, "", false
	}
	return stream, string(phrase), true
}

// cutPart cuts a part with that head off what follows a boundary.
func cutPart(b, head, begin, end []byte) (part, rest []byte, ok bool) {
	if b, ok = bytes.CutPrefix(b, []byte("\r\n")); !ok {
		return nil, nil, false
	}
	if b, ok = bytes.CutPrefix(b, head); !ok || bytes.HasPrefix(b, begin) {
		return nil, nil, false
	}
	return bytes.Cut(b, end)
}

// isWord says whether a text is letters and digits, and no longer than a boundary may be
// (RFC 2046, 5.1.1).
func isWord(text string) bool {
	return text != "" && len(text) <= 70 && strings.IndexFunc(text, func(c rune) bool {
		return (c < 'a' || 'z' < c) && (c < 'A' || 'Z' < c) && (c < '0' || '9' < c)
	}) < 0
}
