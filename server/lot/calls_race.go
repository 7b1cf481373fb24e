//go:build linux && race

package lot

import "golang.org/x/sys/unix"

func happened(set int, events []unix.EpollEvent) (n int, err error) {
	return unix.EpollWait(set, events, 0)
}
