package loadgen

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// stampArrivals is the socket's option by which the kernel says when bytes came.
const stampArrivals = unix.SO_TIMESTAMPNS

// pickPortLate has the kernel pick the port when it knows the destination. At bind it
// does not yet, so one port range would serve all destinations.
func pickPortLate(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}

// bound is how a child is started that gets the signal when this process ends,
// however that ends, and none of the terminal's.
func bound(signal syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: signal, Setpgid: true}
}
