package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/server/wire"
)

func TestAdmin(t *testing.T) { synctest.Test(t, testAdmin) }

func testAdmin(t *testing.T) {
	_, ids := workerKeys(1)
	for _, tt := range []struct {
		name, password string
		given          [2]string
		want           int
	}{
		{"a", "p", [2]string{"a", "p"}, 200},
		{"a", "p", [2]string{"a", "q"}, 401},
		{"a", "p", [2]string{"b", "p"}, 401},
		{"a", "p", [2]string{"a", ""}, 401},
		{"", "", [2]string{"", ""}, 401},
		{"a", "", [2]string{"a", ""}, 401},
		{"", "p", [2]string{"", "p"}, 401},
	} {
		s, err := New(Config{Keys: ids, Model: []byte("m"), AdminUsername: tt.name, AdminPassword: tt.password})
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "POST"} {
			r, err := http.NewRequest(method, "/workers", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth(tt.given[0], tt.given[1])
			w := recorder{header: http.Header{}}
			s.routes.ServeHTTP(&w, r)
			if w.status != tt.want {
				t.Errorf("%q %q, given %q: %s gets %d", tt.name, tt.password, tt.given, method, w.status)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLogins guesses the admin's password from several addresses.
func TestLogins(t *testing.T) { synctest.Test(t, testLogins) }

func testLogins(t *testing.T) {
	var log bytes.Buffer
	_, ids := workerKeys(1)
	s, err := New(Config{Keys: ids, Model: []byte("m"), AdminUsername: "a", AdminPassword: "right", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	// ask gives the status, and how long it took.
	ask := func(from, password string) (int, time.Duration) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/workers", nil)
		r.RemoteAddr = from
		if password != "" {
			r.SetBasicAuth("a", password)
		}
		w := recorder{header: http.Header{}}
		begin := time.Now()
		s.routes.ServeHTTP(&w, r)
		return w.status, time.Since(begin)
	}
	want := func(from, password string, status int, took time.Duration) {
		t.Helper()
		if got, d := ask(from, password); got != status || d != took {
			t.Errorf("%s, %q: %d after %v, want %d after %v", from, password, got, d, status, took)
		}
	}
	const one, two, far = "192.0.2.1:1", "192.0.2.2:1", "[2001:db8:0:1:2::3]:1"
	want(one, "right", 200, 0)
	want(one, "wrong", 401, loginPause)
	want(one, "", 401, 0) // as a browser asks first
	guess := func(from string, n int) (looked *atomic.Int32, wait func()) {
		looked = new(atomic.Int32)
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				if status, _ := ask(from, "wrong"); status == 401 {
					looked.Add(1)
				}
			})
		}
		synctest.Wait()
		return looked, func() {
			all.Wait()
			synctest.Wait() // for the places that are given back at that moment
		}
	}
	for _, from := range []string{one, far} {
		looked, wait := guess(from, 100)
		want(two, "right", 200, 0)
		want(from, "right", 429, 0)
		wait()
		if n := looked.Load(); n != loginsAtOnce {
			t.Errorf("%s: %d guesses were looked at in %v", from, n, loginPause)
		}
		want(from, "right", 200, 0)
	}
	// Others of the same network are the same customer.
	looked, wait := guess("[2001:db8:0:1::9]:1", loginsAtOnce)
	want(far, "right", 429, 0)
	wait()
	if n := looked.Load(); n != loginsAtOnce {
		t.Error(n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	text := log.String()
	if n := strings.Count(text, "a login as the admin failed"); n != 1+3*loginsAtOnce {
		t.Errorf("%d failed logins are in the log", n)
	}
	if strings.Contains(text, "wrong") || !strings.Contains(text, "from="+one) {
		t.Error(text)
	}
}

// admin asks an admin's route as the admin.
func (c *client) admin(method, path, body string) string {
	c.t.Helper()
	req, err := http.NewRequest(method, "http://"+c.addr+wire.PathWorkers+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.SetBasicAuth("a", "p")
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil || res.StatusCode != 200 {
		c.t.Fatal(res.Status, err)
	}
	return b.String()
}

// TestAdminAndRounds: the admin's changes tell on the open round.
func TestAdminAndRounds(t *testing.T) {
	keys, ids := workerKeys(3)
	s, addr := start(t, Config{Keys: ids, AdminUsername: "a", AdminPassword: "p"})
	cs := registered(t, addr, keys...)
	admin := newClient(t, addr, nil)
	cs[0].accepted("u")
	admin.admin("PUT", "/"+ids[1], `{"registered": false}`)
	if _, text := cs[1].update([]byte("u")); text != wire.TextUnregistered {
		t.Error(text)
	}
	admin.admin("DELETE", "/"+ids[2], "")
	waitFor(t, "version 2: nobody else is waited for", func() bool { return s.model.Load().number == 2 })
	if text := cs[2].challenge(); text != wire.TextInvalid {
		t.Errorf("a removed worker gets a challenge: %q", text)
	}
	if text := cs[2].register(); text != wire.TextInvalid {
		t.Errorf("a removed worker registers: %q", text)
	}
	// Registered again, worker 1 is waited for again.
	cs[1].register()
	cs[0].accepted("u")
	cs[1].accepted("u")
	waitFor(t, "version 3", func() bool { return s.model.Load().number == 3 })
}

// TestExcused: whom the admin excused is not waited for, registered before or not,
// until it registers; a restart changes nothing.
func TestExcused(t *testing.T) {
	keys, ids := workerKeys(4)
	cfg := Config{Keys: ids, State: t.TempDir(), AdminUsername: "a", AdminPassword: "p"}
	s, addr := restart(t, nil, cfg)
	cs := registered(t, addr, keys[:2]...)
	admin := newClient(t, addr, nil)
	admin.admin("PUT", "/"+ids[1], `{"registered": false}`)
	admin.admin("PUT", "/"+ids[2], `{"registered": false}`) // it never was
	// A key of the key list that was removed comes back, registered or not yet.
	admin.admin("DELETE", "/"+ids[0], "")
	admin.admin("POST", "", fmt.Sprintf(`{"public_key_str": "%s", "registered": true}`, ids[0]))
	admin.admin("DELETE", "/"+ids[3], "")
	admin.admin("POST", "", fmt.Sprintf(`{"public_key_str": "%s", "registered": false}`, ids[3]))
	for restarts := range int64(2) {
		if !s.round.members.has(ids[0]) || len(s.round.members) != 1 {
			t.Fatalf("after %d restarts it waits for %v, want %s alone", restarts, s.round.members, ids[0])
		}
		cs[0].accepted("u")
		waitFor(t, "nobody else is waited for", func() bool { return s.model.Load().number == restarts+2 })
		s, addr = restart(t, s, cfg)
		cs[0].addr = addr
	}
	registered(t, addr, keys...)
	s, _ = restart(t, s, cfg)
	if len(s.round.members) != 4 {
		t.Errorf("all have registered, and it waits for %v", s.round.members)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// late is an aggregator that lets uploads begin when it is told to.
type late struct {
	Counter
	begun, leave chan struct{}
}

func (l late) Begin(worker string) (Upload, error) {
	l.begun <- struct{}{}
	<-l.leave
	return l.Counter.Begin(worker)
}

// TestAdminDuringUpload: who was taken out while its update came does not count.
func TestAdminDuringUpload(t *testing.T) {
	keys, ids := workerKeys(3)
	l := late{begun: make(chan struct{}), leave: make(chan struct{})}
	s, addr := start(t, Config{Keys: ids, AdminUsername: "a", AdminPassword: "p", Aggregator: l, State: t.TempDir()})
	cs := registered(t, addr, keys...)
	texts := make([]string, 3)
	var uploads sync.WaitGroup
	for i, c := range cs {
		uploads.Go(func() { _, texts[i] = c.update([]byte("u")) })
		<-l.begun
	}
	admin := newClient(t, addr, nil)
	admin.admin("DELETE", "/"+ids[0], "")
	admin.admin("PUT", "/"+ids[1], `{"registered": false}`)
	admin.admin("DELETE", "/"+ids[2], "")
	admin.admin("POST", "", fmt.Sprintf(`{"public_key_str": "%s", "registered": true}`, ids[2]))
	close(l.leave)
	uploads.Wait()
	if want := []string{wire.TextInvalid, wire.TextUnregistered, wire.TextAccepted + wire.Short(ids[2]) + "."}; !slices.Equal(texts, want) {
		t.Errorf("answers %q, want %q", texts, want)
	}
	waitFor(t, "version 2", func() bool { return s.model.Load().number == 2 })
}

// TestNotStored: what can't be stored is refused, and is not so afterwards.
func TestNotStored(t *testing.T) {
	keys, ids := workerKeys(4)
	cfg := Config{Keys: ids[:3], State: t.TempDir(), AdminUsername: "a", AdminPassword: "p", Round: Number(2)}
	s, addr := restart(t, nil, cfg)
	cs := registered(t, addr, keys[:2]...)
	cs[0].accepted("u")
	admin := newClient(t, addr, nil)
	before := admin.admin("GET", "", "")

	// From now on writes to the file fail.
	file := s.store.journal.file
	blind, err := os.Open(s.store.journal.path)
	if err != nil {
		t.Fatal(err)
	}
	s.store.journal.file = blind
	refused := func(what string, status int, text string) {
		t.Helper()
		if status != http.StatusInternalServerError {
			t.Errorf("%s: %d %q", what, status, text)
		}
	}
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("a", "p")
		r.Header.Set("Content-Type", "application/json")
		res, err := admin.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	new3 := newClient(t, addr, keys[2])
	for range 2 {
		status, text := ask("POST", wire.PathRegister, fmt.Sprintf(`{"public_key_str": "%s", "signed_phrase": "%s"}`, new3.id, new3.sign([]byte(wire.RegisterPhrase))))
		refused("register", status, text)
		status, text = ask("POST", wire.PathWorkers, fmt.Sprintf(`{"public_key_str": "%s", "registered": true}`, ids[3]))
		refused("add", status, text)
		status, text = ask("PUT", wire.PathWorkers+"/"+ids[0], `{"registered": false}`)
		refused("unregister", status, text)
		status, text = ask("DELETE", wire.PathWorkers+"/"+ids[1], "")
		refused("remove", status, text)
		status, text = cs[1].update([]byte("u"))
		refused("update", status, text)
	}
	if _, text := new3.update([]byte("u")); text != wire.TextUnregistered {
		t.Errorf("who could not register sends an update: %q", text)
	}
	if after := admin.admin("GET", "", ""); after != before {
		t.Errorf("have %s\nwant %s", after, before)
	}
	if n := len(s.round.accepted); n != 1 {
		t.Errorf("%d updates are accepted", n)
	}
	// Who is registered already may say so again.
	if id := cs[0].register(); id != ids[0] {
		t.Error(id)
	}
	w := recorder{header: http.Header{}}
	s.Ops().ServeHTTP(&w, httptest.NewRequestWithContext(t.Context(), "GET", "/healthz", nil))
	if w.status != http.StatusServiceUnavailable || !strings.HasPrefix(w.String(), "the state can't be written: nothing is stored until the next start: write "+cfg.State+"/state.db: ") {
		t.Errorf("health: %d %q", w.status, w.String())
	}
	if err := file.Close(); err != nil { // and its lock
		t.Error(err)
	}
	s, addr = restart(t, s, cfg)
	if after := newClient(t, addr, nil).admin("GET", "", ""); after != before {
		t.Errorf("after a restart: have %s\nwant %s", after, before)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestAdminApart: on a listener of its own, and there alone; what is done is in the log.
func TestAdminApart(t *testing.T) {
	_, ids := workerKeys(2)
	var log bytes.Buffer
	s, err := New(Config{
		Keys: ids[:1], Model: []byte("m"), Round: Number(1), AdminUsername: "a", AdminPassword: "p", AdminApart: true,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(h http.Handler, method, path, body string) int {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.RemoteAddr = "192.0.2.1:1"
		r.SetBasicAuth("a", "p")
		w := recorder{header: http.Header{}}
		h.ServeHTTP(&w, r)
		return w.status
	}
	workers, admin := s.http.Handler, s.Admin()
	added := fmt.Sprintf(`{"public_key_str": "%s", "registered": true}`, ids[1])
	for _, tt := range []struct {
		method, path, body, audit string
	}{
		{"GET", wire.PathWorkers, "", "level=DEBUG msg=admin did=list from=192.0.2.1:1"},
		{"POST", wire.PathWorkers, added, "level=INFO msg=admin did=add worker=" + ids[1] + " registered=true from=192.0.2.1:1"},
		{"POST", wire.PathWorkers, added, "level=INFO msg=admin did=add worker=" + ids[1] + " registered=true from=192.0.2.1:1 refused=exists"},
		{"PUT", wire.PathWorkers + "/" + ids[0], `{"registered": true}`, "level=INFO msg=admin did=set worker=" + ids[0] + " registered=true from=192.0.2.1:1"},
		{"DELETE", wire.PathWorkers + "/" + ids[1], "", "level=INFO msg=admin did=remove worker=" + ids[1] + " registered=false from=192.0.2.1:1"},
		{"DELETE", wire.PathWorkers + "/" + strings.Repeat("x", 1000), "", "level=INFO msg=admin did=remove worker=xxxxxxxx registered=false from=192.0.2.1:1 refused=invalid"},
	} {
		if got := ask(workers, tt.method, tt.path, tt.body); got != http.StatusNotFound {
			t.Errorf("%s %s where workers ask: %d", tt.method, tt.path, got)
		}
		log.Reset()
		if got := ask(admin, tt.method, tt.path, tt.body); got != http.StatusOK {
			t.Errorf("%s %s: %d", tt.method, tt.path, got)
		}
		if !strings.HasSuffix(log.String(), tt.audit+"\n") {
			t.Errorf("the log has %s, want %s", log.String(), tt.audit)
		}
	}
	if got := ask(admin, "GET", wire.PathChallenge+"/"+ids[0], ""); got != http.StatusNotFound {
		t.Errorf("a challenge where the admin asks: %d", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
