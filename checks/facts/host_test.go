package facts

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a root of the files given, and links where the text starts with "-> ".
func write(t testing.TB, files map[string]string) Root {
	t.Helper()
	r := NewRoot(t.TempDir())
	add(t, r, files)
	return r
}

// add writes files below a root.
func add(t testing.TB, r Root, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRootStaysInside(t *testing.T) {
	r := write(t, map[string]string{
		"etc/passwd":        "inside",
		"etc/abs":           "-> /etc/passwd",
		"etc/rel":           "-> ../../../../etc/passwd",
		"etc/dir":           "-> /etc",
		"etc/loop":          "-> /etc/loop",
		"etc/dangling":      "-> /nowhere",
		"a/b/c/up":          "-> ../../../etc/abs",
		"proc/sys/fs/x":     "1\n",
		"proc/self":         "-> 7",
		"proc/7/net/sock":   "s",
		"proc/net":          "-> self/net",
		"etc/secondhop/abs": "-> /etc/dir/abs",
	})
	for _, name := range []string{"/etc/passwd", "/etc/abs", "/etc/rel", "/etc/dir/abs", "/etc/dir/../etc/rel", "/../../etc/passwd", "/a/b/c/up", "/etc/secondhop/abs"} {
		if s, err := r.ReadString(name); err != nil || s != "inside" {
			t.Errorf("ReadString(%s) = %q, %v; want the root's own file", name, s, err)
		}
	}
	if s, err := r.ReadString("/proc/net/sock"); err != nil || s != "s" {
		t.Errorf("ReadString(/proc/net/sock) = %q, %v", s, err)
	}
	for _, name := range []string{"/etc/loop", "/etc/dangling", "/etc", "/etc/nothing"} {
		_, err := r.ReadFile(name)
		if err == nil {
			t.Errorf("ReadFile(%s): no error", name)
		} else if strings.Contains(err.Error(), r.String()) {
			t.Errorf("ReadFile(%s): %v names the path as the host does not see it", name, err)
		}
	}
	if _, err := r.ReadFile("/etc/dangling"); !absent(err) {
		t.Errorf("a dangling link is %v, want absent", err)
	}
}

func TestRootCheck(t *testing.T) {
	if err := NewRoot("/").Check(); err != nil {
		t.Error(err)
	}
	if err := NewRoot(filepath.Join(t.TempDir(), "none")).Check(); err == nil {
		t.Error("a root that is none passes")
	}
	if err := NewRoot(t.TempDir()).Check(); err == nil {
		t.Error("an empty directory passes for a host")
	}
}

const limitsTable = `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max processes             96365                unlimited            processes 
Max open files            1024                 524288               files     
Max nice priority         0                    0                    
`

func TestParseLimits(t *testing.T) {
	l, err := parseLimits(strings.NewReader(limitsTable))
	if err != nil {
		t.Fatal(err)
	}
	want := Limits{NoFile: Bound{1024, 524288}, NProc: Bound{96365, Unlimited}}
	if l != want {
		t.Errorf("got %+v, want %+v", l, want)
	}
	for _, bad := range []string{"", "Max open files", strings.Replace(limitsTable, "1024", "many", 1), strings.Replace(limitsTable, "1024", "-3", 1)} {
		if l, err := parseLimits(strings.NewReader(bad)); err == nil {
			t.Errorf("%q gives %+v", bad, l)
		}
	}
}

func TestParsePortRange(t *testing.T) {
	for _, c := range []struct {
		span, reserved string
		usable         int // -1: an error
	}{
		{"32768\t60999\n", "", 28232},
		{"32768 60999", "\n", 28232},
		{"1024 1033", "1030", 9},
		{"1024 1033", "1030,1020-1025,1025,9000-9100", 7},
		{"1024 1024", "1024", 0},
		{"1024", "", -1},
		{"60999 32768", "", -1},
		{"1 99999", "", -1},
		{"1 5", "x", -1},
		{"1 5", "2-", -1},
	} {
		p, err := parsePortRange(c.span, c.reserved)
		switch {
		case (err != nil) != (c.usable < 0):
			t.Errorf("%q less %q: error %v", c.span, c.reserved, err)
		case err == nil && p.Usable() != c.usable:
			t.Errorf("%q less %q: %d usable, want %d", c.span, c.reserved, p.Usable(), c.usable)
		}
	}
}

func TestThisProcess(t *testing.T) {
	r, pid := NewRoot("/"), os.Getpid()
	before, err := ReadUsage(r, pid)
	if err != nil {
		t.Fatal(err)
	}
	if before.RSSBytes < 1<<20 || before.FDs < 3 {
		t.Errorf("usage of this process: %+v", before)
	}
	var open []net.Listener
	for range 10 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		open = append(open, l)
	}
	after, err := ReadUsage(r, pid)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.FDs - before.FDs; got < len(open) {
		t.Errorf("%d listeners more, %d descriptors more", len(open), got)
	}
	l, err := ReadLimits(r, pid)
	if err != nil {
		t.Fatal(err)
	}
	if l.NoFile.Soft.Below(int64(after.FDs)) {
		t.Errorf("limit %v is below the %d in use", l.NoFile, after.FDs)
	}
	if p, err := ReadPortRange(r); err != nil || p.Usable() < 1 {
		t.Errorf("port range %+v, %v", p, err)
	}
	if s, err := ReadSockstat(r); err != nil || s.InUse < len(open) {
		t.Errorf("sockstat %+v, %v; %d listen here alone", s, err, len(open))
	}
	h := ReadHost(r)
	if !h.Kernel.Known() || !h.CPUs.Known() || h.CPUs.V < 1 || h.MemoryBytes.V < 1<<20 {
		t.Errorf("host %+v", h)
	}
	if _, err := ReadUsage(r, 1<<30); !absent(err) && err == nil {
		t.Error("a process that is none has usage")
	}
}
