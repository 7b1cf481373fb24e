package loadgen

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fltool/fltool/reports"
)

// meeting keeps all who come until so many have.
type meeting struct {
	mu   sync.Mutex
	left int
	all  chan struct{}
}

func newMeeting(n int) *meeting { return &meeting{left: n, all: make(chan struct{})} }

func (m *meeting) wait(done <-chan struct{}) {
	m.mu.Lock()
	if m.left--; m.left == 0 {
		close(m.all)
	}
	m.mu.Unlock()
	select {
	case <-m.all:
	case <-done:
	}
}

// TestWaitingTakesNoPlace has nobody served until all workers, more than there are
// places, wait for the network at once.
func TestWaitingTakesNoPlace(t *testing.T) {
	const workers = mostPlaces + 20
	for _, at := range []string{"connection", "answer", "upload"} {
		t.Run(at, func(t *testing.T) {
			f, m := newFake(workers), newMeeting(workers)
			f.fault = func(s step, n int, w http.ResponseWriter, r *http.Request) bool {
				if s == stepRegister && at == "answer" || s == stepUpdate && at == "upload" {
					m.wait(r.Context().Done())
				}
				return false
			}
			p := testPlan(serve(t, f), workers)
			p.Rounds, p.RequestTimeout, p.RoundTimeout = 1, time.Hour, time.Hour
			var opts Setup
			switch at {
			case "connection":
				opts.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					m.wait(ctx.Done())
					return (&net.Dialer{}).DialContext(ctx, network, address)
				}
			case "upload":
				p.Update = packed(bigUpdate()[:bigBody+1])
			}
			rep, err := Run(t.Context(), p, opts)
			if err != nil || rep.Verdict != reports.VerdictPass {
				t.Errorf("%v, %s %q", err, rep.Verdict, rep.Reasons)
			}
		})
	}
}

// TestHeldPollsTakeNoGoroutine, in the clear and over TLS.
func TestHeldPollsTakeNoGoroutine(t *testing.T) {
	const workers = mostPlaces + 100
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %t", secure), func(t *testing.T) {
			s := httptest.NewUnstartedServer(newFake(workers))
			var cfg *tls.Config
			if secure {
				s.StartTLS()
				cfg = s.Client().Transport.(*http.Transport).TLSClientConfig
			} else {
				s.Start()
			}
			defer s.Close()
			target, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			p := testPlan(target, workers)
			p.TLS, p.Rounds, p.Hold = cfg, 0, time.Second
			p.RequestTimeout, p.RoundTimeout = time.Hour, time.Hour
			waiting := workers // at the best moment: a hit that has parked is over soon
			rep, err := Run(t.Context(), p, Setup{Progress: func(p reports.Progress, _ func() reports.Report) {
				if p.Held == workers && !p.Over {
					stacks := make([]byte, 16<<20)
					stacks = stacks[:runtime.Stack(stacks, true)]
					waiting = min(waiting, strings.Count(string(stacks), "loadgen.(*parking).await(")+strings.Count(string(stacks), "loadgen.(*crew).RoundTrip("))
				}
			}})
			if err != nil || rep.Verdict != reports.VerdictPass || rep.Held.Steady != workers {
				t.Errorf("%v, %s %q, held %+v", err, rep.Verdict, rep.Reasons, *rep.Held)
			}
			if waiting > 0 {
				t.Errorf("%d goroutines wait for %d polls", waiting, workers)
			}
		})
	}
}
