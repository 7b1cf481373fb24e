package probe

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/server/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// fake is a server of the protocol that counts what it is asked.
type fake struct {
	unsafe   bool
	unlisted bool             // it knows no worker of the key
	most     int64            // bytes of a body; 0: any
	poll     http.HandlerFunc // nil: answers at once
	collects bool             // as a proxy that sends on whole requests
	takes    bool             // updates of anybody

	requests, connections, registered atomic.Int64
	bytes                             atomic.Int64

	mu       sync.Mutex
	accepted []string // ids of updates that came whole
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.requests.Add(1)
	if f.most > 0 && r.ContentLength > f.most {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if f.collects || r.Method == http.MethodPost {
		b, err := io.ReadAll(r.Body)
		f.bytes.Add(int64(len(b)))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(b)))
	}
	own := wire.WorkerID(testKey.Public().(ed25519.PublicKey))
	nameless := "1234" + wire.UnauthenticatedSuffix
	known := func(id string) bool {
		return !f.unsafe && !f.unlisted && id == own || f.unsafe && id == nameless && f.registered.Load() > 0
	}
	signed := func(phrase, message string) bool {
		got, err := wire.Open(testKey.Public().(ed25519.PublicKey), phrase)
		return f.unsafe || err == nil && string(got) == message
	}
	var m struct {
		ID     string `json:"worker_id"`
		Key    string `json:"public_key_str"`
		Signed string `json:"signed_phrase"`
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, wire.PathChallenge+"/"):
		if !known(strings.TrimPrefix(path, wire.PathChallenge+"/")) {
			fmt.Fprint(w, wire.TextInvalid)
			return
		}
		fmt.Fprint(w, "a phrase")
	case path == wire.PathRegister:
		_ = json.NewDecoder(r.Body).Decode(&m)
		if f.unsafe {
			f.registered.Add(1)
			fmt.Fprint(w, nameless)
		} else if known(m.Key) && signed(m.Signed, wire.RegisterPhrase) {
			f.registered.Add(1)
			fmt.Fprint(w, own)
		} else {
			fmt.Fprint(w, wire.TextInvalid)
		}
	case path == wire.PathModel, path == wire.PathPoll:
		_ = json.NewDecoder(r.Body).Decode(&m)
		switch {
		case !known(m.ID) || !signed(m.Signed, "a phrase"):
			fmt.Fprint(w, wire.TextInvalid)
		case path == wire.PathModel:
			_ = wire.EncodeModel(w, strings.NewReader("model"), 5, "7")
		case f.poll != nil:
			f.poll(w, r)
		default:
			fmt.Fprint(w, wire.TextUpdated)
		}
	case strings.HasPrefix(path, wire.PathUpdate+"/"):
		f.mu.Lock()
		f.accepted = append(f.accepted, strings.TrimPrefix(path, wire.PathUpdate+"/"))
		f.mu.Unlock()
		if f.takes {
			fmt.Fprint(w, wire.TextAccepted, "12345678.")
			return
		}
		up, err := wire.ReadUpdate(io.Discard, r.Body, r.Header.Get("Content-Type"), 1<<30)
		if err == nil {
			fmt.Fprint(w, "a worse server would have taken it: ", up.Size)
			return
		}
		fmt.Fprint(w, err)
	case path == wire.PathWorkers:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		http.NotFound(w, r)
	}
}

// start serves a handler and counts connections and requests.
func start(t *testing.T, f *fake, h http.Handler) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startAt(t, f, h, l)
}

func startAt(t *testing.T, f *fake, h http.Handler, l net.Listener) *httptest.Server {
	t.Helper()
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			f.connections.Add(1)
		}
	}
	s.Config.ErrorLog = quiet
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func questions(t *testing.T, url string) Questions {
	t.Helper()
	u, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return Questions{URL: u, Timeout: 5 * time.Second}
}

// run probes, and holds the probe to what it announced.
func run(t *testing.T, o Questions, f *fake) facts.Probe {
	t.Helper()
	plan := o.Cost()
	p, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if f == nil {
		return p
	}
	if n := int(f.requests.Load()); n != p.Requests || n > plan.Requests {
		t.Errorf("%d requests came; it says %d, and announced %d", n, p.Requests, plan.Requests)
	}
	if n := int(f.connections.Load()); n > plan.Connections {
		t.Errorf("%d connections came; announced were %d", n, plan.Connections)
	}
	if n := f.bytes.Load(); n > p.Bytes || p.Bytes > plan.Bytes {
		t.Errorf("%d bytes came; it says %d, and announced %d", n, p.Bytes, plan.Bytes)
	}
	return p
}
