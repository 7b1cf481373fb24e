package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// Version is a global model's version as JSON text: a number, a string, null or
// anything else that JSON can say. It is opaque: workers echo it verbatim and
// two are the same if they are equal as strings, since a Version is always made
// canonical. The zero Version means "none" and is sent as null.
type Version string

// VersionNone is what a worker without a model sends: no server has it, so a
// poll with it returns at once.
const VersionNone Version = "null"

// VersionInt is the version of a server that counts.
func VersionInt(n int64) Version { return Version(strconv.FormatInt(n, 10)) }

// ParseVersion makes a Version from JSON text: without white space, object keys
// sorted, and integral numbers as integers (1.0 is 1, as in Python).
func ParseVersion(b []byte) (Version, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return "", fmt.Errorf("model version: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return "", fmt.Errorf("model version: more than one JSON value")
	}
	return versionOf(v)
}

// MarshalJSON writes the version verbatim.
func (v Version) MarshalJSON() ([]byte, error) {
	if v == "" {
		return []byte(VersionNone), nil
	}
	return []byte(v), nil
}

// UnmarshalJSON reads any JSON value.
func (v *Version) UnmarshalJSON(b []byte) error {
	p, err := ParseVersion(b)
	if err != nil {
		return err
	}
	*v = p
	return nil
}

// EncodeMsgpack writes the value that the text stands for.
func (v Version) EncodeMsgpack(enc *msgpack.Encoder) error {
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return enc.EncodeInt(n)
	}
	if n, err := strconv.ParseUint(string(v), 10, 64); err == nil {
		return enc.EncodeUint(n)
	}
	text := v
	if text == "" {
		text = VersionNone
	}
	var x any
	if err := json.Unmarshal([]byte(text), &x); err != nil {
		return fmt.Errorf("model version %q: %w", text, err)
	}
	return enc.Encode(x)
}

// decodeVersion reads a version from msgpack. Values that JSON can't say, such as
// bytes or NaN, are an error: no worker could send them back.
func decodeVersion(dec *msgpack.Decoder) (Version, error) {
	v, err := decodeValue(dec, 0)
	if err != nil {
		return "", err
	}
	return versionOf(v)
}

// decodeValue decodes lists and maps itself: the decoder would trust the length
// that they claim, and allocate it.
func decodeValue(dec *msgpack.Decoder, depth int) (any, error) {
	code, err := dec.PeekCode()
	if err != nil {
		return nil, err
	}
	switch {
	case depth > deepest:
		return nil, fmt.Errorf("model version: nested deeper than %d", deepest)
	case msgpcode.IsBin(code):
		return nil, errors.New("model version: bytes have no JSON form")
	case msgpcode.IsFixedArray(code), code == msgpcode.Array16, code == msgpcode.Array32:
		n, err := dec.DecodeArrayLen()
		list := []any{}
		for i := 0; i < n && err == nil; i++ {
			var v any
			v, err = decodeValue(dec, depth+1)
			list = append(list, v)
		}
		return list, err
	case msgpcode.IsFixedMap(code), code == msgpcode.Map16, code == msgpcode.Map32:
		n, err := dec.DecodeMapLen()
		m := map[string]any{}
		for i := 0; i < n && err == nil; i++ {
			var key string
			if key, err = dec.DecodeString(); err == nil {
				m[key], err = decodeValue(dec, depth+1)
			}
		}
		return m, err
	}
	return dec.DecodeInterfaceLoose()
}

func versionOf(v any) (Version, error) {
	v, err := canonical(v, 0)
	if err != nil {
		return "", fmt.Errorf("model version: %w", err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("model version: %w", err)
	}
	return Version(b), nil
}

// deepest is how deep a version may nest: versions come from the other end.
const deepest = 16

// canonical gives equal values one form.
func canonical(v any, depth int) (any, error) {
	if depth > deepest {
		return nil, fmt.Errorf("nested deeper than %d", deepest)
	}
	var err error
	switch v := v.(type) {
	case nil, bool, string, int64, uint64:
		return v, nil
	case float64:
		return number(v), nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, err
		}
		return number(f), nil
	case []any:
		for i := range v {
			if v[i], err = canonical(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return v, nil
	case map[string]any:
		for k := range v {
			if v[k], err = canonical(v[k], depth+1); err != nil {
				return nil, err
			}
		}
		return v, nil
	}
	return nil, fmt.Errorf("a %T has no JSON form", v)
}

func number(f float64) any {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}
