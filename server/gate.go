package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
)

const (
	// So many connections at a time keep a CPU busy, though some of them wait for a
	// disk or a client.
	placesPerCPU = 64
	// A connection keeps its place for as long at most.
	gatePatience = 100 * time.Millisecond
)

// gate lets connections in to net/http a few at a time. While net/http works on
// one, it costs some 40 KB; one that waits here costs a small goroutine. When
// thousands ask at once, all but a few wait for a CPU anyway.
//
// It is a queue, not a limit: so that clients that are slow or silent can't keep
// others out, a connection loses its place after gatePatience.
//
// It is the one net.Listener from which net/http gets connections: new ones come
// in by an entrance, those that return by pass.
type gate struct {
	line   chan net.Conn // those that wait, in their order
	places chan struct{} // has one for each place that is taken
	closed chan struct{}
	empty  chan struct{} // may have one when nobody waits or is inside

	mu        sync.Mutex
	shut      bool // closed is
	draining  bool
	entrances []*entrance
	waiting   int                      // in line
	inside    map[net.Conn]*time.Timer // those that have a place, and what ends that
	entering  sync.WaitGroup           // a goroutine for each that came by an entrance and waits
}

func newGate() *gate {
	return &gate{
		line: make(chan net.Conn), places: make(chan struct{}, placesPerCPU*runtime.GOMAXPROCS(0)),
		closed: make(chan struct{}), empty: make(chan struct{}, 1),
		inside: map[net.Conn]*time.Timer{},
	}
}

// entrance is a listener that gives its connections to the gate: it accepts them
// at once, before the system's queue of them is full.
type entrance struct {
	net.Listener
	gate *gate
}

func (g *gate) entrance(l net.Listener) net.Listener {
	e := &entrance{l, g}
	g.mu.Lock()
	g.entrances = append(g.entrances, e)
	late := g.draining
	g.mu.Unlock()
	if late {
		_ = e.Close() // its Accept tells
	}
	return e
}

// Accept never gives a connection. What it fails with is for net/http to handle.
func (e *entrance) Accept() (net.Conn, error) {
	for {
		c, err := e.Listener.Accept()
		if err != nil {
			return nil, err
		}
		e.gate.mu.Lock()
		shut := e.gate.shut
		if !shut {
			e.gate.entering.Go(func() {
				if !e.gate.pass(c) {
					_ = c.Close()
				}
			})
		}
		e.gate.mu.Unlock()
		if shut {
			_ = c.Close()
		}
	}
}

// Close may be called twice: by the gate, and then by net/http.
func (e *entrance) Close() error {
	if err := e.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// pass waits until net/http takes a connection. It says false if the gate was
// closed before; the connection is still the caller's then.
func (g *gate) pass(c net.Conn) bool {
	g.change(func() { g.waiting++ })
	select {
	case g.line <- c:
		return true
	case <-g.closed:
		g.change(func() { g.waiting-- })
		return false
	}
}

// change changes who waits or is inside.
func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	if g.waiting == 0 && len(g.inside) == 0 {
		select {
		case g.empty <- struct{}{}:
		default: // one is enough
		}
	}
}

// Accept gives the next connection once there is a place for it.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case g.places <- struct{}{}:
	case <-g.closed:
		return nil, net.ErrClosed
	}
	select {
	case c := <-g.line:
		g.change(func() {
			g.waiting--
			g.inside[c] = time.AfterFunc(gatePatience, func() { g.leave(c) })
		})
		return c, nil
	case <-g.closed:
		return nil, net.ErrClosed
	}
}

// state is an http.Server's ConnState: who has been answered leaves.
func (g *gate) state(c net.Conn, state http.ConnState) {
	if state != http.StateNew && state != http.StateActive {
		g.leave(c)
	}
}

// leave frees a connection's place, if it still has one.
func (g *gate) leave(c net.Conn) {
	var patience *time.Timer
	g.change(func() {
		patience = g.inside[c]
		delete(g.inside, c)
	})
	if patience != nil {
		patience.Stop()
		<-g.places
	}
}

// inLine is how many wait.
func (g *gate) inLine() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

// closeEntrances lets nobody more come in.
func (g *gate) closeEntrances() {
	g.mu.Lock()
	g.draining = true
	entrances := g.entrances
	g.mu.Unlock()
	for _, e := range entrances {
		_ = e.Close() // either way it accepts no more
	}
}

// settle waits until all that came in have been answered or lost their places, or
// the context ends. net/http drops what it has not begun with when it shuts down.
func (g *gate) settle(ctx context.Context) {
	for {
		g.mu.Lock()
		settled := g.waiting == 0 && len(g.inside) == 0
		g.mu.Unlock()
		if settled {
			return
		}
		select {
		case <-g.empty:
		case <-ctx.Done():
			return
		}
	}
}

// Close cuts those that wait, and waits for that.
func (g *gate) Close() error {
	g.mu.Lock()
	if !g.shut {
		g.shut = true
		close(g.closed)
	}
	g.mu.Unlock()
	g.entering.Wait()
	return nil
}

// Addr is of no use.
func (g *gate) Addr() net.Addr { return &net.UnixAddr{Name: "gate", Net: "unix"} }
