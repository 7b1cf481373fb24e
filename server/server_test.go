package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// start serves on a free port until the test ends.
func start(t *testing.T, cfg Config) (*Server, string) {
	t.Helper()
	if cfg.Model == nil {
		cfg.Model = []byte("a model")
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, serveOn(t, s)
}

func serveOn(t *testing.T, s *Server) string {
	t.Helper()
	l := listenLocal(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// client is a worker, or somebody who plays one.
type client struct {
	t    *testing.T
	addr string
	key  ed25519.PrivateKey // nil: none
	id   string
	http *http.Client
}

func newClient(t *testing.T, addr string, key ed25519.PrivateKey) *client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	c := &client{t: t, addr: addr, key: key, http: &http.Client{Transport: transport}}
	if key != nil {
		c.id = wire.WorkerID(key.Public().(ed25519.PublicKey))
	}
	return c
}

// workerKeys gives the keys of n workers, and the key list.
func workerKeys(n int) (keys []ed25519.PrivateKey, ids []string) {
	for i := range n {
		key := seedKey(byte(i))
		keys = append(keys, key)
		ids = append(ids, wire.WorkerID(key.Public().(ed25519.PublicKey)))
	}
	return keys, ids
}

func registered(t *testing.T, addr string, keys ...ed25519.PrivateKey) []*client {
	t.Helper()
	var cs []*client
	for _, key := range keys {
		c := newClient(t, addr, key)
		if got := c.register(); got != c.id {
			t.Fatalf("registered as %q, want %q", got, c.id)
		}
		cs = append(cs, c)
	}
	return cs
}

func (c *client) sign(message []byte) string {
	if c.key == nil {
		return wire.NoPrivateKey
	}
	return wire.Sign(c.key, message)
}

func (c *client) do(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

func (c *client) post(path string, message any) string {
	c.t.Helper()
	b, err := json.Marshal(message)
	if err != nil {
		c.t.Fatal(err)
	}
	_, text, err := c.do(c.t.Context(), "POST", path, "application/json", b)
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

func (c *client) register() string {
	id := c.post(wire.PathRegister, wire.Register{PublicKey: c.id, SignedPhrase: c.sign([]byte(wire.RegisterPhrase))})
	if c.key == nil {
		c.id = id
	}
	return id
}

func (c *client) challenge() string {
	c.t.Helper()
	_, text, err := c.do(c.t.Context(), "GET", wire.PathChallenge+"/"+c.id, "", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

// polled is what a poll ends with.
type polled struct {
	text   string
	header http.Header
	err    error
	length int64
	closes bool // the connection
}

func (c *client) startPoll(ctx context.Context, version wire.Version) <-chan polled {
	c.t.Helper()
	b, err := json.Marshal(wire.Poll{WorkerID: c.id, LastVersion: version, SignedPhrase: c.sign([]byte(c.challenge()))})
	if err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan polled, 1)
	go func() {
		res, text, err := c.do(ctx, "POST", wire.PathPoll, "application/json", b)
		p := polled{text: text, err: err}
		if err == nil {
			p.header, p.length, p.closes = res.Header, res.ContentLength, res.Close
		}
		ended <- p
	}()
	return ended
}

// hold starts polls and waits until all of them are held.
func hold(t *testing.T, s *Server, version wire.Version, cs ...*client) []<-chan polled {
	t.Helper()
	var all []<-chan polled
	for _, c := range cs {
		all = append(all, c.startPoll(t.Context(), version))
	}
	waitFor(t, "polls are held", func() bool { return s.Held() == len(cs) })
	return all
}

func (c *client) model() (wire.Version, string) {
	c.t.Helper()
	text := c.post(wire.PathModel, wire.ModelRequest{WorkerID: c.id, SignedPhrase: c.sign([]byte(c.challenge()))})
	var model strings.Builder
	m, err := wire.DecodeModel(&model, strings.NewReader(text), 1<<30)
	if err != nil {
		c.t.Fatalf("%q: %v", text, err)
	}
	return m.Version, model.String()
}

// update sends one, signed by the client unless a phrase is given.
func (c *client) update(update []byte, phrase ...string) (status int, text string) {
	c.t.Helper()
	z, digest, err := wire.CompressUpdate(bytes.NewReader(update))
	if err != nil {
		c.t.Fatal(err)
	}
	signed := c.sign(digest[:])
	if len(phrase) > 0 {
		signed = phrase[0]
	}
	return c.send(z, signed)
}

func (c *client) send(zlibbed []byte, signed string) (status int, text string) {
	c.t.Helper()
	form, err := wire.NewUpdateForm(zlibbed)
	if err != nil {
		c.t.Fatal(err)
	}
	segments := form.Segments(signed)
	var body bytes.Buffer
	if _, err := segments.WriteTo(&body); err != nil {
		c.t.Fatal(err)
	}
	res, text, err := c.do(c.t.Context(), "POST", wire.PathUpdate+"/"+c.id, form.ContentType, body.Bytes())
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, text
}

func (c *client) accepted(update string) {
	c.t.Helper()
	if _, text := c.update([]byte(update)); text != wire.TextAccepted+wire.Short(c.id)+"." {
		c.t.Fatalf("update: %q", text)
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestNewRefuses(t *testing.T) {
	_, ids := workerKeys(1)
	for name, cfg := range map[string]Config{
		"neither keys nor unsafe": {Model: []byte("m")},
		"both":                    {Keys: ids, Unsafe: true, Round: Number(1)},
		"unsafe and all":          {Unsafe: true},
		"not a key":               {Keys: []string{"nothex"}},
	} {
		if s, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
			s.Close()
		}
	}
}

// TestPublishWakesAll goes around the protocol once, for three workers.
func TestPublishWakesAll(t *testing.T) {
	keys, ids := workerKeys(3)
	s, addr := start(t, Config{Keys: ids})
	cs := registered(t, addr, keys...)
	if version, model := cs[0].model(); version != "1" || model != "a model" {
		t.Fatalf("model %q, version %s", model, version)
	}
	if p := <-cs[0].startPoll(t.Context(), wire.VersionNone); p.text != wire.TextUpdated {
		t.Fatalf("first poll: %+v", p)
	}
	before := time.Now()
	held := hold(t, s, "1", cs...)
	for _, c := range cs {
		c.accepted("u")
	}
	for i, ended := range held {
		p := <-ended
		if p.text != wire.TextUpdated || p.err != nil || p.length != int64(len(wire.TextUpdated)) {
			t.Errorf("poll %d: %+v", i, p)
		}
		n, err := strconv.ParseInt(p.header.Get(wire.HeaderPublished), 10, 64)
		if at := time.Unix(0, n); err != nil || at.Before(before) || at.After(time.Now()) {
			t.Errorf("poll %d: published %v, %v", i, at, err)
		}
		if p.header.Get("Access-Control-Allow-Origin") != "*" || p.header.Get("Content-Type") != "text/html; charset=UTF-8" || p.header.Get("Date") == "" {
			t.Errorf("poll %d: headers %v", i, p.header)
		}
	}
	// The same connections go on.
	for _, c := range cs {
		if version, model := c.model(); version != "2" || model != "a model" {
			t.Errorf("model %q, version %s", model, version)
		}
	}
	hold(t, s, "2", cs...)
}

func TestUnsafe(t *testing.T) {
	s, addr := start(t, Config{Unsafe: true, Round: Percent(50)})
	var cs []*client
	for range 3 {
		c := newClient(t, addr, nil)
		if id := c.register(); !strings.HasSuffix(id, wire.UnauthenticatedSuffix) {
			t.Fatal(id)
		}
		cs = append(cs, c)
	}
	held := hold(t, s, "1", cs...)
	cs[0].accepted("u")
	cs[2].accepted("u")
	for _, ended := range held {
		if p := <-ended; p.text != wire.TextUpdated {
			t.Errorf("%+v", p)
		}
	}
}

func TestRegistrationPhrase(t *testing.T) {
	keys, ids := workerKeys(2)
	_, addr := start(t, Config{Keys: ids})
	c := newClient(t, addr, keys[0])
	for name, phrase := range map[string]string{
		"another message":    c.sign([]byte("Please")),
		"another's key":      wire.Sign(keys[1], []byte(wire.RegisterPhrase)),
		"upper-case message": c.sign([]byte(strings.ToUpper(wire.RegisterPhrase))),
		"none":               "",
	} {
		if got := c.post(wire.PathRegister, wire.Register{PublicKey: c.id, SignedPhrase: phrase}); got != wire.TextInvalid {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := c.register(); got != c.id {
		t.Error(got)
	}
}

func TestUpperCaseKey(t *testing.T) {
	keys, ids := workerKeys(1)
	_, addr := start(t, Config{Keys: ids})
	c := newClient(t, addr, keys[0])
	if got := c.post(wire.PathRegister, wire.Register{PublicKey: strings.ToUpper(c.id), SignedPhrase: c.sign([]byte(wire.RegisterPhrase))}); got != wire.TextInvalid {
		t.Error(got)
	}
}

// TestChallenges answers challenges that can't be answered.
func TestChallenges(t *testing.T) {
	keys, ids := workerKeys(2)
	_, addr := start(t, Config{Keys: ids})
	cs := registered(t, addr, keys...)
	ask := func(phrase string) string {
		return cs[0].post(wire.PathModel, wire.ModelRequest{WorkerID: cs[0].id, SignedPhrase: phrase})
	}
	first := cs[0].challenge()
	second := cs[0].challenge()
	for name, phrase := range map[string]string{
		"another's challenge": cs[0].sign([]byte(cs[1].challenge())),
		"another's signature": cs[1].sign([]byte(second)),
		"no challenge":        cs[0].sign([]byte(strings.Repeat("ab", 28))),
		"none":                cs[0].sign(nil),
	} {
		if got := ask(phrase); got != wire.TextInvalid {
			t.Errorf("%s: %q", name, got)
		}
	}
	// Asking for the second spoiled the first as little as did the attempts above.
	if got := ask(cs[0].sign([]byte(first))); got == wire.TextInvalid {
		t.Error("the first challenge was spoiled")
	}
	if got := ask(cs[0].sign([]byte(second))); got == wire.TextInvalid {
		t.Error("the second challenge was spoiled")
	}
	if got := ask(cs[0].sign([]byte(second))); got != wire.TextInvalid {
		t.Errorf("a challenge was good twice: %q", got)
	}
}

// spy is an aggregator that tells what it was asked for.
type spy struct {
	Counter
	mu       sync.Mutex
	log      []string
	bytes    int
	hold     chan struct{} // Aggregate waits for it
	begun    atomic.Int64  // calls of Aggregate
	commit   error
	failures int // of Aggregate, to come
}

type spyUpload struct {
	*spy
	id string
}

func (a *spy) Begin(id string) (Upload, error) {
	a.note("begin " + wire.Short(id))
	return spyUpload{a, id}, nil
}

func (a *spy) note(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, text)
}

func (u spyUpload) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes += len(p)
	return len(p), nil
}

func (u spyUpload) Commit(round int64) error {
	u.note(fmt.Sprint("commit ", wire.Short(u.id), " ", round))
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.commit
}
func (u spyUpload) Abort() { u.note("abort " + wire.Short(u.id)) }

func (a *spy) Aggregate(ctx context.Context, r Round) ([]byte, error) {
	a.begun.Add(1)
	if a.hold != nil {
		select {
		case <-a.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failures > 0 {
		a.failures--
		return nil, errors.New("no")
	}
	return append([]byte(nil), fmt.Sprint("after ", r.Number, " of ", len(r.Workers))...), nil
}

func (a *spy) take() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := strings.Join(a.log, "; ")
	a.log = nil
	return text
}

// TestBadSignatureAfterGoodBody sends all of an update and then a bad signature.
func TestBadSignatureAfterGoodBody(t *testing.T) {
	keys, ids := workerKeys(2)
	a := &spy{}
	_, addr := start(t, Config{Keys: ids, Aggregator: a, Round: Number(2)})
	cs := registered(t, addr, keys...)
	body := incompressible(200_000)
	for name, phrase := range map[string]string{
		"no signature":  strings.Repeat("00", 68),
		"of another":    cs[1].sign(bytes.Repeat([]byte{1}, 32)),
		"wrong message": cs[0].sign(bytes.Repeat([]byte{1}, 32)),
	} {
		if _, text := cs[0].update(body, phrase); text != wire.TextInvalid {
			t.Errorf("%s: %q", name, text)
		}
		if got, want := a.take(), fmt.Sprintf("begin %[1]s; abort %[1]s", wire.Short(cs[0].id)); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if a.bytes != 3*len(body) {
		t.Errorf("%d bytes were written", a.bytes)
	}
	if _, text := cs[0].update(body); !strings.HasPrefix(text, wire.TextAccepted) {
		t.Error(text)
	}
	if got, want := a.take(), fmt.Sprintf("begin %[1]s; commit %[1]s 1", wire.Short(cs[0].id)); got != want {
		t.Error(got)
	}
}

func TestRefusedBeforeInflating(t *testing.T) {
	keys, ids := workerKeys(3)
	a := &spy{}
	_, addr := start(t, Config{Keys: ids[:2], Aggregator: a})
	cs := registered(t, addr, keys[0])
	cs[0].accepted("u")
	a.take()
	strange, new := newClient(t, addr, keys[2]), newClient(t, addr, keys[1])
	for _, tt := range []struct {
		name string
		c    *client
		want string
	}{
		{"unknown", strange, wire.TextInvalid},
		{"unregistered", new, wire.TextUnregistered},
		{"duplicate", cs[0], wire.TextNotAccepted},
	} {
		if _, text := tt.c.update(incompressible(300_000)); text != tt.want {
			t.Errorf("%s: %q", tt.name, text)
		}
	}
	// Not inflated: what breaks off behind its header goes unseen.
	if _, text := cs[0].send([]byte("\x78\x9c-"), cs[0].sign(make([]byte, 32))); text != wire.TextNotAccepted {
		t.Errorf("broken duplicate: %q", text)
	}
	if _, text := cs[0].update([]byte("u"), "00"); text != wire.TextInvalid {
		t.Errorf("unsigned duplicate: %q", text)
	}
	if got := a.take(); got != "" {
		t.Error("the aggregator was asked for: ", got)
	}
}

// TestForgedUpdate: a short update is not inflated unless its worker signed it, whatever
// would become of it; of a longer one that comes first.
func TestForgedUpdate(t *testing.T) {
	keys, ids := workerKeys(2)
	a := &spy{}
	_, addr := start(t, Config{Keys: ids[:1], Aggregator: a})
	c := registered(t, addr, keys[0])[0]
	forged, signed := newClient(t, addr, keys[1]).sign(make([]byte, 32)), c.sign(make([]byte, 32))
	bomb, _, err := wire.CompressUpdate(bytes.NewReader(make([]byte, 20<<20)))
	if err != nil {
		t.Fatal(err)
	}
	long, _, err := wire.CompressUpdate(io.MultiReader(bytes.NewReader(incompressible(freeOfSeats)), bytes.NewReader(make([]byte, 20<<20))))
	if err != nil {
		t.Fatal(err)
	}
	cut := []byte("\x78\x9c-")
	const inflated = "Update refused: it inflates to more than 100 times its size."
	for _, tt := range []struct {
		name   string
		z      []byte
		phrase string
		status int
		text   string
	}{
		{"a forged bomb", bomb, forged, 200, wire.TextInvalid},
		{"a forged stream that breaks off", cut, forged, 200, wire.TextInvalid},
		{"a bomb", bomb, signed, 413, inflated},
		{"a stream that breaks off", cut, signed, 200, "Error -5 while decompressing data: incomplete or truncated stream"},
		{"a long forged bomb", long, forged, 413, inflated},
	} {
		if status, text := c.send(tt.z, tt.phrase); status != tt.status || text != tt.text {
			t.Errorf("%s: %d %q", tt.name, status, text)
		}
		if began := a.take() != ""; began != (tt.phrase == signed || len(tt.z) > freeOfSeats) {
			t.Errorf("%s: inflated: %t", tt.name, began)
		}
	}
}

// TestHugestLimit has the largest number as the limit of updates.
func TestHugestLimit(t *testing.T) {
	keys, ids := workerKeys(1)
	_, addr := start(t, Config{Keys: ids, MaxUpdate: math.MaxInt64})
	registered(t, addr, keys[0])[0].accepted("u")
}

func TestTooLarge(t *testing.T) {
	keys, ids := workerKeys(1)
	a := &spy{}
	_, addr := start(t, Config{Keys: ids, Aggregator: a, MaxUpdate: 100_000})
	c := registered(t, addr, keys[0])[0]
	const text = "Update refused: it is larger than 100000 bytes."
	for name, update := range map[string][]byte{
		"announced":            incompressible(5_000_000),
		"found when inflating": make([]byte, 50_000_000),
	} {
		if status, got := c.update(update); status != 413 || got != text {
			t.Errorf("%s: %d %q", name, status, got)
		}
	}
	// Chunked: its length is not announced.
	body := io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"junk\"\r\n\r\n"), bytes.NewReader(make([]byte, 1_000_000)))
	req, err := http.NewRequest("POST", "http://"+addr+wire.PathUpdate+"/"+c.id, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	res, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 413 || string(got) != text {
		t.Errorf("chunked: %d %q %v", res.StatusCode, got, err)
	}
	res.Body.Close()
	// A client that asks first is told before it sends anything.
	req, err = http.NewRequest("POST", "http://"+addr+wire.PathUpdate+"/"+c.id, untouched{t})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 1 << 40
	req.Header.Set("Expect", "100-continue")
	c.http.Transport.(*http.Transport).ExpectContinueTimeout = time.Hour
	res, err = c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 413 {
		t.Error(res.Status)
	}
	c.accepted("small")
}

type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) { u.t.Error("was read"); return 0, io.EOF }

func TestMalformedUpdates(t *testing.T) {
	keys, ids := workerKeys(2)
	_, addr := start(t, Config{Keys: ids})
	c := registered(t, addr, keys[0])[0]
	z, digest, err := wire.CompressUpdate(strings.NewReader("an update"))
	if err != nil {
		t.Fatal(err)
	}
	if _, text := c.send(z[:len(z)-3], c.sign(digest[:])); text != "Error -5 while decompressing data: incomplete or truncated stream" {
		t.Error(text)
	}
	if _, text := c.send(nil, c.sign(digest[:])); text != "Error -5 while decompressing data: incomplete or truncated stream" {
		t.Error(text)
	}
	form := "--b\r\nContent-Disposition: form-data; name=\"signed_phrase\"; filename=\"signed_phrase\"\r\n\r\nx\r\n--b--\r\n"
	if _, text, err := c.do(t.Context(), "POST", wire.PathUpdate+"/"+c.id, "multipart/form-data; boundary=b", []byte(form)); err != nil || text != "'worker_model_update'" {
		t.Error(text, err)
	}
	part := "--b\r\nContent-Disposition: form-data; name=\"worker_model_update\"; filename=\"x\"\r\n\r\n" + string(z) + "\r\n"
	form = part + part + "--b--\r\n"
	if res, text, err := c.do(t.Context(), "POST", wire.PathUpdate+"/"+c.id, "multipart/form-data; boundary=b", []byte(form)); err != nil || res.StatusCode != 200 || text != wire.ErrorText(wire.ErrTwice.Error()) {
		t.Error(text, err)
	}
	c.accepted("good")
}

// TestCutUpload closes a connection in the middle of an upload: nothing is kept.
func TestCutUpload(t *testing.T) {
	keys, ids := workerKeys(1)
	a := &spy{}
	_, addr := start(t, Config{Keys: ids, Aggregator: a})
	c := registered(t, addr, keys[0])[0]
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s/%s HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"+
		"--b\r\nContent-Disposition: form-data; name=\"worker_model_update\"\r\n\r\n\x78\x9c", wire.PathUpdate, c.id)
	var log string
	waitFor(t, "the upload begins", func() bool { log += a.take(); return strings.HasPrefix(log, "begin") })
	conn.Close()
	waitFor(t, "the upload is aborted", func() bool { log += a.take(); return strings.Contains(log, "abort") })
	c.accepted("u")
}

func TestRoundByNumber(t *testing.T) {
	keys, ids := workerKeys(3)
	a := &spy{}
	_, addr := start(t, Config{Keys: ids, Round: Number(2), Aggregator: a})
	cs := registered(t, addr, keys...)
	ended := cs[2].startPoll(t.Context(), "1")
	cs[0].accepted("u")
	cs[1].accepted("u") // names its sender, though it closes the round
	if p := <-ended; p.text != wire.TextUpdated {
		t.Errorf("%+v", p)
	}
	if version, model := cs[2].model(); version != "2" || model != "after 1 of 2" {
		t.Error(version, model)
	}
}

// TestUpdateWhileClosing sends updates while a round is being aggregated.
func TestUpdateWhileClosing(t *testing.T) {
	keys, ids := workerKeys(3)
	a := &spy{hold: make(chan struct{})}
	s, addr := start(t, Config{Keys: ids, Round: Number(2), Aggregator: a})
	cs := registered(t, addr, keys...)
	held := hold(t, s, "1", cs[2])
	cs[0].accepted("u")
	cs[1].accepted("u")
	waitFor(t, "the round is aggregated", func() bool { return a.begun.Load() == 1 })
	// Nobody else waits for that.
	if version, _ := cs[0].model(); version != "1" {
		t.Error(version)
	}
	if _, text := cs[0].update([]byte("again")); text != wire.TextNotAccepted {
		t.Errorf("a second update for the closed round: %q", text)
	}
	a.take()
	cs[2].accepted("late")
	if got := a.take(); !strings.HasSuffix(got, " 2") {
		t.Errorf("want the late update in round 2: %s", got)
	}
	close(a.hold)
	if p := <-held[0]; p.text != wire.TextUpdated {
		t.Errorf("%+v", p)
	}
	cs[0].accepted("u") // with the late one, the second round is over
	waitFor(t, "version 3", func() bool { return s.model.Load().number == 3 })
}

func TestCommitFails(t *testing.T) {
	keys, ids := workerKeys(1)
	a := &spy{commit: errors.New("disk full")}
	s, addr := start(t, Config{Keys: ids, Aggregator: a})
	c := registered(t, addr, keys[0])[0]
	if status, text := c.update([]byte("u")); status != 500 || strings.HasPrefix(text, wire.TextAccepted) {
		t.Error(status, text)
	}
	a.mu.Lock()
	a.commit = nil
	a.mu.Unlock()
	c.accepted("u")
	waitFor(t, "version 2", func() bool { return s.model.Load().number == 2 })
}

func TestDrain(t *testing.T) {
	keys, ids := workerKeys(3)
	a := &spy{}
	s, addr := start(t, Config{Keys: ids, Aggregator: a})
	cs := registered(t, addr, keys...)
	held := hold(t, s, "1", cs[0], cs[1])
	// An upload is on its way, and ends well.
	form, err := wire.NewUpdateForm([]byte("\x78\x9c\x03\x00\x00\x00\x00\x01"))
	if err != nil {
		t.Fatal(err)
	}
	_, digest, err := wire.CompressUpdate(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	signed := cs[2].sign(digest[:])
	first, rest := io.Pipe()
	sent := make(chan string, 1)
	go func() {
		req, err := http.NewRequest("POST", "http://"+addr+wire.PathUpdate+"/"+cs[2].id, first)
		if err != nil {
			sent <- err.Error()
			return
		}
		req.ContentLength = form.Len(signed)
		req.Header.Set("Content-Type", form.ContentType)
		res, err := cs[2].http.Do(req)
		if err != nil {
			sent <- err.Error()
			return
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		sent <- string(b)
	}()
	segments := form.Segments(signed)
	rest.Write(segments[0])
	rest.Write(segments[1])

	waitFor(t, "the upload begins", func() bool { return s.uploads.count() == 1 })
	drained := make(chan error, 1)
	go func() { drained <- s.Shutdown(context.Background()) }()
	for _, ended := range held {
		if p := <-ended; p.err != nil || p.text != TextDraining || !p.closes {
			t.Errorf("held poll: %+v", p)
		}
	}
	for _, b := range segments[2:] {
		rest.Write(b)
	}
	rest.Close()
	if text := <-sent; text != wire.TextAccepted+wire.Short(cs[2].id)+"." {
		t.Errorf("upload: %q", text)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestOps(t *testing.T) {
	keys, ids := workerKeys(2)
	s, addr := start(t, Config{Keys: ids, Round: Number(1)})
	cs := registered(t, addr, keys...)
	hold(t, s, "1", cs[1])
	get := func(path string) (int, string) {
		w := recorder{header: http.Header{}}
		r, err := http.NewRequest("GET", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Ops().ServeHTTP(&w, r)
		return w.status, w.String()
	}
	if status, text := get("/healthz"); status != 200 || text != "ok\n" {
		t.Error(status, text)
	}
	trouble := "disk full"
	s.trouble.Store(&trouble)
	if status, text := get("/healthz"); status != 503 || !strings.Contains(text, trouble) {
		t.Error(status, text)
	}
	_, text := get("/metrics")
	for _, line := range []string{
		"fltool_held_polls 1", "fltool_waiting_connections 0", "fltool_model_version 1", "fltool_workers 2", "fltool_workers_registered 2",
		`fltool_requests_total{refused="",route="register"} 2`, "fltool_round_accepted 0",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	if status, _ := get("/debug/pprof/cmdline"); status != 0 && status != 200 {
		t.Error(status)
	}
	cs[0].accepted("u")
	waitFor(t, "the fan-out is counted", func() bool {
		_, text := get("/metrics")
		return strings.Contains(text, "fltool_fanout_seconds_count 1\n")
	})
	s.draining.Store(true)
	if status, text := get("/healthz"); status != 503 || text != "draining\n" {
		t.Error(status, text)
	}
}

type recorder struct {
	bytes.Buffer
	header http.Header
	status int
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// poor is a listener of a process without descriptors, and then closed.
type poor struct {
	net.Listener
	failed bool
}

func (l *poor) Accept() (net.Conn, error) {
	if !l.failed {
		l.failed = true
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return nil, net.ErrClosed
}

func TestWantOfDescriptorsIsLogged(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	h := NewHTTP(http.NotFoundHandler(), slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err := h.Serve(&poor{Listener: inner}); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	h.ErrorLog.Print("http: URL query contains semicolon")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "accept4: too many open files") {
		t.Errorf("logged at warn: %q", got)
	}
}
