package server

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
)

const (
	// So many connections of workers at a time keep a CPU busy, though some of them
	// wait for a disk or a client.
	placesPerCPU = 64
	// Strangers have places of their own, so that they can't take those of workers.
	strangersPerCPU = 32
	// A connection keeps its place for as long at most.
	gatePatience = 100 * time.Millisecond
)

// gate lets connections in to net/http a few at a time. While net/http works on
// one, it costs some 40 KB; one that waits here costs next to nothing. When
// thousands ask at once, all but a few wait for a CPU anyway.
//
// It is a queue, not a limit: so that clients that are slow can't keep others out,
// a connection loses its place after gatePatience. A new one comes into line with
// its first byte: those that say nothing don't take places at all.
//
// It is the one net.Listener from which net/http gets connections: new ones come
// in by an entrance, as strangers; those of workers come back from polls.
type gate struct {
	empty chan struct{} // may have one when nobody waits or is inside
	lot   *lot          // for those that have not said a word

	mu        sync.Mutex
	changed   sync.Cond // somebody came into line, a place is free, or shut
	shut      bool
	draining  bool
	entrances []*entrance
	visits    map[net.Conn]*visit // all that are here or in net/http
	mute      strangers           // those of them that have not said a word
	strangers strangers           // those that had their turn, and are not known to be workers'
	workers   class
	newcomers class
	inside    int            // those that have a place
	hearing   sync.WaitGroup // a goroutine for each that is silent and could not park
	sweep     *time.Timer    // of those that are silent for too long
}

// class is connections that share places and stand in one line.
type class struct {
	line   line
	places int // that are free
}

// visit is a connection from its coming to the gate until it leaves net/http.
type visit struct {
	conn     net.Conn
	class    *class
	patience *time.Timer // ends its place; nil if it has none
	silent   bool        // has not said a word yet
	token    uint64      // in the lot; 0 if it is not there
	gate     *gate
	worker   bool // has been proved to be a worker's
	stranger
}

// newGate makes a gate that lets an address have so many strangers.
func newGate(lot *lot, perAddress int) *gate {
	cpus := runtime.GOMAXPROCS(0)
	g := &gate{
		empty:     make(chan struct{}, 1),
		lot:       lot,
		visits:    map[net.Conn]*visit{},
		mute:      newStrangers(silentStrangers * perAddress),
		strangers: newStrangers(perAddress),
		workers:   class{newLine(), placesPerCPU * cpus},
		newcomers: class{newLine(), strangersPerCPU * cpus},
	}
	g.changed.L = &g.mu
	g.sweep = time.AfterFunc(grace, g.cutSilent)
	g.sweep.Stop()
	return g
}

// comeBack takes the connection of a worker whose next request has begun.
func (g *gate) comeBack(c *resumed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		cut(c)
		return
	}
	g.enter(&visit{conn: c, class: &g.workers, worker: true})
}

// enter puts a connection in line; the lock is held.
func (g *gate) enter(v *visit) {
	g.visits[v.conn] = v
	v.class.line.push(v)
	g.changed.Signal()
}

// Accept gives the next connection once there is a place for it.
func (g *gate) Accept() (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.shut {
		for _, c := range []*class{&g.workers, &g.newcomers} {
			if c.places == 0 || c.line.waiting == 0 {
				continue
			}
			c.places--
			g.inside++
			v := c.line.pop()
			v.patience = time.AfterFunc(gatePatience, func() {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.leave(v)
			})
			if !v.worker {
				g.meet(v)
			}
			return v.conn, nil
		}
		g.changed.Wait()
	}
	return nil, net.ErrClosed
}

// state is an http.Server's ConnState: who has been answered leaves.
func (g *gate) state(c net.Conn, state http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.visits[c]
	if v == nil {
		return
	}
	switch state {
	case http.StateActive:
		v.sign()
	case http.StateIdle:
		v.sign()
		g.leave(v)
	case http.StateHijacked, http.StateClosed:
		v.drop()
		delete(g.visits, c)
		g.leave(v)
	}
}

// leave frees a connection's place, if it still has one; the lock is held.
func (g *gate) leave(v *visit) {
	if v.patience == nil {
		return
	}
	v.patience.Stop()
	v.patience = nil
	v.class.places++
	g.inside--
	g.changed.Signal()
	g.tell()
}

// waiting is how many are in line; the lock is held.
func (g *gate) waiting() int { return g.workers.line.waiting + g.newcomers.line.waiting }

// inLine is how many wait.
func (g *gate) inLine() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting()
}

// settled says whether all that came in have been answered or lost their places;
// the lock is held.
func (g *gate) settled() bool { return g.mute.all.Len()+g.waiting()+g.inside == 0 }

// tell wakes settle if it is time; the lock is held.
func (g *gate) tell() {
	if g.settled() {
		select {
		case g.empty <- struct{}{}:
		default: // one is enough
		}
	}
}

// closeEntrances lets nobody more come in. Who came just now may still say what
// it came for.
func (g *gate) closeEntrances() {
	g.mu.Lock()
	g.draining = true
	entrances := g.entrances
	g.sweep.Reset(gatePatience)
	g.mu.Unlock()
	for _, e := range entrances {
		_ = e.Close() // either way it accepts no more
	}
}

// settle waits until the gate has, or the context ends. net/http drops what it has
// not begun with when it shuts down.
func (g *gate) settle(ctx context.Context) {
	for {
		g.mu.Lock()
		settled := g.settled()
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
	g.shut = true
	g.changed.Broadcast()
	for _, c := range []*class{&g.workers, &g.newcomers} {
		for c.line.waiting > 0 {
			v := c.line.pop()
			delete(g.visits, v.conn)
			cut(v.conn)
		}
	}
	for g.giveWay(g.mute.take(&g.mute.all, 0)) {
	}
	g.sweep.Stop()
	g.mu.Unlock()
	g.hearing.Wait()
	return nil
}

// Addr is of no use.
func (g *gate) Addr() net.Addr { return &net.UnixAddr{Name: "gate", Net: "unix"} }
