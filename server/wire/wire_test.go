package wire

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"bufio"

	"github.com/vmihailenco/msgpack/v5"
)

// seedKey is the key of the recordings whose seed counts up from first.
func seedKey(first byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = first + byte(i)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// recorded reads the n-th request and response of a recording.
func recorded(t testing.TB, name string, n int) (*http.Request, []byte, *http.Response, []byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".request")
	if err != nil {
		t.Fatal(err)
	}
	requests := bufio.NewReader(bytes.NewReader(b))
	if b, err = os.ReadFile("testdata/" + name + ".response"); err != nil {
		t.Fatal(err)
	}
	responses := bufio.NewReader(bytes.NewReader(b))
	for {
		req, err := http.ReadRequest(requests)
		if err != nil {
			t.Fatal(name, err)
		}
		asked, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(name, err)
		}
		res, err := http.ReadResponse(responses, req)
		if err != nil {
			t.Fatal(name, err)
		}
		answered, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(name, err)
		}
		if n == 0 {
			return req, asked, res, answered
		}
		n--
	}
}

func TestRecordedRegistration(t *testing.T) {
	_, body, _, answer := recorded(t, "safe/01-register", 0)
	var m Register
	if err := DecodeMessage(bytes.NewReader(body), &m, "public_key_str", "signed_phrase"); err != nil {
		t.Fatal(err)
	}
	key := seedKey(0)
	public := key.Public().(ed25519.PublicKey)
	if m.PublicKey != WorkerID(public) || string(answer) != m.PublicKey {
		t.Errorf("key %s, answer %s", m.PublicKey, answer)
	}
	if message, err := Open(public, m.SignedPhrase); err != nil || string(message) != RegisterPhrase {
		t.Errorf("%q %v", message, err)
	}
	if ours := Sign(key, []byte(RegisterPhrase)); ours != m.SignedPhrase {
		t.Errorf("we sign %s, PyNaCl %s", ours, m.SignedPhrase)
	}
}

func TestRecordedModelFetch(t *testing.T) {
	key := seedKey(0).Public().(ed25519.PublicKey)
	_, _, _, phrase := recorded(t, "safe/02-get_global_model_all_four_requests", 0)
	_, body, _, answer := recorded(t, "safe/02-get_global_model_all_four_requests", 1)
	var poll Poll
	if err := DecodeMessage(bytes.NewReader(body), &poll, "worker_id", "last_worker_model_version", "signed_phrase"); err != nil {
		t.Fatal(err)
	}
	if message, err := Open(key, poll.SignedPhrase); err != nil || !bytes.Equal(message, phrase) || poll.LastVersion != "0" || poll.WorkerID != WorkerID(key) {
		t.Errorf("%+v signs %q: %v", poll, message, err)
	}
	if string(answer) != TextUpdated {
		t.Errorf("%q", answer)
	}
	_, _, _, answer = recorded(t, "safe/02-get_global_model_all_four_requests", 3)
	var model bytes.Buffer
	m, err := DecodeModel(&model, bytes.NewReader(answer), 1000)
	if err != nil || m != (Model{Size: 19, Version: "1"}) || model.String() != "\xb2A 'Global Model'!!" {
		t.Errorf("%+v %q %v", m, model.String(), err)
	}
}

func TestRecordedUpdates(t *testing.T) {
	const text = "\xb8A 'local model update'!!"
	for _, mode := range []string{"safe", "unsafe"} {
		req, body, _, answer := recorded(t, mode+"/03-receive_worker_update", 0)
		var update bytes.Buffer
		up, err := ReadUpdate(&update, bytes.NewReader(body), req.Header.Get("Content-Type"), int64(len(text)))
		if err != nil || update.String() != text || up.Size != int64(len(text)) {
			t.Errorf("%s: %+v %q %v", mode, up, update.String(), err)
		}
		if !strings.HasPrefix(string(answer), TextAccepted) {
			t.Errorf("%s: %q", mode, answer)
		}
		if mode == "unsafe" {
			if up.Signed != NoPrivateKey {
				t.Errorf("%q", up.Signed)
			}
			continue
		}
		message, err := Open(seedKey(0).Public().(ed25519.PublicKey), up.Signed)
		if err != nil || !bytes.Equal(message, up.Digest[:]) {
			t.Errorf("signs %x, digest %x, %v", message, up.Digest, err)
		}
	}
}

func TestRecordedRefusals(t *testing.T) {
	for name, want := range map[string]string{
		"safe/24-update_not_zlib": "Error -3 while decompressing data: incorrect header check",
		"safe/23-update_no_files": `{"error": "signed_phrase not found in worker update payload."}`,
	} {
		req, body, _, answer := recorded(t, name, 0)
		for _, w := range []io.Writer{io.Discard, nil} {
			_, err := ReadUpdate(w, bytes.NewReader(body), req.Header.Get("Content-Type"), 1000)
			if err == nil {
				t.Errorf("%s: no error", name)
				continue
			}
			text := err.Error()
			if errors.Is(err, ErrNoPhrase) {
				text = ErrorText(text)
			}
			if text != want || text != string(answer) {
				t.Errorf("%s: %q, recorded %q", name, text, answer)
			}
		}
	}
	for name, keys := range map[string][]string{
		"safe/13-return_model_missing_keys":   {"worker_id", "signed_phrase"},
		"safe/17-notify_missing_keys":         {"worker_id", "last_worker_model_version", "signed_phrase"},
		"safe/33-admin_add_missing_keys":      {"public_key_str", "registered"},
		"safe/38-admin_set_status_bad_type":   {"registered"},
		"unsafe/32-admin_set_status_bad_type": {"registered"},
	} {
		_, body, _, answer := recorded(t, name, 0)
		var m struct {
			Poll
			PublicKey  string `json:"public_key_str"`
			Registered bool   `json:"registered"`
		}
		err := DecodeMessage(bytes.NewReader(body), &m, keys...)
		var missing MissingKeys
		if !errors.As(err, &missing) || ErrorText(missing.Error()) != string(answer) {
			t.Errorf("%s: %v, recorded %s", name, err, answer)
		}
	}
}

// TestNoModel: a body that is whole is told from one that dc_federated's workers can't
// inflate, which ends them.
func TestNoModel(t *testing.T) {
	body := func(v any) string {
		b, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		z, _, err := CompressUpdate(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return string(z)
	}
	for _, tt := range []struct {
		body string
		none bool
	}{
		{NoModel, true},
		{body(map[string]any{"error": []string{"away"}}), true},
		{body(map[string]any{"global_model_version": 1}), true},
		{NoModel[:len(NoModel)-1], false},
		{NoModel[:len(NoModel)-1] + "x", false},
		{body("text"), false},
		{"<html>", false},
	} {
		if _, err := DecodeModel(io.Discard, strings.NewReader(tt.body), 100); err == nil || errors.Is(err, ErrNoModel) != tt.none {
			t.Errorf("%q: %v", tt.body, err)
		}
	}
}

func TestDecodeMessage(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{`{"worker_id": "w", "last_worker_model_version": 1.0, "signed_phrase": "s"}`, ""},
		{`{"worker_id": "w", "last_worker_model_version": null, "signed_phrase": "s", "more": [1]}`, ""},
		{`{"WORKER_ID": "x", "worker_id": "w", "last_worker_model_version": 1, "signed_phrase": "s", "Worker_id": 7}`, ""},
		{`{"worker_id": 1, "last_worker_model_version": 1}`, "['worker_id', 'signed_phrase']"},
		{`{"worker_id": null, "last_worker_model_version": 1, "signed_phrase": "s"}`, "['worker_id']"},
		{`{"Worker_ID": "w", "last_worker_model_version": 1, "signed_phrase": "s"}`, "['worker_id']"},
		{``, "['worker_id', 'last_worker_model_version', 'signed_phrase']"},
		{`null`, "['worker_id', 'last_worker_model_version', 'signed_phrase']"},
		{`[1]`, "['worker_id', 'last_worker_model_version', 'signed_phrase']"},
		{`not json`, "malformed JSON"},
		{`{"worker_id": "w"`, "malformed JSON"},
		{`{} {}`, "malformed JSON"},
		{`"` + strings.Repeat("x", MaxMessage) + `"`, "malformed JSON: more than 65536 bytes"},
	} {
		var m Poll
		err := DecodeMessage(strings.NewReader(tt.body), &m, "worker_id", "last_worker_model_version", "signed_phrase")
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%.80s: %v, want %q", tt.body, err, tt.want)
		}
		if err == nil && (m.WorkerID != "w" || m.SignedPhrase != "s") {
			t.Errorf("%.80s: %+v", tt.body, m)
		}
	}
	if err := DecodeMessage(iotest.ErrReader(io.ErrClosedPipe), new(Poll)); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestQuoteJSON(t *testing.T) {
	for text, want := range map[string]string{"": `""`, `a"b`: `"a\"b"`, "<é>\n": `"<é>\n"`} {
		if got := QuoteJSON(text); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestOpen(t *testing.T) {
	key, other := seedKey(0), seedKey(1)
	public := key.Public().(ed25519.PublicKey)
	good := Sign(key, []byte("message"))
	for name, phrase := range map[string]string{
		"empty": "", "not hex": "zz", "short": good[:126], "literal": NoPrivateKey,
		"another's": Sign(other, []byte("message")),
		"longer":    good + "00", "odd": good + "0",
		"changed": good[:len(good)-2] + "00",
	} {
		if m, err := Open(public, phrase); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %q %v", name, m, err)
		}
	}
	for _, phrase := range []string{good, strings.ToUpper(good)} {
		if m, err := Open(public, phrase); err != nil || string(m) != "message" {
			t.Errorf("%q %v", m, err)
		}
	}
	if m, err := OpenIf(public, good, func(m []byte) bool { return string(m) != "message" }); !errors.Is(err, ErrSignature) {
		t.Errorf("not awaited: %q %v", m, err)
	}
	if m, err := Open(public, Sign(key, nil)); err != nil || len(m) != 0 {
		t.Errorf("empty message: %q %v", m, err)
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"1": "1", " 1 ": "1", "1.0": "1", "1e3": "1000", "-0": "0", "1.5": "1.5", `"a"`: `"a"`, `"1"`: `"1"`,
		"null": "null", "true": "true", "[1, 2.0]": "[1,2]", `{"b": 1, "a": [ ]}`: `{"a":[],"b":1}`,
		"9223372036854775807": "9223372036854775807", "18446744073709551615": "18446744073709551615",
	} {
		got, err := ParseVersion([]byte(text))
		if err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		}
		var b bytes.Buffer
		if err := EncodeModel(&b, strings.NewReader("m"), 1, got); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		// It comes back as it went, through msgpack and a worker's JSON.
		if m, err := DecodeModel(io.Discard, &b, 10); err != nil || m.Version != want {
			t.Errorf("%s: back as %s, %v", text, m.Version, err)
		}
	}
	for _, text := range []string{"", "1 2", "{", "nul", strings.Repeat("[", 20) + strings.Repeat("]", 20)} {
		if v, err := ParseVersion([]byte(text)); err == nil {
			t.Errorf("%q: %s", text, v)
		}
	}
	if b, err := json.Marshal(Poll{WorkerID: "w"}); err != nil || string(b) != `{"worker_id":"w","last_worker_model_version":null,"signed_phrase":""}` {
		t.Error(string(b), err)
	}
}

func deflated(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func packed(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return deflated(t, b)
}

func TestModelRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 255, 256, 65535, 65536, 1 << 20} {
		model := bytes.Repeat([]byte("model"), size/5+1)[:size]
		var b bytes.Buffer
		if err := EncodeModel(&b, bytes.NewReader(model), int64(size), VersionInt(7)); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		m, err := DecodeModel(&got, iotest.OneByteReader(bytes.NewReader(b.Bytes())), int64(size))
		if err != nil || m != (Model{int64(size), "7"}) || !bytes.Equal(got.Bytes(), model) {
			t.Errorf("%d: %+v %v", size, m, err)
		}
		if size > 0 {
			if _, err := DecodeModel(io.Discard, bytes.NewReader(b.Bytes()), int64(size)-1); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%d, one less allowed: %v", size, err)
			}
		}
	}
	if err := EncodeModel(io.Discard, strings.NewReader("short"), 10, "1"); err == nil {
		t.Error("a model that ends early was encoded")
	}
	if err := EncodeModel(io.Discard, strings.NewReader(""), -1, "1"); err == nil {
		t.Error("a negative size was encoded")
	}
}

func TestDecodeModelRefuses(t *testing.T) {
	good := packed(t, map[string]any{"global_model": []byte("m"), "global_model_version": 1})
	checksum := bytes.Clone(good)
	checksum[len(checksum)-1] ^= 1
	for name, b := range map[string][]byte{
		"nothing":            nil,
		"a refusal":          []byte(TextInvalid),
		"cut":                good[:len(good)-5],
		"without checksum":   good[:len(good)-4],
		"wrong checksum":     checksum,
		"not a map":          packed(t, []int{1}),
		"nil":                packed(t, nil),
		"empty map":          packed(t, map[string]int{}),
		"no version":         packed(t, map[string]any{"global_model": []byte("m")}),
		"no model":           packed(t, map[string]any{"global_model_version": 1}),
		"another key":        packed(t, map[string]any{"x": 1}),
		"model is a number":  packed(t, map[string]any{"global_model": 1, "global_model_version": 1}),
		"version is bytes":   packed(t, map[string]any{"global_model": []byte("m"), "global_model_version": []byte("v")}),
		"long version":       packed(t, map[string]any{"global_model": []byte("m"), "global_model_version": strings.Repeat("v", 2*MaxMessage)}),
		"nested version":     deflated(t, append([]byte("\x81\xb4global_model_version"), bytes.Repeat([]byte{0x91}, 1000)...)),
		"more than a model":  deflated(t, []byte("\x82\xacglobal_model\xc4\x01m\xb4global_model_version\x01x")),
		"more than promised": deflated(t, []byte("\x82\xacglobal_model\xc6\x00\x01\x00\x00m")),
	} {
		if m, err := DecodeModel(io.Discard, bytes.NewReader(b), 100_000); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if _, err := DecodeModel(iotestErrWriter{}, bytes.NewReader(good), 10); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the writer's error is %v", err)
	}
}

type iotestErrWriter struct{}

func (iotestErrWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// form builds a body from parts, in order.
func form(parts ...string) string {
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		b.WriteString("--b\r\nContent-Disposition: form-data; name=\"" + parts[i] + "\"; filename=\"x\"\r\n\r\n" + parts[i+1] + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

func TestReadUpdate(t *testing.T) {
	z := string(deflated(t, []byte("an update")))
	const typ = "multipart/form-data; boundary=b"
	bomb := string(deflated(t, make([]byte, 10_000_000)))
	var inflateErr *InflateError
	for _, tt := range []struct {
		name, typ, body string
		err             any // an error, or **InflateError
		text            string
	}{
		{"good", typ, form("worker_model_update", z, "signed_phrase", "s"), nil, ""},
		{"the other order", typ, form("signed_phrase", "s", "worker_model_update", z), nil, ""},
		{"more parts", typ, form("x", "y", "worker_model_update", z, "x", "z", "signed_phrase", "s"), nil, ""},
		{"no type", "", form("worker_model_update", z, "signed_phrase", "s"), ErrNoPhrase, ""},
		{"another type", "text/plain", form("worker_model_update", z, "signed_phrase", "s"), ErrNoPhrase, ""},
		{"no boundary", "multipart/form-data", form("worker_model_update", z, "signed_phrase", "s"), ErrNoPhrase, ""},
		{"no phrase", typ, form("worker_model_update", z), ErrNoPhrase, ""},
		{"no update", typ, form("signed_phrase", "s"), ErrNoUpdate, ""},
		{"two updates", typ, form("worker_model_update", z, "worker_model_update", z, "signed_phrase", "s"), ErrTwice, ""},
		{"not zlib", typ, form("worker_model_update", "notzlib", "signed_phrase", "s"), &inflateErr, "Error -3 while decompressing data: incorrect header check"},
		{"empty", typ, form("worker_model_update", "", "signed_phrase", "s"), &inflateErr, "Error -5 while decompressing data: incomplete or truncated stream"},
		{"cut", typ, form("worker_model_update", z[:len(z)-5], "signed_phrase", "s"), &inflateErr, "Error -5 while decompressing data: incomplete or truncated stream"},
		{"wrong checksum", typ, form("worker_model_update", z[:len(z)-1]+"x", "signed_phrase", "s"), &inflateErr, "Error -3 while decompressing data: incorrect data check"},
		{"a bomb", typ, form("worker_model_update", bomb, "signed_phrase", "s"), ErrTooLarge, ""},
	} {
		var got bytes.Buffer
		up, err := ReadUpdate(&got, strings.NewReader(tt.body), tt.typ, 1000)
		switch want := tt.err.(type) {
		case nil:
			if err != nil || got.String() != "an update" || up.Signed != "s" || up.Size != 9 {
				t.Errorf("%s: %+v %q %v", tt.name, up, got.String(), err)
			}
		case error:
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", tt.name, err)
			}
		default:
			if !errors.As(err, want) || err.Error() != tt.text {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.text)
			}
		}
		if got.Len() > 1001 {
			t.Errorf("%s: %d bytes were written", tt.name, got.Len())
		}
	}
	// Exactly the limit is allowed.
	if _, err := ReadUpdate(io.Discard, strings.NewReader(form("worker_model_update", z, "signed_phrase", "s")), typ, 9); err != nil {
		t.Error(err)
	}
	// Errors of either end come through.
	cut := io.MultiReader(strings.NewReader(form("worker_model_update", z)[:80]), iotest.ErrReader(io.ErrClosedPipe))
	if _, err := ReadUpdate(io.Discard, cut, typ, 1000); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if _, err := ReadUpdate(iotestErrWriter{}, strings.NewReader(form("worker_model_update", z)), typ, 1000); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	// Without a writer nothing is inflated.
	if up, err := ReadUpdate(nil, strings.NewReader(form("worker_model_update", "\x78\x9cnothing", "signed_phrase", "s")), typ, 1); err != nil || up != (Update{Signed: "s"}) {
		t.Error(up, err)
	}
}

// TestHeadsOfParts: whatever an endless head consists of, little of it is read, and
// so little is kept. A long part that nobody wants is no head.
func TestHeadsOfParts(t *testing.T) {
	const typ = "multipart/form-data; boundary=b"
	z := string(deflated(t, []byte("an update")))
	for name, body := range map[string]struct{ begin, endless string }{
		"before the first":    {"", "junk\r\n"},
		"one line of nothing": {"", "junk"},
		"many lines":          {"--b\r\n", "X: y\r\n"},
		"one line":            {"--b\r\nContent-Disposition: form-data; name=\"", "worker_model_update"},
		"a folded line":       {"--b\r\nX: y\r\n", " z\r\n"},
		"of the second":       {"--b\r\nContent-Disposition: form-data; name=\"worker_model_update\"\r\n\r\n" + z + "\r\n--b\r\n", "X: y\r\n"},
		"after the boundary":  {"--b", " "},
	} {
		for _, w := range []io.Writer{io.Discard, nil} {
			source := &counted{r: io.MultiReader(strings.NewReader(body.begin), strings.NewReader(strings.Repeat(body.endless, 10<<20/len(body.endless))))}
			if _, err := ReadUpdate(w, source, typ, 1000); !errors.Is(err, ErrNoPhrase) {
				t.Errorf("%s: %v", name, err)
			}
			if source.n > 4*maxHead {
				t.Errorf("%s: %d bytes were read", name, source.n)
			}
		}
	}
	long := form("unknown", strings.Repeat("x", 10*maxHead), "worker_model_update", z+strings.Repeat("behind the stream", maxHead), "signed_phrase", "s")
	if up, err := ReadUpdate(io.Discard, strings.NewReader(long), typ, 1000); err != nil || up.Signed != "s" || up.Size != 9 {
		t.Errorf("%+v %v", up, err)
	}
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestUpdateForm(t *testing.T) {
	z, digest, err := CompressUpdate(strings.NewReader("an update"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewUpdateForm(z)
	if err != nil {
		t.Fatal(err)
	}
	key := seedKey(0)
	for _, signed := range []string{Sign(key, digest[:]), "", NoPrivateKey} {
		segments := f.Segments(signed)
		var body bytes.Buffer
		if n, err := segments.WriteTo(&body); err != nil || n != f.Len(signed) {
			t.Fatal(n, f.Len(signed), err)
		}
		var got strings.Builder
		up, err := ReadUpdate(&got, iotest.OneByteReader(&body), f.ContentType, 9)
		if err != nil || got.String() != "an update" || up != (Update{9, digest, signed}) {
			t.Errorf("%+v %q %v", up, got.String(), err)
		}
	}
	if _, _, err := CompressUpdate(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestKeyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if err := GenerateKeys(t.Context(), dir, 3); err != nil {
		t.Fatal(err)
	}
	if n, err := VerifyKeys(dir); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	list, err := ReadKeyList(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ReadKeys(dir, 1, 2)
	if err != nil || len(keys) != 2 || WorkerID(keys[0].Public().(ed25519.PublicKey)) != list.IDs[1] {
		t.Fatal(err)
	}
	b, err := os.ReadFile(KeyFile(dir, 0))
	if err != nil || len(b) != 64 {
		t.Errorf("%d bytes, %v: Python reads them unstripped", len(b), err)
	}
	if info, err := os.Stat(KeyFile(dir, 0)); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	// Nothing is overwritten, with the list or without it.
	for range 2 {
		if err := GenerateKeys(t.Context(), dir, 3); !errors.Is(err, os.ErrExist) {
			t.Errorf("again: %v", err)
		}
		if after, err := os.ReadFile(KeyFile(dir, 0)); err != nil || !bytes.Equal(after, b) {
			t.Error("a key was overwritten", err)
		}
		if err := os.Remove(filepath.Join(dir, KeyListFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}

// TestGenerateKeysLeavesNothing where it could not finish.
func TestGenerateKeysLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "keys [x") // no pattern
	ended, end := context.WithCancel(t.Context())
	end()
	if err := GenerateKeys(ended, dir, 3); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if files, err := os.ReadDir(parent); err != nil || len(files) != 0 {
		t.Error(files, err)
	}
	// A folder that was there stays, with what is in it.
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	theirs := KeyFile(dir, 1)
	if err := os.WriteFile(theirs, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := GenerateKeys(t.Context(), dir, 3); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Error(files, err)
	}
	if err := os.Remove(theirs); err != nil {
		t.Fatal(err)
	}
	if err := GenerateKeys(t.Context(), dir, 3); err != nil {
		t.Error(err)
	}
}

func TestVerifyKeysFinds(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"others may read": func(dir string) error { return os.Chmod(KeyFile(dir, 1), 0o644) },
		"white space": func(dir string) error {
			b, err := os.ReadFile(KeyFile(dir, 0))
			return errors.Join(err, os.WriteFile(KeyFile(dir, 0), append(b, '\n'), 0o600))
		},
		"is not the public key": func(dir string) error {
			return os.WriteFile(KeyFile(dir, 0)+PublicSuffix, []byte(strings.Repeat("0", 64)), 0o600)
		},
		"elsewhere or nowhere": func(dir string) error {
			return errors.Join(os.Rename(KeyFile(dir, 0), KeyFile(dir, 0)+"x"), os.Rename(KeyFile(dir, 1), KeyFile(dir, 0)), os.Rename(KeyFile(dir, 0)+"x", KeyFile(dir, 1)),
				os.Rename(KeyFile(dir, 0)+PublicSuffix, dir+"/x"), os.Rename(KeyFile(dir, 1)+PublicSuffix, KeyFile(dir, 0)+PublicSuffix), os.Rename(dir+"/x", KeyFile(dir, 1)+PublicSuffix))
		},
		"6 key files":          func(dir string) error { return cutList(dir, 1) },
		"no such file":         func(dir string) error { return os.Remove(KeyFile(dir, 2)) },
		"no keys in it":        func(dir string) error { return cutList(dir, 3) },
		"stands above already": func(dir string) error { return doubleKey(dir) },
		": line 1 is no public key": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, KeyListFile), []byte(strings.Repeat("A", 64)), 0o600)
		},
	} {
		dir := t.TempDir()
		if err := GenerateKeys(t.Context(), dir, 3); err != nil {
			t.Fatal(err)
		}
		if err := spoil(dir); err != nil {
			t.Fatal(name, err)
		}
		if _, err := VerifyKeys(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// cutList takes n keys off the key list.
func cutList(dir string, n int) error {
	path := filepath.Join(dir, KeyListFile)
	b, err := os.ReadFile(path)
	lines := strings.Split(string(b), "\n")
	return errors.Join(err, os.WriteFile(path, []byte(strings.Join(lines[n:], "\n")), 0o600))
}

func doubleKey(dir string) error {
	path := filepath.Join(dir, KeyListFile)
	b, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path, append(b, "\n"+string(b[:64])+"\r\n"...), 0o600))
}

func TestReadPrivateKeyTellsNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	secret := hex.EncodeToString(seedKey(0).Seed())
	for _, text := range []string{secret + "\n", secret[:60], "zz" + secret[2:], ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadPrivateKey(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}
