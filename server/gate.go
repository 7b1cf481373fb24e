package server

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/fltool/fltool/server/lot"
)

const (
	// So many desks keep a CPU busy, though some of them wait for a disk.
	desksPerCPU = 64
	// So many connections of workers at a time keep net/http busy.
	placesPerCPU = 64
	// Strangers have places of their own, so that they can't take those of workers.
	strangersPerCPU = 32
	// A connection keeps its place for as long at most.
	gatePatience = 100 * time.Millisecond
)

// gate is where all connections come in that something has come on, new ones and
// those that come back, and stand in line: at the desks first, and what is unusual,
// encrypted or no socket for net/http. Addresses take turns, and those of workers have
// theirs before strangers.
//
// Of net/http's connections each costs some 40 KB while it works on them; one that
// waits here costs next to nothing. So it lets them in a few at a time. That is a
// queue, not a limit: so that clients that are slow can't keep others out, a
// connection loses its place after gatePatience. A new one comes into line with its
// first byte: those that say nothing don't take places at all.
//
// It is the one net.Listener from which net/http gets connections: new ones come in
// by an entrance, as strangers; those of workers come back from polls.
type gate struct {
	empty chan struct{} // may have one when nobody waits or is inside
	lot   *lot.Lot      // for strangers that say nothing
	idle  time.Duration // after which a stranger is cut that has been answered
	open  func() *desk  // makes one
	full  *fullness
	away  func(net.Conn, string) // refuses a connection, for a reason

	mu        sync.Mutex
	changed   sync.Cond // somebody came into line, a place is free, or shut
	shut      bool
	draining  bool
	entrances []*entrance
	visits    map[net.Conn]*visit // those in net/http
	mute      strangers           // those that have not said a word
	strangers strangers           // those that had their turn, and are not known to be workers'
	begun     map[*visit]struct{} // those that wait in the lot for the rest of a request
	workers   class
	newcomers class
	desks     desks
	inside    int            // those that have a place, or are at a desk
	hearing   sync.WaitGroup // a goroutine for each that is silent and could not park
	sweep     *time.Timer    // of those that are silent for too long
	idling    *time.Timer    // of strangers in the lot that are idle for too long; nil if there are none
}

// class is connections that share places and stand in one line.
type class struct {
	line   line
	places int // that are free
}

// visit is a connection from its coming to the gate until it leaves the desks or
// net/http.
type visit struct {
	conn     net.Conn
	next     []byte      // what has come of its next request, and was read
	class    *class      // where it has a place; nil if it has none
	patience *time.Timer // ends its place, or its waiting for the rest of a request; nil if neither
	silent   bool        // has not said a word yet
	desk     *desk       // at which it is; nil: at none
	begun    bool        // the rest of its request was waited for already
	over     bool        // has left
	idle     bool        // in net/http, between two requests
	head     *time.Timer // of its first request in net/http; nil: all of that has come
	parked   *lot.Conn   // that is in the lot; nil if none is
	gate     *gate
	worker   string // that it has been proved to be of, last; "": a stranger's
	asked    int    // requests since it was told of a model, or come from net/http
	stranger
}

// newGate makes a gate that lets an address have so many strangers, and each of them
// be idle for so long.
func newGate(lot *lot.Lot, full *fullness, perAddress int, idle time.Duration, open func() *desk) *gate {
	cpus := runtime.GOMAXPROCS(0)
	g := &gate{
		empty:     make(chan struct{}, 1),
		lot:       lot,
		full:      full,
		idle:      idle,
		open:      open,
		visits:    map[net.Conn]*visit{},
		begun:     map[*visit]struct{}{},
		mute:      newStrangers(silentStrangers * perAddress),
		strangers: newStrangers(perAddress),
		workers:   class{newLine(), placesPerCPU * cpus},
		newcomers: class{newLine(), strangersPerCPU * cpus},
		desks:     newDesks(cpus),
	}
	g.changed.L = &g.mu
	g.sweep = time.AfterFunc(grace, g.cutSilent)
	g.sweep.Stop()
	return g
}

// comeBack takes the connection of a worker whose next request has begun; what has
// been read of it is next, and asked how many requests there were since it was told.
func (g *gate) comeBack(c net.Conn, next []byte, worker string, asked int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.enter(&visit{conn: c, next: next, gate: g, worker: worker, asked: asked})
}

// enter puts a connection in line; the lock is held.
func (g *gate) enter(v *visit) {
	if g.shut {
		g.end(v)
		return
	}
	_, plain := v.conn.(*lot.Conn)
	if plain || v.worker != "" && parks(v.conn) { // net/http has shaken hands with it
		g.call(v)
		return
	}
	g.enterHTTP(v)
}

// enterHTTP puts a connection in line for net/http; the lock is held.
func (g *gate) enterHTTP(v *visit) {
	v.desk = nil
	_ = v.conn.SetReadDeadline(time.Time{}) // of when it was watched: desks heed none
	if g.shut {
		g.end(v)
		return
	}
	if v.worker != "" {
		g.workers.line.push(v)
	} else {
		g.newcomers.line.push(v)
	}
	g.changed.Signal()
}

// Accept gives net/http the next connection once there is a place for it.
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
			v.class = c
			v.patience = time.AfterFunc(gatePatience, func() {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.leave(v)
			})
			g.turn(v)
			if len(v.next) > 0 {
				v.conn, v.next = &resumed{v.conn, v.next}, nil
			}
			g.visits[v.conn] = v
			v.head = time.AfterFunc(headPatience, func() { g.late(v) })
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
	v.idle = state == http.StateIdle
	switch state {
	case http.StateActive:
		v.hasHead()
		v.sign()
	case http.StateIdle:
		v.sign()
		g.leave(v)
	case http.StateHijacked, http.StateClosed:
		delete(g.visits, c)
		v.hasHead()
		v.over = true
		v.drop()
		g.leave(v)
	}
}

// leave frees a connection's place in net/http, if it still has one; the lock is held.
func (g *gate) leave(v *visit) {
	if v.class == nil {
		return
	}
	v.patience.Stop()
	v.class.places++
	v.patience, v.class = nil, nil
	g.inside--
	g.changed.Signal()
	g.tell()
}

// turn is for one whose turn it is; the lock is held.
func (g *gate) turn(v *visit) {
	switch {
	case v.worker != "":
	case v.among == nil:
		g.meet(v)
	default:
		v.sign()
	}
}

// end ends a visit by cutting its connection; the lock is held.
func (g *gate) end(v *visit) {
	v.over = true
	v.drop()
	cut(v.conn)
	g.tell()
}

// waiting is how many are in line; the lock is held.
func (g *gate) waiting() int {
	return g.desks.waiting() + g.workers.line.waiting + g.newcomers.line.waiting
}

// inLine is how many wait.
func (g *gate) inLine() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting()
}

// settled says whether all that came in have been answered or lost their places;
// the lock is held.
func (g *gate) settled() bool { return g.mute.all.Len()+len(g.begun)+g.waiting()+g.inside == 0 }

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
	for v := range g.begun {
		g.giveUp(v)
	}
	g.mu.Unlock()
	for _, e := range entrances {
		_ = e.Close() // either way it accepts no more
	}
}

// settle waits until the gate has, or the context ends, with whose error it fails.
// net/http drops what it has not begun with when it shuts down.
func (g *gate) settle(ctx context.Context) error {
	for {
		g.mu.Lock()
		settled := g.settled()
		g.mu.Unlock()
		if settled {
			return nil
		}
		select {
		case <-g.empty:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close cuts those that wait, and waits for that.
func (g *gate) Close() error {
	g.mu.Lock()
	g.shut = true
	g.changed.Broadcast()
	for _, v := range g.desks.midway {
		g.end(v)
	}
	g.desks.midway = nil
	for _, l := range []*line{&g.desks.workers, &g.desks.newcomers, &g.workers.line, &g.newcomers.line} {
		for l.waiting > 0 {
			g.end(l.pop())
		}
	}
	for g.giveWay(g.mute.take(&g.mute.all, 0)) {
	}
	for v := range g.begun {
		g.giveWay(v)
	}
	g.cutIdle(0)
	g.sweep.Stop()
	g.closeDesks()
	g.mu.Unlock()
	g.hearing.Wait()
	return nil
}

// Addr is of no use.
func (g *gate) Addr() net.Addr { return &net.UnixAddr{Name: "gate", Net: "unix"} }
