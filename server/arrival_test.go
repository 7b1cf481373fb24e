package server

import (
	"encoding/binary"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// control lets f have a connection's descriptor, and fails with its error.
func control(c net.Conn, f func(fd int) error) error {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	gone := raw.Control(func(fd uintptr) { err = f(int(fd)) })
	return errors.Join(gone, err)
}

// stampArrivals has the kernel note when bytes come on a connection.
func stampArrivals(c net.Conn) error {
	return control(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
}

// waitArrival is when what a connection can read now had come, by the kernel's clock. It
// leaves it there, and looks seldom: to look takes CPU from the server.
func waitArrival(c net.Conn) (at time.Time, err error) {
	var b [1]byte
	var oob [64]byte
	told := 0
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		err = control(c, func(fd int) (err error) {
			_, told, _, _, err = unix.Recvmsg(fd, b[:], oob[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			return err
		})
		if err == nil {
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
