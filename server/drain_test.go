package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// TestDrainServesThoseThatWereTold: who was notified of a model gets it on any connection,
// and only then held polls end; no round ends meanwhile.
func TestDrainServesThoseThatWereTold(t *testing.T) {
	keys, ids := workerKeys(3)
	s, addr := start(t, Config{Keys: ids, Round: Number(1)})
	cs := registered(t, addr, keys...)
	told := hold(t, s, "1", cs[0], cs[1])
	cs[2].accepted("u")
	for _, ended := range told {
		if p := <-ended; p.text != wire.TextUpdated {
			t.Fatalf("%+v", p)
		}
	}
	held := hold(t, s, "2", cs[2])[0]
	drained := make(chan error, 1)
	go func() { drained <- s.Shutdown(context.Background()) }()
	waitFor(t, "it drains", s.draining.Load)
	for i, c := range cs[:2] {
		if s.Held() != 1 {
			t.Errorf("the held poll was ended before worker %d had its model", i)
		}
		fresh := newClient(t, addr, c.key)
		fresh.accepted("u") // with one of these a round would end
		if version, model := fresh.model(); version != "2" || model != "a model" {
			t.Errorf("worker %d: version %s, %q", i, version, model)
		}
	}
	if p := <-held; p.err != nil || p.text != TextDraining || !p.closes {
		t.Errorf("%+v", p)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if n := s.model.Load().number; n != 2 {
		t.Errorf("version %d", n)
	}
}

// TestDrainDoesNotWaitForTheGone: who was told and does not come is waited for a little,
// and half of the time at most.
func TestDrainDoesNotWaitForTheGone(t *testing.T) {
	for timeout, most := range map[time.Duration]time.Duration{time.Minute: goneAfter, goneAfter: goneAfter / 2} {
		inBubble(t, Config{Round: Number(1)}, func(t *testing.T, s *Server, cs []*client) {
			gone := cs[0].startPoll(t.Context(), "1")
			cs[1].accepted("u")
			if p := <-gone; p.text != wire.TextUpdated {
				t.Fatalf("%+v", p)
			}
			held := cs[2].startPoll(t.Context(), "2")
			synctest.Wait()
			for _, c := range cs {
				c.http.CloseIdleConnections()
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			began := time.Now()
			if err := s.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if p := <-held; p.text != TextDraining {
				t.Errorf("%+v", p)
			}
			if took := time.Since(began); took < most || took > most+dismissAfter {
				t.Errorf("of %v it took %v", timeout, took)
			}
		})
	}
}

// TestDrainAnswersWhoCameBack: a request that comes while the server drains, on a
// connection that was idle before, is answered.
func TestDrainAnswersWhoCameBack(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		began := time.Now()
		drained := make(chan error, 1)
		go func() { drained <- s.Shutdown(context.Background()) }()
		time.Sleep(dismissAfter / 2)
		cs[0].accepted("u") // the listener is closed: there is no other connection
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > dismissAfter+look {
			t.Errorf("it took %v", took)
		}
	})
}

// TestDismissSparesWhoHasSpoken: what comes at the very moment at which idle
// connections are closed is answered.
func TestDismissSparesWhoHasSpoken(t *testing.T) {
	certs, _, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	for _, encrypted := range []bool{false, true} {
		keys, ids := workerKeys(1)
		s, err := New(Config{Keys: ids, Model: []byte("m")})
		if err != nil {
			t.Fatal(err)
		}
		l := listenLocal(t)
		addr := l.Addr().String()
		conn := func() (net.Conn, error) { return net.Dial("tcp", addr) }
		var cfg *tls.Config
		if encrypted {
			cfg = certs
			conn = func() (net.Conn, error) { return tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) }
		}
		served := make(chan error, 1)
		go func() { served <- s.serve(l, cfg) }()
		id := wire.WorkerID(keys[0].Public().(ed25519.PublicKey))
		body := fmt.Sprintf(`{"public_key_str": "%s", "signed_phrase": "%s"}`, id, wire.Sign(keys[0], []byte(wire.RegisterPhrase)))
		var all []raw
		for range 20 {
			c, err := conn()
			if err != nil {
				t.Fatal(err)
			}
			r := rawOn(t, c)
			fmt.Fprintf(r, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathRegister, len(body), body)
			if _, text := r.receive(t); text != id {
				t.Fatal(text)
			}
			all = append(all, r)
		}
		waitFor(t, "all rest", func() bool { return s.polls.resting() == len(all) })
		var asked sync.WaitGroup
		for _, r := range all[1:] {
			asked.Go(func() { fmt.Fprintf(r, "GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, id) })
		}
		asked.Wait()
		s.polls.Dismiss()
		for i, r := range all[1:] {
			if _, text := r.receive(t); !challengePhrase.MatchString(text) {
				t.Errorf("encrypted %t, connection %d: %q", encrypted, i, text)
			}
		}
		if _, err := http.ReadResponse(all[0].r, nil); err == nil {
			t.Error("the idle connection is still open")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-served
	}
}

// lockedLog is a log that is read while it is written to.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestDrainTellsWhatIsLost: updates that no state has, and those that were cut.
func TestDrainTellsWhatIsLost(t *testing.T) {
	keys, ids := workerKeys(2)
	for _, state := range []bool{false, true} {
		log := &lockedLog{}
		cfg := Config{Keys: ids, Log: slog.New(slog.NewTextHandler(log, nil))}
		if state {
			cfg.State = t.TempDir()
		}
		s, addr := start(t, cfg)
		cs := registered(t, addr, keys...)
		cs[0].accepted("u")
		r := dialRaw(t, addr)
		fmt.Fprintf(r, "POST %s/%s HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b", wire.PathUpdate, cs[1].id)
		waitFor(t, "an update is on its way", func() bool { return s.uploads.count() == 1 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := s.Shutdown(ctx); err == nil {
			t.Error("nothing was cut")
		}
		cancel()
		said := log.String()
		if !strings.Contains(said, "on their way are lost") || strings.Contains(said, "without a state") == state {
			t.Errorf("with a state %t: %s", state, said)
		}
	}
}

// TestStartTellsWhatMayBeLost: an update that was on its way, and a round that may wait
// for ever.
func TestStartTellsWhatMayBeLost(t *testing.T) {
	keys, ids := workerKeys(3)
	cfg := Config{Keys: ids, State: t.TempDir(), KeepUpdates: true}
	s, addr := restart(t, nil, cfg)
	cs := registered(t, addr, keys...)
	cs[0].accepted("u")
	if err := os.WriteFile(filepath.Join(cfg.State, "updates", "incoming", "update-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log := &lockedLog{}
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	s, _ = restart(t, s, cfg)
	said := log.String()
	if !strings.Contains(said, "updates were on their way") || !strings.Contains(said, "updates=1") || !strings.Contains(said, "missing=2") {
		t.Error(said)
	}
	cfg.RoundTimeout = time.Hour
	log.b.Reset()
	s, _ = restart(t, s, cfg)
	if said := log.String(); strings.Contains(said, "WARN") {
		t.Error(said)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestStaleChallengeEndsNoWorker: soon after a start, a challenge of the process before
// and a proxy's error page in place of one are answered such that a real worker polls
// again; a wrong signature is refused, and so is all of that without a state.
func TestStaleChallengeEndsNoWorker(t *testing.T) {
	keys, ids := workerKeys(2)
	for _, state := range []string{t.TempDir(), ""} {
		cfg := Config{Keys: ids, State: state}
		s, addr := restart(t, nil, cfg)
		c := registered(t, addr, keys[0])[0]
		old := c.challenge()
		s, addr = restart(t, s, cfg)
		c = newClient(t, addr, keys[0])
		if state == "" {
			c.register()
		}
		want := map[string]string{
			c.sign([]byte(old)):                       wire.NoModel,
			c.sign([]byte("<html>502 Bad Gateway")):   wire.NoModel,
			wire.Sign(keys[1], []byte(c.challenge())): wire.TextInvalid,
		}
		for phrase, text := range want {
			if state == "" {
				text = wire.TextInvalid
			}
			if got := c.post(wire.PathModel, wire.ModelRequest{WorkerID: c.id, SignedPhrase: phrase}); got != text {
				t.Errorf("state %q: got %q, want %q", state, got, text)
			}
			if got := c.post(wire.PathPoll, wire.Poll{WorkerID: c.id, LastVersion: "1", SignedPhrase: phrase}); got != wire.TextInvalid {
				t.Errorf("state %q: a poll got %q", state, got)
			}
		}
		if version, _ := c.model(); version != "1" {
			t.Errorf("version %s", version)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
