package facts

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fltool/fltool/nginx"
)

// A config that is only read must run nothing that it names.
func TestRunsCode(t *testing.T) {
	for text, want := range map[string]bool{
		"events {}":                                       false,
		"load_module modules/x.so; events {}":             true,
		"load_module /tmp/x.so; events {}":                true,
		"ssl_engine x; events {}":                         true,
		"events {} http { perl_modules x; }":              true,
		"events {} http { init_by_lua_block { x() } }":    true,
		"events {} http { js_import x.js; }":              true,
		"events {} http { map $uri $x { default 1; } }":   false,
		"load_module /tmp/x.so;\nevents {} http { y z; }": true,
	} {
		c, err := nginx.ReadDump(strings.NewReader("# configuration file /etc/nginx/nginx.conf:\n"+text), nginx.Reading{})
		if err != nil {
			t.Fatal(err)
		}
		if got := runsCode(c); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestRootAlone(t *testing.T) {
	if err := rootAlone("/etc/passwd"); err != nil {
		t.Error(err)
	}
	mine := filepath.Join(t.TempDir(), "nginx")
	if err := os.WriteFile(mine, nil, 0o777); err != nil { // #nosec G306 -- the fault of the test
		t.Fatal(err)
	}
	if err := os.Chmod(mine, 0o777); err != nil {
		t.Fatal(err)
	}
	if rootAlone(mine) == nil || rootAlone("/nonexistent") == nil {
		t.Error("a file that all may write, or that is not there, is taken for root's")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(link), 0o777); err != nil { // #nosec G302 -- the fault of the test
		t.Fatal(err)
	}
	if rootAlone(link) == nil {
		t.Error("a link that all may replace is taken for root's")
	}
}

// What others can write is put before no nginx of root's: they could have it load
// a module of theirs.
func TestConfigOfOthersIsNotRun(t *testing.T) {
	if _, err := testProgram(NewRoot("/"), NginxOptions{}); err != nil || os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("root and nginx-light are needed")
		}
		t.Skip("root and nginx-light are needed")
	}
	dir := t.TempDir()
	main, included := filepath.Join(dir, "nginx.conf"), filepath.Join(dir, "server.conf")
	if err := os.WriteFile(main, []byte("events {} http { include server.conf; }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(included, []byte("server { location / { return 200; } }"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, local := range []bool{false, true} {
		asked := 0
		run := func(context.Context, []string, []string, []string) (string, bool, error) {
			asked++
			return "", true, nil
		}
		read := func(owner int) {
			t.Helper()
			if err := os.Chown(included, owner, owner); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadNginx(NewRoot("/"), nil, Asked{Port: 5000}, NginxOptions{Conf: main, Local: local, Run: run}); err != nil {
				t.Fatal(err)
			}
		}
		if read(0); asked != 1 {
			t.Errorf("local %v: root's config: nginx was asked %d times", local, asked)
		}
		if read(65534); asked != 1 {
			t.Errorf("local %v: nginx was asked about a config that another user can write", local)
		}
	}
}
