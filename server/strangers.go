package server

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"time"
)

// Bounds of strangers when Config does not say.
const (
	// DefaultMaxStrangers is how many connections of one address may be open that
	// had their turn without having proved to be a worker's. Thousands of workers
	// that arrive at once from one address, a proxy's or a NAT's, do not reach it:
	// those in line don't count, and a worker proves itself with its first request.
	DefaultMaxStrangers = 2048
	// Of those that have not said a word there may be as many times more: they cost
	// less.
	silentStrangers = 8
	// DefaultStrangerIdle is how long a connection that is not a worker's may be idle:
	// longer than nginx keeps one, so that it is nginx that closes it.
	DefaultStrangerIdle = 75 * time.Second
	// So many addresses may have their bound's number of them.
	strangersAddresses = 4
	// Who has come or said something so short ago does not give way: a client may be
	// on a slow path or a busy machine, and a worker that is cut is lost.
	strangersPatience = 10 * time.Second
	// Nor so short ago, when there is no descriptor left for a newcomer.
	scarcePatience = time.Second
)

// strangers are connections that nobody has proved to be a worker's. Where there
// are too many, the one that has given no sign for longest gives way. Its owner
// locks.
type strangers struct {
	perAddress int
	all        list.List // of *visit, in the order of their last signs
	by         map[string]*list.List
}

// stranger is a visit's place among them.
type stranger struct {
	from      string
	signed    time.Time     // when it gave its last sign
	among     *strangers    // nil if it is none
	inAll, in *list.Element // in among.all, and in the address's list
}

func newStrangers(perAddress int) strangers {
	return strangers{perAddress: perAddress, by: map[string]*list.List{}}
}

// add takes one more and gives the one that gives way, nil if none must.
func (s *strangers) add(v *visit) *visit {
	same := s.by[v.from]
	if same == nil {
		same = list.New()
		s.by[v.from] = same
	}
	v.signed, v.among = time.Now(), s
	v.inAll, v.in = s.all.PushBack(v), same.PushBack(v)
	switch {
	case same.Len() > s.perAddress:
		return s.take(same, strangersPatience)
	case s.all.Len() > strangersAddresses*s.perAddress:
		return s.take(&s.all, strangersPatience)
	}
	return nil
}

// take gives the one that gave no sign for longest, and at least that long, to
// give way; nil if there is none.
func (s *strangers) take(from *list.List, quiet time.Duration) *visit {
	if from.Len() == 0 {
		return nil
	}
	v := from.Front().Value.(*visit)
	if time.Since(v.signed) < quiet {
		return nil
	}
	v.drop()
	return v
}

// sign notes that one, if it is one, does something.
func (v *stranger) sign() {
	if s := v.among; s != nil {
		v.signed = time.Now()
		s.all.MoveToBack(v.inAll)
		s.by[v.from].MoveToBack(v.in)
	}
}

// drop lets one be none any more, if it is one.
func (v *stranger) drop() {
	s := v.among
	if s == nil {
		return
	}
	same := s.by[v.from]
	s.all.Remove(v.inAll)
	same.Remove(v.in)
	v.among, v.inAll, v.in = nil, nil, nil
	if same.Len() == 0 {
		delete(s.by, v.from)
	}
}

// meet counts a stranger, for which another may have to give way; the lock is held.
func (g *gate) meet(v *visit) {
	if v.silent {
		g.giveWay(g.mute.add(v))
	} else {
		g.giveWay(g.strangers.add(v))
	}
}

// giveWay cuts a connection, if there is one, and says whether there was; the lock
// is held. Whoever waits for it or works on it sees that.
func (g *gate) giveWay(v *visit) bool {
	if v == nil {
		return false
	}
	if g.unpark(v) {
		v.over = true // nobody works on it
	}
	cut(v.conn)
	g.tell()
	return true
}

type visitKey struct{}

// context is an http.Server's ConnContext: it tells handlers whose visit it is.
func (g *gate) context(ctx context.Context, c net.Conn) context.Context {
	g.mu.Lock()
	defer g.mu.Unlock()
	return context.WithValue(ctx, visitKey{}, g.visits[c])
}

// visitOf is the visit that a request came with: a desk's, or net/http's. It is nil for
// one that did not come by the gate, as in tests.
func visitOf(w http.ResponseWriter, r *http.Request) *visit {
	if d, is := w.(*response); is {
		return d.visit
	}
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

// proved notes that a request is a worker's, and so is its connection.
func (g *gate) proved(v *visit, worker string) {
	if v == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	v.worker = worker
	v.drop()
}

// workerOf is the worker whose connection a request came on, as far as that is proved;
// "" for a stranger's.
func (g *gate) workerOf(v *visit) string {
	if v == nil {
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return v.worker
}

// spare lets a connection be none of the strangers for as long as it takes until
// what it sends is known to be a worker's or not: then the func must be called.
func (g *gate) spare(v *visit) (end func()) {
	if v == nil {
		return func() {}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	v.drop()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if v.worker == "" && !v.over {
			g.meet(v)
		}
	}
}
