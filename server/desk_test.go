package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/server/lot"
	"github.com/fltool/fltool/server/wire"
)

// inNetHTTP is how many connections are there.
func inNetHTTP(s *Server) int {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return len(s.gate.visits)
}

// TestWorkersAreServedAtDesks: of whole rounds net/http sees nothing, also where the
// head of a request and its body come apart, as Python sends them.
func TestWorkersAreServedAtDesks(t *testing.T) {
	keys, ids := workerKeys(3)
	s, err := New(Config{Keys: ids, Model: incompressible(4 * blobBytes)})
	if err != nil {
		t.Fatal(err)
	}
	var strays atomic.Int64
	s.http.ConnState = func(c net.Conn, state http.ConnState) {
		strays.Add(1)
		s.gate.state(c, state)
	}
	addr := serveOn(t, s)
	cs := registered(t, addr, keys...)
	for version := range 3 {
		ended := hold(t, s, wire.VersionInt(int64(version+1)), cs[:2]...)
		r := dialRaw(t, addr)
		id := cs[2].id
		body := fmt.Sprintf(`{"worker_id": "%s", "last_worker_model_version": %d, "signed_phrase": "%s"}`, id, version+1, cs[2].sign([]byte(cs[2].challenge())))
		fmt.Fprintf(r, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", wire.PathPoll, len(body))
		waitFor(t, "the head has come", func() bool {
			s.gate.mu.Lock()
			defer s.gate.mu.Unlock()
			return len(s.gate.begun) == 1
		})
		fmt.Fprint(r, body)
		waitFor(t, "the third is held", func() bool { return s.Held() == 3 })
		for _, c := range cs {
			c.accepted("u")
		}
		for _, p := range ended {
			if p := <-p; p.text != wire.TextUpdated {
				t.Errorf("%+v", p)
			}
		}
		if _, text := r.receive(t); text != wire.TextUpdated {
			t.Error(text)
		}
		if v, model := cs[0].model(); v != wire.VersionInt(int64(version+2)) || model != string(incompressible(4*blobBytes)) {
			t.Errorf("%d bytes of version %s", len(model), v)
		}
	}
	if n := strays.Load(); n != 0 {
		t.Errorf("net/http was told %d times", n)
	}
}

// TestRestOfARequest that does not come is net/http's to wait for.
func TestRestOfARequest(t *testing.T) {
	_, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids})
	request := "GET " + wire.PathChallenge + "/" + ids[0] + " HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, pieces := range map[string][]string{
		"late": {request[:20], request[20:]}, "in three": {request[:20], request[20:30], request[30:]},
	} {
		r := dialRaw(t, addr)
		for i, piece := range pieces {
			last := i == len(pieces)-1
			if last {
				waitFor(t, name+": net/http has it", func() bool { return inNetHTTP(s) == 1 })
			}
			fmt.Fprint(r, piece)
			if !last {
				waitFor(t, name+": it waits", func() bool {
					s.gate.mu.Lock()
					defer s.gate.mu.Unlock()
					return len(s.gate.begun)+len(s.gate.visits) == 1
				})
			}
		}
		if _, text := r.receive(t); !challengePhrase.MatchString(text) {
			t.Errorf("%s: %q", name, text)
		}
		r.Close()
		waitFor(t, name+": it is gone", func() bool { return inNetHTTP(s) == 0 })
	}
}

// TestManyRequestsAtOnce on one connection: more than a desk answers in one turn, of
// both kinds; each is answered once, in order.
func TestManyRequestsAtOnce(t *testing.T) {
	_, ids := workerKeys(1)
	_, addr := start(t, Config{Keys: ids})
	r := dialRaw(t, addr)
	var all strings.Builder
	const many = 5 * deskTurns
	for i := range many {
		path := wire.PathChallenge + "/" + ids[0]
		if i%11 == 10 {
			path = "/nothing"
		}
		fmt.Fprintf(&all, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	}
	fmt.Fprint(r, all.String())
	for i := range many {
		if _, text := r.receive(t); challengePhrase.MatchString(text) != (i%11 != 10) {
			t.Fatalf("answer %d is %q", i, text)
		}
	}
}

// TestStrangersComeBack from net/http once they are answered, but where a part of the body
// is left to be read.
func TestStrangersComeBack(t *testing.T) {
	_, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids})
	r := dialRaw(t, addr)
	for _, request := range []string{
		"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST " + wire.PathRegister + " HTTP/1.1\r\nHost: x\r\nX: \x80\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"POST " + wire.PathRegister + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	} {
		fmt.Fprint(r, request)
		if res, text := r.receive(t); res.Close {
			t.Errorf("%q: %s %q ends the connection", request, res.Status, text)
		}
		waitFor(t, fmt.Sprintf("%q: it is back", request), func() bool { return inNetHTTP(s) == 0 && s.lot.Len() == 1 })
	}
	fmt.Fprint(r, "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET ")
	r.receive(t)
	if n := inNetHTTP(s); n != 1 {
		t.Errorf("%d are in net/http, a body was not read", n)
	}
	fmt.Fprintf(r, "GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, ids[0])
	if _, text := r.receive(t); !challengePhrase.MatchString(text) {
		t.Errorf("after a body that nobody read: %q", text)
	}
}

// backdate makes all strangers as old.
func backdate(s *Server, age time.Duration) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	for e := s.gate.strangers.all.Front(); e != nil; e = e.Next() {
		e.Value.(*visit).signed = time.Now().Add(-age)
	}
}

// askAsStranger asks for a challenge and stays.
func askAsStranger(t *testing.T, addr, id string) raw {
	t.Helper()
	r := dialRaw(t, addr)
	fmt.Fprintf(r, "GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, id)
	if _, text := r.receive(t); !challengePhrase.MatchString(text) {
		t.Fatal(text)
	}
	return r
}

// TestStrangersInTheLot are counted and give way like those in net/http, and are cut
// when they have been idle for long.
func TestStrangersInTheLot(t *testing.T) {
	const bound = 2
	keys, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids, MaxStrangers: bound})
	worker := registered(t, addr, keys...)[0]
	var all []raw
	wait := func(many int) {
		t.Helper()
		waitFor(t, fmt.Sprintf("%d strangers wait", many), func() bool {
			s.gate.mu.Lock()
			defer s.gate.mu.Unlock()
			for e := s.gate.strangers.all.Front(); e != nil; e = e.Next() {
				if e.Value.(*visit).parked == nil {
					return false
				}
			}
			return s.gate.strangers.all.Len() == many && s.gate.idling != nil
		})
	}
	for i := range bound {
		all = append(all, askAsStranger(t, addr, ids[0]))
		wait(i + 1) // from then on it gives no sign
	}
	backdate(s, strangersPatience)
	all = append(all, askAsStranger(t, addr, ids[0]))
	if b, err := io.ReadAll(all[0].r); err != nil || len(b) > 0 {
		t.Errorf("the first did not give way: %q %v", b, err)
	}
	wait(bound)
	fmt.Fprintf(all[1], "GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, ids[0])
	if _, text := all[1].receive(t); !challengePhrase.MatchString(text) {
		t.Error(text)
	}
	wait(bound)
	backdate(s, DefaultStrangerIdle)
	s.gate.sweepIdle()
	for _, r := range all[1:] {
		if b, err := io.ReadAll(r.r); err != nil || len(b) > 0 {
			t.Errorf("an idle stranger is not cut: %q %v", b, err)
		}
	}
	s.gate.mu.Lock()
	if n := s.gate.strangers.all.Len(); n != 0 || s.gate.idling != nil {
		t.Errorf("%d strangers are left", n)
	}
	s.gate.mu.Unlock()
	worker.challenge()
}

// TestDesksAreFew, however many ask, and come back when they have waited.
func TestDesksAreFew(t *testing.T) {
	_, ids := workerKeys(1)
	s, err := New(Config{Keys: ids, Model: []byte("m")})
	if err != nil {
		t.Fatal(err)
	}
	most := desksPerCPU * runtime.GOMAXPROCS(0)
	var running, peak atomic.Int64
	release := make(chan struct{})
	handler := s.http.Handler
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := running.Add(1); n > peak.Load() {
			peak.Store(n) // only grows, and is looked at when it can't
		}
		<-release
		running.Add(-1)
		handler.ServeHTTP(w, r)
	})
	addr := serveOn(t, s)
	var all sync.WaitGroup
	for range 2 * most {
		r := dialRaw(t, addr)
		all.Go(func() {
			fmt.Fprintf(r, "GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, ids[0])
			if _, err := r.r.Peek(1); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, "all desks are busy, and all others wait", func() bool {
		return int(running.Load()) == most && s.gate.inLine() == most
	})
	close(release)
	all.Wait()
	if int(peak.Load()) != most {
		t.Errorf("%d ran at a time, of %d desks", peak.Load(), most)
	}
}

// TestNewcomersHaveTurns where workers always wait.
func TestNewcomersHaveTurns(t *testing.T) {
	g := newGate(lot.New(), newFullness(0, 0), DefaultMaxStrangers, DefaultStrangerIdle, nil)
	g.desks.free = 0
	const many = 100
	for range many {
		g.call(&visit{gate: g, worker: "w"})
		g.call(&visit{gate: g})
	}
	workers := 0
	d := &desk{gate: g}
	for range many {
		if g.next(d).worker != "" {
			workers++
		}
		g.free(d)
	}
	if workers != many-many/newcomersTurn {
		t.Errorf("%d of %d turns are those of workers", workers, many)
	}
}

// TestNewcomersLeaveACPU while workers are around, and don't keep a turn while they wait
// for the disk.
func TestNewcomersLeaveACPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(lot.New(), newFullness(0, 0), DefaultMaxStrangers, DefaultStrangerIdle, nil)
		g.desks = newDesks(3)
		g.desks.free = 0
		come := func(worker string) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.call(&visit{gate: g, worker: worker})
		}
		admits := func(want bool) {
			t.Helper()
			g.mu.Lock()
			defer g.mu.Unlock()
			if got := g.desks.admits(); got != want {
				t.Errorf("admits %v, %d are at desks", got, g.desks.strangers)
			}
		}
		come("w")
		all := []*desk{{gate: g}, {gate: g}, {gate: g}, {gate: g}}
		g.next(all[0])
		g.free(all[0])
		for range 4 {
			come("")
		}
		first := g.next(all[0])
		admits(true)
		g.next(all[1])
		admits(false)
		g.waits(first)
		admits(true)
		g.next(all[2])
		admits(false)
		g.free(all[0])
		admits(false) // that it was free of already
		g.free(all[1])
		admits(true)
		come("")
		g.next(all[1])
		admits(false)
		time.Sleep(workerAround)
		admits(true)
	})
}

// lines takes lines of a log.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestPanicAtADesk costs one connection, and is logged.
func TestPanicAtADesk(t *testing.T) {
	panics := make(chan string, 1)
	_, ids := workerKeys(1)
	s, err := New(Config{Keys: ids, Model: []byte("m"), Log: slog.New(slog.NewTextHandler(lines(panics), &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		t.Fatal(err)
	}
	handler := s.http.Handler
	first := true
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if first {
			first = false
			panic("at the disco")
		}
		handler.ServeHTTP(w, r)
	})
	addr := serveOn(t, s)
	r := dialRaw(t, addr)
	fmt.Fprintf(r, "GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, ids[0])
	if b, err := io.ReadAll(r.r); err != nil || len(b) > 0 {
		t.Errorf("%q %v", b, err)
	}
	askAsStranger(t, addr, ids[0])
	if line := <-panics; !strings.Contains(line, "at the disco") {
		t.Error(line)
	}
}

// TestShutdownWaitsForDownloads, and no longer than it may.
func TestShutdownWaitsForDownloads(t *testing.T) {
	for _, patient := range []bool{true, false} {
		keys, ids := workerKeys(1)
		model := incompressible(16 << 20)
		s, addr := start(t, Config{Keys: ids, Model: model})
		c := registered(t, addr, keys...)[0]
		r := dialRaw(t, addr)
		body := fmt.Sprintf(`{"worker_id": "%s", "signed_phrase": "%s"}`, c.id, c.sign([]byte(c.challenge())))
		fmt.Fprintf(r, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathModel, len(body), body)
		if _, err := r.r.Peek(1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(ctx) }()
		waitFor(t, "the server drains", s.draining.Load)
		if !patient {
			cancel()
			if err := <-down; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			continue
		}
		res, err := http.ReadResponse(r.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := wire.DecodeModel(&got, res.Body, 1<<30); err != nil || !bytes.Equal(got.Bytes(), model) {
			t.Errorf("%d bytes, %v", got.Len(), err)
		}
		if err := <-down; err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// TestPublicationGoesFirst: while all are told of a model nobody is answered, and then all
// who asked meanwhile are.
func TestPublicationGoesFirst(t *testing.T) {
	g := newGate(lot.New(), newFullness(0, 0), DefaultMaxStrangers, DefaultStrangerIdle, nil)
	g.desks.free = 0
	d, v := &desk{wake: make(chan struct{}, 1)}, &visit{gate: g, worker: "w"}
	served := make(chan *visit, 1)
	go func() { served <- g.next(d) }()
	waitFor(t, "the desk is idle", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.desks.idle) == 1
	})
	g.hush()
	g.hush() // two publications
	g.mu.Lock()
	g.call(v)
	g.mu.Unlock()
	g.unhush()
	if g.mu.Lock(); len(g.desks.idle) != 1 || g.waiting() != 1 {
		t.Errorf("%d desks are idle, and %d wait", len(g.desks.idle), g.waiting())
	}
	g.mu.Unlock()
	g.unhush()
	if got := <-served; got != v {
		t.Errorf("served %v", got)
	}
}

// TestLinesAtDesks: workers in the middle of a round go first, who came last before the
// others; who asks for ever stands in line with who begins; and of the turns some are the
// line's, some theirs who came first in the middle of a round, and some newcomers'.
func TestLinesAtDesks(t *testing.T) {
	g := newGate(lot.New(), newFullness(0, 0), DefaultMaxStrangers, DefaultStrangerIdle, nil)
	g.desks.free = 0
	g.mu.Lock()
	defer g.mu.Unlock()
	call := func(worker string, asked, many int) {
		for range many {
			g.call(&visit{gate: g, worker: worker, asked: asked})
			asked++
		}
	}
	var order []string
	take := func(many int) {
		for range many {
			v := g.desks.take()
			order = append(order, fmt.Sprint(v.worker, v.asked))
		}
	}
	call("begins", 0, 1)
	call("spins", midwayMost+1, 2)
	call("midway", 1, midwayMost)
	take(4)
	g.desks.hushed++
	if v := g.desks.take(); v != nil {
		t.Errorf("%+v while all are told", v)
	}
	g.desks.hushed--
	call("", 0, 2)
	if g.waiting() != 9 {
		t.Errorf("%d wait", g.waiting())
	}
	take(7)
	if want := "begins0 midway8 midway7 midway6 midway1 midway5 midway4 0 spins9 midway3 midway2"; strings.Join(order, " ") != want {
		t.Errorf("%q\nwant %q", strings.Join(order, " "), want)
	}
	g.desks.strangers = g.desks.strangersMost
	g.desks.workerSeen = time.Now().Add(time.Hour)
	take(1)
	if v := g.desks.take(); v != nil || g.desks.newcomers.waiting != 1 || order[len(order)-1] != "spins10" {
		t.Errorf("%+v, %v", v, order)
	}
}

// TestOldestMidway has its turn, however many come after it.
func TestOldestMidway(t *testing.T) {
	g := newGate(lot.New(), newFullness(0, 0), DefaultMaxStrangers, DefaultStrangerIdle, nil)
	g.desks.free = 0
	g.mu.Lock()
	defer g.mu.Unlock()
	first := &visit{gate: g, worker: "first", asked: 1}
	g.call(first)
	for range 2 * fairTurn {
		g.call(&visit{gate: g, worker: "others", asked: 1})
		if g.desks.take() == first {
			return
		}
	}
	t.Error("it waits for ever")
}

// TestAskedSinceItWasTold is counted for each connection.
func TestAskedSinceItWasTold(t *testing.T) {
	keys, ids := workerKeys(1)
	s, addr := start(t, Config{Keys: ids})
	c := registered(t, addr, keys...)[0]
	asked := func(want int) {
		t.Helper()
		waitFor(t, fmt.Sprintf("%d requests since it was told", want), func() bool {
			s.polls.mu.Lock()
			defer s.polls.mu.Unlock()
			rests := s.polls.rests[c.id]
			return len(rests) == 1 && rests[0].asked == want
		})
	}
	c.model()
	c.challenge()
	asked(4) // with registering
	<-c.startPoll(t.Context(), wire.VersionNone)
	asked(0)
	c.challenge()
	asked(1)
	c.post(wire.PathPoll, wire.Poll{WorkerID: c.id}) // is refused
	asked(2)
	<-c.startPoll(t.Context(), wire.VersionNone) // is told nothing new
	asked(4)
	c.model()
	<-c.startPoll(t.Context(), wire.VersionNone) // it may have lost the model
	asked(0)
}

// TestDeskTellsLength: an answer whose handler does not say how long it is has an end all
// the same.
func TestDeskTellsLength(t *testing.T) {
	var w response
	w.reset(nil, nil)
	http.Error(&w, "out of order", http.StatusInternalServerError)
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(append(w.appendTo(nil), "more"...))), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r.Body); string(b) != "out of order\n" || r.StatusCode != http.StatusInternalServerError || err != nil {
		t.Errorf("%d %q %v", r.StatusCode, b, err)
	}
}
