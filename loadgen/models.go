package loadgen

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// models knows the models that workers have downloaded. Thousands download the
// same bytes: the first decodes them fully, checksum and all, the others are
// compared to what was decoded.
type models struct {
	seed  maphash.Seed
	mu    sync.Mutex
	known map[uint64]wire.Version        // of decoded models, by digest of the body
	after map[wire.Version]bool          // a model that came after this version is among them
	since map[wire.Version]time.Duration // when a model of this version was first decoded
}

func newModels() models {
	return models{seed: maphash.MakeSeed(), known: map[uint64]wire.Version{}, after: map[wire.Version]bool{}, since: map[wire.Version]time.Duration{}}
}

// noModelBytes is more than a body has that says that there is no model.
const noModelBytes = 64

// take is read of a model that has come whole.
func (m *models) take(w *worker, body []byte, start time.Time) *failure {
	m.mu.Lock()
	var known wire.Version
	if m.after[w.version] && !w.fresh {
		known = m.known[maphash.Bytes(m.seed, body)]
	}
	m.mu.Unlock()
	if known == "" {
		return m.read(w, bytes.NewReader(body), start)
	}
	w.out.version = known
	return nil
}

// read reads a model for a worker, to its end, and sets the outcome's version: to
// "" where the bytes differ from all that was decoded, so that the worker must
// fetch it again with fresh set. Times are since start.
func (m *models) read(w *worker, r io.Reader, start time.Time) *failure {
	var h maphash.Hash
	h.SetSeed(m.seed)
	m.mu.Lock()
	compare := m.after[w.version] && !w.fresh
	m.mu.Unlock()
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	if compare {
		// What says that there is no model is shorter than any model, and not one of those
		// to compare with.
		n, err := io.ReadFull(r, buf[:noModelBytes])
		compare = err == nil
		// A Reader and no more: as a WriterTo it would copy with a buffer of its own.
		r = struct{ io.Reader }{io.MultiReader(bytes.NewReader(slices.Clone(buf[:n])), r)}
	}
	if compare {
		if _, err := io.CopyBuffer(&h, r, buf[:]); err != nil {
			return failed(classModel, "%s", cause(err))
		}
		m.mu.Lock()
		w.out.version = m.known[h.Sum64()]
		m.mu.Unlock()
		if w.out.version == "" {
			w.doubt = w.out.sent
		}
		return nil
	}
	body := io.TeeReader(r, &h)
	model, err := wire.DecodeModel(io.Discard, body, DefaultMaxModel)
	if _, rest := io.CopyBuffer(io.Discard, body, buf[:]); err == nil {
		err = rest
	}
	switch {
	case errors.Is(err, wire.ErrNoModel):
		return failed(classNoModel, "%s", err)
	case err != nil:
		return failed(classModel, "%s", err)
	}
	w.out.version = model.Version
	m.mu.Lock()
	defer m.mu.Unlock()
	since, before := m.since[model.Version]
	if !before {
		m.since[model.Version] = time.Since(start)
	}
	m.known[h.Sum64()] = model.Version
	m.after[w.version] = true
	if w.fresh && before && since < w.doubt {
		// What was doubted was asked for when this version was out already, so it was that.
		w.fresh, w.out.version = false, ""
		return failed(classModel, "another body than before for version %s, and than a moment later", model.Version)
	}
	return nil
}

var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}
