package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts/factstest"
)

// realNginx is the path of nginx; where it is missing the test fails under CI.
func realNginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("nginx is needed and not installed: apt-get install nginx-light")
	}
	t.Skip("nginx is not installed: apt-get install nginx-light")
	return ""
}

// fltoolCommand runs fltool as a process and gives its output and exit code.
func fltoolCommand(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "fltool", args...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("%v: %v", args, err)
	}
	t.Logf("fltool %s: exit code %d\n%s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), stderr.String())
	return out.String(), cmd.ProcessState.ExitCode()
}

// background starts a process that ends with the test.
func background(t *testing.T, name string, args ...string) *lockedBuffer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	out := new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
		}
		cancel()
		<-ended
	})
	return out
}

// What is promised of a rendered config: nginx takes it, preflight passes it, it
// holds the demand and lets whole rounds through, and twice the demand fails.
func TestRenderedConfigHoldsTheDemand(t *testing.T) {
	t.Run("http", func(t *testing.T) { rendered(t, "http") })
	t.Run("https", func(t *testing.T) { rendered(t, "https") })
}

func rendered(t *testing.T, scheme string) {
	binary := realNginx(t)
	const workers, hold = "200", "2s"
	dir := t.TempDir()

	serve := background(t, "fltool", "serve", "--listen", "127.0.0.1:0", "--unsafe", "--round", workers, "--model-size", "10kB")
	upstream := serve.waitFor(t, `listening on https?://(127\.0\.0\.1:\d+)`)
	address, plain := factstest.FreeAddress(t), factstest.FreeAddress(t)

	demand := []string{"--workers", workers, "--hold", hold, "--model-size", "10kB"}
	args := append([]string{"nginx", "render", "--upstream", upstream, "--upstream-keepalive", "75s", "--nginx-version", "1.22.1"}, demand...)
	root, cert := filepath.Join(dir, "root"), filepath.Join(dir, "cert.pem")
	if scheme == "https" {
		key := filepath.Join(dir, "key.pem")
		if err := factstest.WriteCertificate(cert, key); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{cert, key} { // of the host that preflight judges
			if err := os.Link(file, filepath.Join(root, file)); err != nil {
				t.Fatal(err)
			}
		}
		args = append(args, "--tls-cert", cert, "--tls-key", key)
	} else {
		args = append(args, "--listen", address)
	}
	config, code := fltoolCommand(t, args...)
	if code != exitGood {
		t.Fatalf("render: exit code %d", code)
	}
	// Ports 443, and 80 that is sent on to it, are the host's.
	config = regexp.MustCompile(`listen \[::\]:\d+[^;]*;`).ReplaceAllString(config, "")
	config = regexp.MustCompile(`listen 443\b`).ReplaceAllString(config, "listen "+address)
	config = strings.Replace(config, "listen 80;", "listen "+plain+";", 1)
	conf := filepath.Join(root, "etc/nginx/nginx.conf")
	own := below(dir, config)
	if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte(own), 0o644); err != nil {
		t.Fatal(err)
	}
	// Its worker processes are another user's, where root starts it.
	for at := dir; len(at) > len(os.TempDir()); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}

	if out, err := exec.Command(binary, "-t", "-p", dir, "-c", conf, "-e", "stderr").CombinedOutput(); err != nil {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}

	port := address[strings.LastIndexByte(address, ':')+1:]
	for _, p := range []factstest.Process{
		{PID: 100, Args: []string{"fltool", "serve"}, Listen: []string{"0100007F:" + hexPort(t, upstream)}, Soft: "65536", Hard: "65536"},
		{PID: 200, Args: []string{"nginx: master process nginx"}, Listen: []string{"0100007F:" + hexPort(t, ":"+port)}, Soft: "65536", Hard: "65536"},
		{PID: 201, PPID: 200, UID: 33, Args: []string{"nginx: worker process"}, Soft: nofileOf(t, own), Hard: nofileOf(t, own)},
	} {
		if err := p.Write(root); err != nil {
			t.Fatal(err)
		}
	}
	if err := factstest.Kernel(root, false); err != nil {
		t.Fatal(err)
	}
	preflight := func(n string) (string, int) {
		return fltoolCommand(t, "preflight", "-v", "--root", root, "--nginx-conf", "/etc/nginx/nginx.conf", "--upstream", upstream,
			"--port", upstream[strings.LastIndexByte(upstream, ':')+1:], "--workers", n, "--hold", hold, "--model-size", "10kB")
	}
	if out, code := preflight(workers); code != exitGood || !strings.Contains(out, "nginx/route") {
		t.Errorf("preflight: exit code %d\n%s", code, out)
	}
	if out, code := preflight("400"); code != exitFail || !strings.Contains(out, "FAIL   nginx/worker-connections") {
		t.Errorf("preflight of twice the demand: exit code %d\n%s", code, out)
	}

	log := background(t, binary, "-p", dir, "-c", conf, "-e", "stderr", "-g", "daemon off;")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen at %s\n%s", address, log)
		}
	}
	load := []string{"simulate", "--target", scheme + "://" + address, "--unsafe", "--workers", workers, "--max-lag", "1m"}
	if scheme == "https" {
		load = append(load, "--ca", cert)
	}
	for _, more := range [][]string{{"--ramp", "1s", "--hold", hold}, {"--rounds", "2", "--update-size", "10kB"}} {
		if out, code := fltoolCommand(t, append(load, more...)...); code != exitGood {
			t.Errorf("simulate %v through nginx: exit code %d\n%s\nnginx: %s", more, code, out, log)
		}
	}
	if scheme == "https" {
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Get("http://" + plain + "/workers")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusMovedPermanently || to != "https://127.0.0.1/workers" {
			t.Errorf("plain HTTP: %s to %q", resp.Status, to)
		}
	}
	if s := log.String(); strings.Contains(s, "not enough") || strings.Contains(s, "[alert]") || strings.Contains(s, "[crit]") || strings.Contains(s, "limiting") {
		t.Errorf("nginx complains: %s", s)
	}
}

// below is a rendered config with what a package's nginx has elsewhere in a directory;
// the rest is as rendered.
func below(dir, config string) string {
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("    %s_temp_path %s/%s;\n", kind, dir, kind)
	}
	return "pid " + dir + "/pid;\n" + strings.Replace(config, "http {\n", "http {\n    access_log off;\n"+temp, 1)
}

func nofileOf(t *testing.T, config string) string {
	t.Helper()
	m := regexp.MustCompile(`worker_rlimit_nofile (\d+);`).FindStringSubmatch(config)
	if m == nil {
		t.Fatal("no worker_rlimit_nofile is rendered")
	}
	return m[1]
}

func hexPort(t *testing.T, address string) string {
	t.Helper()
	var n int
	if _, err := fmt.Sscan(address[strings.LastIndexByte(address, ':')+1:], &n); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%04X", n)
}
