package facts

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Bounds of what is read from a host that may be hostile or broken.
const (
	maxLinks     = 40      // symbolic links followed for one name, as the kernel's own bound
	maxFileBytes = 8 << 20 // read of one file; /proc/net/tcp of 40,000 sockets is 6 MB
)

// Root is a directory that stands for a host's "/": the host itself, or one
// that is mounted or unpacked elsewhere. Names are absolute, as the host sees
// them; symbolic links, absolute ones too, stay below the root. (os.Root
// refuses absolute links, which /etc/resolv.conf and sites-enabled consist of.)
type Root struct {
	dir string
}

// NewRoot makes a Root of a directory; "" and "/" are this host. Nothing is
// read yet: Check tells whether dir is one.
func NewRoot(dir string) Root {
	if dir == "" {
		dir = "/"
	}
	return Root{dir: filepath.Clean(dir)}
}

// Check says what is wrong with the root, if anything.
func (r Root) Check() error {
	info, err := os.Stat(r.dir)
	if err != nil {
		return fmt.Errorf("root: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("root: %s is no directory", r.dir)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "etc")); err == nil {
		return nil
	}
	if _, err := os.Stat(filepath.Join(r.dir, "proc")); err == nil {
		return nil
	}
	return fmt.Errorf("root: %s holds neither etc nor proc", r.dir)
}

// Host says whether the root is the running host itself.
func (r Root) Host() bool { return r.dir == "/" }

func (r Root) String() string { return r.dir }

// Path is where the host's name is found from here, links followed. The last
// component need not exist.
func (r Root) Path(name string) (string, error) {
	if r.Host() {
		return filepath.Clean("/" + name), nil
	}
	todo := strings.Split(name, "/")
	at := "" // as the host sees it, without links
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = at[:max(0, strings.LastIndexByte(at, '/'))] // "/.." is "/"
			continue
		}
		next := at + "/" + part
		target, err := os.Readlink(r.dir + next)
		if err != nil { // no link, or nothing: the caller's open will tell
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "follow", Path: name, Err: fmt.Errorf("too many symbolic links")}
		}
		if strings.HasPrefix(target, "/") {
			at = ""
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return r.dir + at, nil
}

// Open opens a regular file of the host. Errors name the path as the host
// sees it.
func (r Root) Open(name string) (*os.File, error) {
	path, err := r.Path(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path) // before the open: that of a device may do something
	if err != nil {
		return nil, rename(err, name)
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("not a regular file")}
	}
	// Not blocking: that of a FIFO which has come meanwhile would hang, and os makes four
	// calls to find out that it need not wait for a regular file.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	return f, rename(err, name)
}

// ReadFile reads a regular file of up to 8 MiB.
func (r Root) ReadFile(name string) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, rename(err, name)
	}
	if len(b) > maxFileBytes {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("longer than %d bytes", maxFileBytes)}
	}
	return b, nil
}

// ReadString is ReadFile without surrounding white space.
func (r Root) ReadString(name string) (string, error) {
	b, err := r.ReadFile(name)
	return strings.TrimSpace(string(b)), err
}

// ReadDir lists the names in a directory of the host, sorted.
func (r Root) ReadDir(name string) ([]string, error) {
	path, err := r.Path(name)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, rename(err, name)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Readlink is where a symbolic link of the host points to, as written.
func (r Root) Readlink(name string) (string, error) {
	dir, base := filepath.Split(name)
	path, err := r.Path(dir)
	if err != nil {
		return "", err
	}
	target, err := os.Readlink(filepath.Join(path, base))
	return target, rename(err, name)
}

// Exists says whether the host has something of that name.
func (r Root) Exists(name string) bool {
	path, err := r.Path(name)
	if err != nil {
		return false
	}
	_, err = os.Stat(path)
	return err == nil
}

// rename makes an error name the path as the host sees it.
func rename(err error, name string) error {
	if e, ok := err.(*fs.PathError); ok {
		return &fs.PathError{Op: e.Op, Path: name, Err: e.Err}
	}
	return err
}

// IsDir says whether the host has a directory of that name.
func (r Root) IsDir(name string) bool {
	path, err := r.Path(name)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
