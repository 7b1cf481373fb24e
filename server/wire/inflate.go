package wire

import (
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// inflater is a zlib reader out of a pool: its window is some 40 KB, too much to
// allocate anew for every message of thousands of workers.
type inflater struct{ io.ReadCloser }

var inflaters sync.Pool // of zlib.Resetter

// newInflater reads the zlib header of r. Call free when done.
func newInflater(r io.Reader) (inflater, error) {
	if z, ok := inflaters.Get().(io.ReadCloser); ok {
		if err := z.(zlib.Resetter).Reset(r, nil); err != nil {
			inflaters.Put(z)
			return inflater{}, err
		}
		return inflater{z}, nil
	}
	z, err := zlib.NewReader(r)
	return inflater{z}, err
}

func (z inflater) free() {
	// Only lets go of what it holds: read errors were seen when reading.
	_ = z.Close()
	inflaters.Put(z.ReadCloser)
}
