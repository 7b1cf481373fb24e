package lot

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Lot is where connections park that nobody waits for: one epoll set for all, so
// that one costs neither a goroutine nor a buffer. Each is told of the first thing
// that comes and is in the lot no more.
//
// A token names a connection, not its descriptor: that may be another's by the time
// its event is looked at. Closing a connection does not end its stay, since an epoll
// set forgets a closed descriptor without a word: whoever closes one takes it out.
// Taking it out leaves the set as it is: it says something once more at most, about
// a token that means nothing any more.
type Lot struct {
	once sync.Once
	raw  syscall.RawConn // of the set; nil if there is none
	file *os.File
	done chan struct{} // closed when run has ended

	mu   sync.Mutex
	last uint64
	in   map[uint64]Parked // by token
}

// New gives a lot that nobody is in. Close it.
func New() *Lot { return &Lot{in: map[uint64]Parked{}, done: make(chan struct{})} }

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
	if l.raw, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
		return
	}
	go l.run()
}

// Park gives a token, or 0 where a connection can't park: raw is nil, or closed.
// It may be told that something has come before park returns.
func (l *Lot) Park(raw syscall.RawConn, p Parked) (token uint64) {
	if raw == nil {
		return 0
	}
	if l.once.Do(l.start); l.raw == nil {
		return 0
	}
	l.mu.Lock()
	l.last++
	token = l.last
	l.in[token] = p
	l.mu.Unlock()
	var failed error
	err := errors.Join(raw.Control(func(fd uintptr) {
		failed = l.raw.Control(func(set uintptr) {
			event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(token), Pad: int32(token >> 32)}
			// It has been here before, mostly.
			if failed = unix.EpollCtl(int(set), unix.EPOLL_CTL_MOD, int(fd), &event); failed == unix.ENOENT {
				failed = unix.EpollCtl(int(set), unix.EPOLL_CTL_ADD, int(fd), &event)
			}
		})
	}), failed)
	if err != nil && l.Take(token) {
		return 0
	}
	return token
}

// Take takes a connection out and says whether it was there: if not, it has been
// told, or is about to be, that something has come.
func (l *Lot) Take(token uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, there := l.in[token]
	delete(l.in, token)
	return there
}

func (l *Lot) run() {
	defer close(l.done)
	events := make([]unix.EpollEvent, 256)
	for {
		n := 0
		err := l.raw.Read(func(set uintptr) bool {
			n, _ = unix.EpollWait(int(set), events, 0) // all it can fail with passes
			return n > 0
		})
		if err != nil {
			return // closed
		}
		for _, e := range events[:n] {
			token := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
			l.mu.Lock()
			p := l.in[token]
			delete(l.in, token)
			l.mu.Unlock()
			if p != nil {
				p.Come()
			}
		}
	}
}

// Close ends the lot. Nobody parks any more, and who is still there is told nothing.
func (l *Lot) Close() {
	l.once.Do(func() {})
	if l.raw != nil {
		_ = l.file.Close() // memory of the kernel's, nothing to lose
		<-l.done
	}
}

// Len is how many are there.
func (l *Lot) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.in)
}
