package server

import (
	"time"

	"github.com/fltool/fltool/server/wire"
)

// model is one version of the global model, encoded once for all who fetch it.
// It is never changed, so that any number may send it at the same time. No other
// form of it is kept, and the next version shares it where the model stays the same.
type model struct {
	number    int64 // of the round that works on it, from 1
	version   wire.Version
	packed    wire.PackedModel
	end       []byte // what PathModel answers behind packed.Start
	published time.Time
}

// newModel makes the model of a round; base is the version before that of round 1.
func newModel(number, base int64, packed wire.PackedModel) (*model, error) {
	m := &model{number: number, version: wire.VersionInt(base + number), packed: packed}
	var err error
	m.end, err = packed.End(m.version)
	return m, err
}

// size is how long the answer of PathModel is, in bytes.
func (m *model) size() int { return len(m.packed.Start) + len(m.end) }
