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

// ZlibHeader says whether a zlib stream can start with these two bytes (RFC 1950,
// 2.2): how to tell a model from a refusal, since both come with status 200.
func ZlibHeader(b []byte) bool {
	return len(b) >= 2 && b[0]&0x0f == 8 && (uint(b[0])<<8|uint(b[1]))%31 == 0
}
