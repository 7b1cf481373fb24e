package facts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// titled starts a process that calls itself what it likes.
func titled(t *testing.T, title string, attr *syscall.SysProcAttr) int {
	t.Helper()
	cmd := exec.Command("/bin/sleep", "60")
	cmd.Args[0], cmd.SysProcAttr = title, attr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it was killed
	})
	return cmd.Process.Pid
}

// Of a process nothing is believed that another user or a container could have
// written, and no program of its naming runs.
func TestDistrust(t *testing.T) {
	dir := t.TempDir()
	program, canary := filepath.Join(dir, "nginx"), filepath.Join(dir, "canary")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n: >"+canary+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	title := "nginx: master process " + program + " -c /etc/shadow"
	own := titled(t, title, nil)
	if err := distrust(NewRoot("/"), own); err != nil {
		t.Errorf("a process of one's own: %v", err)
	}
	space := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS}
	contained := titled(t, title, space)
	if err := distrust(NewRoot("/"), contained); err == nil || !strings.Contains(err.Error(), "container") {
		t.Errorf("a process of a container: %v", err)
	}
	procs := []Process{{PID: contained, Kind: KindNginx, Part: "master"}}
	if args, err := readMasterArgs(NewRoot("/"), procs, Asked{}); err == nil || args != (masterArgs{}) {
		t.Errorf("%+v, %v", args, err)
	}
	if n, err := ReadNginx(NewRoot("/"), procs, Asked{}, NginxOptions{}); err == nil || strings.Contains(err.Error(), "shadow") {
		t.Errorf("%+v, %v", n, err)
	}
	// One that is believed comes before one that is not.
	if args, err := readMasterArgs(NewRoot("/"), append(procs, Process{PID: own, Kind: KindNginx, Part: "master"}), Asked{}); err != nil || args.pid != own {
		t.Errorf("%+v, %v", args, err)
	}
	readBuild(NewRoot("/"), masterArgs{pid: own})
	if os.Geteuid() == 0 {
		other := titled(t, title, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
		if err := distrust(NewRoot("/"), other); err == nil || !strings.Contains(err.Error(), "another user's") {
			t.Errorf("a process of nobody's: %v", err)
		}
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("the program that a title names was run")
	}
}

func TestParseIDs(t *testing.T) {
	for status, want := range map[string]struct {
		uids   string
		nested bool
	}{
		"Uid:\t0\t0\t0\t0\nNSpid:\t7\n":         {"0 0 0 0", false},
		"Uid:\t1000\t0\t0\t0\nNSpid:\t7\t1\n":   {"1000 0 0 0", true},
		"Name:\tNSpid: 1 2\nUid:\t5\t5\t5\t5\n": {"5 5 5 5", false},
		"":                                      {"", false},
	} {
		if uids, nested := parseIDs(status); strings.Join(uids, " ") != want.uids || nested != want.nested {
			t.Errorf("%q: %q, %v", status, uids, nested)
		}
	}
}

// What nginx -V would print stands in the program itself.
func TestBuildText(t *testing.T) {
	program := "\x7fELF\x00nginx version: nginx/1.22.1\n\x00x\x00configure arguments: --prefix=/usr/share/nginx --with-http_ssl_module\n\x00"
	const want = "nginx version: nginx/1.22.1\nconfigure arguments: --prefix=/usr/share/nginx --with-http_ssl_module"
	if got := buildText([]byte(program)); got != want {
		t.Errorf("%q", got)
	}
	for _, other := range []string{"", "nginx version: nginx/1", "configure arguments:"} {
		if got := buildText([]byte(other)); got != "" {
			t.Errorf("%q: %q", other, got)
		}
	}
	path, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("nginx is not installed")
	}
	said, err := exec.Command(path, "-V").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(buildText(content)) {
		if !strings.Contains(string(said), strings.TrimSpace(line)) {
			t.Errorf("nginx -V does not say %q", line)
		}
	}
}
