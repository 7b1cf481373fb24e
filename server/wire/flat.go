package wire

import "bytes"

// decodeFlat reads a message that is written as workers write theirs: an object of
// the keys of v's type, once each, with strings without escapes, and a version that is
// an integer or null. It says whether it was, and leaves all others to encoding/json,
// which takes ten times as long and means the same; FuzzDecodeMessage holds one
// against the other.
func decodeFlat(b []byte, v any) bool {
	const most = 3 // keys of a message
	var found [most]struct {
		field any
		value []byte
	}
	n := 0
	s := flat{b}
	if !s.token('{') {
		return false
	}
	for {
		if n == most {
			return false
		}
		key, isKey := s.text()
		if !isKey || !s.token(':') {
			return false
		}
		f := fieldOf(v, key)
		for _, before := range found[:n] {
			if before.field == f {
				return false
			}
		}
		var value []byte
		is := false
		switch f.(type) {
		case *string:
			value, is = s.text()
		case *Version:
			value, is = s.version()
		}
		if !is {
			return false
		}
		found[n].field, found[n].value = f, value
		n++
		if !s.token(',') {
			break
		}
	}
	if !s.token('}') || len(bytes.TrimLeft(s.left, jsonSpace)) > 0 || n != fields(v) {
		return false
	}
	for _, f := range found[:n] {
		switch field := f.field.(type) {
		case *string:
			*field = string(f.value)
		case *Version:
			*field = Version(f.value)
		}
	}
	return true
}

// fields is how many keys a message has, 0 if it is none of ours.
func fields(v any) int {
	switch v.(type) {
	case *Poll:
		return 3
	case *Register, *ModelRequest:
		return 2
	}
	return 0
}

// fieldOf gives where a key's value goes, nil if it is none of the message's.
func fieldOf(v any, key []byte) any {
	switch m := v.(type) {
	case *Register:
		switch string(key) {
		case "public_key_str":
			return &m.PublicKey
		case "signed_phrase":
			return &m.SignedPhrase
		}
	case *Poll:
		switch string(key) {
		case "worker_id":
			return &m.WorkerID
		case "last_worker_model_version":
			return &m.LastVersion
		case "signed_phrase":
			return &m.SignedPhrase
		}
	case *ModelRequest:
		switch string(key) {
		case "worker_id":
			return &m.WorkerID
		case "signed_phrase":
			return &m.SignedPhrase
		}
	}
	return nil
}

// flat reads JSON's tokens, and none that means anything but its bytes.
type flat struct{ left []byte }

const jsonSpace = " \t\r\n"

func (s *flat) space() { s.left = bytes.TrimLeft(s.left, jsonSpace) }

func (s *flat) token(c byte) bool {
	if s.space(); len(s.left) == 0 || s.left[0] != c {
		return false
	}
	s.left = s.left[1:]
	return true
}

// text reads a string of printable ASCII without escapes.
func (s *flat) text() ([]byte, bool) {
	if !s.token('"') {
		return nil, false
	}
	for i, c := range s.left {
		switch {
		case c == '"':
			text := s.left[:i]
			s.left = s.left[i+1:]
			return text, true
		case c < ' ' || c > '~' || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// version reads null, or an integer that is its own canonical form.
func (s *flat) version() ([]byte, bool) {
	s.space()
	if rest, null := bytes.CutPrefix(s.left, []byte(VersionNone)); null {
		s.left = rest
		return []byte(VersionNone), true
	}
	n := 0
	for n < len(s.left) && '0' <= s.left[n] && s.left[n] <= '9' {
		n++
	}
	text := s.left[:n]
	s.left = s.left[n:]
	return text, 0 < n && n < 19 && (n == 1 || text[0] != '0')
}
