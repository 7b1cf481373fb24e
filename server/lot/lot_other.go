//go:build !linux

package lot

import "syscall"

// Lot is where no connection parks: without epoll a poll costs a goroutine.
type Lot struct{}

// New gives a lot that nobody is in.
func New() *Lot { return &Lot{} }

// Park parks nobody.
func (*Lot) Park(syscall.RawConn, Parked) (token uint64) { return 0 }

// Take finds nobody.
func (*Lot) Take(uint64) bool { return false }

// Close ends the lot.
func (*Lot) Close() {}

// Len is how many are there.
func (*Lot) Len() int { return 0 }
