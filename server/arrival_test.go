package server

import (
	"encoding/binary"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// stampArrivals has the kernel note when bytes come on a connection.
func stampArrivals(c net.Conn) (err error) {
	controlled := socket(withSocket(c)).Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	return errors.Join(controlled, err)
}

// waitArrival is when what a connection can read now had come, by the kernel's clock. It
// leaves it there, and looks seldom: to look takes CPU from the server.
func waitArrival(c net.Conn) (at time.Time, err error) {
	var b [1]byte
	var oob [64]byte
	told := 0
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		controlled := socket(withSocket(c)).Control(func(fd uintptr) {
			_, told, _, _, err = unix.Recvmsg(int(fd), b[:], oob[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		})
		if err = errors.Join(controlled, err); err == nil {
			break
		}
		if !errors.Is(err, unix.EAGAIN) || time.Now().After(deadline) {
			return at, err
		}
	}
	for left := oob[:told]; len(left) > 0; {
		h, data, rest, err := unix.ParseOneSocketControlMessage(left)
		if err != nil {
			return at, err
		}
		var ts unix.Timespec
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS {
			_, err = binary.Decode(data, binary.NativeEndian, &ts)
			return time.Unix(ts.Unix()), err
		}
		left = rest
	}
	return at, errors.New("the kernel does not tell when bytes come")
}
