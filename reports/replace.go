package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The modes of new files, before the umask. What is replaced keeps its own.
const (
	Private fs.FileMode = 0o600 // what holds a host's data
	Public  fs.FileMode = 0o666
)

// WriteFile puts a report into a file as a whole or not at all: whatever fails, a
// file that was there stays as it was. What tells of a host's settings is Private.
func WriteFile(path string, r Report) error {
	var buf bytes.Buffer
	if err := Encode(&buf, r); err != nil {
		return err
	}
	mode := Public
	if slices.Contains([]Kind{KindPreflight, KindHosts, KindDrift}, r.Kind) {
		mode = Private
	}
	if err := ReplaceFile(path, buf.Bytes(), mode); err != nil {
		return fmt.Errorf("write report %w", err)
	}
	return nil
}

// CheckFile says whether ReplaceFile could write there, before the work whose
// outcome it would be. It leaves nothing behind. The error names the file.
func CheckFile(path string) error {
	f, _, err := beside(path, Private)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// ReplaceFile writes a file as WriteFile does: as a whole or not at all. A file
// that was there keeps its mode, and under root its owner; a new one gets mode,
// less the umask. Nothing is written through another user's link, nor over another
// user's file where everybody may make one. The error names the file.
func ReplaceFile(path string, data []byte, mode fs.FileMode) error {
	if err := replaceFile(path, data, mode); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func replaceFile(path string, data []byte, mode fs.FileMode) (err error) {
	f, path, err := beside(path, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	// The name too must outlive a crash. The file is whole either way, and some
	// file systems sync no directories.
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

// beside makes a file in the directory of the one that it is to replace, and like
// it. at is that one's own name: to rename onto a link would replace the link by a
// file.
func beside(path string, mode fs.FileMode) (f *os.File, at string, err error) {
	at, old, err := Target(path)
	if err == nil && old != nil && !old.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, "", err
	}
	f, err = create(filepath.Join(filepath.Dir(at), "."+filepath.Base(at)+"."), mode)
	if err == nil && old != nil {
		err = f.Chmod(old.Mode().Perm())
		if s, ok := old.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			err = errors.Join(err, f.Chown(int(s.Uid), int(s.Gid)))
		}
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}
	var named *fs.PathError
	if errors.As(err, &named) {
		err = named.Err // without the name that nobody gave
	}
	return f, at, err
}

// Target is the file that a name leads to, and what is there; nil: nothing that can
// be seen. The error says by which other user's work it may not be written.
func Target(path string) (at string, old fs.FileInfo, err error) {
	if at, err = follow(path); err != nil {
		return "", nil, err
	}
	if old, err = os.Lstat(at); err != nil {
		return at, nil, nil // the making of a new one tells what is wrong, if anything is
	}
	if owner(old) != os.Geteuid() {
		if in, err := os.Stat(filepath.Dir(at)); err != nil || in.Mode()&fs.ModeSticky != 0 {
			return "", nil, errors.New("it is another user's file, in a directory where everybody may make one")
		}
	}
	return at, old, nil
}

// create makes a new file, as os.CreateTemp does but with a mode.
func create(prefix string, mode fs.FileMode) (*os.File, error) {
	for {
		f, err := os.OpenFile(fmt.Sprintf("%s%d", prefix, rand.Uint64()), os.O_RDWR|os.O_CREATE|os.O_EXCL, mode) // #nosec G404 -- only to be free; O_EXCL guards it
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// maxLinks is how many are followed for one name, as by the kernel.
const maxLinks = 40

// follow is the name that links lead to; the last part of it need not exist. The
// kernel follows no stranger's link in a sticky directory (proc(5),
// protected_symlinks); here none is followed anywhere.
func follow(path string) (string, error) {
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return "", err
		}
		path = dir + "/" + path // not by Join: "link/.." is the parent of what the link leads to
	}
	todo, at := strings.Split(path, "/"), "/"
	for links := 0; len(todo) > 0; {
		next := filepath.Join(at, todo[0])
		todo = todo[1:]
		info, err := os.Lstat(next)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if uid := owner(info); uid != 0 && uid != os.Geteuid() {
			return "", fmt.Errorf("%s is another user's link", next)
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, nil
}

// owner is a file's; -1 where the system does not tell.
func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
