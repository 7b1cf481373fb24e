package wire

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// KeyList is a server's key list as it was read. Like dc_federated's server it takes a
// list with lines that are no keys, and leaves those out; what is odd about it is told.
type KeyList struct {
	IDs []string // each once, in the order of the file

	NoKeys  []int // lines that are no keys: left out
	Twice   []int // lines whose key stands above already
	Trimmed []int // lines with white space around the key, or a byte order mark before it
}

// byteOrderMark begins files that some editors of Windows write.
const byteOrderMark = "\ufeff"

// ReadKeyList reads a server's key list: a file with one public key a line, or a
// key folder that holds one. Empty lines are skipped.
func ReadKeyList(path string) (KeyList, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, KeyListFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return KeyList{}, err
	}
	var list KeyList
	seen := map[string]bool{}
	// As Python does: a line ends with any of these.
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(b))
	for i, line := range strings.Split(text, "\n") {
		id := strings.TrimSpace(strings.TrimPrefix(line, byteOrderMark))
		if id == "" {
			continue
		}
		_, err := ParsePublicKey(id)
		switch {
		case err != nil:
			list.NoKeys = append(list.NoKeys, i+1)
			continue
		case seen[id]:
			list.Twice = append(list.Twice, i+1)
			continue
		case id != line:
			list.Trimmed = append(list.Trimmed, i+1)
		}
		seen[id] = true
		list.IDs = append(list.IDs, id)
	}
	return list, nil
}

// Odd says what is odd about the list, a sentence for each kind.
func (l KeyList) Odd() (all []string) {
	say := func(lines []int, what string) {
		switch n := len(lines); {
		case n == 1:
			all = append(all, fmt.Sprintf("line %d %s", lines[0], what))
		case n > 1:
			all = append(all, fmt.Sprintf("line %d and %d more: each %s", lines[0], n-1, what))
		}
	}
	say(l.NoKeys, fmt.Sprintf("is no public key, %d lower-case hex characters: left out", 2*ed25519.PublicKeySize))
	say(l.Twice, "has a key that stands above already")
	say(l.Trimmed, "has white space or a byte order mark around its key, which dc_federated's server would not take")
	return all
}
