package lot

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Lot is where sockets park that nobody waits for: one epoll set for all, so that one
// costs neither a goroutine nor a buffer. Each is told of the first thing that comes and
// is in the lot no more.
//
// A socket stays in the set for as long as it lives, whether it parks or not, and the set
// speaks when something comes (EPOLLET): to change it for each stay would cost a call of
// the kernel's, which takes the longer the more there are. So what comes while a socket
// does not park is noted, and where something may be left unread the kernel is asked.
//
// An event names a descriptor, and which of those sockets it was that had the descriptor
// one after another. Closing a socket does not end its stay, since an epoll set forgets a
// closed descriptor without a word: whoever closes one takes it out.
type Lot struct {
	once sync.Once
	raw  syscall.RawConn // of the set; nil if there is none
	file *os.File
	done chan struct{} // closed when run has ended

	telling sync.Mutex // before all other locks
	events  [256]unix.EpollEvent

	mu     sync.Mutex
	closed bool
	last   uint32    // number
	all    []*Socket // by descriptor
	parked int
}

// place is a socket's in a lot, whose lock guards it.
type place struct {
	lot    atomic.Pointer[Lot]
	closed atomic.Bool // or is about to be
	fd     int
	number uint32 // among all that had its descriptor; 0: it is in no set yet
	odd    bool   // what it has read does not say whether that was all: the kernel is always asked
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

// start is with the first socket: where there are none, as in a bubble of
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

// Park has p be told of what comes on a socket next, or has come and was not read. It
// gives the socket, or nil where that can't be: it is nil or closed, or the lot is. It may
// be told before Park returns. A socket parks in one lot only.
func (l *Lot) Park(s *Socket, p Parked) *Socket {
	if s == nil {
		return nil
	}
	if l.once.Do(l.start); l.raw == nil {
		return nil
	}
	l.mu.Lock()
	if l.closed || s.closed.Load() {
		l.mu.Unlock()
		return nil
	}
	s.stay = p
	l.parked++
	known := s.number != 0 && !s.odd && !s.unread.Load()
	wanted := uint32(unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET)
	if !s.odd {
		wanted |= urgent // once: it may stay where it is
	}
	l.mu.Unlock()
	if known || l.ask(s, wanted) == nil {
		return s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.number = 0
	if s.stay == nil {
		return s // it has been told
	}
	s.leave(l)
	return nil
}

// ask has the set tell of what a socket has now.
func (l *Lot) ask(s *Socket, wanted uint32) error {
	s.unread.Store(false)
	var failed, closed error
	gone := s.raw.Control(func(fd uintptr) {
		closed = l.raw.Control(func(set uintptr) {
			op, number := unix.EPOLL_CTL_MOD, s.number
			if number == 0 {
				op, number = unix.EPOLL_CTL_ADD, l.enter(s, int(fd))
			}
			event := unix.EpollEvent{Events: wanted, Fd: int32(fd), Pad: int32(number)}
			if failed = unix.EpollCtl(int(set), op, int(fd), &event); failed == unix.EEXIST { // by another Socket of the same connection
				failed = unix.EpollCtl(int(set), unix.EPOLL_CTL_MOD, int(fd), &event)
			}
		})
	})
	if s.closed.Load() {
		return os.ErrClosed
	}
	return errors.Join(gone, closed, failed)
}

// enter notes whose a descriptor is, and gives the number.
func (l *Lot) enter(s *Socket, fd int) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = max(l.last+1, 1)
	if fd >= len(l.all) {
		l.all = append(l.all, make([]*Socket, fd+1-len(l.all))...)
	}
	s.fd, s.number = fd, l.last
	s.lot.Store(l)
	if !s.closed.Load() { // else Forget may have been before
		l.all[fd] = s
	}
	return l.last
}

// Take takes a socket out and says whether p was there: if not, it has been told, or is
// about to be, that something has come.
func (l *Lot) Take(s *Socket, p Parked) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s == nil || s.stay != p {
		return false
	}
	s.leave(l)
	return true
}

// leave ends a stay; the lock is held.
func (s *Socket) leave(l *Lot) (p Parked) {
	if p = s.stay; p != nil {
		s.stay = nil
		l.parked--
	}
	return p
}

// Forget is for a socket that parks no more, and that may be closed: nothing of it is kept.
func (s *Socket) Forget() {
	s.closed.Store(true)
	l := s.lot.Load()
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[s.fd] == s {
		l.all[s.fd] = nil
	}
}

func (l *Lot) run() {
	defer close(l.done)
	for l.raw.Read(l.tellAll) == nil { // else it is closed
	}
}

// Tell has those told on whose sockets something has come, unless somebody does already.
// The lot does that by itself, but waits for its turn of a CPU where all are busy.
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
	n, _ := unix.EpollWait(int(set), l.events[:], 0) // all it can fail with passes
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
	s := l.all[e.Fd]
	if s == nil || s.number != uint32(e.Pad) {
		return nil
	}
	s.unread.Store(true)
	s.odd = s.odd || e.Events&(endings|urgent) != 0
	return s.leave(l)
}

// Close ends the lot. Nobody parks any more, and who is still there is told nothing.
func (l *Lot) Close() {
	l.once.Do(func() {})
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	if l.raw != nil {
		_ = l.file.Close() // memory of the kernel's, nothing to lose
		<-l.done
	}
}

// Len is how many are there.
func (l *Lot) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parked
}
