package loadgen

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

func TestCommand(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	nobody := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	up := serve(t, newFake(1)) // what the commands would serve

	c := Command{Line: "echo before; echo '  a frame'; echo no keys >&2; exit 3", Target: nobody, Log: log}
	if _, err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 3: before; no keys") {
		t.Errorf("a server that ends: %v", err)
	}
	c = Command{Line: "sleep 600", Target: up, Log: log}
	if _, err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "answered already") {
		t.Errorf("another server is there: %v", err)
	}

	// One that starts others: they end with it, and it is ready when it answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c = Command{Line: "sleep 600 & sleep 600 & echo up; wait", Target: &url.URL{Scheme: "http", Host: l.Addr().String()}, Log: log}
	l.Close()
	s := &http.Server{Handler: newFake(1)}
	defer s.Close()
	go func() {
		for !strings.HasSuffix(lastOf(log.Name(), 0), "up") {
			time.Sleep(time.Millisecond)
		}
		if l, err := net.Listen("tcp", c.Target.Host); err != nil {
			t.Error(err)
		} else {
			s.Serve(l)
		}
	}()
	child, err := c.Start(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if child.Said() != "up" {
		t.Errorf("it said %q", child.Said())
	}
	if err := child.Stop(); err != nil {
		t.Error(err)
	}
	if lives, err := facts.GroupLives(facts.NewRoot("/"), child.PID); lives || err != nil {
		t.Errorf("a process is left: %t %v", lives, err)
	}
}
