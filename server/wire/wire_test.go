package wire

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"strings"
	"testing"
)

func TestModelRoundTrip(t *testing.T) {
	var b bytes.Buffer
	model := strings.Repeat("a model ", 1000)
	if err := EncodeModel(&b, strings.NewReader(model), int64(len(model)), "1"); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	m, err := DecodeModel(&got, &b, 1<<20)
	if err != nil || m.Version != "1" || got.String() != model {
		t.Fatalf("got %+v, %v", m, err)
	}
}

func TestUpdateRoundTrip(t *testing.T) {
	z, digest, err := CompressUpdate(strings.NewReader("an update"))
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	f, err := NewUpdateForm(z)
	if err != nil {
		t.Fatal(err)
	}
	signed := Sign(key, digest[:])
	segments := f.Segments(signed)
	var body bytes.Buffer
	if n, err := segments.WriteTo(&body); err != nil || n != f.Len(signed) {
		t.Fatal(n, err)
	}
	var got strings.Builder
	up, err := ReadUpdate(&got, &body, f.ContentType, 1<<20)
	if err != nil || got.String() != "an update" || up.Digest != digest || up.Signed != signed {
		t.Fatalf("%+v %v", up, err)
	}
	if _, err := Open(key.Public().(ed25519.PublicKey), up.Signed); err != nil {
		t.Fatal(err)
	}
	_ = io.Discard
}
