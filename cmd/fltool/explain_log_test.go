package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// endless gives a line, tells that it was taken, and then nothing until it is closed.
type endless struct {
	line  io.Reader
	taken chan struct{}
	end   chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	if n, err := e.line.Read(p); err == nil {
		return n, nil
	}
	close(e.taken)
	<-e.end
	return 0, io.EOF
}

// An interrupt ends a log that never ends, and what was read of it is told.
func TestExplainLogInterrupted(t *testing.T) {
	in := &endless{strings.NewReader("WORKER TIMEOUT (pid:9)\n"), make(chan struct{}), make(chan struct{})}
	defer close(in.end)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-in.taken
		cancel()
	}()
	var out strings.Builder
	err := explainLog(ctx, &out, in, "-")
	if !errors.Is(err, context.Canceled) || !strings.Contains(out.String(), "1× gunicorn killed") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// An interrupt ends waiting for a named pipe to which nobody writes.
func TestExplainLogPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := explainLog(ctx, io.Discard, nil, name); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// The reader that waits for a writer ends with one.
	w, err := syscall.Open(name, syscall.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Close(w); err != nil {
		t.Fatal(err)
	}
}
