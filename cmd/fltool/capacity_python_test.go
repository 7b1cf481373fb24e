package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/reports"
)

// python is a shell command that starts the stand-in of dc_federated's own server, which
// notices no client that went away.
func python(t *testing.T, address string, args ...string) string {
	t.Helper()
	const exe = "/usr/bin/python3"
	if out, err := exec.Command(exe, "-c", "import bottle, gunicorn, gevent, nacl, msgpack").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s can't import bottle, gunicorn, gevent, nacl and msgpack: %v\n%s", exe, err, out)
		}
		t.Skip("install gunicorn, python3-bottle, python3-gevent, python3-nacl and python3-msgpack to run it: ", err)
	}
	dir, err := filepath.Abs("../../loadgen/testdata")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("cd %s && PYTHONDONTWRITEBYTECODE=1 exec %s -m gunicorn -k gevent --graceful-timeout 1 -b %s %s server:app", dir, exe, address, strings.Join(args, " "))
}

// hasty ends a level that fails soon, and others when they are done. Workers come one
// after the other: on a busy machine, too, those who are not held find all places taken
// with their polls, and not with a request before.
var hasty = []string{"--unsafe", "--hold-level", "200ms", "--ramp", "3s", "--request-timeout", "6s", "--round-timeout", "5s", "--max-lag", "1m"}

// TestCapacityPython finds how many a server of Python's holds, and which limit that is:
// of one server that lives through all levels, and twice the same.
func TestCapacityPython(t *testing.T) {
	t.Parallel()
	address := factstest.FreeAddress(t)
	start(t, "/bin/sh", "-c", python(t, address, "--worker-connections", "24"))
	waitListening(t, address, "")
	for _, args := range [][]string{{"--from", "10"}, {"--from", "40", "--to", "40"}} {
		r := capacityOf(t, slices.Concat([]string{"--target", "http://" + address}, args, hasty))
		if c := r.Capacity; c.Workers != 24 || c.AtLeast || c.Limit != "app/worker-connections" {
			t.Errorf("%v: holds %d (at least %t), %s by %q", args, c.Workers, c.AtLeast, c.Limit, c.Evidence)
		}
		for _, l := range r.Levels {
			if l.Held.Unfreed > 0 || l.Remains != "" {
				t.Errorf("%v: level %+v", args, l)
			}
		}
	}
}

// TestCapacityPythonNginx has each poll hold a connection of its own behind nginx, where
// one that waits for a place looks held, and nothing can be freed once all are taken.
func TestCapacityPythonNginx(t *testing.T) {
	t.Parallel()
	app, address, dir := factstest.FreeAddress(t), factstest.FreeAddress(t), t.TempDir()
	gunicorn, _ := start(t, "/bin/sh", "-c", python(t, app, "--worker-connections", "24"))
	waitListening(t, app, "")
	startNginx(t, dir, fmt.Sprintf("server { listen %s; location / { proxy_pass http://%s; proxy_read_timeout 1h; } }", address, app))
	waitListening(t, address, filepath.Join(dir, "error.log"))
	r := capacityOf(t, slices.Concat([]string{"--target", "http://" + address, "--server-pid", fmt.Sprint(gunicorn.Process.Pid), "--from", "16"}, hasty))
	if c := r.Capacity; c.Workers != 24 || c.AtLeast || c.Limit != "app/worker-connections" {
		t.Errorf("holds %d (at least %t), %s by %q; levels %+v, notes %q", c.Workers, c.AtLeast, c.Limit, c.Evidence, r.Levels, r.Notes)
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "have --server-command start a fresh one for each level") {
		t.Errorf("notes %q", r.Notes)
	}
}

// TestCapacityCommandNginx has a server of its own for each level behind nginx, started
// by a shell that stays. The connection that told when it was ready is none of a worker's.
func TestCapacityCommandNginx(t *testing.T) {
	t.Parallel()
	app, address, dir := factstest.FreeAddress(t), factstest.FreeAddress(t), t.TempDir()
	startNginx(t, dir, fmt.Sprintf("server { listen %s; location / { proxy_pass http://%s; proxy_read_timeout 1h; } }", address, app))
	waitListening(t, address, filepath.Join(dir, "error.log"))
	r := capacityOf(t, slices.Concat([]string{"--target", "http://" + address, "--server-command", "(" + python(t, app, "--worker-connections", "24") + "); exit", "--from", "30"}, hasty))
	if c := r.Capacity; c.Workers != 24 || c.AtLeast || c.Limit != "app/worker-connections" {
		t.Errorf("holds %d (at least %t), %s by %q; levels %+v, notes %q", c.Workers, c.AtLeast, c.Limit, c.Evidence, r.Levels, r.Notes)
	}
}

// TestCapacityCommand has a server of its own for each level, with few descriptors.
func TestCapacityCommand(t *testing.T) {
	t.Parallel()
	address, log := factstest.FreeAddress(t), filepath.Join(t.TempDir(), "server.log")
	r := capacityOf(t, slices.Concat([]string{"--target", "http://" + address, "--server-command", "ulimit -n 40; " + python(t, address), "--server-output", log, "--from", "16"}, hasty))
	if c := r.Capacity; c.Workers < 20 || c.Workers > 31 || c.AtLeast || c.Limit != "app/nofile" || len(r.Slopes) != 3 {
		t.Errorf("holds %d (at least %t), %s by %q; slopes %+v", c.Workers, c.AtLeast, c.Limit, c.Evidence, r.Slopes)
	}
	if said := readFile(t, log); strings.Count(said, "Listening at") != len(r.Levels) {
		t.Errorf("%d levels, and the servers said:\n%s", len(r.Levels), said)
	}
}

// capacityOf runs the search, whatever its exit code, and reads its report.
func capacityOf(t *testing.T, args []string) reports.Report {
	t.Helper()
	out := filepath.Join(t.TempDir(), "capacity.json")
	cmd := exec.Command("fltool", append([]string{"capacity", "--out", out}, args...)...)
	said, err := cmd.CombinedOutput()
	r, rerr := reports.Read(out)
	if rerr != nil {
		t.Fatalf("%v, %v\n%s", rerr, err, said)
	}
	return r
}
