//go:build !linux

package lot

// Lot is where no socket parks: without epoll a poll costs a goroutine.
type Lot struct{}

type place struct{}

// New gives a lot that nobody is in.
func New() *Lot { return &Lot{} }

// Park parks nobody.
func (*Lot) Park(*Socket, Parked) *Socket { return nil }

// Take finds nobody.
func (*Lot) Take(*Socket, Parked) bool { return false }

// Tell has nobody to tell.
func (*Lot) Tell() {}

// Forget has nothing to forget.
func (*Socket) Forget() {}

// Close ends the lot.
func (*Lot) Close() {}

// Len is how many are there.
func (*Lot) Len() int { return 0 }
