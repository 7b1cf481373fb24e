package wire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBundle: a bundle has the keys that it was made of, and no others.
func TestBundle(t *testing.T) {
	dir, part := t.TempDir(), t.TempDir()
	if err := GenerateKeys(t.Context(), dir, 5); err != nil {
		t.Fatal(err)
	}
	bundle, err := Bundle(dir, []int{1, 2, 4})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(part, KeyBundleFile), bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := ReadKeys(dir, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadKeys(part, 1, 2)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	if _, err := ReadKeys(part, 2, 3); err == nil || !strings.Contains(err.Error(), "no key of worker 3") {
		t.Errorf("a worker that is missing: %v", err)
	}
	if _, err := Bundle(dir, []int{5}); err == nil {
		t.Error("a bundle of a worker without a key")
	}
	secret := strings.Repeat("5ec7e7", 10)
	if err := os.WriteFile(filepath.Join(part, KeyBundleFile), []byte("1 "+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeys(part, 1, 1); err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), ":1: want") {
		t.Errorf("a key that is none: %v", err)
	}
}
