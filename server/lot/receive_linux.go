package lot

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// What follows is that of package unix without an address, which a connection has none of
// and which is allocated for each call there.

// receive is recvmsg(2): it gives how much has come, and of what the kernel says of that.
func receive(fd int, p, oob []byte) (n, told int, err error) {
	if len(p) == 0 || len(oob) == 0 {
		return 0, 0, unix.EINVAL
	}
	part := unix.Iovec{Base: &p[0]}
	part.SetLen(len(p))
	m := unix.Msghdr{Iov: &part, Control: &oob[0]}
	m.SetIovlen(1)
	m.SetControllen(len(oob))
	for {
		r, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&m)), unix.MSG_DONTWAIT) // #nosec G103 -- as package unix does
		switch e {
		case 0:
			return int(r), int(m.Controllen), nil
		case unix.EINTR:
		default:
			return 0, 0, e
		}
	}
}

// peek is recv(2) of one byte that stays where it is.
func peek(fd int) (n int, err error) {
	var b [1]byte
	for {
		r, _, e := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0) // #nosec G103 -- as package unix does
		switch e {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}
