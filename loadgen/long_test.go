package loadgen

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

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
		rep, err := Run(t.Context(), plan, Options{Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Verdict != reports.VerdictPass || rep.Held.Steady != workers || rep.Held.HoldSeconds < 3600 {
			t.Errorf("verdict %s %v, held %+v", rep.Verdict, rep.Reasons, *rep.Held)
		}
		if took := time.Since(began); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("took %s", took)
		}
		if n := len(rep.Timeline); n < 3600 || n > 3700 {
			t.Errorf("%d seconds in the timeline", n)
		}
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
		rep, err := Run(t.Context(), plan, Options{Dial: dial})
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
