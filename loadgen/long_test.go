package loadgen

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/fltool/fltool/reports"
)

// pipes is a listener whose connections are net.Pipes: a network without sockets,
// which synctest can wait on.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// servePipes serves h over pipes until the end of the test, which runs in a bubble.
func servePipes(t *testing.T, h http.Handler) (*url.URL, Dialer) {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{Handler: h}
	go s.Serve(p)
	t.Cleanup(func() { s.Close(); synctest.Wait() })
	return &url.URL{Scheme: "http", Host: "127.0.0.1"}, p.dial
}

// TestLongHold holds polls for an hour of the bubble's time.
func TestLongHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers = 10
		target, dial := servePipes(t, newFake(workers))
		plan := testPlan(target, workers)
		plan.Rounds, plan.Hold = 0, time.Hour
		began := time.Now()
		rep, err := Run(t.Context(), plan, Setup{Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Verdict != reports.VerdictPass || rep.Held.Steady != workers || rep.Held.HoldSeconds < 3600 {
			t.Errorf("verdict %s %v, held %+v", rep.Verdict, rep.Reasons, *rep.Held)
		}
		if took := time.Since(began); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("took %s", took)
		}
		n := len(rep.Timeline)
		if n < reports.MaxTicks/2 || n > reports.MaxTicks+1 || rep.Step*float64(n) < 3600 {
			t.Errorf("%d ticks of %g s in the timeline", n, rep.Step)
		}
		if middle := rep.Timeline[n/2]; middle.Held != workers || middle.Dip != 0 || middle.Workers[reports.PhaseHeld] != workers {
			t.Errorf("in the middle %+v", middle)
		}
	})
}

// TestLag has the generator idle between each answer and what follows it: that is
// its own lag, and no word is said of the server.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		s := &http.Server{Handler: newFake(1)}
		go s.Serve(p)
		plan := testPlan(&url.URL{Scheme: "http", Host: "127.0.0.1"}, 1)
		plan.Think, plan.MaxLag = Think{min: time.Minute, max: time.Minute}, 2*time.Second
		const idle = 3 * time.Second
		slow := &Recorder{enc: func(*vegeta.Result) error { time.Sleep(idle); return nil }}
		rep, err := Run(t.Context(), plan, Setup{Dial: p.dial, Record: slow})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Verdict != reports.VerdictRefused || !strings.Contains(rep.Reasons[0], "could not keep up") {
			t.Errorf("verdict %s %v", rep.Verdict, rep.Reasons)
		}
		// Whoever thinks meanwhile loses no time.
		lag := series(rep, "lag")
		for _, got := range []float64{lag.P50, lag.Max} {
			if off := got - idle.Seconds(); off < 0 || off > idle.Seconds()/1000 { // the width of a histogram's bucket
				t.Errorf("lag %gs, want %s", got, idle)
			}
		}
		for _, name := range []string{"register", "challenge", "model", "update"} {
			if s := series(rep, name); s.Count == 0 || s.Max > 1e-6 {
				t.Errorf("%s took %gs by a server that answers at once", name, s.Max)
			}
		}
		s.Close()
		synctest.Wait()
	})
}

// TestThink paces rounds by think time: two rounds of a minute each, in no time.
func TestThinkPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers = 10
		target, dial := servePipes(t, newFake(workers))
		plan := testPlan(target, workers)
		plan.Think = Think{min: time.Minute, max: time.Minute}
		plan.Ramp = 10 * time.Second
		plan.RoundTimeout = 2 * time.Minute
		rep, err := Run(t.Context(), plan, Setup{Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Verdict != reports.VerdictPass || len(rep.Rounds) != 2 {
			t.Fatalf("verdict %s %v, rounds %v", rep.Verdict, rep.Reasons, rep.Rounds)
		}
		for _, r := range rep.Rounds {
			if r.Seconds < 50 || r.Seconds > 71 {
				t.Errorf("round %+v", r)
			}
		}
	})
}
