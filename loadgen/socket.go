package loadgen

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/lot"
)

// socket is what a connection reads from and writes to. It tells when what it read had
// come, can be looked into without a buffer, and can be told not to wait. Where it has to
// wait for what the kernel does not give or take at once, its hit gives its hand away.
//
// The moment is the kernel's: a generator that is slow to read a burst of answers
// would else count its own slowness as the server's.
type socket struct {
	*lot.Conn
	hit  *hit
	asis bool      // reads give what has come, errNothing where nothing has
	came time.Time // when the last of what was read had come to this machine
}

// newSocket takes a connection over for a lot. It gives nil for one that is no socket, or
// where there is no epoll.
func newSocket(l *lot.Lot, c net.Conn) (*socket, error) {
	tcp, is := c.(*net.TCPConn)
	if !is || !l.Open() {
		return nil, nil
	}
	own, err := l.Own(tcp)
	if err != nil {
		return nil, err
	}
	// A kernel that tells no moments leaves those of reading, which is all that was
	// known without it.
	_ = own.Control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, stampArrivals, 1) })
	return &socket{Conn: own}, nil
}

// nothing is an error after which TLS can be read again. TLS has messages of its
// own, such as session tickets: that the socket can be read does not mean that an
// answer has come.
type nothing struct{}

func (nothing) Error() string   { return "nothing has come" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

var errNothing error = nothing{}

func (s *socket) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	stamp := stamps.Get().(*[64]byte)
	defer stamps.Put(stamp)
	n, told, err := s.Receive(p, stamp[:])
	for err == unix.EAGAIN && !s.asis {
		s.hit.rest()
		if err = s.Wait(); err == nil {
			n, told, err = s.Receive(p, stamp[:])
		}
	}
	switch {
	case err == unix.EAGAIN:
		return 0, errNothing
	case err == nil || err == io.EOF:
		s.came = arrival(stamp[:told], time.Now())
	}
	return n, err
}

// stamps are what the kernel says of what was read. They are used again: one would be
// allocated for each reading.
var stamps = sync.Pool{New: func() any { return new([64]byte) }}

func (s *socket) Write(p []byte) (n int, err error) {
	n, err = s.WriteNow(p)
	switch {
	case err != nil && err != unix.EAGAIN:
		return 0, err
	case n == len(p):
		return n, nil
	}
	s.hit.rest()
	rest, err := s.Conn.Write(p[n:])
	return n + rest, err
}

// look says how much of one byte can be read, which is none at the end; errNothing
// if that can't be known yet.
func (s *socket) look() (n int, err error) {
	if n, err = s.Look(); err == unix.EAGAIN {
		err = errNothing
	}
	return n, err
}

// arrival is when bytes that were read now had come by the kernel's word; now if it
// said nothing. The word is of the wall clock, so only how long ago it was is used:
// the result goes by now's monotonic clock.
func arrival(oob []byte, now time.Time) time.Time {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		if h.Level == unix.SOL_SOCKET && h.Type == stampArrivals {
			at, ok := moment(data)
			if !ok {
				break
			}
			return now.Add(-max(0, now.Sub(at)))
		}
		oob = rest
	}
	return now
}

// moment is what the kernel says of one.
func moment(timespec []byte) (time.Time, bool) {
	if len(timespec) == 2*8 { // as on all machines of 64 bits
		sec, nsec := binary.NativeEndian.Uint64(timespec), binary.NativeEndian.Uint64(timespec[8:])
		return time.Unix(int64(sec), int64(nsec)), true // signed, as they are written
	}
	var ts unix.Timespec
	_, err := binary.Decode(timespec, binary.NativeEndian, &ts)
	return time.Unix(ts.Unix()), err == nil
}
