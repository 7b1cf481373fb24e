package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/server/wire"
)

func TestSecondPollEndsFirst(t *testing.T) {
	keys, ids := workerKeys(2)
	s, addr := start(t, Config{Keys: ids})
	cs := registered(t, addr, keys...)
	held := hold(t, s, "1", cs...)
	second := cs[0].startPoll(t.Context(), "1")
	if p := <-held[0]; p.text != wire.TextSuperseded(cs[0].id) {
		t.Errorf("%+v", p)
	}
	waitFor(t, "the second is held", func() bool { return s.Held() == 2 })
	// One that returns at once ends the second as well.
	if p := <-cs[0].startPoll(t.Context(), "0"); p.text != wire.TextUpdated {
		t.Errorf("%+v", p)
	}
	if p := <-second; p.text != wire.TextSuperseded(cs[0].id) {
		t.Errorf("%+v", p)
	}
	if s.Held() != 1 {
		t.Error(s.Held())
	}
}

// TestAbandonedPolls polls again and again, always on a new connection, and closes none:
// the server keeps one for each worker.
func TestAbandonedPolls(t *testing.T) {
	keys, ids := workerKeys(3)
	s, addr := start(t, Config{Keys: ids})
	cs := registered(t, addr, keys...)
	var last []*raw
	var all []*raw
	for range 20 {
		last = nil
		for _, c := range cs {
			r := dialRaw(t, addr)
			body := fmt.Sprintf(`{"worker_id": "%s", "last_worker_model_version": 1, "signed_phrase": "%s"}`, c.id, c.sign([]byte(c.challenge())))
			fmt.Fprintf(r, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathPoll, len(body), body)
			last = append(last, &r)
			all = append(all, &r)
			waitFor(t, "the poll before is not held any more, and this one is", func() bool {
				s.polls.mu.Lock()
				defer s.polls.mu.Unlock()
				held := s.polls.held[c.id]
				return held != nil && held.conn.RemoteAddr().String() == r.LocalAddr().String()
			})
		}
	}
	waitFor(t, "the others are closed", func() bool {
		s.polls.mu.Lock()
		defer s.polls.mu.Unlock()
		return len(s.polls.held) == len(cs) && len(s.polls.waiting) == 2*len(cs) // a worker asked for challenges
	})
	for _, c := range cs {
		c.accepted("u")
	}
	for i, r := range all {
		res, text := r.receive(t)
		want, closes := wire.TextSuperseded(ids[i%len(cs)]), true
		if i >= len(all)-len(last) {
			want, closes = wire.TextUpdated, false
		}
		if text != want || res.Close != closes {
			t.Errorf("poll %d is told %q, closes %v", i, text, res.Close)
		}
	}
}

// TestRestsOfAWorker: connections on which one worker was served, and which it leaves
// open, are a few; the others' stay.
func TestRestsOfAWorker(t *testing.T) {
	keys, ids := workerKeys(2)
	s, addr := start(t, Config{Keys: ids})
	cs := registered(t, addr, keys...)
	var all []raw
	for range restsPerWorker + 9 {
		r := dialRaw(t, addr)
		body := fmt.Sprintf(`{"public_key_str": "%s", "signed_phrase": "%s"}`, cs[0].id, cs[0].sign([]byte(wire.RegisterPhrase)))
		fmt.Fprintf(r, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathRegister, len(body), body)
		if _, text := r.receive(t); text != cs[0].id {
			t.Fatal(text)
		}
		all = append(all, r)
	}
	waitFor(t, "some are left", func() bool {
		s.polls.mu.Lock()
		defer s.polls.mu.Unlock()
		return len(s.polls.rests[ids[0]]) == restsPerWorker && len(s.polls.rests[ids[1]]) == 1 && len(s.polls.waiting) == restsPerWorker+1
	})
	if _, err := all[0].r.ReadByte(); err != io.EOF {
		t.Errorf("the first one is open: %v", err)
	}
	ask := fmt.Sprintf("GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, ids[0])
	fmt.Fprint(all[len(all)-1], ask)
	if res, text := all[len(all)-1].receive(t); len(text) != 56 {
		t.Error(res.Status, text)
	}
}

// TestGoneClientFreesItsSlot at once, not at the next publication.
func TestGoneClientFreesItsSlot(t *testing.T) {
	keys, ids := workerKeys(2)
	s, addr := start(t, Config{Keys: ids})
	cs := registered(t, addr, keys...)
	ctx, cancel := context.WithCancel(t.Context())
	gone := cs[0].startPoll(ctx, "1")
	stays := cs[1].startPoll(t.Context(), "1")
	waitFor(t, "both are held", func() bool { return s.Held() == 2 })
	cancel()
	<-gone
	waitFor(t, "the slot is free", func() bool { return s.Held() == 1 })
	cs[0].accepted("u")
	cs[1].accepted("u")
	if p := <-stays; p.text != wire.TextUpdated {
		t.Errorf("%+v", p)
	}
}

// raw is a connection to the server that is written to by hand.
type raw struct {
	net.Conn
	r *bufio.Reader
}

func dialRaw(t *testing.T, addr string) raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return rawOn(t, c)
}

func rawOn(t *testing.T, c net.Conn) raw {
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return raw{c, bufio.NewReader(c)}
}

func (r raw) poll(t *testing.T, proto, header string, c *client, version string) {
	t.Helper()
	body := fmt.Sprintf(`{"worker_id": "%s", "last_worker_model_version": %s, "signed_phrase": "%s"}`, c.id, version, c.sign([]byte(c.challenge())))
	if _, err := fmt.Fprintf(r, "POST %s %s\r\nHost: x\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathPoll, proto, header, len(body), body); err != nil {
		t.Fatal(err)
	}
}

func (r raw) receive(t *testing.T) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// TestPipelinedPoll sends the next requests without waiting for the poll.
func TestPipelinedPoll(t *testing.T) {
	keys, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids})
	c := registered(t, addr, keys[0])[0]
	for round := range 3 {
		r := dialRaw(t, addr)
		r.poll(t, "HTTP/1.1", "", c, fmt.Sprint(round+1))
		if round == 1 {
			waitFor(t, "the poll is held", func() bool { return s.Held() == 1 })
		}
		for range 2 {
			fmt.Fprintf(r, "GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, c.id)
		}
		waitFor(t, "the poll is held", func() bool { return s.Held() == 1 })
		c.accepted("u")
		if _, text := r.receive(t); text != wire.TextUpdated {
			t.Fatal(text)
		}
		for range 2 {
			if _, text := r.receive(t); !challengePhrase.MatchString(text) {
				t.Fatal(text)
			}
		}
	}
}

// TestPollThatCloses is nginx's: HTTP/1.0, or a header that says so.
func TestPollThatCloses(t *testing.T) {
	keys, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids})
	c := registered(t, addr, keys[0])[0]
	for i, head := range [][2]string{{"HTTP/1.0", ""}, {"HTTP/1.1", "Connection: close\r\n"}} {
		r := dialRaw(t, addr)
		r.poll(t, head[0], head[1], c, fmt.Sprint(i+1))
		waitFor(t, "the poll is held", func() bool { return s.Held() == 1 })
		c.accepted("u")
		if res, text := r.receive(t); text != wire.TextUpdated || !res.Close {
			t.Errorf("%v: %q %v", head, text, res.Header)
		}
		if b, err := io.ReadAll(r.r); err != nil || len(b) > 0 {
			t.Errorf("%v: want the end, got %q %v", head, b, err)
		}
	}
}

// TestManyPollsOnOneConnection goes to and fro between net/http and the room.
func TestManyPollsOnOneConnection(t *testing.T) {
	keys, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids})
	c := registered(t, addr, keys[0])[0]
	for round := range 20 {
		ended := c.startPoll(t.Context(), wire.VersionInt(int64(round+1)))
		waitFor(t, "the poll is held", func() bool { return s.Held() == 1 })
		other := newClient(t, addr, keys[0]) // the update comes by another connection
		other.accepted("u")
		if p := <-ended; p.text != wire.TextUpdated {
			t.Fatalf("%+v", p)
		}
	}
}

// fakeListener gives connections in memory, for time that is not real.
type fakeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *fakeListener) Addr() net.Addr { return &net.UnixAddr{Name: "fake"} }

// inBubble runs a server and clients of it in a bubble of testing/synctest.
func inBubble(t *testing.T, cfg Config, f func(t *testing.T, s *Server, cs []*client)) {
	synctest.Test(t, func(t *testing.T) {
		keys, ids := workerKeys(3)
		cfg.Keys, cfg.Model = ids, []byte("m")
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		l := &fakeListener{make(chan net.Conn), make(chan struct{})}
		go func() { _ = s.Serve(l) }()
		var cs []*client
		for _, key := range keys {
			c := newClient(t, "fake", key)
			c.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				l.conns <- theirs
				return ours, nil
			}
			c.register()
			cs = append(cs, c)
		}
		f(t, s, cs)
		for _, c := range cs {
			c.http.CloseIdleConnections()
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // net/http lingers on connections that it closes
	})
}

// TestNobodyIsToldOfWhatItHas: nobody can fetch a version before polls know it, and
// so poll with it and be told that there is one.
func TestNobodyIsToldOfWhatItHas(t *testing.T) {
	s, addr := start(t, Config{Unsafe: true, Round: Number(1)})
	c := newClient(t, addr, nil)
	c.register()
	other := newClient(t, addr, nil) // on a connection that polls have not seen
	other.id = c.id
	s.polls.mu.Lock()
	other.accepted("u")
	stacks := make([]byte, 1<<20)
	waitFor(t, "the version is being published", func() bool {
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("(*polls).Publish("))
	})
	if n := s.model.Load().number; n != 1 {
		t.Errorf("version %d is there to fetch", n)
	}
	s.polls.mu.Unlock()
	waitFor(t, "it is published", func() bool { return s.model.Load().number == 2 })
}

func TestMaxHold(t *testing.T) {
	inBubble(t, Config{MaxHold: 50 * time.Second}, func(t *testing.T, s *Server, cs []*client) {
		for range 3 {
			began := time.Now()
			p := <-cs[0].startPoll(t.Context(), "1")
			if held := time.Since(began); p.text != TextHeldLongEnough || held != 50*time.Second {
				t.Errorf("%+v after %v", p, held)
			}
		}
	})
}

func TestPollsAreHeldForHours(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		ended := cs[0].startPoll(t.Context(), "1")
		time.Sleep(1000 * time.Hour)
		synctest.Wait()
		select {
		case p := <-ended:
			t.Fatalf("%+v", p)
		default:
		}
		for _, c := range cs {
			c.accepted("u")
		}
		if p := <-ended; p.text != wire.TextUpdated {
			t.Errorf("%+v", p)
		}
	})
}

// TestRoundTimeout: the clock of a round starts with its first update.
func TestRoundTimeout(t *testing.T) {
	inBubble(t, Config{RoundTimeout: time.Minute}, func(t *testing.T, s *Server, cs []*client) {
		for round := range int64(3) {
			ended := cs[0].startPoll(t.Context(), wire.VersionInt(round+1))
			time.Sleep(time.Hour) // a round without updates goes on
			synctest.Wait()
			if n := s.model.Load().number; n != round+1 {
				t.Fatalf("version %d without an update", n)
			}
			began := time.Now()
			cs[0].accepted("u")
			p := <-ended
			if took := time.Since(began); p.text != wire.TextUpdated || took != time.Minute {
				t.Errorf("%+v after %v", p, took)
			}
		}
	})
}

// TestDeadlinesEndWithTheirAnswer: what net/http says of itself on a connection
// gets through, however long ago an answer had its deadline.
func TestDeadlinesEndWithTheirAnswer(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		dial := cs[0].http.Transport.(*http.Transport).DialContext
		connect := func() raw {
			conn, err := dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(time.Hour))
			return raw{conn, bufio.NewReader(conn)}
		}
		leave := "POST " + wire.PathUpdate + "/" + cs[0].id + " HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n" +
			"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"
		for request, want := range map[string]int{leave: http.StatusContinue, "nonsense\r\n\r\n": http.StatusBadRequest} {
			told := connect()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				told.poll(t, "HTTP/1.1", "", cs[0], string(wire.VersionInt(s.model.Load().number)))
			}()
			<-ended
			synctest.Wait()
			for _, c := range cs {
				c.accepted("u")
			}
			if _, text := told.receive(t); text != wire.TextUpdated {
				t.Fatal(text)
			}
			time.Sleep(2 * answerTime)
			fmt.Fprint(told, request)
			if res, _ := told.receive(t); res.StatusCode != want {
				t.Errorf("after a poll, %q: %s", request, res.Status)
			}
			_ = told.Close()
		}
		refused := connect() // stays with net/http
		fmt.Fprint(refused, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
		refused.receive(t)
		time.Sleep(2 * grace)
		fmt.Fprint(refused, leave)
		if res, _ := refused.receive(t); res.StatusCode != http.StatusContinue {
			t.Errorf("after a refusal: %s", res.Status)
		}
		_ = refused.Close()
	})
}

// hijackable is a response whose connection can be taken over, and tells who
// still sets deadlines on it then.
type hijackable struct {
	recorder
	conn net.Conn
	left bool
	late int
}

func (h *hijackable) FlushError() error { return nil }

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.left = true
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

func (h *hijackable) SetReadDeadline(time.Time) error {
	if h.left {
		h.late++
	}
	return nil
}

// TestDeadlineOfAnUpdate: the deadline of its body is taken off before the
// connection may serve the next request, which has one of its own.
func TestDeadlineOfAnUpdate(t *testing.T) {
	s, _ := start(t, Config{Unsafe: true, Round: Number(9)})
	id, _, err := s.register(nil, wire.Register{})
	if err != nil {
		t.Fatal(err)
	}
	z, _, err := wire.CompressUpdate(strings.NewReader("u"))
	if err != nil {
		t.Fatal(err)
	}
	form, err := wire.NewUpdateForm(z)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	segments := form.Segments(wire.NoPrivateKey)
	if _, err := segments.WriteTo(&body); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("POST", wire.PathUpdate+"/"+id, &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.ContentType)
	ours, theirs := net.Pipe()
	defer ours.Close()
	w := &hijackable{recorder: recorder{header: http.Header{}}, conn: theirs}
	s.routes.ServeHTTP(w, r)
	if w.status != 200 || !w.left || w.late > 0 {
		t.Errorf("%d, taken over: %v, deadlines afterwards: %d", w.status, w.left, w.late)
	}
}
