package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts/factstest"
)

// TestPythonJob runs the job of docs/ci.md for a server of Python's as GitHub's runner
// does, with the stand-in as its app: it passes, and on a server that can hold fewer it
// fails and still ends that.
func TestPythonJob(t *testing.T) {
	t.Parallel()
	block := regexp.MustCompile("(?s)## A server of Python's.*?```yaml\n(.*?)```").FindStringSubmatch(readFile(t, "../../docs/ci.md"))
	if block == nil {
		t.Fatal("docs/ci.md has no such job")
	}
	var file struct {
		Jobs map[string]struct {
			RunsOn  string `yaml:"runs-on"`
			Timeout int    `yaml:"timeout-minutes"`
			Env     map[string]string
			Steps   []actionStep
		}
	}
	dec := yaml.NewDecoder(strings.NewReader(block[1]))
	dec.KnownFields(true) // a key that GitHub does not know is a typo
	if err := dec.Decode(&file); err != nil {
		t.Fatal(err)
	}
	job := file.Jobs["capacity"]
	server := python(t, "ADDRESS") // what it needs is installed
	_, server, _ = strings.Cut(server, "exec ")
	server, _, _ = strings.Cut(server, " -k ")

	var others strings.Builder // nginx is installed on this host, as on no runner
	for _, c := range checks.All() {
		if c.Group() != "app" && c.Group() != "host" {
			fmt.Fprintf(&others, "%s = other tests'\n", c.ID)
		}
	}
	ignored := filepath.Join(t.TempDir(), "ignored")
	if err := os.WriteFile(ignored, []byte(others.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	runner := ownProcesses(t) // where no other test's run
	run := func(change ...string) (failed []string, ended bool) {
		dir, address := t.TempDir(), factstest.FreeAddress(t)
		for _, checkout := range []string{dir, filepath.Join(dir, "base")} {
			err := os.MkdirAll(checkout, 0o755)
			if err == nil {
				err = os.WriteFile(filepath.Join(checkout, "app.py"), []byte(readFile(t, "../../loadgen/testdata/server.py")), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		here := strings.NewReplacer(append(change, "127.0.0.1:5000", address, "gunicorn ", server+" --graceful-timeout 1 ",
			// Soon, and no limit of time that a busy machine could miss.
			"--runs 8", "--runs 1 --allow-inconclusive", "preflight ", "preflight --ignore-file "+ignored+" ", "simulate ", "simulate --max-lag 1m ", "capacity ", "capacity --max-lag 1m --confirm 0 ",
			"--rounds 5", "--rounds 2", "--hold-level 5s", "--hold-level 300ms", "--hold 1s", "--hold 100ms", "round<10s", "round<1h")...)
		env := append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
		for name, v := range job.Env {
			env = append(env, name+"="+here.Replace(v))
		}
		bash := func(name, script string) {
			cmd := exec.Command("nsenter", "--target", runner, "--user", "--preserve-credentials", "--mount", "--pid", "--wd="+dir, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Logf("%s: %v: %s", name, err, out)
				failed = append(failed, name)
			}
		}
		for _, s := range job.Steps {
			if s.Run == "" || s.Name == "Install" || len(failed) > 0 && s.If != "always()" {
				continue
			}
			bash(s.Name, here.Replace(s.Run))
		}
		_, err := os.Stat(filepath.Join(dir, "server.pid")) // gunicorn removes it
		return failed, os.IsNotExist(err)
	}
	if failed, ended := run(); len(failed) > 0 || !ended {
		t.Errorf("failed: %q, server ended: %t", failed, ended)
	}
	if failed, ended := run("--worker-connections 2000", "--worker-connections 50"); len(failed) != 1 || !strings.HasPrefix(failed[0], "Does the host hold") || !ended {
		t.Errorf("too small a server failed %q, ended: %t", failed, ended)
	}
}

// ownProcesses makes a namespace of processes, which end with the test, and gives its
// first one's id.
func ownProcesses(t *testing.T) string {
	t.Helper()
	init := exec.Command("bash", "-c", "mount -t proc proc /proc && echo up && read")
	init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	var said lockedBuffer
	init.Stdout, init.Stderr = &said, &said
	stdin, err := init.StdinPipe()
	if err == nil {
		err = init.Start()
	}
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("no namespace can be made here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = init.Wait() // its read has met the end
	})
	said.waitFor(t, "up()\n")
	return strconv.Itoa(init.Process.Pid)
}
