package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// modelFile is a model in the state's directory, as the state knows it. A file of
// that name that is anything else is not the store's.
type modelFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// modelName is model-VERSION, or model-VERSION.N where a file of the user's had
// that name.
var modelName = regexp.MustCompile(`^model-[0-9]+(\.[0-9]+)?$`)

// freeName gives a name for a version that no file has.
func (s *store) freeName(version int64) (string, error) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("model-%d", version)
		if n > 0 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		_, err := os.Lstat(filepath.Join(s.dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return name, nil
		case err != nil:
			return "", err
		}
	}
}

// modelNames lists the files of a directory that look like models.
func modelNames(dir string) ([]string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		if modelName.MatchString(f.Name()) {
			names = append(names, f.Name())
		}
	}
	return names, nil
}

// readModel reads a model that must be there.
func (s *store) readModel(m modelFile) ([]byte, error) {
	var b bytes.Buffer
	why, err := s.look(m, &b)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: its model is gone: %w", ErrStateDamaged, err)
	case err != nil:
		return nil, err
	case why != "":
		return nil, fmt.Errorf("%w: %s %s", ErrStateDamaged, m.Name, why)
	}
	return b.Bytes(), nil
}

// look copies a model to w, and says why the file is not the model that was stored,
// if it is not.
func (s *store) look(m modelFile, w io.Writer) (why string, err error) {
	path := filepath.Join(s.dir, m.Name)
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "is not a regular file", nil
	case info.Size() != m.Size:
		return fmt.Sprintf("has %d bytes, and %d were stored", info.Size(), m.Size), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if b, ok := w.(*bytes.Buffer); ok {
		b.Grow(int(m.Size) + bytes.MinRead)
	}
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(f, m.Size)); err != nil {
		return "", err
	}
	if hex.EncodeToString(hash.Sum(nil)) != m.SHA256 {
		return "is not what was stored: its sha256 is another", nil
	}
	return "", nil
}

// sweep removes the models that the store wrote, but for the current one.
func (s *store) sweep() error {
	for name, m := range s.models {
		if name == s.current {
			continue
		}
		why, err := s.look(m, io.Discard)
		if err == nil && why == "" {
			err = os.Remove(filepath.Join(s.dir, name))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		delete(s.models, name)
	}
	return nil
}

// writeFile makes a file that is whole on disk under its path, or not there; it is
// written under another name before, which no file may have.
func writeFile(temp, path string, b []byte) error {
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err != nil {
		return errors.Join(err, f.Close(), os.Remove(temp))
	}
	return keepFile(f, path)
}

// keepFile syncs a finished file and renames it into place.
func keepFile(f *os.File, path string) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
