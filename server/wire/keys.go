package wire

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The key folder of dc_federated's stress test: for each worker a private key in
// KeyFilePrefix + number, its public key beside it with PublicSuffix, and all
// public keys in KeyListFile, which is the server's key list as well. Keys are
// the 64 hex characters of 32 bytes without a newline: Python reads them
// unstripped and compares ids as exact strings.
const (
	KeyFilePrefix = "stress_worker_key_file_"
	PublicSuffix  = ".pub"
	KeyListFile   = "stress_worker_public_keys.txt"
)

// KeyBundleFile has private keys of a part of the workers in one file, which a Secret and
// a copy between machines want: a line each, the worker's number and its key.
const KeyBundleFile = "stress_worker_private_keys.txt"

// KeyFile is the path of worker n's private key in a key folder; n counts from 0.
func KeyFile(dir string, n int) string {
	return filepath.Join(dir, fmt.Sprintf("%s%d", KeyFilePrefix, n))
}

// WorkerID is the id that a server with a key list gives the holder of a key:
// the public key's 64 hex characters.
func WorkerID(key ed25519.PublicKey) string { return hex.EncodeToString(key) }

// ParsePublicKey reads the 64 hex characters of a public key.
func ParsePublicKey(s string) (ed25519.PublicKey, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize || s != strings.ToLower(s) {
		return nil, fmt.Errorf("not a public key: want %d lower-case hex characters, have %d bytes", 2*ed25519.PublicKeySize, len(s))
	}
	return b, nil
}

// ReadPrivateKey reads one private-key file. A trailing newline is an error,
// since it makes the Python worker fail.
func ReadPrivateKey(path string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	seed, err := hex.DecodeString(string(b))
	if err != nil || len(seed) != ed25519.SeedSize {
		what := fmt.Sprintf("%d bytes", len(b))
		if len(bytes.TrimSpace(b)) == 2*ed25519.SeedSize {
			what += ", white space among them"
		}
		// The content is a secret: say only how long it is.
		return nil, fmt.Errorf("%s: not a private key: want %d hex characters, have %s", path, 2*ed25519.SeedSize, what)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// ReadKeys reads the private keys of workers first, first+1, … first+n-1 from a
// key folder, or from the bundle in it where it has no files of single keys.
func ReadKeys(dir string, first, n int) ([]ed25519.PrivateKey, error) {
	if _, err := os.Lstat(KeyFile(dir, first)); errors.Is(err, os.ErrNotExist) {
		if _, err := os.Lstat(filepath.Join(dir, KeyBundleFile)); err == nil {
			return readBundle(filepath.Join(dir, KeyBundleFile), first, n)
		}
	}
	keys := make([]ed25519.PrivateKey, n)
	for i := range keys {
		key, err := ReadPrivateKey(KeyFile(dir, first+i))
		if err != nil {
			return nil, err
		}
		keys[i] = key
	}
	return keys, nil
}

// GenerateKeys writes a key folder for n workers; private keys have mode 0600.
// The folder is made if need be and must not hold any key of that layout: nothing
// is ever overwritten, the error is os.ErrExist. If it can't be finished, or the
// context ends, nothing is left behind.
func GenerateKeys(ctx context.Context, dir string, n int) (err error) {
	_, missing := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- private keys in it have 0600
		return err
	}
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range made {
			err = errors.Join(err, os.Remove(path))
		}
		if missing != nil {
			err = errors.Join(err, os.Remove(dir))
		}
	}()
	create := func(path, content string, mode os.FileMode) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return err
		}
		made = append(made, path)
		_, err = f.WriteString(content)
		return errors.Join(err, f.Close())
	}
	// The list is created first and filled last: two generators cannot both own it.
	list := filepath.Join(dir, KeyListFile)
	if err := create(list, "", 0o644); err != nil {
		return err
	}
	if old, err := keyFiles(dir); err != nil {
		return err
	} else if old > 0 {
		return fmt.Errorf("%s: holds %d key files already: %w", dir, old, os.ErrExist)
	}
	ids := make([]string, n)
	for i := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return fmt.Errorf("generate key: %w", err)
		}
		ids[i] = WorkerID(public)
		if err := create(KeyFile(dir, i), hex.EncodeToString(private.Seed()), 0o600); err != nil {
			return err
		}
		if err := create(KeyFile(dir, i)+PublicSuffix, ids[i], 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(list, []byte(strings.Join(ids, "\n")), 0o644) // #nosec G306 -- public keys
}

// keyFiles counts the private and public keys in a folder.
func keyFiles(dir string) (int, error) {
	files, err := os.ReadDir(dir)
	n := 0
	for _, f := range files {
		if strings.HasPrefix(f.Name(), KeyFilePrefix) {
			n++
		}
	}
	return n, err
}

// VerifyKeys reads a whole key folder and gives the number of its workers. Every
// fault is part of the error: a key list that does not match the private keys one
// by one, a public key that is not the private one's, a private key that others
// may read.
func VerifyKeys(dir string) (int, error) {
	list, err := ReadKeyList(dir)
	if err != nil {
		return 0, err
	}
	ids := list.IDs
	var faults []error
	for _, odd := range list.Odd() {
		faults = append(faults, fmt.Errorf("%s: %s", filepath.Join(dir, KeyListFile), odd))
	}
	if len(ids) == 0 {
		faults = append(faults, fmt.Errorf("%s: no keys in it", filepath.Join(dir, KeyListFile)))
	}
	for i, id := range ids {
		if err := verifyKey(KeyFile(dir, i), id); err != nil {
			faults = append(faults, err)
		}
	}
	files, err := keyFiles(dir)
	if err != nil {
		return 0, err
	}
	if want := 2 * len(ids); files > want {
		faults = append(faults, fmt.Errorf("%s: %d key files, but %s lists %d workers, so %d files", dir, files, KeyListFile, len(ids), want))
	}
	return len(ids), errors.Join(faults...)
}

func verifyKey(path, id string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s: mode %04o: others may read a private key; chmod 0600", path, info.Mode().Perm())
	}
	key, err := ReadPrivateKey(path)
	if err != nil {
		return err
	}
	public, err := os.ReadFile(path + PublicSuffix)
	if err != nil {
		return err
	}
	own := WorkerID(key.Public().(ed25519.PublicKey))
	if string(public) != own {
		return fmt.Errorf("%s: is not the public key of %s", path+PublicSuffix, path)
	}
	if id != own {
		return fmt.Errorf("%s: its public key stands elsewhere or nowhere in %s", path, KeyListFile)
	}
	return nil
}
