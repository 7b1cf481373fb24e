package loadgen

import (
	"bytes"

	"github.com/fltool/fltool/server/wire"
)

// Update is what every worker sends, as it is sent. The zero Update is an empty one.
type Update struct {
	form   wire.UpdateForm
	digest wire.Digest
	size   int64
}

// NewUpdate compresses an update and keeps nothing else of it.
func NewUpdate(b []byte) (Update, error) {
	z, digest, err := wire.CompressUpdate(bytes.NewReader(b))
	if err != nil {
		return Update{}, err
	}
	form, err := wire.NewUpdateForm(z)
	return Update{form, digest, int64(len(b))}, err
}

// Size is that before compression, in bytes.
func (u *Update) Size() int64 { return u.size }
