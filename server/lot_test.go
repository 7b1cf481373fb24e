package server

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/lot"
	"github.com/fltool/fltool/server/wire"
)

// bell is parked and rings.
type bell chan struct{}

func (b bell) Come() { b <- struct{}{} }

// TestLot: who parks is told once of what comes, or was left unread, and of the end; who
// is taken out is not, though its descriptor is another's by then.
func TestLot(t *testing.T) {
	l := lot.New()
	defer l.Close()
	ours, s := tcpPairIn(t, l)
	rings := make(bell, 9)
	park := func() {
		t.Helper()
		if !s.Park(rings) {
			t.Fatal("can't park")
		}
	}
	read := func(most int, want string) {
		t.Helper()
		b := make([]byte, most)
		if n, err := s.ReadNow(b); string(b[:n]) != want || err != nil {
			t.Fatal(n, err)
		}
	}
	for range 2 {
		park()
		fmt.Fprint(ours, "more")
		<-rings
		// It was told once: what has come and was not read is for the next time.
		park()
		<-rings
		read(4, "more") // there may be more behind it, and so it is asked for
		park()
		if !s.Take(rings) || s.Take(rings) {
			t.Error("not taken once")
		}
		// What comes while it does not park is for the next time too.
		fmt.Fprint(ours, "more")
		park()
		<-rings
		read(2, "mo")
		park()
		<-rings
		read(9, "re")
	}
	// The end may come with the last word, which alone is read first.
	park()
	fmt.Fprint(ours, "last")
	ours.CloseWrite()
	<-rings
	for n, err := s.ReadNow(make([]byte, 9)); err != io.EOF; n, err = s.ReadNow(make([]byte, 9)) {
		if err != nil && err != unix.EAGAIN {
			t.Fatal(n, err)
		}
		park()
		<-rings
	}
	park() // the end stays
	<-rings
	if len(rings) != 0 || l.Len() != 0 {
		t.Errorf("%d rings too many, %d are left", len(rings), l.Len())
	}
	s.Close()
	if s.Park(rings) {
		t.Error("a closed connection parks")
	}
}

// TestLotTells at once, when it is asked to, who is then told by nobody else.
func TestLotTells(t *testing.T) {
	l := lot.New()
	l.Tell() // nobody
	ours, s := tcpPairIn(t, l)
	rings := make(bell, 99)
	for range 50 {
		if !s.Park(rings) {
			t.Fatal("can't park")
		}
		fmt.Fprint(ours, "x")
		for n := 0; n == 0; n, _ = s.Look() { // it may be on its way
		}
		l.Tell() // or the lot does just now
		<-rings
		if _, err := s.ReadNow(make([]byte, 9)); err != nil {
			t.Fatal(err)
		}
	}
	if len(rings) > 0 {
		t.Errorf("told %d times too often", len(rings))
	}
	// Who asks for it does not wait for somebody who is told.
	slow := make(bell)
	s.Park(slow)
	fmt.Fprint(ours, "x")
	waitFor(t, "somebody is told", func() bool { return l.Len() == 0 })
	l.Tell()
	<-slow
	l.Close()
	l.Tell()
}

// TestLotRefuses: a socket from which all has been read, which parks without the kernel,
// does not when it is closed, nor in a lot that is.
func TestLotRefuses(t *testing.T) {
	for _, closes := range []func(*lot.Lot, net.Conn){
		func(_ *lot.Lot, c net.Conn) { c.Close() },
		func(l *lot.Lot, _ net.Conn) { l.Close() },
	} {
		l := lot.New()
		defer l.Close()
		_, s := tcpPairIn(t, l)
		rings := make(bell, 9)
		if !s.Park(rings) || !s.Take(rings) {
			t.Fatal("can't park")
		}
		if _, err := s.ReadNow(make([]byte, 9)); err != unix.EAGAIN {
			t.Fatal(err)
		}
		closes(l, s)
		if s.Park(rings) || l.Len() > 0 {
			t.Error("parks")
		}
	}
}

// TestLotUrgent: what is behind urgent data, at which a read stops, is told; urgent data
// alone, which nobody reads, is told once at most.
func TestLotUrgent(t *testing.T) {
	l := lot.New()
	defer l.Close()
	park := func(s *lot.Conn, b bell) {
		t.Helper()
		if !s.Park(b) {
			t.Fatal("can't park")
		}
	}
	urge := func(c net.Conn) {
		t.Helper()
		if err := control(c, func(fd int) error { return unix.Sendto(fd, []byte("!"), unix.MSG_OOB, nil) }); err != nil {
			t.Fatal(err)
		}
	}
	ours, s := tcpPairIn(t, l)
	rings, got := make(bell, 9), ""
	fmt.Fprint(ours, "before")
	urge(ours)
	fmt.Fprint(ours, "behind")
	waitFor(t, "all has come", func() bool {
		come := uint64(0)
		_ = s.Control(func(fd int) error {
			info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
			if err == nil {
				come = info.Bytes_received
			}
			return err
		})
		return come == uint64(len("before!behind"))
	})
	for b := make([]byte, 99); !strings.HasSuffix(got, "behind"); {
		park(s, rings)
		<-rings
		n, err := s.ReadNow(b)
		if got += string(b[:n]); err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
	}
	if got != "beforebehind" {
		t.Errorf("%q", got)
	}

	ours, s = tcpPairIn(t, l)
	park(s, rings)
	urge(ours)
	<-rings
	park(s, rings)
	other, behind := tcpPairIn(t, l) // whose event comes after all that there are
	next := make(bell, 9)
	park(behind, next)
	fmt.Fprint(other, "next")
	<-next
	if len(rings) != 0 {
		t.Error("urgent data is told again")
	}
}

// TestLotAgain: a connection that has the descriptor of another one is told of what is
// its own.
func TestLotAgain(t *testing.T) {
	l := lot.New()
	defer l.Close()
	_, theirs := tcpPairIn(t, l)
	first := make(bell, 9)
	if !theirs.Park(first) || !theirs.Take(first) {
		t.Fatal("can't park")
	}
	theirs.Close()
	// The kernel gives the lowest descriptor: the next connection has that one.
	ours, theirs := tcpPairIn(t, l)
	second := make(bell, 9)
	if !theirs.Park(second) {
		t.Fatal("can't park")
	}
	ours.Close()
	<-second
	if len(first) != 0 || len(second) != 0 || l.Len() != 0 {
		t.Errorf("%d and %d rang, %d are left", len(first), len(second), l.Len())
	}
	if memory, _ := net.Pipe(); park(memory, second) != nil {
		t.Error("a connection in memory parks")
	}
}

// TestLotKeepsNothing of a connection that is closed.
func TestLotKeepsNothing(t *testing.T) {
	certs, _, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]*tls.Config{"plain": nil, "TLS": certs} {
		s, err := New(Config{Unsafe: true, Round: Number(1), Model: []byte("m")})
		if err != nil {
			t.Fatal(err)
		}
		l := listenLocal(t)
		served := make(chan error, 1)
		go func() { served <- s.serve(l, cfg) }()
		c := dialRaw(t, l.Addr().String())
		var parked weak.Pointer[lot.Conn]
		waitFor(t, name+": it parks", func() bool {
			s.gate.mu.Lock()
			defer s.gate.mu.Unlock()
			if first := s.gate.mute.all.Front(); first != nil {
				parked = weak.Make(first.Value.(*visit).parked)
			}
			return parked.Value() != nil
		})
		c.Close()
		waitFor(t, name+": nothing is kept", func() bool {
			runtime.GC()
			return parked.Value() == nil
		})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-served
	}
}

// TestHeldPollsPark: plain ones, resting connections and silent newcomers have no
// goroutine.
func TestHeldPollsPark(t *testing.T) {
	keys, ids := workerKeys(3)
	s, addr := start(t, Config{Keys: ids})
	cs := registered(t, addr, keys...)
	hold(t, s, "1", cs[:2]...)
	dialRaw(t, addr)
	waitFor(t, "all park", func() bool {
		return s.lot.Len() == 4 // two polls, one that rests, one that is silent
	})
	for _, c := range cs {
		c.accepted("u")
	}
}

// descriptors is how many this process has.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestRandomClients do all that clients do to a held poll, at random and while
// versions are published: they go, reset, say more, say too much, don't read, poll
// twice. Whoever stays is told of each version once and in order, and nothing is
// left of the others.
func TestRandomClients(t *testing.T) {
	const workers, rounds, acts = 40, 5, 5
	s, addr := start(t, Config{Unsafe: true, Round: Number(1)})
	newWorker := func() *client {
		c := newClient(t, addr, nil)
		c.register()
		return c
	}
	publisher := newWorker()
	var honest, odd []*client
	for range workers {
		honest, odd = append(honest, newWorker()), append(odd, newWorker())
	}
	before := descriptors(t)
	var told sync.WaitGroup
	for i, c := range honest {
		told.Go(func() {
			for version := int64(1); version <= rounds; version++ {
				if p := <-c.startPoll(t.Context(), wire.VersionInt(version)); p.err != nil || p.text != wire.TextUpdated {
					t.Errorf("worker %d, version %d: %+v", i, version, p)
					return
				}
			}
		})
	}
	for version := int64(1); version <= rounds; version++ {
		waitFor(t, "all who stay are held", func() bool {
			s.polls.mu.Lock()
			defer s.polls.mu.Unlock()
			for _, c := range honest {
				if s.polls.held[c.id] == nil {
					return false
				}
			}
			return true
		})
		var acting sync.WaitGroup
		for i, c := range odd {
			random := rand.New(rand.NewPCG(uint64(version), uint64(i)))
			acting.Go(func() {
				for range acts {
					actOddly(t, c, version, random)
				}
			})
		}
		publisher.accepted("u") // while they do
		acting.Wait()
	}
	told.Wait()
	waitFor(t, "nobody is held", func() bool { return s.Held() == 0 })
	// The transports here close what they don't need when they like.
	waitFor(t, "descriptors are closed", func() bool { return descriptors(t) <= before })
}

// actOddly polls, and then does something at random.
func actOddly(t *testing.T, w *client, version int64, random *rand.Rand) {
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	c := conn.(*net.TCPConn)
	body := fmt.Sprintf(`{"worker_id": "%s", "last_worker_model_version": %d, "signed_phrase": "x"}`, w.id, version)
	poll := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathPoll, len(body), body)
	more := fmt.Sprintf("GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, w.id)
	fmt.Fprint(c, poll) // what fails here was the server's to cut
	time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
	switch random.IntN(7) {
	case 0: // goes
	case 1:
		_ = c.SetLinger(0) // and resets
	case 2:
		_ = c.CloseWrite()
	case 3:
		fmt.Fprint(c, more[:random.IntN(len(more))])
	case 4:
		fmt.Fprint(c, strings.Repeat(more, 1+random.IntN(3)), poll)
	case 5:
		fmt.Fprint(c, strings.Repeat("x", 2*maxAhead))
	case 6:
		_ = c.SetReadBuffer(1)
		fmt.Fprint(c, strings.Repeat(more, 100))
	}
	time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
}

// TestPipelinedAnswers: of requests that come together, each is answered once and
// in order, though the first is held.
func TestPipelinedAnswers(t *testing.T) {
	keys, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids})
	c := registered(t, addr, keys...)[0]
	r := dialRaw(t, addr)
	r.poll(t, "HTTP/1.1", "", c, "1")
	waitFor(t, "the poll is held", func() bool { return s.Held() == 1 })
	r.poll(t, "HTTP/1.1", "", c, "1") // is answered at once: there is a version by then
	fmt.Fprintf(r, "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	ahead(t, s, c, 500)
	c.accepted("u")
	var texts bytes.Buffer
	for range 3 {
		_, text := r.receive(t)
		fmt.Fprintln(&texts, text)
	}
	if want := wire.TextUpdated + "\n" + wire.TextUpdated + "\nNot found.\n"; texts.String() != want {
		t.Errorf("%q", texts.String())
	}
	if rest, err := io.ReadAll(r.r); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
}
