package server

import (
	"sync"
	"time"
)

// desks is the lines at the desks, and those of them that have nobody.
type desks struct {
	workers       line
	midway        []*visit // of workers, in the middle of a round; the last is the next
	newcomers     line
	turns         int // that were given
	strangers     int // newcomers at desks that keep a CPU busy
	strangersMost int // of them, while workers are around
	workerSeen    time.Time
	idle          []*desk // the one that was busy last is the last
	free          int     // that may still be made
	looking       int     // that will look at the line soon, and were not counted on yet
	hushed        int     // publications under way, during which no desk begins with a request
	running       sync.WaitGroup
}

func newDesks(cpus int) desks {
	return desks{workers: newLine(), newcomers: newLine(), free: desksPerCPU * cpus, strangersMost: max(1, cpus-1)}
}

// Workers have their turns first, but one of so many is a newcomer's, lest many
// workers keep all newcomers out.
const newcomersTurn = 4

// Of workers, those in the middle of a round go first, and of them who came last. So one
// that has begun is soon through: what is known of it, here and in the kernel, is in the
// CPU's caches still, and is answered before the kernel confirms what it asked. Where
// thousands are told at once, each step of theirs waited for that of all others.
//
// A worker may ask for so much before it is told of the next model, which is a round's
// requests and some more. Who asks for ever stands in line, and so does who begins. Of so
// many turns one is the line's in any case, and one that of who came first in the middle of
// a round.
const (
	midwayMost = 8
	fairTurn   = 8
)

// A worker is around for so long after it was at a desk. Meanwhile one CPU, if there are
// several, is not for newcomers: they may be thousands that nobody knows, and a worker
// that comes is not to wait until all that are at desks already have been served.
const workerAround = time.Second / 10

// admits says whether a newcomer may come to a desk now.
func (d *desks) admits() bool {
	return d.newcomers.waiting > 0 && (d.strangers < d.strangersMost || time.Since(d.workerSeen) >= workerAround)
}

// take gives the visit whose turn it is, nil if nobody may come to a desk now.
func (d *desks) take() *visit {
	admits, inLine, midway := d.admits(), d.workers.waiting > 0, len(d.midway)
	if d.hushed > 0 || !admits && !inLine && midway == 0 {
		return nil
	}
	d.turns++
	switch {
	case admits && (d.turns%newcomersTurn == 0 || !inLine && midway == 0):
		return d.newcomers.pop()
	case inLine && (d.turns%fairTurn == 1 || midway == 0):
		return d.workers.pop()
	}
	at := midway - 1
	if d.turns%fairTurn == 5 {
		at = 0
	}
	v := d.midway[at]
	d.midway[at] = nil
	if at == 0 {
		d.midway = d.midway[1:]
	} else {
		d.midway = d.midway[:at]
	}
	return v
}

// waiting is how many wait for a desk.
func (d *desks) waiting() int { return d.workers.waiting + len(d.midway) + d.newcomers.waiting }

// call puts a connection in line at the desks; the lock is held.
func (g *gate) call(v *visit) {
	d := &g.desks
	switch {
	case v.worker == "":
		d.newcomers.push(v)
	case 0 < v.asked && v.asked <= midwayMost:
		d.midway = append(d.midway, v)
	default:
		d.workers.push(v)
	}
	switch {
	case d.hushed > 0 || v.worker == "" && !d.admits():
	case d.looking > 0:
		d.looking--
	default:
		g.summon()
	}
}

// summon has a desk look at the line, if there is one that does not; the lock is held.
func (g *gate) summon() {
	d := &g.desks
	if n := len(d.idle); n > 0 {
		last := d.idle[n-1]
		d.idle = d.idle[:n-1]
		last.wake <- struct{}{} // has room
	} else if d.free > 0 {
		d.free--
		d.running.Go(g.open().run)
	}
}

// hush and unhush are before and after a publication is written to all. Who was told of
// it asks at once: thousands would be answered while others are still to be told.
func (g *gate) hush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.desks.hushed++
}

func (g *gate) unhush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := &g.desks
	if d.hushed--; d.hushed > 0 {
		return
	}
	for range min(d.waiting(), len(d.idle)+d.free) {
		g.summon()
	}
}

// next gives the desk its next visit, once there is one; nil when there will be none.
func (g *gate) next(desk *desk) *visit {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := &g.desks
	for looked := false; !g.shut; {
		if !looked && len(d.midway) == 0 && d.hushed == 0 { // the lot may not have had its turn of a CPU
			looked = true
			d.looking++
			g.mu.Unlock()
			g.lot.Tell()
			g.mu.Lock()
			d.looking = max(0, d.looking-1)
			continue
		}
		if v := d.take(); v != nil {
			if v.worker == "" {
				desk.stranger = true
				d.strangers++
			} else {
				d.workerSeen = time.Now()
			}
			g.inside++
			v.desk = desk
			g.turn(v)
			return v
		}
		d.idle = append(d.idle, desk)
		g.mu.Unlock()
		<-desk.wake
		g.mu.Lock()
		looked = false
	}
	return nil
}

// closeDesks ends those that are idle; the others end by themselves. The lock is held.
func (g *gate) closeDesks() {
	for _, d := range g.desks.idle {
		d.wake <- struct{}{}
	}
	g.desks.idle, g.desks.free = nil, 0
}

// enters and served are before and after a desk, or what it began, works for
// a connection.
func (g *gate) enters() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside++
}

func (g *gate) served() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.tell()
}

// free is after a desk has served one; it looks at the line again.
func (g *gate) free(desk *desk) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.desks.known(desk)
	g.tell()
}

// waits is for a request that is to wait for the disk now: if it is a newcomer's, another
// may come to a desk.
func (g *gate) waits(v *visit) {
	if v == nil || v.desk == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.desks.known(v.desk) && g.desks.hushed == 0 && g.desks.admits() {
		g.summon()
	}
}

// known notes that there is no newcomer at a desk any more, and says whether there was.
func (d *desks) known(desk *desk) bool {
	was := desk.stranger
	if was {
		desk.stranger = false
		d.strangers--
	}
	return was
}

// left ends a visit whose connection is another's now.
func (g *gate) left(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v.over = true
	v.drop()
}

// gone ends a visit whose client is gone.
func (g *gate) gone(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end(v)
}

// again puts a connection in line that has said more already.
func (g *gate) again(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.enter(v)
}

// hand puts a connection in line for net/http.
func (g *gate) hand(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.enterHTTP(v)
}

// pause waits in the lot for the rest of a request, and for net/http to wait if that
// takes long.
func (g *gate) pause(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v.begun = true
	if !g.shut && !g.draining {
		v.parked = park(v.conn, v)
	}
	if v.parked == nil {
		g.enterHTTP(v)
		return
	}
	g.begun[v] = struct{}{}
	v.patience = time.AfterFunc(restPatience, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.giveUp(v)
	})
}

// giveUp gives one to net/http that waits for the rest of a request, if it still
// does; the lock is held.
func (g *gate) giveUp(v *visit) {
	if _, waits := g.begun[v]; waits && g.unpark(v) {
		g.enterHTTP(v)
	}
}

// unpark takes a connection out of the lot and says whether it was there; the lock is
// held.
func (g *gate) unpark(v *visit) bool {
	parked := v.parked
	g.unparked(v)
	return parked != nil && parked.Take(v)
}

// unparked notes that one is not in the lot any more; the lock is held.
func (g *gate) unparked(v *visit) {
	v.parked = nil
	if _, waited := g.begun[v]; waited {
		delete(g.begun, v)
		v.patience.Stop()
		v.patience = nil
	}
}

// rest lets a stranger wait in the lot for its next request.
func (g *gate) rest(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.shut && v.among != nil { // else it gave way
		v.sign()
		v.parked = park(v.conn, v)
	}
	if v.parked == nil {
		g.end(v)
		return
	}
	if g.idling == nil {
		g.idling = time.AfterFunc(g.idle, g.sweepIdle)
	}
}

func (g *gate) sweepIdle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.idling = nil
	if left := g.cutIdle(g.idle); left > 0 && !g.shut {
		g.idling = time.AfterFunc(left, g.sweepIdle)
	}
}

// cutIdle cuts strangers that have been in the lot for as long and gives the time
// until it is the next one's, 0 if there is none; the lock is held.
func (g *gate) cutIdle(most time.Duration) time.Duration {
	for e := g.strangers.all.Front(); e != nil; {
		v := e.Value.(*visit)
		e = e.Next()
		if v.parked == nil {
			continue // net/http has a bound of its own
		}
		if left := most - time.Since(v.signed); left > 0 {
			return left
		}
		v.drop()
		g.giveWay(v)
	}
	return 0
}
