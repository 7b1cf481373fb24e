package wire

import (
	"bytes"
	"io"
	"testing"

	stdzlib "compress/zlib"
)

// TestPackedModel: one packed model serves every version, and the standard library's
// zlib reads it as well, checksum and all.
func TestPackedModel(t *testing.T) {
	for _, model := range [][]byte{nil, []byte("a model"), bytes.Repeat([]byte("again "), 100_000)} {
		p, err := PackModel(model)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []Version{VersionInt(0), VersionInt(7), VersionInt(1 << 40), VersionNone} {
			end, err := p.End(v)
			if err != nil {
				t.Fatal(err)
			}
			whole := append(bytes.Clone(p.Start), end...)
			var got bytes.Buffer
			m, err := DecodeModel(&got, bytes.NewReader(whole), 1<<20)
			if err != nil || m.Version != v || !bytes.Equal(got.Bytes(), model) {
				t.Errorf("version %s of %d bytes: %+v, %d bytes, %v", v, len(model), m, got.Len(), err)
			}
			z, err := stdzlib.NewReader(bytes.NewReader(whole))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, z); err != nil {
				t.Errorf("version %s: %v", v, err)
			}
		}
		if b, err := p.Bytes(); err != nil || !bytes.Equal(b, model) {
			t.Errorf("%d bytes became %d: %v", len(model), len(b), err)
		}
	}
}
