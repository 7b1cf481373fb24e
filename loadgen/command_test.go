package loadgen

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// TestReadyStaysHere: where the address that tells of readiness sends a client elsewhere,
// nothing is asked there.
func TestReadyStaysHere(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer here.Close()
	ready, err := url.Parse(here.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := Command{Target: serve(t, newFake(1)), Ready: ready}
	if err := c.up(t.Context()); err != nil || asked {
		t.Errorf("%v; elsewhere was asked: %t", err, asked)
	}
	c = Command{Target: ready}
	if err := c.up(t.Context()); err == nil || asked {
		t.Errorf("a target that is elsewhere: %v; elsewhere was asked: %t", err, asked)
	}
}

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
