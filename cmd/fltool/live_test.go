package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// multiplexer is a tmux of the test's own.
type multiplexer struct {
	t      *testing.T
	socket string
}

func newMultiplexer(t *testing.T) multiplexer {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("tmux is needed and not installed: apt-get install tmux")
		}
		t.Skip("tmux is not installed: apt-get install tmux")
	}
	dir, err := os.MkdirTemp("", "tmux-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	m := multiplexer{t, filepath.Join(dir, "s")}
	t.Cleanup(func() {
		_ = exec.Command("tmux", "-S", m.socket, "kill-server").Run() // it ends by itself with its last session
		os.RemoveAll(dir)
	})
	return m
}

func (m multiplexer) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", m.socket, "-f", "/dev/null"}, args...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

// waitFor waits until the terminal shows a text.
func (m multiplexer) waitFor(t *testing.T, terminal, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		shown := m.run(t, "capture-pane", "-p", "-e", "-t", terminal)
		if strings.Contains(shown, text) {
			return shown
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no %q in\n%s", text, shown)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestLiveView shows runs on terminals of several sizes and ends them in every way: the
// terminal is left as it was, and the exit code is that of a run without a view.
func TestLiveView(t *testing.T) {
	m := newMultiplexer(t)
	address := background(t, "fltool", "serve", "--listen", "127.0.0.1:0", "--unsafe", "--round", "100000", "--model-size", "1kB").
		waitFor(t, `listening on https?://(127\.0\.0\.1:\d+)`)
	for _, c := range []struct {
		name    string
		columns int
		env     string
		end     func(t *testing.T, stuck *atomic.Bool)
		code    int
		report  bool
		load    string // "": a plain hold
	}{
		// The first has a server of its own, of which the checks know.
		{"q", 60, "NO_COLOR=1", func(t *testing.T, _ *atomic.Bool) {
			m.run(t, "send-keys", "-t", "q", "q")
		}, exitCant, true, ""},
		{"C-c", 200, "", func(t *testing.T, _ *atomic.Bool) {
			m.run(t, "send-keys", "-t", "C-c", "C-c")
		}, exitCant, true, "--stages spike:8,for=1h --stages ramp:0,for=1s"},
		{"procs", 80, "", func(t *testing.T, _ *atomic.Bool) {
			m.run(t, "send-keys", "-t", "procs", "q")
		}, exitCant, true, "--procs 2 --workers 8 --ramp 0 --hold 1h"},
		{"twice", 80, "", func(t *testing.T, stuck *atomic.Bool) {
			stuck.Store(true)
			m.run(t, "send-keys", "-t", "twice", "q")
			m.waitFor(t, "twice", "ending")
			m.run(t, "send-keys", "-t", "twice", "q")
		}, 130, false, ""},
		{"TERM", 80, "", func(t *testing.T, _ *atomic.Bool) {
			signalLive(t, m, "TERM")
		}, exitCant, true, ""},
		{"HUP", 80, "", func(t *testing.T, _ *atomic.Bool) {
			signalLive(t, m, "HUP")
		}, 129, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var stuck atomic.Bool
			server := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
			server.ErrorLog = log.New(io.Discard, "", 0) // polls are cut
			over := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if stuck.Load() {
					<-over
					return
				}
				server.ServeHTTP(w, r)
			}))
			defer s.Close()
			defer close(over)
			target := "--target " + s.URL
			if c.name == "q" {
				target = ""
			}
			load, now := cmp.Or(c.load, "--workers 8 --ramp 0 --hold 1h"), "8 workers, holding"
			if strings.Contains(load, "--stages") {
				now = "stage 1 of 2, spike 8, holding"
			}
			script := fmt.Sprintf(`stty -g >before; %s fltool simulate %s --unsafe %s; code=$?
				stty -g >after; cmp before after && echo "exit code $code"; read x`, c.env, target, load)
			m.run(t, "new-session", "-d", "-s", c.name, "-x", strconv.Itoa(c.columns), "-y", "40", "-c", t.TempDir(), "sh", "-c", script)
			m.waitFor(t, c.name, "8 of 8")
			shown := m.waitFor(t, c.name, now)
			if n := strings.Count(strings.TrimRight(shown, "\n"), "\n"); n > 15 || !strings.Contains(shown, "generator") {
				t.Errorf("%d lines:\n%s", n, shown)
			}
			if known := strings.Contains(shown, " safely"); known != (target == "") {
				t.Errorf("the limit is known: %v:\n%s", known, shown)
			}
			if colored := strings.Contains(shown, "\x1b[3"); colored && c.env != "" {
				t.Errorf("in colour: %q", shown)
			}
			c.end(t, &stuck)
			shown = m.waitFor(t, c.name, fmt.Sprintf("exit code %d", c.code))
			if reported := strings.Contains(shown, "To run it again"); reported != c.report || strings.Contains(shown, "of 8  ") {
				t.Errorf("a report: %v, want %v; it shows\n%s", reported, c.report, shown)
			}
			if flag := m.run(t, "display-message", "-p", "-t", c.name, "#{cursor_flag}"); flag != "1\n" {
				t.Errorf("the cursor is hidden")
			}
		})
	}
}

// signalLive sends a signal to the fltool that runs on the terminal of that name.
func signalLive(t *testing.T, m multiplexer, signal string) {
	t.Helper()
	shell := strings.TrimSpace(m.run(t, "display-message", "-p", "-t", signal, "#{pane_pid}"))
	if out, err := exec.Command("pkill", "-"+signal, "-P", shell).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
