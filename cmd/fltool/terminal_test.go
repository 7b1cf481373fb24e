package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/wire"
)

// terminal opens a pseudo terminal: what is written to keys is typed at tty, and
// what tty shows is read from keys.
func terminal(t *testing.T) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return keys, tty
}

// On a terminal the probe asks before it registers a worker, and takes no for an
// answer, and Ctrl-C.
func TestProbeAsksOnATerminal(t *testing.T) {
	address := background(t, "fltool", "serve", "--listen", "127.0.0.1:0", "--unsafe", "--round", "100000", "--model-size", "10kB").
		waitFor(t, `listening on https?://(127\.0\.0\.1:\d+)`)
	server := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	server.ErrorLog = log.New(io.Discard, "", 0) // polls are cut
	for _, c := range []struct {
		typed      string
		code       int
		registered bool
		shown      string
	}{
		{"y\n", exitGood, true, "one poll held for up"},
		{"n\n", exitCant, false, "no poll will be held"},
		{"\x04", exitCant, false, "no poll will be held"},
		{"\x03", exitCant, false, "interrupted"},
	} {
		t.Run(fmt.Sprintf("%q", c.typed), func(t *testing.T) {
			t.Parallel()
			var requests, registered atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if r.URL.Path == wire.PathRegister {
					registered.Add(1)
				}
				server.ServeHTTP(w, r)
			}))
			defer s.Close()
			keys, tty := terminal(t)
			cmd := exec.Command("fltool", "preflight", "--url", s.URL, "--probe-only", "--probe-hold", "1s", "--hold", "1s", "--probe-body-max", "0")
			cmd.Stdin, cmd.Stderr = tty, tty
			var out bytes.Buffer
			cmd.Stdout = &out
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			tty.Close() // the last one: reading ends when the process has
			var shown strings.Builder
			buf := make([]byte, 1024)
			asked := false
			for {
				n, err := keys.Read(buf)
				shown.Write(buf[:n])
				if !asked && strings.Contains(shown.String(), "[y/N]") {
					asked = true
					if requests.Load() > 0 {
						t.Error("it sent something before it asked")
					}
					if _, err := io.WriteString(keys, c.typed); err != nil {
						t.Fatal(err)
					}
				}
				if err != nil { // EIO, or EOF
					break
				}
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code || !asked || !strings.Contains(shown.String(), c.shown) {
				t.Errorf("exit code %d, want %d; asked: %v; it shows\n%s\n%s", code, c.code, asked, shown.String(), out.String())
			}
			if got := registered.Load() > 0; got != c.registered {
				t.Errorf("a worker was registered: %v", got)
			}
		})
	}
}
