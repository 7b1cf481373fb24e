package loadgen

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is what a connection reads from. It tells when what it read had come, can
// be looked into without a buffer, and can be told not to wait.
//
// The moment is the kernel's: a generator that is slow to read a burst of answers
// would else count its own slowness as the server's.
type socket struct {
	net.Conn
	raw  syscall.RawConn
	asis bool      // reads give what has come, errNothing where nothing has
	came time.Time // when the last of what was read had come to this machine
}

// newSocket gives nil for a connection that is no socket.
func newSocket(c net.Conn) *socket {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	// A kernel that tells no moments leaves those of reading, which is all that was
	// known without it.
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, stampArrivals, 1) })
	return &socket{Conn: c, raw: raw}
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
	var oob [64]byte
	var told int
	read := func(fd uintptr) bool {
		n, told, err = receive(fd, p, oob[:])
		return err != unix.EAGAIN
	}
	var rerr error
	if s.asis {
		// Control, not Read: it heeds no deadline, which has long passed for who thinks long.
		rerr = s.raw.Control(func(fd uintptr) { read(fd) })
	} else {
		rerr = s.raw.Read(read)
	}
	switch {
	case rerr != nil:
		return 0, rerr
	case err == unix.EAGAIN:
		return 0, errNothing
	case err != nil:
		return 0, err
	case n == 0:
		err = io.EOF
	}
	s.came = arrival(oob[:told], time.Now())
	return n, err
}

// look says how much of one byte can be read, which is none at the end; errNothing
// if that can't be known yet.
func (s *socket) look() (n int, err error) {
	rerr := s.raw.Control(func(fd uintptr) { n, err = peek(fd) })
	if err == unix.EAGAIN {
		return 0, errNothing
	}
	return n, errors.Join(rerr, err)
}

func peek(fd uintptr) (int, error) {
	var b [1]byte
	for {
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// receive reads what has come, and what the kernel says of it into oob.
func receive(fd uintptr, p, oob []byte) (n, told int, err error) {
	for {
		n, told, _, _, err = unix.Recvmsg(int(fd), p, oob, unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, told, err
		}
	}
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
		var ts unix.Timespec
		if h.Level == unix.SOL_SOCKET && h.Type == stampArrivals {
			if _, err := binary.Decode(data, binary.NativeEndian, &ts); err != nil {
				break
			}
			return now.Add(-max(0, now.Sub(time.Unix(ts.Unix()))))
		}
		oob = rest
	}
	return now
}
