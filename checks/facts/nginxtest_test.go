package facts

import (
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
		c, err := nginx.ReadDump(strings.NewReader("# configuration file /etc/nginx/nginx.conf:\n"+text), nginx.Options{})
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
}
