package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/server/lot"
	"github.com/fltool/fltool/server/wire"
)

// dialFake connects in a bubble.
func dialFake(t *testing.T, c *client) net.Conn {
	t.Helper()
	conn, err := c.http.Transport.(*http.Transport).DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// say writes to a connection in a bubble, which is read at once.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := fmt.Fprint(c, text); err != nil {
		t.Error(err)
	}
}

// TestSilentClientsTakeNoPlaces opens many connections more than the gate has
// places, and says nothing on them.
func TestSilentClientsTakeNoPlaces(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		for range 3 * strangersPerCPU * runtime.GOMAXPROCS(0) {
			dialFake(t, cs[1])
		}
		began := time.Now()
		cs[0].http.CloseIdleConnections()
		cs[0].challenge()
		if took := time.Since(began); took > 0 {
			t.Errorf("a newcomer was answered after %v", took)
		}
	})
}

// TestHalfRequestsKeepNobodyOut: those who begin a request and say no more cost
// newcomers some patience, and workers nothing.
func TestHalfRequestsKeepNobodyOut(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		for range 3 * strangersPerCPU * runtime.GOMAXPROCS(0) {
			say(t, dialFake(t, cs[1]), "G")
		}
		began := time.Now()
		cs[2].challenge() // on the connection it registered on
		if took := time.Since(began); took > 0 {
			t.Errorf("a worker was answered after %v", took)
		}
		cs[0].http.CloseIdleConnections()
		held := cs[0].startPoll(t.Context(), "1")
		synctest.Wait()
		for s.Held() == 0 && time.Since(began) < time.Hour {
			time.Sleep(gatePatience)
			synctest.Wait()
		}
		// A poll is two requests, and each waits for the silent before it at most.
		if took := time.Since(began); s.Held() != 1 || took > 8*gatePatience {
			t.Errorf("%d held after %v", s.Held(), took)
		}
		for _, c := range cs {
			c.accepted("u")
		}
		if p := <-held; p.text != wire.TextUpdated {
			t.Errorf("%+v", p)
		}
	})
}

// TestDrainAnswersThoseInLine: polls that have come, and wait for a place when the
// server begins to drain, are answered and not cut.
func TestDrainAnswersThoseInLine(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		var polls []<-chan polled
		signed := make([]string, len(cs))
		for i, c := range cs {
			signed[i] = c.sign([]byte(c.challenge()))
		}
		for range 2 * strangersPerCPU * runtime.GOMAXPROCS(0) {
			say(t, dialFake(t, cs[0]), "G")
		}
		synctest.Wait()
		for _, c := range cs {
			c.http.CloseIdleConnections() // else they had places of their own
		}
		for i, c := range cs {
			ended := make(chan polled, 1)
			polls = append(polls, ended)
			body := fmt.Sprintf(`{"worker_id": "%s", "last_worker_model_version": 1, "signed_phrase": "%s"}`, c.id, signed[i])
			go func() {
				res, text, err := c.do(t.Context(), "POST", wire.PathPoll, "application/json", []byte(body))
				ended <- polled{text: text, err: err, closes: err == nil && res.Close}
			}()
		}
		synctest.Wait()
		if s.gate.inLine() < len(cs) || s.Held() != 0 {
			t.Fatalf("%d wait, %d are held: nobody is in line", s.gate.inLine(), s.Held())
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		for i, ended := range polls {
			if p := <-ended; p.err != nil || p.text != TextDraining || !p.closes {
				t.Errorf("poll %d: %+v: %v", i, p, p.err)
			}
		}
	})
}

// TestGateBoundsWhatNetHTTPWorksOn asks with many times more connections than
// there are places, as workers and as newcomers, and looks how many handlers run at a
// time.
func TestGateBoundsWhatNetHTTPWorksOn(t *testing.T) {
	for _, workers := range []bool{true, false} {
		t.Run(fmt.Sprint("workers: ", workers), func(t *testing.T) { boundsWhatNetHTTPWorksOn(t, workers) })
	}
}

func boundsWhatNetHTTPWorksOn(t *testing.T, workers bool) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(lot.New(), newFullness(0, 0), DefaultMaxStrangers, DefaultStrangerIdle, nil)
		class, places := &g.newcomers, strangersPerCPU*runtime.GOMAXPROCS(0)
		if workers {
			class, places = &g.workers, placesPerCPU*runtime.GOMAXPROCS(0)
		}
		release := make(chan struct{})
		running, most := 0, 0
		h := &http.Server{ConnState: g.state, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			running++
			most = max(most, running)
			g.mu.Unlock()
			<-release
			g.mu.Lock()
			running--
			g.mu.Unlock()
		})}
		l := &fakeListener{make(chan net.Conn), make(chan struct{})}
		e, err := g.entrance(l, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = h.Serve(e) }()
		go func() { _ = h.Serve(g) }()
		for range 5 * places {
			ours, theirs := net.Pipe()
			if workers {
				g.comeBack(theirs, nil, "w", 0)
			} else {
				l.conns <- theirs
			}
			go func() {
				defer ours.Close()
				if _, err := fmt.Fprint(ours, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
					t.Error(err)
				}
				var b [1]byte
				if _, err := ours.Read(b[:]); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		if running != places {
			t.Errorf("%d run, of %d places", running, places)
		}
		close(release)
		synctest.Wait()
		if most != places || running != 0 || class.places != places || g.inside != 0 {
			t.Errorf("%d ran at a time, %d run still, %d places are free", most, running, class.places)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // net/http lingers on connections that it closes
	})
}
