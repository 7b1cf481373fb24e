package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
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
// this package or alike. Keys must be there, each with a value that fits v's
// field; others may be. The error is ErrMalformed, a MissingKeys in the order of
// keys, or what reading r failed with.
func DecodeMessage(r io.Reader, v any, keys ...string) error {
	b, err := io.ReadAll(io.LimitReader(r, MaxMessage+1))
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	if len(b) > MaxMessage {
		return fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxMessage)
	}
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
		if _, ok := fields[key]; !ok {
			missing = append(missing, key)
		}
	}
	if missing != nil {
		return missing
	}
	if err := json.Unmarshal(b, v); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return MissingKeys{wrong.Field}
		}
		return ErrMalformed
	}
	return nil
}

// ErrorText is the JSON in which servers wrap some of their errors.
func ErrorText(msg string) string {
	b, err := json.Marshal(msg)
	if err != nil { // a string always marshals
		return `{"error": ""}`
	}
	return `{"error": ` + string(b) + `}`
}
