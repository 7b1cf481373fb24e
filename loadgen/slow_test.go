package loadgen

import (
	"context"
	"crypto/ed25519"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// slowRun has one slow client of each kind until all is as wanted, and gives what became
// of them.
func slowRun(t *testing.T, address string, rate float64, wanted func(*slowClients) bool) map[string]reports.SlowKind {
	t.Helper()
	key := testKeys(1)[0]
	update := packed([]byte("an update"))
	id := wire.WorkerID(key.Public().(ed25519.PublicKey))
	s := &slowClients{address: address, clients: 1, rate: rate, workers: []string{id}, update: newSlowUpdate(&update.form), lent: make(chan lentKey)}
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case s.lent <- lentKey{id, key}:
			case <-ctx.Done():
				return
			}
		}
	})
	all.Go(func() {
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
	})
	for !wanted(s) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("it never came so far")
	}
	cancel()
	all.Wait()
	return s.counts
}

// judgedAll says whether a connection of each kind has come to an end.
func judgedAll(s *slowClients) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.counts) == len(slowKinds)
}

// TestSlowEnded counts connections that the server closes.
func TestSlowEnded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for kind, n := range slowRun(t, l.Addr().String(), 100, judgedAll) {
		if n.Ended == 0 || n.Ended != n.All() || n.Example == "" {
			t.Errorf("%s: %+v", kind, n)
		}
	}
}

// TestSlowFinished has clients so fast that all but heads, which never end, is through.
func TestSlowFinished(t *testing.T) {
	s := httptest.NewServer(newFake(9))
	defer s.Close()
	counts := slowRun(t, s.Listener.Addr().String(), 1e9, judgedAll)
	if n := counts[slowHeads]; n.Ended == 0 || n.Finished != 0 {
		t.Errorf("heads %+v", n)
	}
	for _, kind := range []string{slowUploads, slowDownloads} {
		if n := counts[kind]; n.Finished == 0 || n.Ended != 0 {
			t.Errorf("%s: %+v", kind, n)
		}
	}
}

// TestSlowOpen leaves a server that waits for ever, and no connection.
func TestSlowOpen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard, gone := make(chan struct{}, 9), make(chan struct{}, 9)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 1024)
				for first := true; ; first = false {
					if _, err := c.Read(b); err != nil {
						gone <- struct{}{}
						return
					}
					if first {
						heard <- struct{}{}
					}
				}
			}()
		}
	}()
	counts := slowRun(t, l.Addr().String(), 100, func(*slowClients) bool { return len(heard) == len(slowKinds) })
	for kind := range slowKinds {
		if n := counts[kind]; n.Open != 1 || n.All() != 1 {
			t.Errorf("%s: %+v", kind, n)
		}
		<-gone
	}
	l.Close()
}
