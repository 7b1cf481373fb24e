package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/fltool/fltool/server"
	"github.com/fltool/fltool/server/wire"
)

// withSockets is a command of fltool serve to which sockets are passed as systemd does,
// see sd_listen_fds(3).
func withSockets(sockets []*os.File, args ...string) *exec.Cmd {
	const pass = `LISTEN_PID=$$ LISTEN_FDS=$1; export LISTEN_PID LISTEN_FDS; shift; exec fltool serve "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", pass, "sh", string('0' + rune(len(sockets)))}, args...)...)
	cmd.ExtraFiles = sockets
	return cmd
}

// socketFile listens as a .socket unit does.
func socketFile(t *testing.T, network, address string) *os.File {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestServeTakesASocket: who connects while no server runs waits for the next.
func TestServeTakesASocket(t *testing.T) {
	socket := []*os.File{socketFile(t, "tcp", "127.0.0.1:0")}
	args := []string{"--unsafe", "--round", "2", "--ops-listen", "127.0.0.1:0"}
	s := startServer(t, withSockets(socket, args...))
	url := s.url
	ended := heldPoll(t, s)
	s.signal()
	if text := <-ended; text != server.TextDraining {
		t.Errorf("the held poll got %q", text)
	}
	s.end(exitGood)
	asked := make(chan string, 1)
	ctx := t.Context()
	go func() {
		text, err := tryAsk(ctx, url+wire.PathRegister, `{"public_key_str": "x", "signed_phrase": "x"}`)
		if err != nil {
			text = err.Error()
		}
		asked <- text
	}()
	s = startServer(t, withSockets(socket, args...))
	if s.url != url {
		t.Errorf("at %s, was at %s", s.url, url)
	}
	if id := <-asked; !strings.HasSuffix(id, wire.UnauthenticatedSuffix) {
		t.Errorf("who connected meanwhile got %q", id)
	}
	s.signal()
	s.end(exitGood)
}

func TestServeRefusesSockets(t *testing.T) {
	tcp, unix := socketFile(t, "tcp", "127.0.0.1:0"), socketFile(t, "unix", t.TempDir()+"/socket")
	for _, tt := range []struct {
		sockets []*os.File
		args    []string
		want    string
	}{
		{[]*os.File{tcp, tcp}, nil, "2 sockets were passed: want one"},
		{[]*os.File{unix}, nil, "does not listen for TCP"},
		{[]*os.File{tcp}, []string{"--listen", "127.0.0.1:0"}, "--listen, and a socket was passed"},
	} {
		out, err := withSockets(tt.sockets, append([]string{"--unsafe", "--round", "1"}, tt.args...)...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), tt.want) {
			t.Errorf("want %q, got %v\n%s", tt.want, err, out)
		}
	}
}
