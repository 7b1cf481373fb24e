package loadgen

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// TestHeldOverTLS has every request come on a connection of its own: the session
// tickets that TLS sends first are no answer to a poll.
func TestHeldOverTLS(t *testing.T) {
	const workers = 3
	s := httptest.NewUnstartedServer(newFake(workers))
	s.Config.SetKeepAlivesEnabled(false)
	// So Go's server sends its tickets after the handshake, as others always do.
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	defer s.Close()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := testPlan(target, workers)
	p.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
	p.TLS.ClientSessionCache = forgetful{} // without one it sends none
	p.Rounds, p.Hold = 0, 300*time.Millisecond
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictPass || rep.Held.Steady != workers {
		t.Errorf("verdict %s %v %v, held %+v, errors %v", rep.Verdict, rep.Reasons, err, *rep.Held, rep.Errors)
	}
}

// forgetful asks for tickets and uses none.
type forgetful struct{}

func (forgetful) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (forgetful) Put(string, *tls.ClientSessionState)        {}

// TestIdleTLS has a server over TLS close connections while their workers think: its
// farewell is no sign of life. On a busy machine it may be so late that it crosses an
// update on its way.
func TestIdleTLS(t *testing.T) {
	const workers = 2
	var thinks sync.Map // by address
	f := newFake(workers)
	f.fault = func(s step, _ int, _ http.ResponseWriter, r *http.Request) bool {
		if s == stepModel {
			thinks.Store(r.RemoteAddr, true)
		}
		return false
	}
	s := httptest.NewUnstartedServer(f)
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if _, does := thinks.Load(c.RemoteAddr().String()); does && state == http.StateIdle {
			c.Close()
		}
	}
	s.StartTLS()
	defer s.Close()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := testPlan(target, workers)
	p.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
	p.Think = Think{min: 200 * time.Millisecond, max: 200 * time.Millisecond}
	rep, err := Run(bounded(t), p, Setup{})
	crossed := 0
	for _, e := range rep.Errors {
		crossed += e.Count // another class than reconnect is no pass
	}
	if err != nil || rep.Verdict != reports.VerdictPass || rep.Generator.Reconnects <= crossed {
		t.Errorf("verdict %s %v %v, %d reconnects, errors %v", rep.Verdict, rep.Reasons, err, rep.Generator.Reconnects, rep.Errors)
	}
}

// TestInterim has a proxy promise an answer to each poll long before it comes.
func TestInterim(t *testing.T) {
	const workers = 3
	f := newFake(workers)
	f.fault = func(s step, _ int, w http.ResponseWriter, _ *http.Request) bool {
		if s == stepPoll {
			w.WriteHeader(http.StatusProcessing)
		}
		return false
	}
	p := testPlan(serve(t, f), workers)
	p.RequestTimeout = 500 * time.Millisecond
	p.Rounds, p.Hold = 0, 3*p.RequestTimeout
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictPass || rep.Held.Steady != workers {
		t.Errorf("verdict %s %v %v, held %+v, errors %v", rep.Verdict, rep.Reasons, err, *rep.Held, rep.Errors)
	}
}

// TestInterimTLS has a promise come together with the answer, in records of their own:
// below TLS nothing comes after them.
func TestInterimTLS(t *testing.T) {
	f := newFake(1)
	promised := func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		f.ServeHTTP(answer, r)
		c := hijack(w).(*tls.Conn)
		defer c.Close()
		below := c.NetConn().(*corked)
		below.held = &bytes.Buffer{}
		io.WriteString(c, "HTTP/1.1 102 Processing\r\n\r\n")
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", answer.Body.Len(), answer.Body)
		_, _ = below.Conn.Write(below.held.Bytes())
		below.held = nil
		_, _ = c.Read(make([]byte, 1)) // until it is closed
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(promised))
	s.Listener = corking{s.Listener}
	s.StartTLS()
	defer s.Close()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := testPlan(target, 1)
	p.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
	p.Rounds = 1
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictPass {
		t.Errorf("verdict %s %v %v, errors %v", rep.Verdict, rep.Reasons, err, rep.Errors)
	}
}

// corking gives connections that can be corked.
type corking struct{ net.Listener }

func (l corking) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &corked{Conn: c}, err
}

// corked holds what is written to it.
type corked struct {
	net.Conn
	held *bytes.Buffer // nil: it does not
}

func (c *corked) Write(p []byte) (int, error) {
	if c.held != nil {
		return c.held.Write(p)
	}
	return c.Conn.Write(p)
}

// TestThinksLong has a worker think for longer than a request may take: its
// connection is as good as before.
func TestThinksLong(t *testing.T) {
	p := testPlan(serve(t, newFake(1)), 1)
	p.RequestTimeout = 500 * time.Millisecond
	p.Think = Think{min: 700 * time.Millisecond, max: 700 * time.Millisecond}
	p.Rounds = 1
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictPass || rep.Generator.Reconnects != 0 {
		t.Errorf("verdict %s %v %v, %d reconnects", rep.Verdict, rep.Reasons, err, rep.Generator.Reconnects)
	}
}

// TestUnasked has a server say farewell on an idle connection: that is no answer
// to the next request.
func TestUnasked(t *testing.T) {
	f := newFake(1)
	f.fault = func(s step, n int, w http.ResponseWriter, r *http.Request) bool {
		if s != stepModel || n > 1 {
			return false
		}
		rec := httptest.NewRecorder()
		f.mu.Lock()
		v := f.version
		f.mu.Unlock()
		if err := wire.EncodeModel(rec, strings.NewReader("a model"), 7, wire.VersionInt(v)); err != nil {
			t.Error(err)
		}
		c := hijack(w)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", rec.Body.Len(), rec.Body)
		<-time.After(100 * time.Millisecond) // in the worker's think time
		io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		c.Close()
		return true
	}
	p := testPlan(serve(t, f), 1)
	p.Rounds, p.Think = 1, Think{min: 300 * time.Millisecond, max: 300 * time.Millisecond}
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictPass {
		t.Errorf("verdict %s %v %v, errors %v", rep.Verdict, rep.Reasons, err, rep.Errors)
	}
}

// TestCancelUpload ends the run while a big update is being sent: that is
// nobody's error.
func TestCancelUpload(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := newFake(1)
	f.fault = func(s step, _ int, w http.ResponseWriter, r *http.Request) bool {
		if s != stepUpdate {
			return false
		}
		c := hijack(w) // and read no further
		<-time.After(100 * time.Millisecond)
		cancel()
		t.Cleanup(func() { c.Close() })
		return true
	}
	p := testPlan(serve(t, f), 1)
	p.Update = packed(bigUpdate())
	p.RequestTimeout, p.RoundTimeout = time.Hour, time.Hour
	rep, err := Run(ctx, p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictRefused || len(rep.Errors) != 0 {
		t.Errorf("verdict %s %v %v, errors %v", rep.Verdict, rep.Reasons, err, rep.Errors)
	}
}

// bigUpdate does not compress to anything that sockets' buffers could take.
func bigUpdate() []byte {
	b := make([]byte, 32<<20)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// TestEndedAtOnce has a server end every poll at once, for ever: workers must not
// spin, and the run must end.
func TestEndedAtOnce(t *testing.T) {
	t.Parallel()
	for _, hold := range []time.Duration{0, time.Hour} {
		f := newFake(2)
		f.fault = func(s step, _ int, w http.ResponseWriter, _ *http.Request) bool {
			if s == stepPoll {
				answer(w, 200, []byte("poll again"))
			}
			return s == stepPoll
		}
		p := impatient(testPlan(serve(t, f), 2))
		p.First = FirstUpdate // all polls have a version
		if hold > 0 {
			p.Rounds, p.Hold = 0, hold
		}
		p.Grace = time.Hour
		rep, err := Run(bounded(t), p, Setup{})
		if err != nil || rep.Verdict != reports.VerdictFail || len(rep.Lost) == 0 || !strings.Contains(rep.Lost[0].Detail, "poll again") {
			t.Errorf("hold %s: verdict %s %v %v, lost %v", hold, rep.Verdict, rep.Reasons, err, rep.Lost)
		}
		if n := series(rep, "poll").Count; n > 100 {
			t.Errorf("hold %s: %d polls", hold, n)
		}
	}
}

// TestNeverHeld has a server refuse every poll in a hold: nobody was held, so
// nobody's held poll was lost.
func TestNeverHeld(t *testing.T) {
	f := newFake(2)
	f.fault = func(s step, _ int, w http.ResponseWriter, _ *http.Request) bool {
		if s == stepPoll {
			answer(w, 200, []byte(wire.TextUnregistered))
		}
		return s == stepPoll
	}
	p := testPlan(serve(t, f), 2)
	p.Rounds, p.Hold, p.RoundTimeout = 0, time.Hour, 300*time.Millisecond
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Held.NeverHeld != 2 || rep.Held.NeverCauses["unregistered"] != 2 || rep.Held.LostWhile != 0 {
		t.Errorf("verdict %s %v %v, held %+v", rep.Verdict, rep.Reasons, err, *rep.Held)
	}
}

// TestTimelineErrors counts what only a worker can judge among the errors of each
// second as well.
func TestTimelineErrors(t *testing.T) {
	f := newFake(1)
	f.fault = func(s step, n int, w http.ResponseWriter, _ *http.Request) bool {
		if s != stepModel || n != 2 {
			return false
		}
		if err := wire.EncodeModel(w, strings.NewReader("a model"), 7, wire.VersionInt(1)); err != nil {
			t.Error(err)
		}
		return true
	}
	rep, err := Run(bounded(t), testPlan(serve(t, f), 1), Setup{})
	if err != nil || len(rep.Errors) != 1 || rep.Errors[0].Class != string(classStale) {
		t.Fatalf("%v, errors %v", err, rep.Errors)
	}
	ticks := 0
	for _, tick := range rep.Timeline {
		ticks += tick.Classes[string(classStale)]
	}
	if ticks != 1 {
		t.Errorf("timeline %+v", rep.Timeline)
	}
}

// TestSpoiltOnce has one download go wrong that is only compared to another
// worker's: that the next try goes well hides nothing.
func TestSpoiltOnce(t *testing.T) {
	f := newFake(2)
	f.fault = func(s step, n int, w http.ResponseWriter, _ *http.Request) bool {
		if s != stepModel || n != 2 {
			return false
		}
		rec := httptest.NewRecorder()
		if err := wire.EncodeModel(rec, strings.NewReader("a model"), 7, wire.VersionInt(1)); err != nil {
			t.Error(err)
		}
		b := rec.Body.Bytes()
		b[len(b)-1] ^= 1
		answer(w, 200, b)
		return true
	}
	p := testPlan(serve(t, f), 2)
	p.Ramp = time.Second // the other has its model long before
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictWarn || len(rep.Errors) != 1 || rep.Errors[0].Class != string(classModel) {
		t.Errorf("verdict %s %v %v, errors %v", rep.Verdict, rep.Reasons, err, rep.Errors)
	}
}

// TestHTTP10 serves as an old server does: no keep-alive, bodies that end with
// the connection.
func TestHTTP10(t *testing.T) {
	const workers = 3
	f := newFake(workers)
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		f.ServeHTTP(rec, r)
		c := hijack(w)
		fmt.Fprintf(c, "HTTP/1.0 %d OK\r\n\r\n%s", rec.Code, rec.Body)
		c.Close()
	})
	p := testPlan(serve(t, front), workers)
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictPass || rep.Generator.Reconnects != 0 {
		t.Errorf("verdict %s %v %v, errors %v", rep.Verdict, rep.Reasons, err, rep.Errors)
	}
}

// TestNotTLS dials https where plain http answers, and a certificate that nobody
// vouches for: both are called what they are.
func TestNotTLS(t *testing.T) {
	plain := serve(t, newFake(1))
	s := httptest.NewUnstartedServer(newFake(1))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that are to fail
	s.StartTLS()
	defer s.Close()
	secure, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []*url.URL{{Scheme: "https", Host: plain.Host}, secure} {
		p := testPlan(target, 1)
		p.TLS = &tls.Config{}
		p.RequestTimeout, p.RoundTimeout = 10*time.Second, 300*time.Millisecond
		rep, err := Run(bounded(t), p, Setup{})
		if err != nil || rep.Verdict != reports.VerdictFail || len(rep.Errors) != 1 || rep.Errors[0].Class != string(classTLS) {
			t.Errorf("verdict %s %v %v, errors %v", rep.Verdict, rep.Reasons, err, rep.Errors)
		}
	}
}

// TestOutOfDescriptors has the generator's machine run short of them, or of ports:
// nothing is said of the server.
func TestOutOfDescriptors(t *testing.T) {
	for _, short := range []syscall.Errno{syscall.EMFILE, syscall.EADDRNOTAVAIL} {
		p := impatient(testPlan(serve(t, newFake(1)), 1))
		rep, err := Run(bounded(t), p, Setup{Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", short)}
		}})
		if err != nil || rep.Verdict != reports.VerdictRefused || !strings.Contains(rep.Reasons[0], short.Error()) {
			t.Errorf("%s: verdict %s %v %v", short, rep.Verdict, rep.Reasons, err)
		}
	}
}

// TestLookupTries has a name lead to an address at which nobody listens
// as well.
func TestLookupTries(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	got, err := lookup(bounded(t), "localhost", port, netip.Addr{})
	if err != nil || got != l.Addr().String() {
		t.Errorf("%s %v, want %s", got, err, l.Addr())
	}
}
