//go:build !race

package lot

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// None of these calls waits, and so the runtime need not know of them. It would look every
// 20 µs whether one does, and give its CPU to another thread.

// longestWrite is how much may be written in such a call, in bytes: more takes the kernel
// long to copy.
const longestWrite = 64 << 10

func read(fd int, p []byte) (n int, err error) {
	return raw(unix.SYS_READ, fd, unsafe.Pointer(unsafe.SliceData(p)), len(p), 0) // #nosec G103 -- as package unix does
}

func write(fd int, p []byte) (n int, err error) {
	if len(p) > longestWrite {
		return again(func() (int, error) { return unix.Write(fd, p) })
	}
	return raw(unix.SYS_WRITE, fd, unsafe.Pointer(unsafe.SliceData(p)), len(p), 0) // #nosec G103 -- as package unix does
}

// peek is recv(2) of one byte that stays where it is.
func peek(fd int) (n int, err error) {
	var b [1]byte
	return raw(unix.SYS_RECVFROM, fd, unsafe.Pointer(&b), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT) // #nosec G103 -- as package unix does
}

// receive is recvmsg(2): it gives how much has come, and of what the kernel says of that.
// That of package unix allocates room for an address, which a connection has none of.
func receive(fd int, p, oob []byte) (n, told int, err error) {
	if len(p) == 0 || len(oob) == 0 {
		return 0, 0, unix.EINVAL
	}
	part := unix.Iovec{Base: &p[0]}
	part.SetLen(len(p))
	m := unix.Msghdr{Iov: &part, Control: &oob[0]}
	m.SetIovlen(1)
	m.SetControllen(len(oob))
	n, err = raw(unix.SYS_RECVMSG, fd, unsafe.Pointer(&m), unix.MSG_DONTWAIT, 0) // #nosec G103 -- as package unix does
	return n, int(m.Controllen), err
}

// happened gives what has happened on an epoll set.
func happened(set int, events []unix.EpollEvent) (n int, err error) {
	return raw(unix.SYS_EPOLL_PWAIT, set, unsafe.Pointer(unsafe.SliceData(events)), len(events), 0) // #nosec G103 -- as package unix does
}

// raw makes a call until no signal interrupts it.
func raw(call uintptr, fd int, p unsafe.Pointer, a, b int) (n int, err error) {
	for {
		switch r, _, e := unix.RawSyscall6(call, uintptr(fd), uintptr(p), uintptr(a), uintptr(b), 0, 0); e {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}
