package server

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// difference is one thing that we do otherwise on purpose. The table of
// docs/protocol-differences.md has the same ids. Recordings that show it name
// what is expected in place of the recorded answer; for the others, and for what
// no recording shows, a test is named.
type difference struct {
	id         string
	recordings map[string]want
	test       func(*testing.T)
}

// want is an expected answer.
type want struct {
	status int
	body   string
}

var differences = []difference{
	{id: "malformed-json", recordings: map[string]want{
		"safe/10-register_malformed_json":   {400, "Invalid JSON."},
		"unsafe/06-register_malformed_json": {400, "Invalid JSON."},
	}},
	{id: "removed-worker-gone", recordings: map[string]want{
		"safe/41-admin_list_after": {200, `[{"worker_id": "79b5562e8fe654f94078b112e8a98ba7901f853ae695bed7e0e3910bad049664", "registered": false}, ` +
			`{"worker_id": "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8", "registered": true}]`},
	}},
	{id: "content-length", test: TestPublishWakesAll},
	{id: "registration-phrase", test: TestRegistrationPhrase},
	{id: "challenges", test: TestChallenges},
	{id: "refused-before-inflating", test: TestRefusedBeforeInflating},
	{id: "forged-and-short", test: TestForgedUpdate},
	{id: "too-large", test: TestTooLarge},
	{id: "inflation", test: TestInflation},
	{id: "crowded", test: TestUploadsOfAWorker},
	{id: "full", test: TestMaxConnections},
	{id: "too-fast", test: TestAddressRate},
	{id: "no-room", test: TestNoRoom},
	{id: "round-end", test: TestUpdateWhileClosing},
	{id: "closing-answer", test: TestRoundByNumber},
	{id: "round-policy", test: TestRound},
	{id: "superseded-closes", test: TestAbandonedPolls},
	{id: "max-hold", test: TestMaxHold},
	{id: "stale-challenge", test: TestStaleChallengeEndsNoWorker},
	{id: "update-policy", test: TestLastUpdateReplaces},
	{id: "first-version", test: TestFirstVersionStays},
	{id: "draining", test: TestDrain},
	{id: "removed-stays-removed", test: TestRestartKeepsWorkers},
	{id: "published-header", test: TestPublishWakesAll},
	{id: "key-case", test: TestUpperCaseKey},
	{id: "admin-password", test: TestAdmin},
	{id: "admin-guesses", test: TestLogins},
}

// TestDifferencesAreDocumented holds the table of the manual to the one above.
func TestDifferencesAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../docs/protocol-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, tested []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllSubmatch(b, -1) {
		documented = append(documented, string(m[1]))
	}
	for _, d := range differences {
		tested = append(tested, d.id)
		if d.test == nil && d.recordings == nil {
			t.Errorf("%s: no test shows it", d.id)
		}
	}
	slices.Sort(documented)
	slices.Sort(tested)
	if !slices.Equal(documented, tested) {
		t.Errorf("documented %q, tested %q", documented, tested)
	}
}

// replay is a client that sends a recording again.
type replay struct {
	t      *testing.T
	server *Server
	dir    string
	addr   string
	conn   net.Conn
	r      *bufio.Reader
	keys   map[string]ed25519.PrivateKey
	ids    map[string]string // recorded → ours, in unsafe mode
	shown  map[string]want
}

// TestRecordings sends every recorded request in recorded order and wants the
// recorded answer, or the one that the table of differences has.
func TestRecordings(t *testing.T) {
	for _, mode := range []string{"safe", "unsafe"} {
		t.Run(mode, func(t *testing.T) {
			keys := map[string]ed25519.PrivateKey{}
			var ids []string
			for first := range byte(3) {
				key := seedKey(first)
				ids = append(ids, wire.WorkerID(key.Public().(ed25519.PublicKey)))
				keys[ids[first]] = key
			}
			cfg := Config{
				Model:         append([]byte{0xa0 | 18}, "A 'Global Model'!!"...),
				Round:         Number(5),
				AdminUsername: "admin", AdminPassword: "s3cret",
			}
			if cfg.Unsafe = mode == "unsafe"; !cfg.Unsafe {
				cfg.Keys = []string{ids[1], ids[0]} // the order in which upstream listed them
			}
			s, addr := start(t, cfg)
			p := &replay{t: t, server: s, dir: "wire/testdata/" + mode, addr: addr, keys: keys, ids: map[string]string{}, shown: map[string]want{}}
			for _, d := range differences {
				for name, w := range d.recordings {
					if rest, ok := strings.CutPrefix(name, mode+"/"); ok {
						p.shown[rest] = w
					}
				}
			}
			p.dial()
			files, err := filepath.Glob(p.dir + "/*.response")
			if err != nil || len(files) < 37 {
				t.Fatal(len(files), err)
			}
			for _, file := range files {
				p.play(strings.TrimSuffix(filepath.Base(file), ".response"))
			}
			p.conn.Close()
			if len(p.shown) > 0 {
				t.Errorf("differences that no recording showed: %v", p.shown)
			}
		})
	}
}

func (p *replay) dial() {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // a test that hangs should say where
	p.conn, p.r = c, bufio.NewReader(c)
}

func (p *replay) play(name string) {
	b, err := os.ReadFile(filepath.Join(p.dir, name+".response"))
	if err != nil {
		p.t.Fatal(err)
	}
	answers := bufio.NewReader(bytes.NewReader(b))
	if strings.Contains(name, "superseded_first_poll") {
		p.superseded(name, answers)
		return
	}
	b, err = os.ReadFile(filepath.Join(p.dir, name+".request"))
	if err != nil {
		p.t.Fatal(err)
	}
	requests := bufio.NewReader(bytes.NewReader(b))
	for {
		if _, err := requests.Peek(1); errors.Is(err, io.EOF) {
			break
		}
		request, err := http.ReadRequest(requests)
		if err != nil {
			p.t.Fatalf("%s: %v", name, err)
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			p.t.Fatalf("%s: %v", name, err)
		}
		want, err := http.ReadResponse(answers, request)
		if err != nil {
			p.t.Fatalf("%s: %v", name, err)
		}
		p.send(request, p.sign(request, body))
		p.compare(name, request, want)
	}
}

// superseded holds a poll and sends another.
func (p *replay) superseded(name string, answers *bufio.Reader) {
	want, err := http.ReadResponse(answers, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	first := *p
	second := *p
	second.dial()
	for _, client := range []*replay{&first, &second} {
		id := "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
		for _, ours := range p.ids {
			id = ours
		}
		body, err := json.Marshal(wire.Poll{WorkerID: id, LastVersion: "1", SignedPhrase: client.challenge(id)})
		if err != nil {
			p.t.Fatal(err)
		}
		request, err := http.NewRequest("POST", "http://"+p.addr+wire.PathPoll, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		client.send(request, body)
		waitFor(p.t, "the poll is held", func() bool { return p.server.Held() == 1 })
	}
	first.compare(name, nil, want)
	first.conn.Close()
	second.conn.Close()
	p.dial() // that of the first is at its end: superseded-closes
}

// challenge gets and signs one.
func (p *replay) challenge(id string) string {
	request, err := http.NewRequest("GET", "http://"+p.addr+wire.PathChallenge+"/"+id, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(request, nil)
	_, phrase := p.receive(request)
	if key := p.keys[id]; key != nil {
		return wire.Sign(key, phrase)
	}
	return wire.NoPrivateKey
}

var challengePhrase = regexp.MustCompile(`^[0-9a-f]{56}$`)

// sign puts our ids, and the answer to our challenge in place of the recorded one,
// where that was an answer to a challenge at all.
func (p *replay) sign(request *http.Request, body []byte) []byte {
	for theirs, ours := range p.ids {
		request.URL.Path = strings.ReplaceAll(request.URL.Path, theirs, ours)
		body = bytes.ReplaceAll(body, []byte(theirs), []byte(ours))
	}
	var m map[string]any
	if json.Unmarshal(body, &m) != nil {
		return body
	}
	id, _ := m["worker_id"].(string)
	signed, _ := m["signed_phrase"].(string)
	b, err := hex.DecodeString(signed)
	if err != nil || len(b) < ed25519.SignatureSize || !challengePhrase.Match(b[ed25519.SignatureSize:]) {
		return body
	}
	return bytes.ReplaceAll(body, []byte(signed), []byte(p.challenge(id)))
}

func (p *replay) send(request *http.Request, body []byte) {
	p.t.Helper()
	request.Body = io.NopCloser(bytes.NewReader(body))
	request.ContentLength = int64(len(body))
	if err := request.Write(p.conn); err != nil {
		p.t.Fatal(err)
	}
}

func (p *replay) receive(request *http.Request) (*http.Response, []byte) {
	p.t.Helper()
	got, err := http.ReadResponse(p.r, request)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return got, body
}

func (p *replay) compare(name string, request *http.Request, recorded *http.Response) {
	p.t.Helper()
	cut := false
	body, err := io.ReadAll(recorded.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		cut = true
	} else if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	got, have := p.receive(request)
	if request != nil && request.URL.Path == wire.PathRegister && strings.HasSuffix(string(have), wire.UnauthenticatedSuffix) {
		p.ids[string(body)] = string(have)
	}
	p.newID(body, have)
	for theirs, ours := range p.ids {
		body = bytes.ReplaceAll(body, []byte(theirs), []byte(ours))
		body = bytes.ReplaceAll(body, []byte(wire.Short(theirs)), []byte(wire.Short(ours)))
	}
	status := recorded.StatusCode
	if w, ok := p.shown[name]; ok {
		delete(p.shown, name)
		if got.StatusCode == status && string(have) == string(body) {
			p.t.Errorf("%s: shows no difference any more", name)
		}
		status, body, cut = w.status, []byte(w.body), false
		recorded.Header = got.Header
	}
	switch {
	case got.StatusCode != status:
		p.t.Errorf("%s: status %d, want %d (%s)", name, got.StatusCode, status, have)
	case cut: // an HTML page, of which nobody reads more than the status
	case request != nil && request.Method == "GET" && challengePhrase.Match(body):
		if !challengePhrase.Match(have) {
			p.t.Errorf("%s: challenge %q", name, have)
		}
	case request != nil && request.URL.Path == wire.PathModel && len(body) == 50:
		// Compressors differ in their bytes and agree in what they mean.
		var a, b bytes.Buffer
		theirs, err1 := wire.DecodeModel(&a, bytes.NewReader(body), 1000)
		ours, err2 := wire.DecodeModel(&b, bytes.NewReader(have), 1000)
		if err := errors.Join(err1, err2); err != nil || theirs != ours || a.String() != b.String() {
			p.t.Errorf("%s: model %v %q, want %v %q, %v", name, ours, b.String(), theirs, a.String(), err)
		}
	case string(have) != string(body):
		p.t.Errorf("%s: body\n%s\nwant\n%s", name, have, body)
	}
	for _, key := range []string{"Content-Type", "Www-Authenticate", "Allow", "Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"} {
		if a, b := got.Header.Get(key), recorded.Header.Get(key); a != b {
			p.t.Errorf("%s: %s: %q, want %q", name, key, a, b)
		}
	}
}

// newID learns the id of a worker that the admin added.
func (p *replay) newID(theirs, ours []byte) {
	var a, b struct {
		ID string `json:"worker_id"`
	}
	if json.Unmarshal(theirs, &a) == nil && json.Unmarshal(ours, &b) == nil && strings.HasSuffix(a.ID, wire.UnauthenticatedSuffix) {
		p.ids[a.ID] = b.ID
	}
}

// seedKey is the key whose seed counts up from first.
func seedKey(first byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = first + byte(i)
	}
	return ed25519.NewKeyFromSeed(seed)
}
