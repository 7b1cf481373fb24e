package reports

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const stranger = 65534 // nobody

// shared is a directory where everybody may make files, as /tmp is.
func shared(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return dir
}

// asRoot is for what only root can set up, a file of another user's.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("the tests run as root")
		}
		t.Skip("only root makes files of other users")
	}
}

// What a stranger planted is neither followed nor replaced.
func TestReplaceFilePlanted(t *testing.T) {
	asRoot(t)
	for name, plant := range map[string]func(dir, precious string) (string, error){
		"a link to a file": func(dir, precious string) (string, error) {
			at := filepath.Join(dir, "r.json")
			return at, os.Symlink(precious, at)
		},
		"a link to nothing": func(dir, precious string) (string, error) {
			at := filepath.Join(dir, "r.json")
			return at, os.Symlink(precious+".new", at)
		},
		"a link to a directory": func(dir, precious string) (string, error) {
			at := filepath.Join(dir, "d")
			return filepath.Join(at, "precious"), os.Symlink(filepath.Dir(precious), at)
		},
		"a file": func(dir, _ string) (string, error) {
			at := filepath.Join(dir, "r.json")
			return at, os.WriteFile(at, []byte("theirs"), 0o666)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, precious := shared(t), filepath.Join(t.TempDir(), "precious")
			if err := os.WriteFile(precious, []byte("root's"), 0o600); err != nil {
				t.Fatal(err)
			}
			path, err := plant(dir, precious)
			if err != nil {
				t.Fatal(err)
			}
			planted := filepath.Join(dir, strings.SplitN(strings.TrimPrefix(path, dir+"/"), "/", 2)[0])
			if err := os.Lchown(planted, stranger, stranger); err != nil {
				t.Fatal(err)
			}
			for what, err := range map[string]error{"check": CheckFile(path), "replace": ReplaceFile(path, []byte("x"), Private)} {
				if err == nil || !strings.Contains(err.Error(), "another user's") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if b, err := os.ReadFile(precious); err != nil || string(b) != "root's" {
				t.Errorf("root's file holds %q, %v", b, err)
			}
			onlyFiles(t, filepath.Dir(precious), "precious")
			onlyFiles(t, dir, filepath.Base(planted))
		})
	}
}

// A file that is replaced keeps its mode and its owner; a new one heeds the umask.
func TestReplaceFileModes(t *testing.T) {
	old := syscall.Umask(0o027)
	defer syscall.Umask(old)
	dir := t.TempDir()
	path := filepath.Join(dir, "r.json")
	write := func(mode os.FileMode) os.FileInfo {
		t.Helper()
		if err := ReplaceFile(path, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if got := write(Public).Mode(); got != 0o640 {
		t.Errorf("a new public file has mode %v", got)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if got := write(Private).Mode(); got != 0o604 {
		t.Errorf("a replaced file has mode %v", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := write(Private).Mode(); got != 0o600 {
		t.Errorf("a new private file has mode %v", got)
	}
	asRoot(t)
	if err := os.Chown(path, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	if s := write(Public).Sys().(*syscall.Stat_t); s.Uid != stranger || s.Gid != stranger {
		t.Errorf("a replaced file belongs to %d:%d", s.Uid, s.Gid)
	}
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	for name, target := range map[string]string{"a": "sub/b", "sub/b": "../c", "loop": "loop", "d": dir} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"a": "c", "x": "x", "d/a": "c", "d/d/no/such": "no/such", "sub/../x": "x"} {
		if got, err := follow(dir + "/" + name); err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if got, err := follow(filepath.Join(dir, "loop")); err == nil {
		t.Errorf("a loop leads to %s", got)
	}
}
