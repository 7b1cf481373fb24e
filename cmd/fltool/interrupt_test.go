package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever a command reads may be a pipe that stays silent: Ctrl-C ends it.
func TestInterruptedReading(t *testing.T) {
	for _, args := range [][]string{
		{"report", "-"}, {"report", "PIPE"}, {"compare", "PIPE", "--", "PIPE"},
		{"explain", "--log", "-"}, {"explain", "--log", "PIPE"},
		{"preflight", "--facts", "PIPE"}, {"preflight", "--ignore-file", "PIPE"}, {"preflight", "--nginx-conf", "-"},
		{"fix", "--facts", "app=PIPE"}, {"nginx", "lint", "-"},
		{"simulate", "--update", "PIPE"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			pipe := filepath.Join(t.TempDir(), "pipe")
			if err := unix.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			named := false
			var given []string
			for _, a := range args {
				named = named || strings.Contains(a, "PIPE")
				given = append(given, strings.ReplaceAll(a, "PIPE", pipe))
			}
			cmd := exec.Command("fltool", given...)
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = io.Discard, &said
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			reads := make(chan error, 1)
			go func() {
				if named { // opening it waits for a reader
					w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
					if err == nil {
						defer w.Close()
						_, err = io.WriteString(w, "x")
					}
					reads <- err
					<-t.Context().Done()
					return
				}
				_, err := io.WriteString(in, strings.Repeat("x\n", 1<<18)) // more than a pipe holds
				reads <- err
			}()
			select {
			case err := <-ended:
				t.Fatalf("it ended: %v: %s", err, said.String())
			case err := <-reads:
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			<-ended
			if code := cmd.ProcessState.ExitCode(); code != exitCant || said.String() != "fltool: interrupted\n" {
				t.Errorf("exit code %d: %s", code, said.String())
			}
		})
	}
}
