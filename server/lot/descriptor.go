package lot

import (
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// descriptor is one that is closed when nobody uses it any more: its number may be
// another's after that.
type descriptor struct {
	fd   int
	uses atomic.Int64 // closed is added once it is
}

const closed = -1 << 32

// use begins to use it; release follows. It fails with net.ErrClosed.
func (d *descriptor) use() error {
	for {
		n := d.uses.Load()
		if n < 0 {
			return net.ErrClosed
		}
		if d.uses.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

func (d *descriptor) release() {
	if d.uses.Add(-1) == closed {
		_ = unix.Close(d.fd) // a socket has nothing to lose by then
	}
}

// close fails with net.ErrClosed where it was closed before.
func (d *descriptor) close() error {
	if err := d.use(); err != nil {
		return err
	}
	defer d.release()
	for {
		n := d.uses.Load()
		if n < 0 {
			return net.ErrClosed
		}
		if d.uses.CompareAndSwap(n, n+closed) {
			return nil
		}
	}
}

// over says whether it was closed.
func (d *descriptor) over() bool { return d.uses.Load() < 0 }
