package server

import "errors"

const (
	// DefaultMaxInflation is how many times its size an update may inflate to, when
	// Config does not say.
	DefaultMaxInflation = 100
	// So much may come of little, in bytes: what is this small is no bomb.
	freeInflation = 1 << 20
	// An update that is smaller needs no share, in bytes.
	freeOfShares = 64 << 10
)

// errInflation is an update that inflates to more than it may.
var errInflation = errors.New("inflates to too many times its size")

// inflating is an update between its body, which is read from it if it is long, and its
// Upload, to which what was inflated is written through it. In between it computes, and
// for that has a share of the CPU.
type inflating struct {
	Upload
	body   *body
	ratio  int64
	seats  *seats // nil if it has no seat
	shares *shares
	share  share
	has    bool  // its share of the CPU
	err    error // what writing failed with
}

// Read reads what is not inflated yet.
func (i *inflating) Read(p []byte) (int, error) {
	i.rest()
	defer i.work()
	if i.seats != nil {
		i.seats.pause()
		defer i.seats.resume()
	}
	return i.body.Read(p)
}

// Write gets what is.
func (i *inflating) Write(p []byte) (int, error) {
	i.share.bytes += int64(len(p))
	if i.share.bytes > freeInflation && i.share.bytes/i.ratio > i.body.got() {
		return 0, errInflation
	}
	i.rest()
	defer i.work()
	n, err := i.Upload.Write(p)
	i.err = err
	return n, err
}

// work waits for the share.
func (i *inflating) work() {
	if i.share.bytes >= freeOfShares {
		i.shares.take(&i.share)
		i.has = true
	}
}

// rest passes it on, if there is one.
func (i *inflating) rest() {
	if i.has {
		i.has = false
		i.shares.give()
	}
}
