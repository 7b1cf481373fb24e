//go:build !linux

package lot

import "golang.org/x/sys/unix"

func receive(fd int, p, oob []byte) (n, told int, err error) {
	n, told, _, _, err = unix.Recvmsg(fd, p, oob, unix.MSG_DONTWAIT)
	return max(n, 0), told, err
}

func peek(fd int) (n int, err error) {
	n, _, err = unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return max(n, 0), err
}
