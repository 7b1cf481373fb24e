package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Bundle is the content of a KeyBundleFile: the keys of workers of a key folder, by their
// numbers.
func Bundle(dir string, workers []int) ([]byte, error) {
	var b bytes.Buffer
	for _, n := range workers {
		keys, err := ReadKeys(dir, n, 1)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%d %s\n", n, hex.EncodeToString(keys[0].Seed()))
	}
	return b.Bytes(), nil
}

// readBundle reads the keys of workers first, … first+n-1. The error tells no content.
func readBundle(path string, first, n int) ([]ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	keys := make([]ed25519.PrivateKey, n)
	line := 0
	for text := range strings.Lines(string(b)) {
		line++
		number, key, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		no, err1 := strconv.Atoi(number)
		seed, err2 := hex.DecodeString(key)
		if err1 != nil || err2 != nil || len(seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("%s:%d: want the number of a worker and the %d hex characters of its private key", path, line, 2*ed25519.SeedSize)
		}
		if no >= first && no < first+n {
			keys[no-first] = ed25519.NewKeyFromSeed(seed)
		}
	}
	for i, key := range keys {
		if key == nil {
			return nil, fmt.Errorf("%s: it has no key of worker %d", path, first+i)
		}
	}
	return keys, nil
}
