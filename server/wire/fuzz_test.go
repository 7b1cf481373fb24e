package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bounded fails a test that lets more than limit bytes through.
type bounded struct {
	t    *testing.T
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		b.t.Fatal("more was written than may be")
	}
	return len(p), nil
}

func FuzzDecodeModel(f *testing.F) {
	_, _, _, model := recorded(f, "safe/02-get_global_model_all_four_requests", 3)
	f.Add(model)
	f.Add([]byte(TextInvalid))
	f.Add(packed(f, map[string]any{"global_model": []byte("m"), "global_model_version": []any{1, "x", nil, 1.5}}))
	f.Add(deflated(f, bytes.Repeat([]byte{0x91}, 1000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1000
		var got bytes.Buffer
		m, err := DecodeModel(io.MultiWriter(&got, &bounded{t, limit}), bytes.NewReader(b), limit)
		if err != nil {
			return
		}
		// What was decoded encodes to the same again.
		var again bytes.Buffer
		if err := EncodeModel(&again, bytes.NewReader(got.Bytes()), m.Size, m.Version); err != nil {
			t.Fatalf("%+v does not encode: %v", m, err)
		}
		var second bytes.Buffer
		m2, err := DecodeModel(&second, &again, limit)
		if err != nil || m2 != m || !bytes.Equal(second.Bytes(), got.Bytes()) {
			t.Fatalf("%+v came back as %+v, %v", m, m2, err)
		}
	})
}

// FuzzDecodeModelInside fuzzes what is inside the zlib stream, where the engine
// would not get otherwise.
func FuzzDecodeModelInside(f *testing.F) {
	f.Add([]byte("\x82\xacglobal_model\xc4\x01m\xb4global_model_version\x01"))
	f.Add([]byte("\x82\xacglobal_model\xc6\xff\xff\xff\xffm"))
	f.Add([]byte("\x81\xb4global_model_version\xdd\xff\xff\xff\xff"))
	f.Add([]byte("\xdf\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = DecodeModel(&bounded{t, 1000}, bytes.NewReader(deflated(t, b)), 1000)
	})
}

func FuzzReadUpdate(f *testing.F) {
	for _, name := range []string{"safe/03-receive_worker_update", "safe/23-update_no_files", "safe/24-update_not_zlib", "unsafe/03-receive_worker_update"} {
		req, body, _, _ := recorded(f, name, 0)
		f.Add(body, req.Header.Get("Content-Type"))
	}
	z := string(deflated(f, make([]byte, 100_000)))
	f.Add([]byte(form("worker_model_update", z, "signed_phrase", "s")), "multipart/form-data; boundary=b")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		const limit = 1000
		up, err := ReadUpdate(&bounded{t, limit + 1}, bytes.NewReader(body), contentType, limit)
		if err == nil && up.Size > limit {
			t.Fatalf("%d bytes were accepted", up.Size)
		}
		// Reading without inflating knows the same phrase, and refuses no more.
		dry, dryErr := ReadUpdate(nil, bytes.NewReader(body), contentType, limit)
		if err == nil && (dryErr != nil || dry.Signed != up.Signed) {
			t.Fatalf("%+v, not inflated %+v %v", up, dry, dryErr)
		}
		// A plain form is what mime/multipart takes it for.
		if stream, signed, ok := plainForm(body, contentType); ok {
			var want bytes.Buffer
			wantSigned, err := readForm(bytes.NewReader(body), contentType, func(r io.Reader) error {
				_, err := want.ReadFrom(r)
				return err
			})
			if err != nil || signed != wantSigned || !bytes.Equal(stream, want.Bytes()) {
				t.Fatalf("plain: %q %q, want %q %q %v", stream, signed, want.Bytes(), wantSigned, err)
			}
		}
		// In two steps it is the same.
		form, formErr := OpenForm(body, contentType)
		if fmt.Sprint(formErr) != fmt.Sprint(dryErr) || form.Signed != dry.Signed && formErr == nil {
			t.Fatalf("%+v %v, in two steps %+v %v", dry, dryErr, form, formErr)
		}
		if err == nil {
			if two, err := form.Inflate(&bounded{t, limit + 1}, limit); err != nil || two != up {
				t.Fatalf("%+v, in two steps %+v %v", up, two, err)
			}
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	for _, name := range []string{"safe/01-register", "safe/13-return_model_missing_keys", "safe/20-notify_version_string", "safe/21-notify_version_null"} {
		_, body, _, _ := recorded(f, name, 0)
		f.Add(body)
	}
	f.Add([]byte(`{"worker_id": "w", "last_worker_model_version": {"a": [1e400]}, "signed_phrase": "s"}`))
	f.Add([]byte(`{"worker_id":"w","last_worker_model_version":12 ,"signed_phrase":"s"} `))
	f.Add([]byte(`{"worker_id": "w", "last_worker_model_version": null, "signed_phrase": "s", "worker_id": 1}`))
	f.Add([]byte(`{"worker_id": "w", "last_worker_model_version": 01, "signed_phrase": "s"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Poll
		keys := []string{"worker_id", "last_worker_model_version", "signed_phrase"}
		err := DecodeMessage(bytes.NewReader(b), &m, keys...)
		var flat, any Poll
		if decodeFlat(b, &flat) && (decodeAny(b, &any, keys) != nil || flat != any) {
			t.Fatalf("%+v is %+v", flat, any)
		}
		var missing MissingKeys
		if err != nil {
			if !errors.Is(err, ErrMalformed) && (!errors.As(err, &missing) || len(missing) == 0) {
				t.Fatal(err)
			}
			return
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var again Poll
		if err := json.Unmarshal(out, &again); err != nil || again != m {
			t.Fatalf("%+v came back as %+v: %v", m, again, err)
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	for _, text := range []string{"1", "1.0", `"x"`, "null", "[1,{}]", "18446744073709551616", "1e400", "-0", "-0.0"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseVersion(b)
		if err != nil {
			return
		}
		if again, err := ParseVersion([]byte(v)); err != nil || again != v {
			t.Fatalf("%s is not canonical: %s %v", v, again, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	key := seedKey(0)
	public := key.Public().(ed25519.PublicKey)
	f.Add(Sign(key, []byte("m")))
	f.Add(NoPrivateKey)
	f.Add(strings.Repeat("0", 128))
	f.Fuzz(func(t *testing.T, phrase string) {
		m, err := Open(public, phrase)
		if err == nil && !strings.EqualFold(Sign(key, m), phrase) {
			t.Fatalf("%q opens as %q", phrase, m)
		}
	})
}

func FuzzKeyFiles(f *testing.F) {
	f.Add([]byte(WorkerID(seedKey(0).Public().(ed25519.PublicKey)) + "\n"))
	f.Add([]byte("\r\n\r\n"))
	f.Add([]byte(strings.Repeat("0", 64)))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if list, err := ReadKeyList(path); err == nil {
			_ = list.Odd()
			for _, id := range list.IDs {
				if _, err := ParsePublicKey(id); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, _ = ReadPrivateKey(path)
	})
}
