package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// keyFolder makes the keys of n workers, and gives the list of their ids.
func keyFolder(t *testing.T, n int) (dir string, ids []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "keys")
	if err := wire.GenerateKeys(t.Context(), dir, n); err != nil {
		t.Fatal(err)
	}
	list, err := wire.ReadKeyList(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, list.IDs
}

// TestPythonWorkers runs rounds with workers on the libraries that real ones use:
// requests, PyNaCl and msgpack, as Debian has them.
func TestPythonWorkers(t *testing.T) {
	const workers, rounds = 4, 3
	python := pythonWorkers(t)
	dir, ids := keyFolder(t, workers)
	for _, mode := range []string{"safe", "unsafe"} {
		t.Run(mode, func(t *testing.T) {
			cfg := Config{Keys: ids, Model: []byte("the model"), Round: All}
			args := []string{"testdata/worker.py", "", "3"}
			for n := range workers {
				args = append(args, wire.KeyFile(dir, n))
			}
			if mode == "unsafe" {
				cfg.Keys, cfg.Unsafe, cfg.Round = nil, true, Number(workers)
				args = append(args[:3], strings.Fields(strings.Repeat("- ", workers))...)
			}
			_, addr := start(t, cfg)
			args[1] = "http://" + addr
			cmd := exec.CommandContext(t.Context(), python, args...)
			cmd.WaitDelay = time.Second
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			n := 0
			for lines := bufio.NewScanner(&stdout); lines.Scan(); n++ {
				var got struct {
					ID, Model string
					Version   int
				}
				if err := json.Unmarshal(lines.Bytes(), &got); err != nil || got.Model != "the model" || got.Version != rounds+1 {
					t.Errorf("%s: %v", lines.Text(), err)
				}
			}
			if n != workers {
				t.Errorf("%d workers finished\n%s", n, stderr.String())
			}
		})
	}
}

// pythonWorkers is the interpreter for testdata/worker.py.
func pythonWorkers(t *testing.T) string {
	t.Helper()
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import requests, nacl, msgpack").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s can't import requests, nacl and msgpack: %v\n%s", python, err, out)
		}
		t.Skip("install python3-requests, python3-nacl and python3-msgpack to run it: ", err)
	}
	return python
}
