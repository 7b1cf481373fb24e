package loadgen

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// trouble is what befalls a connection through a relay.
type trouble uint8

const (
	troubleDelay   trouble = iota // nothing passes for a while
	troubleCut                    // both ends are closed
	troubleReset                  // both are reset
	troubleSilence                // nothing passes for a while, then both are reset
	troubles                      // their number
)

// mishap is a trouble of one connection.
type mishap struct {
	trouble trouble
	after   int64         // bytes that pass before it, both ways, since the one before
	long    time.Duration // of a delay or a silence
}

// course is the plan of one connection: what befalls it next, for as long as it lasts.
type course func() mishap

// fates make the courses of connections by their numbers.
type fates struct {
	seed    uint64
	every   float64       // bytes between two mishaps of a connection, in the mean
	delay   time.Duration // the longest
	silence time.Duration // the longest
}

// course of the n-th connection: the same seed and number make the same.
func (f fates) course(n uint64) course {
	rng := rand.New(rand.NewPCG(f.seed, n)) // #nosec G404 -- of a load, no secret
	return func() mishap {
		m := mishap{trouble: trouble(rng.IntN(int(troubles))), after: 1 + int64(rng.ExpFloat64()*f.every)}
		longest := f.delay
		if m.trouble == troubleSilence {
			longest = f.silence
		}
		m.long = time.Duration(rng.Float64() * float64(longest))
		return m
	}
}

// relay passes TCP connections on from loopback, each with the troubles of its course.
type relay struct {
	course func(n uint64) course // of the n-th connection
	dial   func(context.Context) (net.Conn, error)

	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	at       sync.WaitGroup // work
	conns    atomic.Int64
	had      [troubles]atomic.Int64
}

// start listens, and gives the address.
func (r *relay) start() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	r.listener = l
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.at.Go(func() {
		for {
			c, err := l.Accept()
			switch {
			case r.ctx.Err() != nil:
				if err == nil {
					c.Close()
				}
				return
			case err != nil: // no descriptor, or the peer has gone
				r.wait(10 * time.Millisecond)
				continue
			}
			n := uint64(r.conns.Add(1)) - 1
			r.at.Go(func() { r.pass(n, c) })
		}
	})
	return l.Addr().String(), nil
}

func (r *relay) close() {
	r.stop()
	r.listener.Close()
	r.at.Wait()
}

// wait says whether so long has passed, and the relay still runs.
func (r *relay) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// link is one connection through the relay.
type link struct {
	relay  *relay
	ends   [2]net.Conn
	course course

	mu   sync.Mutex // held while nothing may pass
	next mishap     // with what is left to pass before it
}

// pass carries one connection to its end.
func (r *relay) pass(n uint64, client net.Conn) {
	server, err := r.dial(r.ctx)
	if err != nil {
		resetAll(client) // as a refused connection would, one hop later
		return
	}
	l := &link{relay: r, ends: [2]net.Conn{client, server}, course: r.course(n)}
	l.next = l.course()
	defer context.AfterFunc(r.ctx, l.end)()
	var back sync.WaitGroup
	back.Go(func() { l.carry(client, server) })
	l.carry(server, client)
	back.Wait()
	l.end()
}

func (l *link) end() {
	l.ends[0].Close()
	l.ends[1].Close()
}

// carry passes on what comes from one end, until that closes its half or a trouble ends
// the connection.
func (l *link) carry(to, from net.Conn) {
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !l.forward(to, buf[:n]) {
			l.end()
			return
		}
		if err != nil {
			if half, ok := to.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
				l.end()
			}
			return
		}
	}
}

// forward sends bytes on as far as the course lets them; false: the connection is to end.
func (l *link) forward(to net.Conn, b []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(b) > 0 {
		n := min(int64(len(b)), l.next.after)
		if _, err := to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
		if l.next.after -= n; l.next.after == 0 && !l.befall(l.next) {
			return false
		}
	}
	return true
}

// befall has a mishap happen; false: it ends the connection.
func (l *link) befall(m mishap) bool {
	l.relay.had[m.trouble].Add(1)
	l.next = l.course()
	switch m.trouble {
	case troubleDelay:
		return l.relay.wait(m.long)
	case troubleSilence:
		l.relay.wait(m.long)
		resetAll(l.ends[0], l.ends[1])
	case troubleReset:
		resetAll(l.ends[0], l.ends[1])
	case troubleCut:
		l.end() // at once, before the other way may carry more
	}
	return false
}

// resetAll closes connections so that the other end sees a reset.
func resetAll(conns ...net.Conn) {
	for _, c := range conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // else it is a plain close
		}
		c.Close()
	}
}
