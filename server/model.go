package server

import (
	"bytes"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// model is one version of the global model, encoded once for all who fetch it.
// It is never changed, so that any number may send it at the same time.
type model struct {
	number    int64 // of the round that works on it, from 1
	version   wire.Version
	bytes     []byte // as the aggregator gave it
	encoded   []byte // as PathModel answers it
	published time.Time
}

// encodeModel makes the model of a round; base is the version before that of round 1.
func encodeModel(number, base int64, b []byte) (*model, error) {
	m := &model{number: number, version: wire.VersionInt(base + number), bytes: b}
	var out bytes.Buffer
	out.Grow(len(b) + len(b)/512 + 256) // incompressible models grow a little
	if err := wire.EncodeModel(&out, bytes.NewReader(b), int64(len(b)), m.version); err != nil {
		return nil, err
	}
	m.encoded = out.Bytes()
	return m, nil
}
