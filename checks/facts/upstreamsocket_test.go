package facts

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fltool/fltool/nginx"
)

func TestUpstreamSocket(t *testing.T) {
	root, err := os.MkdirTemp("", "fl") // short enough for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:64033:64033::/:/bin/false\nme:x:"+strconv.Itoa(os.Getuid())+":1::/:/bin/sh\n")
	write("etc/group", "www-data:x:64033:\nothers:x:"+strconv.Itoa(os.Getgid())+":\n")
	write("run/fl/text", "no socket")
	l, err := net.Listen("unix", filepath.Join(root, "run/fl/s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		mode, dir os.FileMode
		user      string
		refused   string
	}{
		{0o666, 0o755, "www-data", ""},
		{0o600, 0o755, "www-data", "/run/fl/s"},
		{0o660, 0o755, "www-data", "/run/fl/s"},
		{0o666, 0o700, "www-data", "/run/fl"},
		{0o600, 0o700, "root", ""},
	} {
		if err := os.Chmod(filepath.Join(root, "run/fl/s"), tt.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(root, "run/fl"), tt.dir); err != nil {
			t.Fatal(err)
		}
		s, err := readUpstreamSocket(NewRoot(root), "/run/fl/s", nginx.Value[string]{V: tt.user, Source: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if (s.Refused == "") != (tt.refused == "") || !strings.HasPrefix(s.Refused, tt.refused) {
			t.Errorf("%v in %v for %s: %q", tt.mode, tt.dir, tt.user, s.Refused)
		}
	}
	if err := os.Chmod(filepath.Join(root, "run/fl"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, user := range map[string]nginx.Value[string]{
		"/run/fl/text": {V: "www-data"}, "/run/fl/none": {V: "www-data"}, "/run/fl/s": {V: "nobody-of-here"}, "/run/../run/fl/s": {Err: "not known"},
	} {
		if s, err := readUpstreamSocket(NewRoot(root), name, user); err == nil {
			t.Errorf("%s for %+v: %+v", name, user, s)
		}
	}
}
