package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/server/lot"
	"github.com/fltool/fltool/server/wire"
)

// tcpPair gives both ends of a connection.
func tcpPair(t *testing.T) (client *net.TCPConn, server *lot.Conn) {
	t.Helper()
	parked := lot.New()
	t.Cleanup(parked.Close)
	return tcpPairIn(t, parked)
}

// tcpPairIn is tcpPair with the server's end in a lot.
func tcpPairIn(t *testing.T, parked *lot.Lot) (client *net.TCPConn, server *lot.Conn) {
	t.Helper()
	l := listenLocal(t)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	owned, err := parked.Own(s.(*net.TCPConn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { owned.Close() })
	return c.(*net.TCPConn), owned
}

// fill writes to a connection until it takes no more, and gives how much it took.
func fill(t *testing.T, c *lot.Conn) (took int) {
	t.Helper()
	b := bytes.Repeat([]byte("x"), 1<<20)
	for {
		rest, err := writeNow(c, b)
		if err != nil {
			t.Fatal(err)
		}
		took += len(b) - len(rest)
		if len(rest) == len(b) {
			return took
		}
	}
}

// TestWriteNow does not wait for a client that does not read, in the clear or
// encrypted, and loses nothing of what it says was written.
func TestWriteNow(t *testing.T) {
	theirs, ours := tcpPair(t)
	took := fill(t, ours)
	ours.CloseWrite()
	if n, err := io.Copy(io.Discard, theirs); err != nil || n != int64(took) {
		t.Errorf("%d of %d bytes came: %v", n, took, err)
	}
	if _, err := writeNow(ours, []byte("x")); err == nil {
		t.Error("no error after the end")
	}

	certs, _, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours = tcpPair(t)
	encrypted := tls.Server(ours, certs)
	client := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := errors.Join(encrypted.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	if rest, err := writeNow(encrypted, []byte("an answer")); err != nil || len(rest) > 0 {
		t.Errorf("%q is left: %v", rest, err)
	}
	b := make([]byte, 9)
	if _, err := io.ReadFull(client, b); err != nil || string(b) != "an answer" {
		t.Errorf("%q %v", b, err)
	}
	fill(t, ours)
	if rest, err := writeNow(encrypted, []byte("another")); err != nil || string(rest) != "another" {
		t.Errorf("%q is left: %v", rest, err)
	}
}

// stuck has polls of clients that don't read held, each of a worker of its own.
func stuck(t *testing.T, s *Server, n int) {
	t.Helper()
	for i := range n {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { ours.Close() })
		held := &poll{room: s.polls, worker: fmt.Sprint("stuck ", i), conn: theirs}
		if e := s.polls.enter(held, held.worker, s.model.Load().version); e != nil {
			t.Fatal(e.text)
		}
		s.polls.wait(held)
	}
}

// TestOldDeadline: the deadline of an earlier stay, which neither the lot nor a desk heeds,
// ends no poll that a goroutine watches.
func TestOldDeadline(t *testing.T) {
	s, _ := start(t, Config{Unsafe: true, Round: Number(1)})
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	_ = theirs.SetReadDeadline(time.Unix(1, 0))
	held := &poll{room: s.polls, worker: "w", conn: theirs}
	if e := s.polls.enter(held, held.worker, s.model.Load().version); e != nil {
		t.Fatal(e.text)
	}
	s.polls.wait(held)
	if _, err := ours.Write([]byte("x")); err != nil {
		t.Error(err)
	}
}

// TestStuckClientsHoldUpNobody: a publication reaches all others at once.
func TestStuckClientsHoldUpNobody(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		stuck(t, s, 200)
		var ended []<-chan polled
		for _, c := range cs {
			ended = append(ended, c.startPoll(t.Context(), "1"))
		}
		synctest.Wait()
		began := time.Now()
		for _, c := range cs {
			other := newClient(t, "fake", c.key)
			other.http.Transport = c.http.Transport
			other.accepted("u")
		}
		for _, e := range ended {
			if p := <-e; p.text != wire.TextUpdated {
				t.Errorf("%+v", p)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("told after %v", took)
		}
		time.Sleep(2 * answerTime)
		synctest.Wait()
		s.polls.mu.Lock()
		defer s.polls.mu.Unlock()
		if n := len(s.polls.waiting); n > 2*len(cs) {
			t.Errorf("%d connections are left: those that don't read were not given up", n)
		}
	})
}

// TestDrainHeedsItsContext, and so does what cuts those who are left.
func TestDrainHeedsItsContext(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		stuck(t, s, 200)
		ctx, cancel := context.WithTimeout(t.Context(), answerTime/10)
		defer cancel()
		began := time.Now()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := s.http.Close(); err != nil {
			t.Error(err)
		}
		s.polls.Stop()
		if took := time.Since(began); took > answerTime/10 {
			t.Errorf("took %v", took)
		}
	})
}

// ahead waits until so much has come of what a held poll's client says next.
func ahead(t *testing.T, s *Server, c *client, n int) {
	t.Helper()
	waitFor(t, "the server has what comes next", func() bool {
		s.polls.mu.Lock()
		defer s.polls.mu.Unlock()
		held := s.polls.held[c.id]
		return held != nil && len(held.next) >= n
	})
}

// TestCloseWithoutShutdown ends, though held clients have said more.
func TestCloseWithoutShutdown(t *testing.T) {
	keys, ids := workerKeys(3)
	s, addr := start(t, Config{Keys: ids}) // closes it
	for i, more := range []string{"", "G", strings.Repeat("x", 1000)} {
		c := registered(t, addr, keys[i])[0]
		r := dialRaw(t, addr)
		r.poll(t, "HTTP/1.1", "", c, "1")
		waitFor(t, "the poll is held", func() bool { return s.Held() == i+1 })
		fmt.Fprint(r, more)
		ahead(t, s, c, len(more))
	}
}

// TestGoneAfterMore: a held poll whose client has sent more and gone frees its slot.
func TestGoneAfterMore(t *testing.T) {
	keys, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids})
	c := registered(t, addr, keys[0])[0]
	for name, tt := range map[string]struct {
		more   string
		header string
		reset  bool
	}{
		"a byte":                  {"G", "", false},
		"a byte, then a reset":    {"G", "", true},
		"a request":               {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "", false},
		"a byte, and it closes":   {"G", "Connection: close\r\n", false},
		"as much as it may":       {strings.Repeat("x", maxAhead), "", false},
		"more than it may":        {strings.Repeat("x", 2*maxAhead), "", false},
		"a megabyte, and a reset": {strings.Repeat("x", 1<<20), "", true},
	} {
		r := dialRaw(t, addr)
		r.poll(t, "HTTP/1.1", tt.header, c, "1")
		waitFor(t, name+": the poll is held", func() bool { return s.Held() == 1 })
		fmt.Fprint(r, tt.more) // may fail: it was too much
		if tt.reset {
			_ = r.Conn.(*net.TCPConn).SetLinger(0)
		}
		r.Close()
		waitFor(t, name+": the slot is free", func() bool { return s.Held() == 0 })
	}
	waitFor(t, "nothing is left", func() bool {
		s.polls.mu.Lock()
		defer s.polls.mu.Unlock()
		return len(s.polls.waiting) == 1 // the connection that the worker registered on
	})
}

// TestMoreIsKept: what a client says while its poll is held is served after it,
// in however many pieces it comes.
func TestMoreIsKept(t *testing.T) {
	keys, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids})
	c := registered(t, addr, keys[0])[0]
	r := dialRaw(t, addr)
	r.poll(t, "HTTP/1.1", "", c, "1")
	waitFor(t, "the poll is held", func() bool { return s.Held() == 1 })
	request := fmt.Sprintf("GET %s/%s HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", wire.PathChallenge, c.id, strings.Repeat("x", 3000))
	for i := range request {
		if i%500 == 0 {
			fmt.Fprint(r, request[i:min(i+500, len(request))])
			ahead(t, s, c, min(i+500, len(request)))
		}
	}
	c.accepted("u")
	if _, text := r.receive(t); text != wire.TextUpdated {
		t.Fatal(text)
	}
	if _, text := r.receive(t); !challengePhrase.MatchString(text) {
		t.Fatal(text)
	}
}
