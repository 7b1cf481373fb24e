package lot

import (
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Lot is where connections park that nobody waits for: one epoll set for all, so that one
// costs neither a goroutine nor a buffer. Each is told of the first thing that comes and
// is in the lot no more.
//
// A connection is in the set for as long as it lives, whether it parks or not, and the set
// speaks when something comes (EPOLLET): to change it for each stay would cost a call of
// the kernel's, which takes the longer the more there are. So what comes while one
// does not park is noted, and where something may be left unread the kernel is asked.
//
// An event names a descriptor, and which of those connections it was that had the
// descriptor one after another. An epoll set forgets a closed descriptor without a word:
// whoever closes a connection takes it out.
type Lot struct {
	once sync.Once
	raw  syscall.RawConn // of the set; nil if there is none
	file *os.File
	done chan struct{} // closed when run has ended

	telling sync.Mutex // before all other locks
	events  [256]unix.EpollEvent

	mu     sync.Mutex
	closed bool
	last   uint32  // number
	all    []*Conn // by descriptor
	parked int
}

// place is a connection's in a lot, whose lock guards it.
type place struct {
	number uint32 // among all that had its descriptor
	odd    bool   // what it has read does not say whether that was all: the kernel is always asked
	hears  bool   // its writer is told of room
	gone   bool   // it is closed, or is about to be
	stay   Parked // nil: it does not park
}

const (
	// The end, or half of it, can be read after what a short read gave.
	endings = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	// At urgent data a read stops, though there is more behind it.
	urgent = unix.EPOLLPRI
)

// New gives a lot that nobody is in. Close it.
func New() *Lot { return &Lot{done: make(chan struct{})} }

// Open says whether connections can be the lot's: it is not closed, and there is epoll.
func (l *Lot) Open() bool {
	l.once.Do(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.raw != nil && !l.closed
}

// start is with the first connection: where there are none, as in a bubble of
// testing/synctest, no goroutine waits for the kernel.
func (l *Lot) start() {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	// A set can be waited for like a socket, by the runtime's own set.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return
	}
	l.file = os.NewFile(uintptr(fd), "lot")
	if err := l.file.SetDeadline(time.Time{}); err != nil {
		_ = l.file.Close() // the runtime can't wait for it
		return
	}
	raw, err := l.file.SyscallConn()
	if err != nil {
		_ = l.file.Close()
		return
	}
	l.mu.Lock()
	l.raw = raw
	l.mu.Unlock()
	go l.run()
}

// join has the set speak of what comes on a connection.
func (c *Conn) join() error {
	l := c.lot
	if !l.Open() {
		return net.ErrClosed
	}
	l.mu.Lock()
	fd := c.socket.fd
	if fd >= len(l.all) {
		l.all = append(l.all, make([]*Conn, fd+1-len(l.all))...)
	}
	l.last = max(l.last+1, 1)
	c.number = l.last
	l.all[fd] = c
	l.mu.Unlock()
	return c.ask(unix.EPOLL_CTL_ADD)
}

// ask has the set speak of what a connection has now, and what comes.
func (c *Conn) ask(op int) error {
	l := c.lot
	c.asks.Lock()
	defer c.asks.Unlock()
	wanted := uint32(unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET)
	l.mu.Lock()
	if !c.odd {
		wanted |= urgent // once: it may stay where it is
	}
	if c.hears {
		wanted |= unix.EPOLLOUT
	}
	l.mu.Unlock()
	c.unread.Store(false)
	var failed error
	closed := l.raw.Control(func(set uintptr) {
		failed = c.Control(func(fd int) error {
			return unix.EpollCtl(int(set), op, fd, &unix.EpollEvent{Events: wanted, Fd: int32(fd), Pad: int32(c.number)})
		})
	})
	if closed != nil {
		return net.ErrClosed // the lot is
	}
	return failed
}

// Park has p be told of what comes next, or has come and was not read, and says whether it
// will be: not where the connection or its lot is closed. It may be told before Park
// returns.
func (c *Conn) Park(p Parked) bool {
	l := c.lot
	l.mu.Lock()
	if l.closed || c.gone {
		l.mu.Unlock()
		return false
	}
	c.stay = p
	l.parked++
	known := !c.odd && !c.unread.Load()
	l.mu.Unlock()
	if known || c.ask(unix.EPOLL_CTL_MOD) == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.leave() == nil // it has been told
}

// Take takes the connection out and says whether p was there: if not, it has been told, or
// is about to be, that something has come.
func (c *Conn) Take(p Parked) bool {
	c.lot.mu.Lock()
	defer c.lot.mu.Unlock()
	if c.stay != p {
		return false
	}
	c.leave()
	return true
}

// leave ends a stay; the lot's lock is held.
func (c *Conn) leave() (p Parked) {
	if p = c.stay; p != nil {
		c.stay = nil
		c.lot.parked--
	}
	return p
}

// hear has a connection's writer be told of room, if there is some already.
func (c *Conn) hear() error {
	l := c.lot
	l.mu.Lock()
	already, gone := c.hears, l.closed || c.gone
	c.hears = true
	l.mu.Unlock()
	switch {
	case gone:
		return net.ErrClosed
	case already:
		return nil
	}
	return c.ask(unix.EPOLL_CTL_MOD)
}

// forget is for a connection that is about to be closed: nothing of it is kept.
func (c *Conn) forget() {
	l := c.lot
	l.mu.Lock()
	defer l.mu.Unlock()
	c.gone = true
	if fd := c.socket.fd; fd < len(l.all) && l.all[fd] == c {
		l.all[fd] = nil
	}
}

func (l *Lot) run() {
	defer close(l.done)
	for l.raw.Read(l.tellAll) == nil { // else it is closed
	}
}

// Tell has those told on whose connections something has come, unless somebody does
// already. The lot does that by itself, but waits for its turn of a CPU where all are busy.
func (l *Lot) Tell() {
	l.mu.Lock()
	raw := l.raw
	l.mu.Unlock()
	if raw != nil && l.telling.TryLock() {
		defer l.telling.Unlock()
		_ = raw.Control(func(set uintptr) { l.tellSome(set) }) // a closed one tells nobody
	}
}

// tellAll says whether there was anybody to tell.
func (l *Lot) tellAll(set uintptr) bool {
	l.telling.Lock()
	defer l.telling.Unlock()
	return l.tellSome(set)
}

// tellSome is tellAll; the lock of those who tell is held, so that one at a time is told.
func (l *Lot) tellSome(set uintptr) bool {
	n, _ := happened(int(set), l.events[:]) // all it can fail with passes
	for _, e := range l.events[:max(n, 0)] {
		if p := l.tell(e); p != nil {
			p.Come()
		}
	}
	return n > 0
}

// tell gives who is to be told of an event; nil: nobody.
func (l *Lot) tell(e unix.EpollEvent) Parked {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.all[e.Fd]
	if c == nil || c.number != uint32(e.Pad) {
		return nil
	}
	if c.hears && e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.look(&c.writes)
	}
	if e.Events&^unix.EPOLLOUT == 0 {
		return nil
	}
	c.unread.Store(true)
	c.odd = c.odd || e.Events&(endings|urgent) != 0
	return c.leave()
}

// Close ends the lot. Nobody parks any more, and who is still there is told nothing; what
// waits for something to come, or for room, fails.
func (l *Lot) Close() {
	l.once.Do(func() {})
	l.mu.Lock()
	l.closed = true
	all := slices.Clone(l.all)
	l.mu.Unlock()
	if l.raw == nil {
		return
	}
	_ = l.file.Close() // memory of the kernel's, nothing to lose
	<-l.done
	for _, c := range all {
		if c != nil {
			c.look(&c.reads)
			c.look(&c.writes)
		}
	}
}

// Len is how many are there.
func (l *Lot) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parked
}
