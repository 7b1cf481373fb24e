package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// stays fails if a held poll has ended.
func stays(t *testing.T, ended <-chan polled) {
	t.Helper()
	select {
	case p := <-ended:
		t.Errorf("a held poll ended: %+v", p)
	default:
	}
}

// TestMaxConnections: beyond, who comes is told so at once; held polls stay, workers'
// connections are served, and who goes makes room.
func TestMaxConnections(t *testing.T) {
	const most = 20
	keys, ids := workerKeys(2)
	list := filepath.Join(t.TempDir(), "keys.txt")
	if err := os.WriteFile(list, []byte(strings.Join(ids, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	k := startChild(t, childConfig{KeyList: list, Round: "1", ModelSize: 1000, MaxConns: most})
	cs := registered(t, k.addr, keys...)
	ended := cs[0].startPoll(t.Context(), "1") // on the connection that it has
	ask := func(r raw) (status int) {
		fmt.Fprint(r, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(r.r, nil)
		if err != nil {
			return 0
		}
		return res.StatusCode
	}
	var others []raw
	for range most - len(cs) {
		r := dialRaw(t, k.addr)
		if status := ask(r); status != http.StatusNotFound {
			t.Fatal(status)
		}
		others = append(others, r)
	}
	// All are refused; the text is kept for the first ones.
	for i := range 3 * awayAtOnce {
		r := dialRaw(t, k.addr)
		res, err := http.ReadResponse(r.r, nil)
		if err != nil && i >= awayAtOnce {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusServiceUnavailable || string(text) != TextFull || !res.Close {
			t.Fatal(res.Status, string(text), err)
		}
	}
	stays(t, ended)
	if text := cs[1].challenge(); len(text) != 56 {
		t.Errorf("a worker that was there gets %q", text)
	}
	for _, r := range others {
		r.Close()
	}
	waitFor(t, "there is room again", func() bool {
		r := dialRaw(t, k.addr)
		defer r.Close()
		return ask(r) == http.StatusNotFound
	})
	cs[1].accepted("u")
	if p := <-ended; p.text != wire.TextUpdated {
		t.Errorf("%+v", p)
	}
}

// TestMaxMemory: neither connections nor updates are taken on, and what is there goes on.
func TestMaxMemory(t *testing.T) {
	keys, ids := workerKeys(2)
	s, addr := start(t, Config{Keys: ids, Round: Number(1), MaxMemory: 1 << 40})
	if used := memoryUsed(); used < 1<<20 || used > 1<<40 {
		t.Fatalf("the process uses %d bytes", used)
	}
	cs := registered(t, addr, keys...)
	ended := hold(t, s, "1", cs[0])[0]
	limit := func(bytes int64) {
		s.full.mu.Lock()
		defer s.full.mu.Unlock()
		s.full.memory, s.full.looked = bytes, time.Time{}
	}
	limit(1)
	r := dialRaw(t, addr)
	if res, text := r.receive(t); res.StatusCode != http.StatusServiceUnavailable || text != TextFull {
		t.Error(res.Status, text)
	}
	if status, text := cs[1].update([]byte("u")); status != http.StatusServiceUnavailable || !strings.Contains(text, "no memory") {
		t.Error(status, text)
	}
	if text := cs[1].challenge(); len(text) != 56 {
		t.Errorf("a worker that was there gets %q", text)
	}
	stays(t, ended)
	limit(1 << 40)
	cs[1].accepted("u")
	if p := <-ended; p.text != wire.TextUpdated {
		t.Errorf("%+v", p)
	}
}

// TestMaxWorkers: one too many is refused, and may come once another is gone. Those of a
// key list must be no more.
func TestMaxWorkers(t *testing.T) {
	_, addr := start(t, Config{Unsafe: true, Round: Number(1), MaxWorkers: 2, State: t.TempDir(), AdminUsername: "a", AdminPassword: "p"})
	c := newClient(t, addr, nil)
	first := c.register()
	c.register()
	res, text, err := c.do(t.Context(), "POST", wire.PathRegister, "application/json", []byte(`{"public_key_str": "x", "signed_phrase": "x"}`))
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || text != TextFull {
		t.Errorf("a third: %v %q %v", res, text, err)
	}
	const add = `{"public_key_str": "x", "registered": true}`
	if text := c.admin("POST", "", add); !strings.Contains(text, "not added - as many workers take part as may.") {
		t.Error(text)
	}
	c.admin("DELETE", "/"+first, "")
	if text := c.admin("POST", "", add); !strings.Contains(text, "success") {
		t.Error(text)
	}
	_, ids := workerKeys(2)
	if _, err := New(Config{Keys: ids, Model: []byte("m"), MaxWorkers: 1}); err == nil {
		t.Error("a key list of more than may be is taken")
	}
}

// TestBoundsOfAnyListener: who is too many is cut at once, whatever the listener.
func TestBoundsOfAnyListener(t *testing.T) {
	certs, _, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"TCP":            func(l net.Listener) net.Listener { return l },
		"one around it":  func(l net.Listener) net.Listener { return struct{ net.Listener }{l} },
		"a caller's TLS": func(l net.Listener) net.Listener { return tls.NewListener(l, certs) },
	} {
		s, err := New(Config{Unsafe: true, Round: Number(1), Model: []byte("m"), MaxMemory: 1})
		if err != nil {
			t.Fatal(err)
		}
		l := wrap(listenLocal(t))
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		r := dialRaw(t, l.Addr().String())
		if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: it is let in", name)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-served
	}
}
