package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/server"
	"github.com/fltool/fltool/server/wire"
)

// A script is what FuzzServer has done to a server, one byte an operation and bytes
// for what it is done with. Behind its end all bytes are 0.
type script struct{ left []byte }

func (s *script) byte() byte {
	if len(s.left) == 0 {
		return 0
	}
	b := s.left[0]
	s.left = s.left[1:]
	return b
}

// pick gives a number below n, and op as a byte.
func (s *script) pick(n int) int { return int(s.byte()) % n }
func (s *script) op(n byte) byte { return s.byte() % n }

// text gives as many bytes as the next one says.
func (s *script) text() []byte {
	n := min(int(s.byte()), len(s.left))
	b := s.left[:n]
	s.left = s.left[n:]
	return b
}

// When a round ends, and the operations; behind them comes what they are done with:
// a player, and how.
const (
	ofAll byte = iota
	ofNumber
	ofHalf
)
const (
	register byte = iota
	challenge
	poll
	model
	update
	admin
	request
	leave
	raw
	operations
)

// good is how an operation is done rightly; other numbers are wrong ways. A stranger
// guesses the admin's password, which is rare since the answer takes a second.
const (
	good     byte = 0
	stranger byte = 255
	again    byte = 128 // and above: where there is a state, all of them leave, and the server begins again
)

const (
	players = 3  // workers of the key list
	most    = 12 // operations of a script
	// A wait that is as long is a hang.
	patience = time.Minute
	// The admin's.
	adminName, adminPassword = "the-admin", "of-the-fuzz-test"
)

// A player is a worker as the model has it.
type player struct {
	key               ed25519.PrivateKey
	id                string
	known, registered bool
	excused           bool // from rounds of all, since the admin unregistered it
	sent              bool // its update is in the open round
	phrases           []*phrase
	held              *held
}

// A phrase is a challenge, good for one use.
type phrase struct {
	text string
	used bool
}

// A held poll; ended has its answer's text, or "" when it was cut.
type held struct {
	ended chan string
	cut   context.CancelFunc
}

// table is a server with the model of it: what it should know and answer.
type table struct {
	t        *testing.T
	server   *server.Server
	cfg      server.Config
	served   chan error
	restarts int
	addr     string
	client   *http.Client
	players  [players]player
	observer player
	version  int64
	number   int // of updates that end a round; 0: those of all, -1: of half
}

// FuzzServer does to a server what a script says, over TCP, as workers with and
// without keys, as admin and as strangers. A model of the protocol says what every
// answer must be. Nobody crashes the server, no answer is a server's error, nothing
// counts without its worker's signature, the version goes up by one at the end of a
// round and at no other time, every held poll is told, and once. With a state, the server
// is ended at any time and goes on from there.
func FuzzServer(f *testing.F) {
	// A round of all three.
	f.Add([]byte{ofAll,
		register, 0, good, register, 1, good, register, 2, good, challenge, 0, poll, 0, good, 0,
		update, 0, good, 1, 'u', update, 1, good, 1, 'u', update, 2, good, 1, 'u', update, 0, good, 1, 'u', update, 0, good, 1, 'u'})
	f.Add([]byte{ofHalf, register, 0, good, register, 1, good, challenge, 0, model, 0, good, update, 0, good, 1, 'u', update, 0, good, 1, 'v', update, 1, good, 0})
	// Held, and the round ends; then polls of no, of an old and of an odd version.
	f.Add([]byte{ofNumber, 0, register, 0, good, challenge, 0, poll, 0, good, 0, update, 0, good, 1, 'u',
		challenge, 0, poll, 0, good, 1, challenge, 0, poll, 0, good, 2, challenge, 0, poll, 0, good, 3, 3, '[', '1', ']'})
	f.Add([]byte{ofNumber, 1, register, 2, good, update, 2, good, 1, 'u', register, 1, good, update, 1, good, 1, 'u'})
	// A second poll, and a client that goes away.
	f.Add([]byte{ofAll, register, 1, good, challenge, 1, poll, 1, good, 0, challenge, 1, poll, 1, good, 0, leave, 1})
	// Every way of signing wrongly, and a challenge used twice.
	f.Add([]byte{ofAll, register, 0, 1, register, 0, 2, register, 0, 3, 2, 'a', 'b', register, 0, good,
		challenge, 0, model, 0, 1, model, 0, 2, model, 0, 3, 0, model, 0, good, model, 0, good, challenge, 0, poll, 0, 1, 0})
	f.Add([]byte{ofHalf, register, 0, good, update, 0, 1, 1, 'u', update, 0, 2, 1, 'u', update, 0, 3, 1, 'u', update, 0, 4, 1, 'u', update, 0, good, 1, 'u'})
	// Ended and begun again, with an update of the open round, and a challenge of before.
	f.Add([]byte{ofAll + 3, register, 0, good, register, 1, good, challenge, 0, poll, 0, good, 0, update, 0, good, 1, 'u', challenge, 1, leave, again,
		model, 1, good, update, 0, good, 1, 'v', update, 1, good, 1, 'u', admin, 3, 2, 0, good, leave, again, challenge, 1, model, 1, good})
	// The admin unregisters, removes and adds workers; others would like to.
	f.Add([]byte{ofAll, register, 0, good, update, 0, good, 1, 'u', admin, 2, 1, 0, good, admin, 2, 2, 0, good, admin, 3, 1, 0, good, admin, 1, 1, 1, good,
		admin, 0, 0, 0, 1, admin, 3, 0, 0, stranger, challenge, 2, model, 2, good})
	// Strangers.
	f.Add(append([]byte{ofAll, request, 0, 1, 1, 30}, `{"public_key_str": 1, "worker"`...))
	f.Add(append([]byte{ofAll, request, 0, 5, 2, 90}, "--b\r\nContent-Disposition: form-data; name=\"worker_model_update\"; filename=\"a\"\r\n\r\nx\r\n--b--"...))
	f.Add(append([]byte{ofAll, raw, 60}, "POST /return_global_model HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{}"...))
	f.Add(append([]byte{ofAll, raw, 80}, "POST /workers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\nGET / HT"...))

	f.Fuzz(func(t *testing.T, text []byte) {
		do := script{text}
		g := newTable(t, &do)
		for n := 0; n < most && len(do.left) > 0; n++ {
			g.step(&do)
		}
		g.settle()
		if got := g.fetch(); got != g.version {
			t.Fatalf("the version is %d, want %d", got, g.version)
		}
		g.list()
	})
}

// newTable starts a server with three workers of its key list, and an observer
// that the admin adds; rounds don't wait for it.
func newTable(t *testing.T, do *script) *table {
	g := &table{t: t, version: 1}
	var ids []string
	seat := func(p *player, seed byte) {
		p.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
		p.id = wire.WorkerID(p.key.Public().(ed25519.PublicKey))
		p.known = true
	}
	for i := range g.players {
		seat(&g.players[i], byte(i+1))
		ids = append(ids, g.players[i].id)
	}
	seat(&g.observer, players+1)
	policy := server.All
	how := do.byte()
	switch how % 3 {
	case ofNumber:
		g.number = 1 + do.pick(players)
		policy = server.Number(g.number)
	case ofHalf:
		g.number = -1
		policy = server.Percent(50)
	}
	g.cfg = server.Config{
		Keys: ids, Model: []byte("a model"), Round: policy, MaxUpdate: 1 << 10,
		AdminUsername: adminName, AdminPassword: adminPassword, Log: slog.New(noPanic{t}),
	}
	if how/3%2 == 1 {
		g.cfg.State = t.TempDir()
	}
	g.begin()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetLinger(0) // many are opened: none is to wait for its port
		}
		return c, err
	}}
	g.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		for i := range g.players {
			if h := g.players[i].held; h != nil {
				h.cut()
				<-h.ended
			}
		}
		transport.CloseIdleConnections()
		g.end()
	})
	g.observer.registered = true
	_, text := g.ask("POST", wire.PathWorkers, "application/json", fmt.Appendf(nil, `{"public_key_str": %q, "registered": true}`, g.observer.id), adminPassword)
	if !strings.Contains(text, "success") {
		t.Fatal(text)
	}
	return g
}

func (g *table) begin() {
	g.t.Helper()
	var err error
	if g.server, err = server.New(g.cfg); err != nil {
		g.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		g.t.Fatal(err)
	}
	g.addr, g.served = l.Addr().String(), make(chan error, 1)
	go func() { g.served <- g.server.Serve(l) }()
}

func (g *table) end() {
	if err := g.server.Close(); err != nil {
		g.t.Error(err)
	}
	<-g.served
}

// restart ends the server without a word to anybody, and begins with what it stored.
func (g *table) restart() {
	for i := range g.players {
		p := &g.players[i]
		p.phrases = nil // they are good for one process
		if p.held != nil {
			p.held.cut()
			<-p.held.ended
			p.held = nil
		}
	}
	g.client.CloseIdleConnections()
	g.end()
	g.restarts++
	g.begin()
}

// hold holds a poll on a connection of its own, and gives its answer; "" if there is
// none. On that connection there must be no other.
func (g *table) hold(ctx context.Context, body []byte) string {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", g.addr)
	if err != nil {
		return ""
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetLinger(0) // many are opened: none is to wait for its port
	defer context.AfterFunc(ctx, func() { c.Close() })()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathPoll, len(body), body)
	r := bufio.NewReader(c)
	receive := func() (closes bool, text string) {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return true, ""
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			return true, ""
		}
		return res.Close, string(b)
	}
	closes, text := receive()
	if text == "" {
		return ""
	}
	if !closes {
		fmt.Fprint(c, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, next := receive(); next != "Not found." && ctx.Err() == nil {
			return fmt.Sprintf("%s, and then %q", text, next)
		}
	} else if more, err := io.ReadAll(r); len(more) > 0 && err == nil {
		return fmt.Sprintf("%s, and then %q", text, more)
	}
	return text
}

// noPanic is a log in which a handler's panic is a failure.
type noPanic struct{ t *testing.T }

func (noPanic) Enabled(context.Context, slog.Level) bool { return true }
func (n noPanic) WithAttrs([]slog.Attr) slog.Handler     { return n }
func (n noPanic) WithGroup(string) slog.Handler          { return n }
func (n noPanic) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "panic") {
		n.t.Error(r.Message)
	}
	return nil
}

// step does the next operation.
func (g *table) step(do *script) {
	switch do.op(operations) {
	case register:
		g.register(&g.players[do.pick(players)], do)
	case challenge:
		g.challenge(&g.players[do.pick(players)])
	case poll:
		g.poll(&g.players[do.pick(players)], do)
	case model:
		p := &g.players[do.pick(players)]
		signed, want := g.answerChallenge(p, do)
		if want == wire.TextInvalid && g.restarts > 0 && p.known && p.registered {
			if _, err := wire.Open(p.key.Public().(ed25519.PublicKey), signed); err == nil {
				want = wire.NoModel // it may have signed what the server before gave it
			}
		}
		_, text := g.ask("POST", wire.PathModel, "application/json", message(wire.ModelRequest{WorkerID: p.id, SignedPhrase: signed}), "")
		if want != "" {
			g.want(text, want)
		} else if got := g.decode(text); got != g.version {
			g.t.Fatalf("model of version %d, want %d", got, g.version)
		}
	case update:
		g.update(&g.players[do.pick(players)], do)
	case admin:
		g.admin(do)
	case request:
		g.request(do)
	case leave:
		who := do.byte()
		if who >= again && g.cfg.State != "" {
			g.restart()
			break
		}
		if p := &g.players[int(who)%players]; p.held != nil {
			p.held.cut()
			<-p.held.ended
			p.held = nil
			g.countHeld()
		}
	case raw:
		g.rawBytes(do.text())
	}
	g.settle()
}

// ask asks and gives the answer. The password makes it the admin's question.
func (g *table) ask(method, path, contentType string, body []byte, password string) (status int, text string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	status, text, err := g.send(ctx, method, path, contentType, body, password)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	if !slices.Contains([]int{200, 400, 401, 404, 405, 413}, status) {
		g.t.Fatalf("%s %s: status %d: %s", method, path, status, text)
	}
	return status, text
}

func (g *table) send(ctx context.Context, method, path, contentType string, body []byte, password string) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.addr+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if password != "" {
		req.SetBasicAuth(adminName, password)
	}
	res, err := g.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func (g *table) want(got, want string) {
	g.t.Helper()
	if got != want {
		g.t.Fatalf("the answer is %q, want %q", got, want)
	}
}

func message(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // none of the protocol's messages can fail
	}
	return b
}

// another is a player who is not p.
func (g *table) another(p *player) *player {
	if p == &g.players[0] {
		return &g.players[1]
	}
	return &g.players[0]
}

func (g *table) register(p *player, do *script) {
	signed, right := wire.Sign(p.key, []byte(wire.RegisterPhrase)), false
	switch do.pick(4) {
	case 0:
		right = true
	case 1:
		signed = wire.Sign(g.another(p).key, []byte(wire.RegisterPhrase))
	case 2:
		signed = wire.Sign(p.key, []byte("something else"))
	case 3:
		signed = string(do.text())
	}
	_, text := g.ask("POST", wire.PathRegister, "application/json", message(wire.Register{PublicKey: p.id, SignedPhrase: signed}), "")
	if !right || !p.known {
		g.want(text, wire.TextInvalid)
		return
	}
	g.want(text, p.id)
	p.registered, p.excused = true, false
}

func (g *table) challenge(p *player) {
	_, text := g.ask("GET", wire.PathChallenge+"/"+p.id, "", nil, "")
	if !p.known {
		g.want(text, wire.TextInvalid)
		return
	}
	if len(text) != 56 {
		g.t.Fatalf("challenge %q", text)
	}
	p.phrases = append(p.phrases, &phrase{text: text})
}

// answerChallenge signs a challenge, rightly or not, and gives the text that
// refuses it, "" if it is none.
func (g *table) answerChallenge(p *player, do *script) (signed, refusal string) {
	var last *phrase
	if n := len(p.phrases); n > 0 {
		last = p.phrases[n-1]
	}
	how := do.pick(4)
	switch {
	case how == 3:
		return string(do.text()), wire.TextInvalid
	case last == nil:
		return wire.Sign(p.key, []byte("no challenge")), wire.TextInvalid
	case how == 1:
		return wire.Sign(g.another(p).key, []byte(last.text)), wire.TextInvalid
	case how == 2: // another's challenge
		other := g.another(p)
		if len(other.phrases) == 0 {
			return "", wire.TextInvalid
		}
		return wire.Sign(p.key, []byte(other.phrases[len(other.phrases)-1].text)), wire.TextInvalid
	}
	signed = wire.Sign(p.key, []byte(last.text))
	if !p.known || last.used {
		return signed, wire.TextInvalid
	}
	last.used = true
	if !p.registered {
		return signed, wire.TextUnregistered
	}
	return signed, ""
}

func (g *table) poll(p *player, do *script) {
	// Whether the message can be read is asked first.
	current := wire.VersionInt(g.version)
	version, readable := current, true
	rest := *do
	signing := rest.pick(4)
	if signing == 3 {
		rest.text()
	}
	var odd []byte
	switch rest.pick(4) {
	case 1:
		version = wire.VersionNone
	case 2:
		version = wire.VersionInt(g.version - 1)
	case 3:
		if odd = rest.text(); json.Valid(odd) {
			v, err := wire.ParseVersion(odd)
			version, readable = v, err == nil
		} else {
			odd = nil
		}
	}
	var signed, refusal string
	if readable {
		signed, refusal = g.answerChallenge(p, do)
	}
	*do = rest
	raw := json.RawMessage(version)
	if odd != nil {
		raw = odd
	}
	body := message(map[string]any{"worker_id": p.id, "last_worker_model_version": raw, "signed_phrase": signed})
	before := p.held
	switch {
	case !readable || refusal != "":
		_, text := g.ask("POST", wire.PathPoll, "application/json", body, "")
		if readable {
			g.want(text, refusal)
		}
		return
	case version != current:
		_, text := g.ask("POST", wire.PathPoll, "application/json", body, "")
		g.want(text, wire.TextUpdated)
		p.held = nil
	default:
		ctx, cut := context.WithCancel(context.Background())
		p.held = &held{ended: make(chan string, 1), cut: cut}
		h := p.held
		go func() { h.ended <- g.hold(ctx, body) }()
	}
	if before != nil {
		g.told(before, wire.TextSuperseded(p.id))
	}
	g.countHeld()
}

// told waits for the answer to a held poll.
func (g *table) told(h *held, want string) {
	g.t.Helper()
	select {
	case text := <-h.ended:
		h.cut()
		g.want(text, want)
	case <-time.After(patience):
		g.t.Fatalf("a held poll is not told %q", want)
	}
}

// countHeld waits until as many polls are held as should be.
func (g *table) countHeld() {
	g.t.Helper()
	want := 0
	for _, p := range g.players {
		if p.held != nil {
			want++
		}
	}
	for end := time.Now().Add(patience); g.server.Held() != want; time.Sleep(20 * time.Microsecond) {
		if time.Now().After(end) {
			g.t.Fatalf("%d polls are held, want %d", g.server.Held(), want)
		}
	}
}

func (g *table) update(p *player, do *script) {
	how := do.pick(5)
	update := do.text()
	z, digest, err := wire.CompressUpdate(bytes.NewReader(update))
	if err != nil {
		g.t.Fatal(err)
	}
	signed, right := wire.Sign(p.key, digest[:]), false
	switch how {
	case 0:
		right = true
	case 1:
		signed = wire.Sign(g.another(p).key, digest[:])
	case 2:
		signed = string(update)
	case 3: // of another update
		other := sha256.Sum256(append([]byte("not "), update...))
		signed = wire.Sign(p.key, other[:])
	case 4: // what is sent is no zlib stream
		z = append([]byte{0xff}, update...)
	}
	form, err := wire.NewUpdateForm(z)
	if err != nil {
		g.t.Fatal(err)
	}
	var body bytes.Buffer
	segments := form.Segments(signed)
	if _, err := segments.WriteTo(&body); err != nil {
		g.t.Fatal(err)
	}
	_, text := g.ask("POST", wire.PathUpdate+"/"+p.id, form.ContentType, body.Bytes(), "")
	switch {
	case !p.known:
		g.want(text, wire.TextInvalid)
	case !p.registered:
		g.want(text, wire.TextUnregistered)
	case right && p.sent:
		g.want(text, wire.TextNotAccepted)
	case right:
		g.want(text, wire.TextAccepted+wire.Short(p.id)+".")
		p.sent = true
	case strings.HasPrefix(text, wire.TextAccepted):
		g.t.Fatalf("an update without its worker's signature counts: %q", text)
	}
}

func (g *table) admin(do *script) {
	what, p, on := do.pick(4), &g.players[do.pick(players)], do.pick(2) == 1
	password, right := adminPassword, true
	switch who := do.byte(); {
	case who == stranger:
		password, right = "of-another", false
	case who%2 == 1:
		password, right = "", false
	}
	method, path, body := "GET", wire.PathWorkers, []byte(nil)
	switch what {
	case 1:
		method, body = "POST", fmt.Appendf(nil, `{"public_key_str": %q, "registered": %t}`, p.id, on)
	case 2:
		method, path, body = "PUT", path+"/"+p.id, fmt.Appendf(nil, `{"registered": %t}`, on)
	case 3:
		method, path = "DELETE", path+"/"+p.id
	}
	status, text := g.ask(method, path, "application/json", body, password)
	if !right {
		if status != http.StatusUnauthorized {
			g.t.Fatalf("a stranger asks as admin: %d %s", status, text)
		}
		return
	}
	if what == 0 {
		return
	}
	does := p.known
	if what == 1 {
		does = !p.known
	}
	if strings.Contains(text, "success") != does {
		g.t.Fatalf("%s %s: %s", method, path, text)
	}
	switch {
	case !does:
	case what == 3:
		p.known, p.registered = false, false
	default:
		p.known, p.registered, p.excused = true, on, !on
	}
}

// request sends what no worker sends.
func (g *table) request(do *script) {
	method := []string{"POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"}[do.pick(7)]
	id := g.players[0].id
	path := []string{
		"/", wire.PathRegister, wire.PathChallenge + "/" + id, wire.PathPoll, wire.PathModel, wire.PathUpdate + "/" + id,
		wire.PathWorkers, wire.PathWorkers + "/" + id, wire.PathChallenge + "/", wire.PathUpdate + "/x", wire.PathModel + "/",
	}[do.pick(11)]
	contentType := []string{"", "application/json", "multipart/form-data; boundary=b", "text/plain"}[do.pick(4)]
	_, text := g.ask(method, path, contentType, do.text(), "")
	if strings.HasPrefix(text, wire.TextAccepted) || text == id || text == wire.TextUpdated {
		g.t.Fatalf("%s %s: a stranger is told %q", method, path, text)
	}
}

// rawBytes sends bytes that may be no request, and what comes back must be an
// answer or nothing.
func (g *table) rawBytes(b []byte) {
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		g.t.Fatal(err)
	}
	// The server may have answered and closed by now.
	_, _ = c.Write(b)
	_ = c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
		g.t.Fatalf("no end of the answer to %q", b)
	}
	if len(got) == 0 {
		return
	}
	line, _, _ := strings.Cut(string(got), "\r\n")
	fields := strings.Fields(line)
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/1.") {
		g.t.Fatalf("%q is answered %q", b, line)
	}
	// net/http's own refusals: an unknown transfer encoding, another HTTP.
	if status, err := strconv.Atoi(fields[1]); err != nil || status >= 500 && status != 501 && status != 505 {
		g.t.Fatalf("%q is answered %q", b, line)
	}
}

// settle ends the round if the model says so, and waits until the server has.
func (g *table) settle() {
	sent, registered, over := 0, 1, true // the observer is registered
	for _, p := range g.players {
		if p.sent {
			sent++
		}
		if p.registered {
			registered++
		}
		if p.known && !p.excused && !p.sent {
			over = false
		}
	}
	switch {
	case g.number > 0:
		over = sent >= g.number
	case g.number < 0:
		over = 2*sent >= registered
	}
	if sent == 0 || !over {
		return
	}
	// The observer is told once all others are about to be.
	_, text := g.ask("POST", wire.PathPoll, "application/json",
		message(wire.Poll{WorkerID: g.observer.id, LastVersion: wire.VersionInt(g.version), SignedPhrase: g.observed()}), "")
	g.want(text, wire.TextUpdated)
	g.version++
	for i := range g.players {
		p := &g.players[i]
		p.sent = false
		if p.held != nil {
			g.told(p.held, wire.TextUpdated)
			p.held = nil
		}
	}
	g.countHeld()
}

// observed is a challenge that the observer has signed.
func (g *table) observed() string {
	_, text := g.ask("GET", wire.PathChallenge+"/"+g.observer.id, "", nil, "")
	return wire.Sign(g.observer.key, []byte(text))
}

// fetch has the observer fetch the model, and gives its version.
func (g *table) fetch() int64 {
	_, text := g.ask("POST", wire.PathModel, "application/json", message(wire.ModelRequest{WorkerID: g.observer.id, SignedPhrase: g.observed()}), "")
	return g.decode(text)
}

func (g *table) decode(text string) int64 {
	g.t.Helper()
	m, err := wire.DecodeModel(io.Discard, strings.NewReader(text), 1<<20)
	if err != nil {
		g.t.Fatalf("model %q: %v", text, err)
	}
	n, err := strconv.ParseInt(string(m.Version), 10, 64)
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

// list compares the admin's list of workers with the model.
func (g *table) list() {
	_, text := g.ask("GET", wire.PathWorkers, "", nil, adminPassword)
	var got []struct {
		ID         string `json:"worker_id"`
		Registered bool   `json:"registered"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		g.t.Fatal(err)
	}
	has := make(map[string]bool, len(got))
	for _, w := range got {
		has[w.ID] = w.Registered
	}
	want := map[string]bool{g.observer.id: true}
	for _, p := range g.players {
		if p.known {
			want[p.id] = p.registered
		}
	}
	if fmt.Sprint(has) != fmt.Sprint(want) {
		g.t.Fatalf("the workers are %v, want %v", has, want)
	}
}
