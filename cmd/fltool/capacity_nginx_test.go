package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/reports"
)

// slots are the worker_connections of the one process.
const slots = 512

// TestCapacityNginx finds the capacity of the reference server behind the real
// nginx, and the limit that binds.
func TestCapacityNginx(t *testing.T) {
	nginx, dir := nginxProgram(t), t.TempDir()
	keys, log, out := filepath.Join(dir, "keys"), filepath.Join(dir, "error.log"), filepath.Join(dir, "capacity.json")
	fltool(t, 0, "keys", "generate", "-n", "300", keys)

	serve, stdout := start(t, "fltool", "serve", "--listen", "127.0.0.1:0", "--keys", keys)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, app, found := strings.Cut(strings.TrimSpace(line), "listening on http://")
	if !found {
		t.Fatalf("serve says %q: %v", line, err)
	}
	address := factstest.FreeAddress(t)
	conf := startNginx(t, dir, fmt.Sprintf("server { listen %s; location / { proxy_pass http://%s; proxy_read_timeout 1h; } }", address, app))
	waitListening(t, address, log)
	// Another nginx of the host, that no request to the target passes.
	other, elsewhere := t.TempDir(), factstest.FreeAddress(t)
	small := strings.NewReplacer(dir, other, address, elsewhere, fmt.Sprint(slots), "64").Replace(readFile(t, conf))
	conf = filepath.Join(other, "nginx.conf")
	if err := os.WriteFile(conf, []byte(small), 0o644); err != nil {
		t.Fatal(err)
	}
	log2 := filepath.Join(other, "error.log")
	start(t, nginx, "-p", other, "-c", conf, "-e", log2)
	waitListening(t, elsewhere, log2)

	// Workers that try again live through the idle connections that nginx cuts from
	// the safe bound on: so many errors are let pass.
	fltool(t, 0, "capacity", "--target", "http://"+address, "--keys", keys, "--server-pid", strconv.Itoa(serve.Process.Pid),
		"--from", "200", "--step", "13", "--confirm", "0", "--hold-level", "300ms", "--ramp", "300ms",
		"--request-timeout", "10s", "--round-timeout", "4s", "--max-lag", "1m", "--slo", "errors<5%", "--slo", "lost<1", "--server-log", log, "--out", out)
	r, err := reports.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Capacity
	i := slices.IndexFunc(c.Ledger, func(row reports.Row) bool { return row.Limit == "nginx/worker-connections" })
	if i < 0 || c.Ledger[i].Workers == nil || c.Ledger[i].WorkersHard == nil {
		t.Fatalf("the ledger does not tell of nginx's slots: %+v", c.Ledger)
	}
	row := c.Ledger[i]
	// The bounds are those of the one process: 239 and 255 by experiment.
	if *row.Workers < 230 || *row.WorkersHard > 256 || c.PredictedBy != row.Limit {
		t.Errorf("predicted %d to %d, the smallest by %s", *row.Workers, *row.WorkersHard, c.PredictedBy)
	}
	if c.Workers < *row.Workers || c.Workers > *row.WorkersHard || c.AtLeast || row.Measured == nil || *row.Measured != c.Workers {
		t.Errorf("measured %d (at least %t), predicted %d to %d; row %+v, levels %+v", c.Workers, c.AtLeast, *row.Workers, *row.WorkersHard, row, r.Levels)
	}
	if c.Limit != "nginx/worker-connections" || len(c.Evidence) == 0 || !strings.Contains(c.Evidence[0], "512 worker_connections are not enough") {
		t.Errorf("binding: %q by %q", c.Limit, c.Evidence)
	}
	// About one; where levels lie so near, connections of the level before tilt it.
	if len(r.Slopes) != 3 || r.Slopes[1].Of != "server.fds" || r.Slopes[1].PerWorker <= 0 || r.Slopes[1].PerWorker > 3 {
		t.Errorf("slopes %+v", r.Slopes)
	}
}

// nginxProgram is the real nginx.
func nginxProgram(t *testing.T) string {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("nginx is needed and not installed: apt-get install nginx-light")
		}
		t.Skip("nginx is not installed: apt-get install nginx-light")
	}
	return nginx
}

// startNginx starts an nginx of one process with all its files in the folder, and its
// log in error.log, and gives its config file.
func startNginx(t *testing.T, dir, server string) (conf string) {
	t.Helper()
	return startNginxWith(t, dir, slots, server)
}

func startNginxWith(t *testing.T, dir string, slots int, server string) (conf string) {
	t.Helper()
	conf = nginxConf(t, dir, slots, server)
	start(t, nginxProgram(t), "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	return conf
}

// nginxConf writes the config of an nginx that keeps all it writes in a folder.
func nginxConf(t *testing.T, dir string, slots int, server string) (conf string) {
	t.Helper()
	log, temp := filepath.Join(dir, "error.log"), ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s; ", kind, dir, kind)
	}
	conf = filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `
daemon off; worker_processes 1; pid %s/pid; error_log %s warn;
events { worker_connections %d; }
http { access_log off; %s
	%s
}`, dir, log, slots, temp, server), 0o644); err != nil {
		t.Fatal(err)
	}
	return conf
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fltool runs the program to its end and requires its exit code.
func fltool(t *testing.T, code int, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "fltool", args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != code {
		t.Fatalf("%v: %v\n%s", args, err, &said)
	}
}

// start runs a server until the test ends.
func start(t *testing.T, name string, args ...string) (*exec.Cmd, *os.File) {
	t.Helper()
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout = theirs
	var said bytes.Buffer
	cmd.Stderr = &said
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("%s ended by itself: %v: %s", name, err, &said)
		}
		_ = cmd.Wait() // how a server ends on a signal is not what is tested
		ours.Close()
	})
	return cmd, ours
}

func waitListening(t *testing.T, address, log string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log)
			t.Fatalf("nothing listens on %s: %s", address, said)
		}
	}
}
