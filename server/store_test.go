package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fltool/fltool/server/wire"
)

// restart ends a server and starts another on its state.
func restart(t *testing.T, s *Server, cfg Config) (*Server, string) {
	t.Helper()
	if s != nil {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if cfg.Model == nil {
		cfg.Model = []byte("a model")
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := listenLocal(t)
	go func() { _ = s.Serve(l) }()
	return s, l.Addr().String()
}

func TestRestartContinuesTheRound(t *testing.T) {
	keys, ids := workerKeys(3)
	cfg := Config{Keys: ids, State: t.TempDir(), Aggregator: &spy{}}
	s, addr := restart(t, nil, cfg)
	cs := registered(t, addr, keys...)
	for _, c := range cs {
		c.accepted("u")
	}
	waitFor(t, "version 2", func() bool { return s.model.Load().number == 2 })
	cs[1].accepted("u")

	s, addr = restart(t, s, cfg)
	for _, c := range cs {
		c.addr = addr
	}
	if version, model := cs[0].model(); version != "2" || model != "after 1 of 3" {
		t.Error(version, model)
	}
	if _, text := cs[1].update([]byte("again")); text != wire.TextNotAccepted {
		t.Errorf("a second update after the restart: %q", text)
	}
	cs[0].accepted("u")
	cs[2].accepted("u")
	waitFor(t, "version 3", func() bool { return s.model.Load().number == 3 })
	if _, model := cs[0].model(); model != "after 2 of 3" {
		t.Error(model)
	}
	waitFor(t, "the file of the model before is gone", func() bool {
		files, err := filepath.Glob(cfg.State + "/model-*")
		return err == nil && len(files) == 1
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestRestartWhileClosing ends the process while a round is aggregated, with an
// update for the next one stored.
func TestRestartWhileClosing(t *testing.T) {
	keys, ids := workerKeys(3)
	a := &spy{hold: make(chan struct{})}
	cfg := Config{Keys: ids, State: t.TempDir(), Aggregator: a, Round: Number(2)}
	s, addr := restart(t, nil, cfg)
	cs := registered(t, addr, keys...)
	cs[0].accepted("u")
	cs[1].accepted("u")
	waitFor(t, "the round is aggregated", func() bool { return a.begun.Load() == 1 })
	cs[2].accepted("late")

	cfg.Aggregator = &spy{}
	s, addr = restart(t, s, cfg)
	waitFor(t, "version 2", func() bool { return s.model.Load().number == 2 })
	cs[2].addr, cs[0].addr = addr, addr
	if _, text := cs[2].update([]byte("again")); text != wire.TextNotAccepted {
		t.Errorf("the late one was lost: %q", text)
	}
	cs[0].accepted("u")
	waitFor(t, "version 3", func() bool { return s.model.Load().number == 3 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestRestartKeepsWorkers: key list, admin and state come together.
func TestRestartKeepsWorkers(t *testing.T) {
	keys, ids := workerKeys(5)
	cfg := Config{Keys: ids[:3], State: t.TempDir(), AdminUsername: "a", AdminPassword: "p"}
	s, addr := restart(t, nil, cfg)
	registered(t, addr, keys[0], keys[2])
	admin := newClient(t, addr, nil)
	admin.admin("DELETE", "/"+ids[2], "")
	admin.admin("POST", "", fmt.Sprintf(`{"public_key_str": "%s", "registered": true}`, ids[3]))

	cfg.Keys = []string{ids[4], ids[0], ids[2]} // without 1, with 4
	s, addr = restart(t, s, cfg)
	admin = newClient(t, addr, nil)
	want := fmt.Sprintf(`[{"worker_id": "%s", "registered": true}, {"worker_id": "%s", "registered": true}, {"worker_id": "%s", "registered": false}]`, ids[0], ids[3], ids[4])
	if got := admin.admin("GET", "", ""); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	// The round waits for those of the list that are left.
	if !s.round.members.has(ids[0]) || !s.round.members.has(ids[4]) || len(s.round.members) != 2 {
		t.Error(s.round.members)
	}
	// The admin may take a removal back.
	admin.admin("POST", "", fmt.Sprintf(`{"public_key_str": "%s", "registered": false}`, ids[2]))
	s, addr = restart(t, s, cfg)
	if got := newClient(t, addr, keys[2]).register(); got != ids[2] {
		t.Error(got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestUnsafeRestart(t *testing.T) {
	cfg := Config{Unsafe: true, Round: Number(9), State: t.TempDir()}
	s, addr := restart(t, nil, cfg)
	c := newClient(t, addr, nil)
	c.register()
	s, addr = restart(t, s, cfg)
	c.addr = addr
	if version, _ := c.model(); version != "1" {
		t.Error(version)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestKill kills a server with updates coming from many workers: what was
// acknowledged is there afterwards, on disk and in the round, and nothing is half
// there. Several times, on the same state.
func TestKill(t *testing.T) {
	const workers = 24
	keys, list := testKeys(t, workers)
	state := t.TempDir()
	config := childConfig{KeyList: list, Round: "all", ModelSize: 100, State: state, KeepUpdates: true}
	accepted := map[string]bool{} // in the round that is open
	update := func(c *client) []byte { return []byte("update of " + c.id) }
	for life := range 4 {
		k := startChild(t, config)
		var mu sync.Mutex
		var wg sync.WaitGroup
		enough := make(chan struct{})
		fresh := 0
		send := func(c *client) {
			c.tryUpdate(update(c), func(text string) {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case strings.HasPrefix(text, wire.TextAccepted):
					if accepted[c.id] {
						t.Errorf("life %d: %s was accepted twice in a round", life, wire.Short(c.id))
					}
					accepted[c.id] = true
					if fresh++; fresh == workers/8 && life < 3 {
						close(enough)
					}
				case text == wire.TextNotAccepted:
					// Also right where the acknowledgement got lost with a life before.
					accepted[c.id] = true
				}
			})
		}
		var last []*client
		for i, key := range keys {
			if i%4 > life {
				continue // some are new in each life, and the round stays open until the last
			}
			c := newClient(t, k.addr, key)
			c.http.Timeout = 0
			if i%4 == 3 {
				last = append(last, c)
				continue
			}
			wg.Go(func() { send(c) })
		}
		if life < 3 {
			<-enough
			k.kill()
			wg.Wait()
			continue
		}
		// Those that end the round wait for those that may send a second time: once it has
		// ended, these would be accepted for the next.
		wg.Wait()
		for _, c := range last {
			wg.Go(func() { send(c) })
		}
		wg.Wait()
		// All have been accepted in one life or another: the round is over.
		c := newClient(t, k.addr, keys[0])
		var version wire.Version
		waitFor(t, "version 2", func() bool { version, _ = c.model(); return version == "2" })
		k.kill()
	}
	files, err := os.ReadDir(filepath.Join(state, "updates", "round-1"))
	if err != nil || len(files) != workers {
		t.Fatalf("%d files of %d workers, %v", len(files), workers, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(state, "updates", "round-1", f.Name()))
		if err != nil || string(b) != "update of "+f.Name() {
			t.Errorf("%s: %q %v", f.Name(), b, err)
		}
	}
	// The state is whole, and says the same.
	listed, err := wire.ReadKeyList(list)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Keys: listed.IDs, Model: []byte("m"), State: state})
	if err != nil {
		t.Fatal(err)
	}
	if s.model.Load().number != 2 || s.workers.registered != workers || len(s.round.accepted) != 0 {
		t.Errorf("version %d, %d registered, %d accepted", s.model.Load().number, s.workers.registered, len(s.round.accepted))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// tryUpdate registers and sends an update; what becomes of it is told if an
// answer comes.
func (c *client) tryUpdate(update []byte, told func(string)) {
	body := fmt.Sprintf(`{"public_key_str": "%s", "signed_phrase": "%s"}`, c.id, c.sign([]byte(wire.RegisterPhrase)))
	if _, _, err := c.do(c.t.Context(), "POST", wire.PathRegister, "application/json", []byte(body)); err != nil {
		return
	}
	z, digest, err := wire.CompressUpdate(bytes.NewReader(update))
	if err != nil {
		c.t.Error(err)
		return
	}
	form, err := wire.NewUpdateForm(z)
	if err != nil {
		c.t.Error(err)
		return
	}
	var b bytes.Buffer
	segments := form.Segments(c.sign(digest[:]))
	if _, err := segments.WriteTo(&b); err != nil {
		c.t.Error(err)
		return
	}
	if _, text, err := c.do(c.t.Context(), "POST", wire.PathUpdate+"/"+c.id, form.ContentType, b.Bytes()); err == nil {
		told(text)
	}
}

// TestOldModelStays: a version counts once it is stored, whatever becomes of the
// file of the one before.
func TestOldModelStays(t *testing.T) {
	keys, ids := workerKeys(1)
	cfg := Config{Keys: ids, State: t.TempDir()}
	s, addr := restart(t, nil, cfg)
	old := filepath.Join(cfg.State, "model-1")
	if err := errors.Join(os.Remove(old), os.MkdirAll(filepath.Join(old, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	c := registered(t, addr, keys[0])[0]
	c.accepted("u")
	waitFor(t, "version 2", func() bool { return s.model.Load().number == 2 })
	if trouble := s.trouble.Load(); trouble != nil {
		t.Error(*trouble)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
