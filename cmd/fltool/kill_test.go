package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

var kills = flag.Int("kills", 8, "how often TestKills kills the server")

// A survivor is a worker that goes on, whatever becomes of the server under it. It
// remembers what was acknowledged.
type survivor struct {
	url  string
	id   string
	key  ed25519.PrivateKey
	http *http.Client

	registered bool
	version    int64            // the newest that it was told of
	sent       int              // updates, each of which says which one it is
	accepted   map[string]int64 // updates, and the version that they were made for
}

// live plays rounds until the context ends. Its error is a broken promise, not a
// server that is away.
func (w *survivor) live(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.play(ctx); err != nil {
			return fmt.Errorf("worker %s: %w", wire.Short(w.id), err)
		}
	}
	return nil
}

// play plays as much of a round as the server lives for.
func (w *survivor) play(ctx context.Context) error {
	if !w.registered {
		text, ok := w.post(ctx, wire.PathRegister, wire.Register{PublicKey: w.id, SignedPhrase: wire.Sign(w.key, []byte(wire.RegisterPhrase))})
		if ok && text != w.id {
			return fmt.Errorf("registered as %q", text)
		}
		w.registered = ok
		return nil
	}
	phrase, ok := w.challenge(ctx)
	if !ok {
		return nil
	}
	text, ok := w.post(ctx, wire.PathModel, wire.ModelRequest{WorkerID: w.id, SignedPhrase: phrase})
	if !ok || text == wire.TextInvalid { // the challenge was of the life before
		return nil
	}
	m, err := wire.DecodeModel(io.Discard, strings.NewReader(text), 1<<20)
	if err != nil {
		return fmt.Errorf("a model of %q: %w", text, err)
	}
	version, err := strconv.ParseInt(string(m.Version), 10, 64)
	if err != nil || version < w.version {
		return fmt.Errorf("the version went from %d back to %s", w.version, m.Version)
	}
	w.version = version

	w.sent++
	update := fmt.Sprintf("%s %d", w.id, w.sent)
	text, ok = w.update(ctx, update)
	switch {
	case !ok:
		return nil
	case strings.HasPrefix(text, wire.TextAccepted):
		w.accepted[update] = version
	case text != wire.TextNotAccepted:
		return fmt.Errorf("update: %q", text)
	}
	if phrase, ok = w.challenge(ctx); ok {
		// Whatever the answer, the next model tells the version.
		_, _ = w.post(ctx, wire.PathPoll, wire.Poll{WorkerID: w.id, LastVersion: m.Version, SignedPhrase: phrase})
	}
	return nil
}

// ask gives an answer, or false if the server was killed over it.
func (w *survivor) ask(ctx context.Context, method, path, contentType string, body []byte) (string, bool) {
	req, err := http.NewRequestWithContext(ctx, method, w.url+path, bytes.NewReader(body))
	if err != nil {
		return err.Error(), true
	}
	req.Header.Set("Content-Type", contentType)
	res, err := w.http.Do(req)
	if err == nil {
		defer res.Body.Close()
		var b []byte
		if b, err = io.ReadAll(res.Body); err == nil {
			return string(b), true
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Millisecond):
	}
	return "", false
}

func (w *survivor) post(ctx context.Context, path string, message any) (string, bool) {
	b, err := json.Marshal(message)
	if err != nil {
		return err.Error(), true
	}
	return w.ask(ctx, "POST", path, "application/json", b)
}

// challenge gives the answer to one.
func (w *survivor) challenge(ctx context.Context) (string, bool) {
	text, ok := w.ask(ctx, "GET", wire.PathChallenge+"/"+w.id, "", nil)
	return wire.Sign(w.key, []byte(text)), ok
}

func (w *survivor) update(ctx context.Context, update string) (string, bool) {
	z, digest, err := wire.CompressUpdate(strings.NewReader(update))
	if err != nil {
		return err.Error(), true
	}
	form, err := wire.NewUpdateForm(z)
	if err != nil {
		return err.Error(), true
	}
	var b bytes.Buffer
	segments := form.Segments(wire.Sign(w.key, digest[:]))
	_, _ = segments.WriteTo(&b) // memory takes all
	return w.ask(ctx, "POST", wire.PathUpdate+"/"+w.id, form.ContentType, b.Bytes())
}

// TestKills kills a server at random moments while workers play rounds: nothing
// that was acknowledged is lost or counted twice, the version never goes back,
// who registered stays so, and every worker finishes. -kills says how often.
func TestKills(t *testing.T) {
	const workers = 12
	dir := t.TempDir()
	keyDir, state := filepath.Join(dir, "keys"), filepath.Join(dir, "state")
	if err := wire.GenerateKeys(t.Context(), keyDir, workers); err != nil {
		t.Fatal(err)
	}
	keys, err := wire.ReadKeys(keyDir, 0, workers)
	if err != nil {
		t.Fatal(err)
	}
	listen := "127.0.0.1:0"
	args := func() []string {
		return []string{"--keys", keyDir, "--state", state, "--keep-updates", "--listen", listen, "--log-level", "error"}
	}
	live := func() *served {
		s := startServe(t, args()...)
		listen = strings.TrimPrefix(s.url, "http://")
		return s
	}
	s := live()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	fleet := make([]*survivor, workers)
	broken := make(chan error, workers)
	var all sync.WaitGroup
	for i, key := range keys {
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		fleet[i] = &survivor{
			url: s.url, key: key, id: wire.WorkerID(key.Public().(ed25519.PublicKey)),
			http: &http.Client{Transport: transport}, accepted: map[string]int64{},
		}
		all.Go(func() {
			if err := fleet[i].live(ctx); err != nil {
				broken <- err
				end()
			}
		})
	}
	seed := rand.Uint64()
	moments := rand.New(rand.NewPCG(seed, 0))
	wait := func(atMost time.Duration) {
		select {
		case <-time.After(time.Duration(moments.Int64N(int64(atMost)))):
		case <-ctx.Done():
		}
	}
	for n := range *kills {
		if n%2 == 0 {
			wait(150 * time.Millisecond) // a few rounds
			s.kill()
			continue
		}
		// Every second one hits a start.
		start := exec.Command("fltool", append([]string{"serve"}, args()...)...)
		if err := start.Start(); err != nil {
			t.Fatal(err)
		}
		wait(40 * time.Millisecond)
		_ = start.Process.Kill()
		_ = start.Wait()
		s = live()
	}
	if *kills%2 == 1 {
		s = live()
	}
	reached := newestModel(t, state)
	waitUntil(t, "rounds go on", func() bool { return newestModel(t, state) >= reached+2 || ctx.Err() != nil })
	end()
	all.Wait()
	s.kill()
	if log := s.stderr(); log != "" {
		t.Error(log)
	}
	close(broken)
	for err := range broken {
		t.Error(err)
	}

	kept := keptUpdates(t, state)
	last := newestModel(t, state)
	rounds := map[int64]int{}
	for _, round := range kept {
		rounds[round]++
	}
	for n := int64(1); n < last; n++ {
		if rounds[n] != workers {
			t.Errorf("round %d has updates of %d of %d workers", n, rounds[n], workers)
		}
	}
	accepted := 0
	for _, w := range fleet {
		for update, made := range w.accepted {
			accepted++
			if round, ok := kept[update]; !ok || round < made {
				t.Errorf("update %q, acknowledged in round %d or later: kept %t, in round %d", update, made, ok, round)
			}
		}
	}
	t.Logf("seed %d: %d kills, %d rounds, %d updates acknowledged", seed, *kills, last-1, accepted)
	if accepted < workers {
		t.Error("too few updates were acknowledged to say anything")
	}
}

// kill ends a server as kill -9 does.
func (s *served) kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself, which its log tells
	<-s.logged
	_ = s.cmd.Wait()
}

// newestModel is the newest version whose model is in a state's directory.
func newestModel(t *testing.T, state string) (newest int64) {
	t.Helper()
	files, err := os.ReadDir(state)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if digits, ok := strings.CutPrefix(f.Name(), "model-"); ok {
			n, err := strconv.ParseInt(digits, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			newest = max(newest, n)
		}
	}
	return newest
}

// keptUpdates gives the round of each update that was kept, and fails where one is
// there twice.
func keptUpdates(t *testing.T, state string) map[string]int64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(state, "updates", "round-*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]int64{}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		round, err := strconv.ParseInt(strings.TrimPrefix(filepath.Base(filepath.Dir(path)), "round-"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if first, twice := kept[string(b)]; twice {
			t.Errorf("%q counts in round %d and in round %d", b, first, round)
		}
		if !strings.HasPrefix(string(b), filepath.Base(path)+" ") {
			t.Errorf("%s holds %q", path, b)
		}
		kept[string(b)] = round
	}
	return kept
}
