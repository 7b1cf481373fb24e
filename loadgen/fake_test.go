package loadgen

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// fake is a server of the protocol that checks no signature and can be told to
// misbehave at one step. A round ends when every worker's update is in.
type fake struct {
	workers int
	fault   func(s step, n int, w http.ResponseWriter, r *http.Request) bool // n counts the step's requests from 1; true: it answered

	mu       sync.Mutex
	version  int64
	accepted map[string]bool
	changed  chan struct{}
	seen     [steps]int
	holding  int             // polls
	from     map[string]bool // addresses of clients
	packed   []byte          // the model as it is sent, of that version
	of       int64
}

func newFake(workers int) *fake {
	return &fake{workers: workers, version: 1, accepted: map[string]bool{}, changed: make(chan struct{}), from: map[string]bool{}}
}

func (f *fake) hosts() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.from
}

// count is how many requests of a step it has seen.
func (f *fake) count(s step) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[s]
}

// holds says whether it holds a poll.
func (f *fake) holds() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.holding > 0
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := stepOf(r.URL.Path)
	f.mu.Lock()
	f.seen[s]++
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		f.from[host] = true
	}
	n := f.seen[s]
	f.mu.Unlock()
	if f.fault != nil && f.fault(s, n, w, r) {
		return
	}
	switch s {
	case stepRegister:
		var m wire.Register
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if m.PublicKey == wire.NoPublicKey {
			m.PublicKey = fmt.Sprintf("w%d_unauthenticated", n)
		}
		io.WriteString(w, m.PublicKey)
	case stepChallenge:
		if strings.HasSuffix(r.URL.Path, "/fltool-probe") {
			io.WriteString(w, wire.TextInvalid)
			return
		}
		io.WriteString(w, strings.Repeat("c", 56))
	case stepPoll:
		var m wire.Poll
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.mu.Lock()
		held := m.LastVersion == wire.VersionInt(f.version)
		changed := f.changed
		if held {
			f.holding++
		}
		f.mu.Unlock()
		if held {
			select {
			case <-changed:
			case <-r.Context().Done():
			}
			f.mu.Lock()
			f.holding--
			f.mu.Unlock()
			if r.Context().Err() != nil {
				return
			}
		}
		io.WriteString(w, wire.TextUpdated)
	case stepModel:
		w.Write(f.encoded())
	case stepUpdate:
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if _, err := wire.ReadUpdate(io.Discard, r.Body, r.Header.Get("Content-Type"), 1<<30); err != nil {
			io.WriteString(w, err.Error())
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.accepted[id] {
			io.WriteString(w, wire.TextNotAccepted)
			return
		}
		f.accepted[id] = true
		if len(f.accepted) == f.workers {
			f.accepted = map[string]bool{}
			f.version++
			close(f.changed)
			f.changed = make(chan struct{})
		}
		io.WriteString(w, wire.TextAccepted+wire.Short(id)+".")
	}
}

// encoded is the model as it is sent. Packing it for each request would cost more than
// all else here.
func (f *fake) encoded() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of != f.version {
		var b bytes.Buffer
		if err := wire.EncodeModel(&b, strings.NewReader("a model"), 7, wire.VersionInt(f.version)); err != nil {
			panic(err) // net/http tells of it
		}
		f.packed, f.of = b.Bytes(), f.version
	}
	return f.packed
}

// heard lets a round end only once a poll is held, so that somebody is told of it.
func heard(f *fake) *fake {
	f.fault = func(s step, n int, _ http.ResponseWriter, r *http.Request) bool {
		for s == stepUpdate && n%f.workers == 0 && !f.holds() && r.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return false
	}
	return f
}

func stepOf(path string) step {
	for s, prefix := range []string{wire.PathRegister, wire.PathChallenge, wire.PathPoll, wire.PathModel, wire.PathUpdate} {
		if strings.HasPrefix(path, prefix) {
			return step(s)
		}
	}
	panic("unknown path " + path)
}

// serve serves h on loopback until the test ends.
func serve(t *testing.T, h http.Handler) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

func testKeys(n int) []ed25519.PrivateKey {
	keys := make([]ed25519.PrivateKey, n)
	for i := range keys {
		seed := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 16)
		keys[i] = ed25519.NewKeyFromSeed(seed)
	}
	return keys
}

func packed(b []byte) Update {
	u, err := NewUpdate(b)
	if err != nil {
		panic(err) // memory takes all
	}
	return u
}

// testPlan is a plan against target. Its timeouts are for a busy machine.
func testPlan(target *url.URL, workers int) Plan {
	return Plan{
		Target: target, Workers: workers, Keys: testKeys(workers), Rounds: 2, Update: packed([]byte("an update")), Seed: 1,
		RequestTimeout: 20 * time.Second, RoundTimeout: 20 * time.Second, Grace: 200 * time.Millisecond,
		MaxLag: time.Hour,
	}
}

// impatient is a plan that fails fast.
func impatient(p Plan) Plan {
	p.RoundTimeout, p.PollTimeout = 1500*time.Millisecond, 20*time.Second
	return p
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// hijack takes the connection from the HTTP server.
func hijack(w http.ResponseWriter) net.Conn {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return c
}

// flood answers with a start and then the same for ever.
func flood(w http.ResponseWriter, start, forever string) {
	c := hijack(w)
	defer c.Close()
	for _, err := io.WriteString(c, start); err == nil; {
		_, err = io.WriteString(c, forever)
	}
}

// reset cuts the connection, by a reset where it is TCP's.
func reset(w http.ResponseWriter) {
	c := hijack(w)
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}
