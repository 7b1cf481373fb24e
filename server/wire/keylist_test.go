package wire

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOddKeyLists are lists that dc_federated's server takes, in part at least.
func TestOddKeyLists(t *testing.T) {
	var keys []string
	for i := range 3 {
		keys = append(keys, WorkerID(seedKey(byte(i)).Public().(ed25519.PublicKey)))
	}
	for name, tt := range map[string]struct {
		text string
		ids  []string
		odd  []string
	}{
		"plain":           {keys[0] + "\n" + keys[1] + "\n", keys[:2], nil},
		"no newline":      {keys[0] + "\n\n" + keys[1], keys[:2], nil},
		"other newlines":  {keys[0] + "\r\n" + keys[1] + "\r" + keys[2], keys, nil},
		"empty":           {"", nil, nil},
		"comments":        {"# mine\n" + keys[0] + "\n# theirs\n" + keys[1], keys[:2], []string{"line 1 and 1 more: each is no public key"}},
		"bad line":        {keys[0] + "\n" + keys[1][1:] + "\n" + keys[2], []string{keys[0], keys[2]}, []string{"line 2 is no public key, 64 lower-case hex characters: left out"}},
		"upper case":      {strings.ToUpper(keys[0]), nil, []string{"line 1 is no public key"}},
		"twice":           {keys[0] + "\n" + keys[1] + "\n" + keys[0], keys[:2], []string{"line 3 has a key that stands above"}},
		"trailing blanks": {keys[0] + "  \n" + keys[1] + "\t", keys[:2], []string{"line 1 and 1 more: each has white space"}},
		"byte order mark": {byteOrderMark + keys[0] + "\n" + keys[1], keys[:2], []string{"line 1 has white space or a byte order mark"}},
	} {
		path := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := ReadKeyList(path)
		odd := list.Odd()
		if err != nil || !slices.Equal(list.IDs, tt.ids) || len(odd) != len(tt.odd) {
			t.Errorf("%s: %v %q %v", name, list.IDs, odd, err)
			continue
		}
		for i, want := range tt.odd {
			if !strings.HasPrefix(odd[i], want) {
				t.Errorf("%s: %q, want %q", name, odd[i], want)
			}
		}
	}
	if _, err := ReadKeyList(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error without a file")
	}
}
