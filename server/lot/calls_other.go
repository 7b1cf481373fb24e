//go:build !linux || race

package lot

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Package syscall tells the race detector that who reads comes after who wrote.

func read(fd int, p []byte) (n int, err error) {
	return again(func() (int, error) { return syscall.Read(fd, p) })
}

func write(fd int, p []byte) (n int, err error) {
	return again(func() (int, error) { return syscall.Write(fd, p) })
}

func peek(fd int) (n int, err error) {
	return again(func() (n int, err error) {
		n, _, err = unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return n, err
	})
}

func receive(fd int, p, oob []byte) (n, told int, err error) {
	n, err = again(func() (n int, err error) {
		n, told, _, _, err = unix.Recvmsg(fd, p, oob, unix.MSG_DONTWAIT)
		return n, err
	})
	return n, told, err
}
