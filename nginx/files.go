package nginx

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"unicode"
)

// files is where a config's files come from: a directory tree or a dump.
type files interface {
	// read returns the content of the file that nginx would open by this name.
	// Its errors read as nginx's: `open() "/x" failed (2: No such file or directory)`.
	read(name string) ([]byte, error)
	// glob lists the files that match, as glob(3) sorts them.
	glob(pattern string) ([]string, error)
}

// maxFile bounds one file, so that a wrong name (a device, a log) is an error
// and not an endless read.
const maxFile = 64 << 20

// disk reads below root as if root were "/": absolute symlinks and ".." stay
// below it, as they would for a process in a chroot.
type disk struct{ root string }

func (d disk) read(name string) ([]byte, error) {
	real, err := d.resolve(name)
	if err != nil {
		return nil, fileError("open", name, err)
	}
	info, err := os.Stat(real) // before the open: that of a FIFO would wait for a writer
	if err != nil {
		return nil, fileError("open", name, err)
	}
	if mode := info.Mode(); !mode.IsRegular() && !mode.IsDir() && !isStream(real) {
		return nil, fmt.Errorf("%q is no regular file", name)
	}
	f, err := os.Open(real)
	if err != nil {
		return nil, fileError("open", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fileError("pread", name, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%q is larger than %d MB, which is no config", name, maxFile>>20)
	}
	return b, nil
}

// isStream tells what the shell hands over as a file: standard input, or the pipe of
// a process substitution.
func isStream(name string) bool {
	return name == "/dev/stdin" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}

func (d disk) glob(pattern string) ([]string, error) {
	parts := strings.Split(pattern, "/")
	found := []string{""}
	for i, part := range parts {
		var next []string
		for _, dir := range found { // "/", "conf/": with its slash, relative ones begin with ""
			if i < len(parts)-1 && !hasMagic(part) {
				next = append(next, dir+part+"/")
				continue
			}
			if !hasMagic(part) {
				next = append(next, dir+part)
				continue
			}
			names, err := d.list(cmp.Or(dir, "./"))
			if errors.Is(err, os.ErrPermission) {
				return nil, fileError("glob", dir+part, err)
			}
			for _, name := range names {
				switch {
				case !matchPart(part, name):
				case i < len(parts)-1:
					next = append(next, dir+name+"/")
				default:
					next = append(next, dir+name)
				}
			}
		}
		found = next
	}
	found = slices.DeleteFunc(found, func(name string) bool { return !d.exists(name) })
	slices.Sort(found)
	return found, nil
}

func (d disk) list(dir string) ([]string, error) {
	real, err := d.resolve(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(real)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// exists is true for a dangling link too: glob(3) finds it, and nginx then
// fails to open it.
func (d disk) exists(name string) bool {
	// Not path.Dir, which would take "link/.." for "".
	i := strings.LastIndexByte(name, '/')
	dir, err := d.resolve(cmp.Or(name[:i+1], "./"))
	if err != nil {
		return false
	}
	_, err = os.Lstat(dir + "/" + name[i+1:])
	return err == nil
}

// resolve turns a name below root into a name of this host.
func (d disk) resolve(name string) (string, error) {
	if d.root == "" || d.root == "/" {
		return name, nil
	}
	done, rest := "/", strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		info, err := os.Lstat(d.root + next)
		if err != nil {
			return "", err
		}
		if info.Mode()&os.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > 40 { // as the kernel
			return "", syscall.ELOOP
		}
		target, err := os.Readlink(d.root + next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			done = "/"
		}
		rest = slices.Concat(strings.Split(target, "/"), rest)
	}
	return d.root + done, nil
}

// fileError says what failed as nginx's log does.
func fileError(call, name string, err error) error {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return fmt.Errorf("%s() %q failed: %w", call, name, err)
	}
	text := []rune(no.Error())
	text[0] = unicode.ToUpper(text[0])
	return &openError{fmt.Sprintf("%s() %q failed (%d: %s)", call, name, int(no), string(text)), no}
}

type openError struct {
	text string
	no   syscall.Errno
}

func (e *openError) Error() string { return e.text }
func (e *openError) Unwrap() error { return e.no }

func hasMagic(s string) bool { return strings.ContainsAny(s, "*?[") }

// matchGlob is glob(3)'s idea of a match: per component, and a leading dot is
// matched by a dot only.
func matchGlob(pattern, name string) bool {
	ps, ns := strings.Split(pattern, "/"), strings.Split(name, "/")
	if len(ps) != len(ns) {
		return false
	}
	for i := range ps {
		if !matchPart(ps[i], ns[i]) {
			return false
		}
	}
	return true
}

func matchPart(pattern, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") {
		return false
	}
	ok, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), name)
	return ok && err == nil
}
