package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fltool/fltool/server"
	"github.com/fltool/fltool/server/wire"
)

// served is a running `fltool serve`.
type served struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	ops    string
	stdout *bufio.Reader
	mu     sync.Mutex
	log    bytes.Buffer
	logged chan struct{} // closed once stderr has ended
}

// startServe runs fltool serve on a free port until it says where it listens.
func startServe(t *testing.T, args ...string) *served {
	t.Helper()
	return startServer(t, exec.Command("fltool", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...))
}

// startServer runs a command of fltool serve until it says where it listens.
func startServer(t *testing.T, cmd *exec.Cmd) *served {
	t.Helper()
	s := &served{t: t, cmd: cmd, logged: make(chan struct{})}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() }) // it should have ended
	go func() {
		defer close(s.logged)
		lines := bufio.NewScanner(errs)
		for lines.Scan() {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
		}
	}()
	s.stdout = bufio.NewReader(out)
	line := func(prefix string) string {
		text, err := s.stdout.ReadString('\n')
		url, ok := strings.CutPrefix(strings.TrimSpace(text), prefix)
		if err != nil || !ok {
			t.Fatalf("%q %v; %s", text, err, s.stderr())
		}
		return url
	}
	s.url = line("listening on ")
	if strings.Contains(strings.Join(cmd.Args, " "), "--ops-listen") {
		s.ops = line("ops on ")
	}
	return s
}

func (s *served) stderr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// end waits for the process, whose last word on stdout has been said, and wants
// an exit code.
func (s *served) end(code int) {
	s.t.Helper()
	rest, err := io.ReadAll(s.stdout)
	if err != nil || len(rest) > 0 {
		s.t.Errorf("more on stdout: %q %v", rest, err)
	}
	<-s.logged
	_ = s.cmd.Wait() // the code tells
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("exit code %d, want %d\n%s", got, code, s.stderr())
	}
}

func (s *served) signal() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
}

// ask posts JSON, or gets if there is none.
func ask(t *testing.T, url, body string) string {
	t.Helper()
	text, err := tryAsk(t.Context(), url, body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func tryAsk(ctx context.Context, url, body string) (string, error) {
	method := "POST"
	if body == "" {
		method = "GET"
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}

// heldPoll registers a worker without keys and holds a poll of it.
func heldPoll(t *testing.T, s *served) <-chan string {
	t.Helper()
	id := ask(t, s.url+wire.PathRegister, `{"public_key_str": "x", "signed_phrase": "x"}`)
	ended := make(chan string, 1)
	ctx := t.Context()
	go func() {
		text, err := tryAsk(ctx, s.url+wire.PathPoll, `{"worker_id": "`+id+`", "last_worker_model_version": 1, "signed_phrase": "x"}`)
		if err != nil {
			text = err.Error()
		}
		ended <- text
	}()
	waitUntil(t, "the poll is held", func() bool {
		return strings.Contains(ask(t, s.ops+"/metrics", ""), "fltool_held_polls 1\n")
	})
	return ended
}

func TestServeDrains(t *testing.T) {
	s := startServe(t, "--unsafe", "--round", "2", "--ops-listen", "127.0.0.1:0", "--log-format", "json")
	ended := heldPoll(t, s)
	if text := ask(t, s.ops+"/healthz", ""); text != "ok\n" {
		t.Error(text)
	}
	s.signal()
	if text := <-ended; text != server.TextDraining {
		t.Errorf("the held poll got %q", text)
	}
	http.DefaultClient.CloseIdleConnections()
	s.end(exitGood)
	if log := s.stderr(); !strings.Contains(log, `"msg":"drained"`) {
		t.Error(log)
	}
}

// stuckUpload begins an upload that does not end, and waits until the server works
// on it.
func stuckUpload(t *testing.T, s *served) {
	t.Helper()
	id := ask(t, s.url+wire.PathRegister, `{"public_key_str": "x", "signed_phrase": "x"}`)
	body, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	req, err := http.NewRequest("POST", s.url+wire.PathUpdate+"/"+id, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
		}
	}()
	for range 3 {
		if _, err := w.Write([]byte(strings.Repeat("x", 5000))); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "the server works on the upload", func() bool {
		return strings.Contains(ask(t, s.ops+"/debug/pprof/goroutine?debug=2", ""), "handleUpdate")
	})
}

// TestServeDrainTimeout has an upload that does not end.
func TestServeDrainTimeout(t *testing.T) {
	s := startServe(t, "--unsafe", "--round", "2", "--ops-listen", "127.0.0.1:0", "--drain-timeout", "50ms")
	stuckUpload(t, s)
	s.signal()
	http.DefaultClient.CloseIdleConnections()
	s.end(exitFail)
	if log := s.stderr(); !strings.Contains(log, "fltool: requests were cut: they had not ended after 50ms\nhint: ") {
		t.Error(log)
	}
}

// TestServeSecondSignal ends at once.
func TestServeSecondSignal(t *testing.T) {
	s := startServe(t, "--unsafe", "--round", "2", "--ops-listen", "127.0.0.1:0", "--drain-timeout", "1h")
	stuckUpload(t, s)
	s.signal()
	waitUntil(t, "it drains", func() bool { return strings.Contains(s.stderr(), "draining") })
	s.signal()
	s.end(-1) // by the signal
}

func TestServeInUse(t *testing.T) {
	dir := t.TempDir()
	keys, state := filepath.Join(dir, "keys"), filepath.Join(dir, "state")
	if err := wire.GenerateKeys(t.Context(), keys, 2); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, "--keys", keys, "--state", state)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--keys", keys, "--listen", strings.TrimPrefix(s.url, "http://")}, exitCant, "address already in use\nhint: another process has the port"},
		{[]string{"--keys", keys, "--listen", "127.0.0.1:0", "--ops-listen", strings.TrimPrefix(s.url, "http://")}, exitCant, "--ops-listen"},
		{[]string{"--keys", keys, "--listen", "127.0.0.1:0", "--state", state}, exitCant, "another server uses the state\nhint: "},
	} {
		refused(t, tt.args, tt.code, tt.want)
	}
	s.signal()
	s.end(exitGood)
	refused(t, []string{"--unsafe", "--round", "1", "--listen", "127.0.0.1:0", "--state", state}, exitUsage, "it is of safe mode: the state is of the other key mode\nhint: ")
	// What it left behind serves again.
	s = startServe(t, "--keys", keys, "--state", state)
	s.signal()
	s.end(exitGood)
	if !strings.Contains(s.stderr(), "continuing from the state") {
		t.Error(s.stderr())
	}
}

func refused(t *testing.T, args []string, code int, want string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("fltool", append([]string{"serve"}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != code {
		t.Errorf("%v: %v, want exit code %d", args, err, code)
	}
	if stdout.Len() > 0 || !strings.Contains(stderr.String(), want) {
		t.Errorf("%v: stdout %q, stderr\n%s", args, stdout.String(), stderr.String())
	}
}

// TestServeTellsNoSecret looks for the admin's password in the log.
func TestServeTellsNoSecret(t *testing.T) {
	t.Setenv(envAdminUsername, "the-admin")
	t.Setenv(envAdminPassword, "very-secret")
	s := startServe(t, "--unsafe", "--round", "2", "--log-level", "debug", "--model-size", "13kB")
	req, err := http.NewRequest("GET", s.url+wire.PathWorkers, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("the-admin", "very-secret")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Error(res.Status)
	}
	http.DefaultClient.CloseIdleConnections()
	s.signal()
	s.end(exitGood)
	if strings.Contains(s.stderr(), "very-secret") {
		t.Error(s.stderr())
	}
}

// TestCrashTellsNoSecret: what a process says when it is made to tell where it is has
// neither the admin's password nor a worker's private key.
func TestCrashTellsNoSecret(t *testing.T) {
	t.Setenv(envAdminUsername, "the-admin")
	t.Setenv(envAdminPassword, "very-secret")
	keys := filepath.Join(t.TempDir(), "keys")
	if err := wire.GenerateKeys(t.Context(), keys, 3); err != nil {
		t.Fatal(err)
	}
	private, err := wire.ReadKeys(keys, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{[]byte("very-secret")}
	for _, key := range private {
		secrets = append(secrets, key.Seed())
	}
	s := startServe(t, "--keys", keys, "--ops-listen", "127.0.0.1:0", "--log-level", "debug")
	var said bytes.Buffer
	workers := exec.Command("fltool", "simulate", "--target", s.url, "--keys", keys, "--workers", "3", "--hold", "10m")
	workers.Stdout, workers.Stderr = &said, &said
	if err := workers.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "polls are held", func() bool {
		return strings.Contains(ask(t, s.ops+"/metrics", ""), "fltool_held_polls 3\n")
	})
	for _, p := range []*exec.Cmd{workers, s.cmd} {
		if err := p.Process.Signal(syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
	}
	_ = workers.Wait() // what it said tells
	s.end(2)
	for name, text := range map[string]string{"simulate": said.String(), "serve": s.stderr()} {
		if !strings.Contains(text, "SIGQUIT") || !strings.Contains(text, "goroutine ") {
			t.Errorf("%s did not tell where it is: %s", name, text)
		}
		for _, secret := range secrets {
			// As it is, as hex, and as the words that a trace has of arguments.
			for _, form := range []string{string(secret), hex.EncodeToString(secret), fmt.Sprintf("0x%x", binary.LittleEndian.Uint64(secret))} {
				if strings.Contains(text, form) {
					t.Errorf("%s says %q", name, form)
				}
			}
		}
	}
}

func TestRandomModel(t *testing.T) {
	a, b := randomModel(1000), randomModel(1000)
	z, _, err := wire.CompressUpdate(bytes.NewReader(a))
	if err != nil || !bytes.Equal(a, b) || len(z) < 1000 {
		t.Errorf("%d bytes, %v", len(z), err)
	}
	if len(randomModel(0)) != 0 {
		t.Error("not empty")
	}
}
