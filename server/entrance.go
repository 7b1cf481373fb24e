package server

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// unsentBytes bounds what waits in the kernel for one client, besides what is on
// its way to it: 1000 that ask for a model and don't read it would pin gigabytes.
const unsentBytes = 128 << 10

// entrance is a listener that gives its connections to the gate: it accepts them
// at once, before the system's queue of them is full.
type entrance struct {
	net.Listener
	gate *gate
	tls  *tls.Config // nil: its connections are not encrypted
}

// entrance fails where there is no descriptor for it.
func (g *gate) entrance(l net.Listener, cfg *tls.Config) (net.Listener, error) {
	// What is no socket, as in tests, or has no epoll, costs goroutines.
	if tcp, is := l.(*net.TCPListener); is && g.lot.Open() {
		var err error
		if l, err = g.lot.Listen(tcp); err != nil {
			return nil, err
		}
	}
	e := &entrance{l, g, cfg}
	g.full.opens()
	g.mu.Lock()
	g.entrances = append(g.entrances, e)
	late := g.draining
	g.mu.Unlock()
	if late {
		_ = e.Close() // its Accept tells
	}
	return e, nil
}

// Accept never gives a connection. What it fails with is for net/http to handle.
func (e *entrance) Accept() (net.Conn, error) {
	for {
		c, err := e.Listener.Accept()
		switch {
		case err == nil:
			e.gate.welcome(c, e.tls)
		case (errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)) && e.gate.makeRoom(scarcePatience):
			// There is a descriptor again.
		default:
			return nil, err
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

// makeRoom has a stranger give way that gave no sign for that long, if there is one.
func (g *gate) makeRoom(quiet time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.giveWay(g.mute.take(&g.mute.all, quiet)) || g.giveWay(g.strangers.take(&g.strangers.all, quiet))
}

// welcome takes a new connection, a stranger. It comes into line once it says
// something.
func (g *gate) welcome(c net.Conn, cfg *tls.Config) {
	if cfg != nil {
		c = encrypt(c, cfg)
	}
	short, many := false, false
	if descriptor(c, func(fd int) error {
		short, many = descriptorsShort(fd), g.full.connection(fd)
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes) // of one that is gone, hear tells
	}) {
		gaveWay := (short || many) && g.makeRoom(strangersPatience)
		switch {
		case many && !gaveWay:
			g.away(c, "connections")
			return
		case g.full.ofMemory():
			g.away(c, "memory")
			return
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		cut(c)
		return
	}
	v := &visit{conn: c, silent: true, gate: g, stranger: stranger{from: origin(c.RemoteAddr().String())}}
	if g.mute.all.Len() == 0 {
		g.sweep.Reset(g.silence())
	}
	g.meet(v)
	if v.parked = park(c, v); v.parked == nil {
		g.hearing.Go(func() { g.hear(v) })
	}
}

// silence is how long a newcomer may be silent; the lock is held.
func (g *gate) silence() time.Duration {
	if g.draining {
		return gatePatience
	}
	return grace
}

// cutSilent cuts those that have been silent for too long.
func (g *gate) cutSilent() {
	g.mu.Lock()
	defer g.mu.Unlock()
	most := g.silence()
	for g.giveWay(g.mute.take(&g.mute.all, most)) {
	}
	if first := g.mute.all.Front(); first != nil {
		g.sweep.Reset(most - time.Since(first.Value.(*visit).signed))
	}
}

// descriptorsShort says whether few are left beside one: the kernel gives the
// lowest that is free. They are kept for what the server itself opens.
func descriptorsShort(fd int) bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return false
	}
	return uint64(fd) >= limit.Cur-min(limit.Cur/16, DefaultMaxUploads)
}

// Come tells that something has come, if only the end.
func (v *visit) Come() {
	v.gate.mu.Lock()
	defer v.gate.mu.Unlock()
	v.gate.unparked(v)
	v.gate.heard(v)
}

// hear waits for a newcomer's first byte where it could not park: it is no socket,
// as in tests.
func (g *gate) hear(v *visit) {
	var first [1]byte
	n, err := v.conn.Read(first[:])
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.end(v)
		return
	}
	v.next = first[:n]
	g.heard(v)
}

// heard puts a connection in line that has said something; the lock is held.
func (g *gate) heard(v *visit) {
	if v.silent {
		v.silent = false
		v.drop()
	}
	g.enter(v)
}
