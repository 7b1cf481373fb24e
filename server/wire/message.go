package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// MaxMessage bounds a JSON message, in bytes. The longest real one is a poll
// with a long version; they are below 1 KB.
const MaxMessage = 64 << 10

// Register is the body of PathRegister.
type Register struct {
	PublicKey    string `json:"public_key_str"`
	SignedPhrase string `json:"signed_phrase"`
}

// Poll is the body of PathPoll.
type Poll struct {
	WorkerID     string  `json:"worker_id"`
	LastVersion  Version `json:"last_worker_model_version"`
	SignedPhrase string  `json:"signed_phrase"`
}

// ModelRequest is the body of PathModel.
type ModelRequest struct {
	WorkerID     string `json:"worker_id"`
	SignedPhrase string `json:"signed_phrase"`
}

// ErrMalformed is a message that is no JSON object, or longer than MaxMessage.
var ErrMalformed = errors.New("malformed JSON")

// MissingKeys is a JSON object without the keys that a route needs, or with a
// value of the wrong type there. Its text is the one that servers answer with.
type MissingKeys []string

func (m MissingKeys) Error() string {
	return "Invalid input: failed to get the following keys from JSON input: ['" + strings.Join(m, "', '") + "']"
}

// DecodeMessage reads one JSON object from r into v, a pointer to a struct of
// this package or alike. Each of keys must be there with a value that fits v's
// field of exactly that name; other keys may be there, and are not looked at. An
// empty message has no keys. The error is ErrMalformed, a MissingKeys in the order
// of keys, with v holding those that were not missing, or what reading r failed
// with.
func DecodeMessage(r io.Reader, v any, keys ...string) error {
	whole := messages.Get().(*bytes.Buffer)
	defer messages.Put(whole)
	whole.Reset()
	_, err := whole.ReadFrom(io.LimitReader(r, MaxMessage+1))
	b := whole.Bytes() // of which nothing is kept
	switch {
	case err != nil:
		return fmt.Errorf("read message: %w", err)
	case len(b) > MaxMessage:
		return fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxMessage)
	case len(b) == 0:
		return MissingKeys(keys)
	case len(keys) == fields(v) && decodeFlat(b, v):
		return nil
	}
	return decodeAny(b, v, keys)
}

// messages are buffers of at most twice MaxMessage.
var messages = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// decodeAny decodes whatever JSON it is.
func decodeAny(b []byte, v any, keys []string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		// Any other JSON value has none of the keys; what is no JSON has a worse fault.
		if json.Valid(b) {
			return MissingKeys(keys)
		}
		return ErrMalformed
	}
	var missing MissingKeys
	for _, key := range keys {
		// One by one: encoding/json takes a key in any case, and the last of many.
		value, ok := fields[key]
		if !ok || decodeField(key, value, v) != nil {
			missing = append(missing, key)
		}
	}
	if missing != nil {
		return missing
	}
	return nil
}

var errNull = errors.New("null")

func decodeField(key string, value json.RawMessage, v any) error {
	// A version may be null; for encoding/json any other value may, too.
	if string(value) == "null" && key != "last_worker_model_version" {
		return errNull
	}
	b := make([]byte, 0, len(key)+len(value)+5)
	b = append(append(append(append(append(b, `{"`...), key...), `":`...), value...), '}')
	return json.Unmarshal(b, v)
}

// ErrorText is the JSON in which servers wrap some of their errors.
func ErrorText(msg string) string { return `{"error": ` + QuoteJSON(msg) + `}` }

// QuoteJSON writes a string as JSON does, without the escapes for HTML that
// encoding/json adds.
func QuoteJSON(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil { // a string always can be
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
