//go:build !linux

package lot

import (
	"errors"
	"net"
)

// Lot is where no connection parks: without epoll a poll costs a goroutine.
type Lot struct{}

type place struct{}

// New gives a lot that nobody is in.
func New() *Lot { return &Lot{} }

// Open says that no connection can be the lot's.
func (*Lot) Open() bool { return false }

func (*Conn) join() error { return errors.ErrUnsupported }
func (*Conn) hear() error { return errors.ErrUnsupported }
func (*Conn) forget()     {}

// Park parks nobody.
func (*Conn) Park(Parked) bool { return false }

// Take finds nobody.
func (*Conn) Take(Parked) bool { return false }

// Listen takes no listener.
func (*Lot) Listen(*net.TCPListener) (net.Listener, error) { return nil, errors.ErrUnsupported }

// Tell has nobody to tell.
func (*Lot) Tell() {}

// Close ends the lot.
func (*Lot) Close() {}

// Len is how many are there.
func (*Lot) Len() int { return 0 }
