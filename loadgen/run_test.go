package loadgen

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

func TestMain(m *testing.M) {
	if playRole() {
		return
	}
	goleak.VerifyTestMain(m)
}

func TestRounds(t *testing.T) {
	for _, first := range []First{FirstPoll, FirstUpdate} {
		t.Run(string(first), func(t *testing.T) {
			const workers = 50
			p := testPlan(serve(t, heard(newFake(workers))), workers)
			p.First, p.Rounds = first, 3
			rep, err := Run(bounded(t), p, Setup{})
			if err != nil {
				t.Fatal(err)
			}
			if rep.Verdict != reports.VerdictPass || len(rep.Rounds) != 3 {
				t.Fatalf("verdict %s %v, %d rounds, errors %v", rep.Verdict, rep.Reasons, len(rep.Rounds), rep.Errors)
			}
			for i, r := range rep.Rounds {
				if r.Number != i+1 || r.Version != fmt.Sprint(i+1) || r.Workers != workers || r.Failed != 0 || r.Told == 0 || r.FanoutFrom != fromClient {
					t.Errorf("round %+v", r)
				}
			}
			if got := series(rep, "update").Count; got != 3*workers {
				t.Errorf("%d updates, want %d", got, 3*workers)
			}
			if rep.Held.Peak == 0 || rep.Held.Peak > workers || rep.Held.NeverHeld > workers {
				t.Errorf("held %+v", *rep.Held)
			}
		})
	}
}

func series(r reports.Report, name string) reports.Series {
	for _, s := range r.Series {
		if s.Name == name {
			return s
		}
	}
	return reports.Series{}
}

// zlibbed makes a body of the model route out of whatever bytes.
func zlibbed(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// TestFaults has the server misbehave at each step in turn: every run must fail
// with the fault's class and the worker named, by itself. The time is a bubble's:
// however busy the machine is, only what is silent times out. A connection that is
// cut needs a socket.
func TestFaults(t *testing.T) {
	model := func(v wire.Version) []byte {
		var b bytes.Buffer
		if err := wire.EncodeModel(&b, strings.NewReader("a model"), 7, v); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	text := func(status int, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { answer(w, status, []byte(body)) }
	}
	silence := func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then does the context end with the connection
		<-r.Context().Done()
	}
	broken := model("2")
	checksum := bytes.Clone(broken)
	checksum[len(checksum)-1] ^= 1
	type fault struct {
		name  string
		class class
		do    func(http.ResponseWriter, *http.Request)
		only  []step // empty: at each step
	}
	faults := []fault{
		{"invalid worker", classInvalid, text(200, wire.TextInvalid), nil},
		{"unregistered", classUnregistered, text(200, wire.TextUnregistered), nil},
		{"bad gateway", class5xx, text(502, "<html>502 Bad Gateway</html>"), nil},
		{"too large", class4xx, text(413, "too large"), nil},
		{"html", classUnexpected, text(200, "<html>It works!</html>"), []step{stepRegister, stepChallenge, stepPoll, stepUpdate}},
		{"html", classModel, text(200, "<html>It works!</html>"), []step{stepModel}},
		{"empty", classUnexpected, text(200, ""), []step{stepRegister, stepChallenge, stepPoll, stepUpdate}},
		{"empty", classModel, text(200, ""), []step{stepModel}},
		{"reset", classReset, func(w http.ResponseWriter, _ *http.Request) { reset(w) }, nil},
		{"cut", classReset, func(w http.ResponseWriter, _ *http.Request) {
			c := hijack(w)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a start")
			c.Close()
		}, nil},
		{"cut in a head", classReset, func(w http.ResponseWriter, _ *http.Request) {
			c := hijack(w)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Len")
			c.Close()
		}, []step{stepRegister, stepPoll}},
		{"no http", classUnexpected, func(w http.ResponseWriter, _ *http.Request) {
			c := hijack(w)
			io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n")
			c.Close()
		}, nil},
		{"silence", classTimeout, silence, nil},
		{"not accepted", classNotAccepted, text(200, wire.TextNotAccepted), []step{stepUpdate}},
		{"truncated zlib", classModel, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, broken[:len(broken)-8]) }, []step{stepModel}},
		{"bad checksum", classModel, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, checksum) }, []step{stepModel}},
		{"no msgpack", classModel, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, zlibbed([]byte("no msgpack"))) }, []step{stepModel}},
		{"no model", classNoModel, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, []byte(wire.NoModel)) }, []step{stepModel}},
		{"old version", classStale, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, model("1")) }, []step{stepModel}},
		{"no end of a head", classUnexpected, func(w http.ResponseWriter, _ *http.Request) {
			flood(w, "HTTP/1.1 200 OK\r\n", "X-Field: "+strings.Repeat("x", 1<<16)+"\r\n")
		}, []step{stepRegister, stepPoll}},
		{"no end of promises", classTimeout, func(w http.ResponseWriter, _ *http.Request) {
			c := hijack(w)
			defer c.Close()
			for range time.Tick(10 * time.Millisecond) {
				if _, err := io.WriteString(c, "HTTP/1.1 102 Processing\r\n\r\n"); err != nil {
					return
				}
			}
		}, []step{stepRegister, stepPoll}},
		{"superseded", classSuperseded, text(200, wire.TextSuperseded("0123456789")), []step{stepPoll}},
	}
	for _, f := range faults {
		at := f.only
		if at == nil {
			at = []step{stepRegister, stepChallenge, stepPoll, stepModel, stepUpdate}
		}
		for _, s := range at {
			faulty := func() *fake { // its channels must be the bubble's
				fake := newFake(2)
				fake.fault = func(at step, n int, w http.ResponseWriter, r *http.Request) bool {
					if at != s || s != stepRegister && n <= 2 {
						return false
					}
					f.do(w, r)
					return true
				}
				return fake
			}
			t.Run(f.name+"/"+s.String(), func(t *testing.T) {
				if f.class == classReset {
					plan := testPlan(serve(t, faulty()), 2)
					plan.RoundTimeout = 200 * time.Millisecond
					failsWith(t, plan, Setup{Own: true}, f.class, s)
					return
				}
				synctest.Test(t, func(t *testing.T) {
					target, dial := servePipes(t, faulty())
					failsWith(t, impatient(testPlan(target, 2)), Setup{Dial: dial, Own: true}, f.class, s)
					time.Sleep(time.Second) // of the bubble: who sends on finds out that nobody is there
				})
			})
		}
	}
}

// failsWith wants the run to fail with errors of the class, the first of them a
// named worker's at the step.
func failsWith(t *testing.T, plan Plan, opts Setup, want class, at step) {
	t.Helper()
	rep, err := Run(bounded(t), plan, opts)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Verdict != reports.VerdictFail {
		t.Errorf("verdict %s %v", rep.Verdict, rep.Reasons)
	}
	var classes []string
	for _, e := range rep.Errors {
		classes = append(classes, e.Class)
		if e.Class == string(want) {
			if e.Workers == 0 || !strings.HasPrefix(e.Example, "worker ") || !strings.Contains(e.Example, at.String()) {
				t.Errorf("error %+v", e)
			}
			return
		}
	}
	t.Errorf("classes %v, want %q; lost %+v", classes, want, rep.Lost)
}

// TestHold parks all polls, loses some while held, and counts both.
func TestHold(t *testing.T) {
	const workers = 20
	f := newFake(workers)
	cut := make(chan struct{})
	f.fault = func(s step, n int, w http.ResponseWriter, r *http.Request) bool {
		if s == stepPoll && n <= 3 {
			<-cut
			<-time.After(2 * idleRace) // later than an idle connection's end would cross a request
			reset(w)
			return true
		}
		return false
	}
	p := testPlan(serve(t, f), workers)
	p.Rounds, p.Hold = 0, 6*idleRace
	full := false
	rep, err := Run(bounded(t), p, Setup{Progress: func(p reports.Progress, _ func() reports.Report) {
		if p.Held == workers && p.Left > 0 && !full {
			full = true
			close(cut)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	h := rep.Held
	// They poll again soon: on a busy machine maybe before all three are cut.
	if h.Asked != workers || h.Peak != workers || h.Steady < workers-3 || h.Steady >= workers || h.LostWhile != 3 || h.LostCauses["reset"] != 3 || h.NeverHeld != 0 {
		t.Errorf("held %+v", *h)
	}
	if rep.Verdict != reports.VerdictFail || !strings.Contains(strings.Join(rep.Reasons, "\n"), "3 workers lost a held poll: reset (3)") {
		t.Errorf("verdict %s %v", rep.Verdict, rep.Reasons)
	}
}

// TestIdleClosed has the server close idle connections, as gunicorn does after
// 2 s: workers dial again, and nobody calls it an error.
func TestIdleClosed(t *testing.T) {
	const workers = 5
	s := httptest.NewUnstartedServer(newFake(workers))
	s.Config.IdleTimeout = 100 * time.Millisecond
	s.Start()
	defer s.Close()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := testPlan(target, workers)
	p.Think, err = ParseThink("400ms")
	if err != nil {
		t.Fatal(err)
	}
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Verdict != reports.VerdictPass || rep.Generator.Reconnects == 0 {
		t.Errorf("verdict %s %v, %d reconnects, errors %v", rep.Verdict, rep.Reasons, rep.Generator.Reconnects, rep.Errors)
	}
}

// TestEarlyAnswer refuses a big update before it is sent: the answer counts, not
// the cut that follows it.
func TestEarlyAnswer(t *testing.T) {
	f := newFake(1)
	f.fault = func(s step, _ int, w http.ResponseWriter, r *http.Request) bool {
		if s != stepUpdate {
			return false
		}
		c := hijack(w)
		io.WriteString(c, "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
		<-time.After(50 * time.Millisecond) // a server that reads no further
		c.Close()
		return true
	}
	p := testPlan(serve(t, f), 1)
	p.Update = packed(bigUpdate())
	p.RequestTimeout, p.RoundTimeout = 20*time.Second, 500*time.Millisecond
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Errors) != 1 || rep.Errors[0].Class != string(class4xx) || !strings.Contains(rep.Errors[0].Example, "HTTP 413, \"too large\"") {
		t.Errorf("errors %+v", rep.Errors)
	}
}

// TestThroughProxy serves over TLS with gzip, as a proxy may.
func TestThroughProxy(t *testing.T) {
	f := newFake(3)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		f.ServeHTTP(zipped{w, z}, r)
	}))
	defer s.Close()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := testPlan(target, 3)
	p.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictPass {
		t.Errorf("verdict %s %v %v, errors %v", rep.Verdict, rep.Reasons, err, rep.Errors)
	}
}

type zipped struct {
	http.ResponseWriter
	io.Writer
}

func (z zipped) Write(p []byte) (int, error) { return z.Writer.Write(p) }

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := testPlan(serve(t, newFake(100)), 10) // a round that never ends
	p.RoundTimeout = time.Hour
	rep, err := Run(ctx, p, Setup{Progress: func(p reports.Progress, _ func() reports.Report) {
		if p.Held == 10 {
			cancel()
		}
	}})
	cancel()
	if err != nil || rep.Verdict != reports.VerdictRefused || !strings.HasPrefix(rep.Reasons[0], "interrupted") || len(rep.Errors) != 0 {
		t.Errorf("verdict %s %v %v %v", rep.Verdict, rep.Reasons, rep.Errors, err)
	}
}

func TestServerExits(t *testing.T) {
	p := testPlan(serve(t, newFake(100)), 10)
	p.RoundTimeout = time.Hour
	exited := make(chan error, 1)
	rep, err := Run(bounded(t), p, Setup{Exited: exited, Progress: func(p reports.Progress, _ func() reports.Report) {
		if p.Held == 10 && !p.Over {
			select {
			case exited <- errors.New("signal: killed"):
			default:
			}
		}
	}})
	if err != nil || rep.Verdict != reports.VerdictFail || !strings.Contains(rep.Reasons[0], "killed") {
		t.Errorf("verdict %s %v %v", rep.Verdict, rep.Reasons, err)
	}
}

// TestRetried has every third request fail once: nobody is lost, and it is not
// called a pass.
func TestRetried(t *testing.T) {
	f := newFake(5)
	f.fault = func(s step, n int, w http.ResponseWriter, _ *http.Request) bool {
		if s != stepChallenge || n%3 != 0 {
			return false
		}
		answer(w, 503, []byte("busy"))
		return true
	}
	p := testPlan(serve(t, f), 5)
	p.RoundTimeout = 20 * time.Second
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictWarn || len(rep.Lost) != 0 || !strings.Contains(rep.Reasons[0], "tried again: 5xx") {
		t.Errorf("verdict %s %v, lost %v, %v", rep.Verdict, rep.Reasons, rep.Lost, err)
	}
	ticks := 0
	for _, tick := range rep.Timeline {
		ticks += tick.Classes["5xx"]
	}
	if ticks != rep.Errors[0].Count || ticks == 0 {
		t.Errorf("%d errors in the timeline, %d in all", ticks, rep.Errors[0].Count)
	}
}

// TestUpstreamBehaviour has workers do as dc_federated's do: a cut poll is the
// end of one, an odd answer is asked again at once.
func TestUpstreamBehaviour(t *testing.T) {
	f := newFake(2)
	f.fault = func(s step, n int, w http.ResponseWriter, r *http.Request) bool {
		switch {
		case s == stepPoll && n <= 100:
			answer(w, 502, []byte("bad gateway"))
		case s == stepUpdate:
			reset(w)
		default:
			return false
		}
		return true
	}
	p := testPlan(serve(t, f), 2)
	p.Behaviour = Upstream
	p.RoundTimeout = 30 * time.Second
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictFail || len(rep.Lost) != 2 || rep.Lost[0].Step != "update" {
		t.Fatalf("verdict %s %v, lost %v, %v", rep.Verdict, rep.Reasons, rep.Lost, err)
	}
	if rep.Generator.Reconnects != 0 {
		t.Errorf("%d cut requests passed for idle connections", rep.Generator.Reconnects)
	}
	for _, e := range rep.Errors {
		if e.Class == string(class5xx) && e.Count != 100 {
			t.Errorf("%+v, want 100 polls answered 502", e)
		}
		if e.Class == string(classReset) && e.Count != 2 {
			t.Errorf("%+v, want one cut a worker and no second try", e)
		}
	}
}

// TestRoundsThenHold has the workers stay for a hold once their rounds are done.
func TestRoundsThenHold(t *testing.T) {
	const workers = 20
	p := testPlan(serve(t, heard(newFake(workers))), workers)
	p.Rounds, p.Hold = 2, 100*time.Millisecond
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Verdict != reports.VerdictPass || len(rep.Rounds) != 2 {
		t.Fatalf("verdict %s %v, rounds %+v, errors %v", rep.Verdict, rep.Reasons, rep.Rounds, rep.Errors)
	}
	if h := rep.Held; h.Steady != workers || h.HoldSeconds < p.Hold.Seconds() || h.LostWhile != 0 {
		t.Errorf("held %+v", *h)
	}
	for _, r := range rep.Rounds {
		if r.Workers != workers || r.Told == 0 {
			t.Errorf("round %+v", r)
		}
	}
}

// TestRoundsThenHoldStalled loses a worker in the rounds: the hold never begins,
// and the run ends by itself.
func TestRoundsThenHoldStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers = 3
		f := newFake(workers)
		f.fault = func(s step, n int, w http.ResponseWriter, r *http.Request) bool {
			if s == stepUpdate && strings.HasSuffix(r.URL.Path, wire.WorkerID(testKeys(1)[0].Public().(ed25519.PublicKey))) {
				answer(w, http.StatusBadGateway, nil)
				return true
			}
			return false
		}
		target, dial := servePipes(t, f)
		p := testPlan(target, workers)
		p.Rounds, p.Hold = 1, time.Hour
		rep, err := Run(bounded(t), p, Setup{Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Verdict != reports.VerdictFail || rep.Held.HoldSeconds != 0 || rep.Held.Steady != 0 {
			t.Errorf("verdict %s %v, held %+v", rep.Verdict, rep.Reasons, *rep.Held)
		}
	})
}
