package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/vmihailenco/msgpack/v5"
)

// ErrTooLarge is a body that inflates to more than it may.
var ErrTooLarge = errors.New("larger than allowed")

// ErrNoModel is a body of PathModel that is well-formed, and has no model in it.
// dc_federated's workers drop such a body and poll again; one that they can't inflate
// ends them.
var ErrNoModel = errors.New("no model")

// NoModel is the shortest body of that kind: zlib of the msgpack of an empty map. A proxy
// that answers it while no server runs keeps workers alive.
const NoModel = "x^k\x00\x00\x00\x81\x00\x81"

// MaxModel bounds a global model, in bytes: msgpack has no longer ones.
const MaxModel = 1<<32 - 1

// EncodeModel writes a global model of size bytes as PathModel answers it: zlib
// of the msgpack map of global_model and, after it, global_model_version.
func EncodeModel(w io.Writer, model io.Reader, size int64, version Version) error {
	p, err := packModel(w, model, size)
	if err != nil {
		return err
	}
	end, err := p.End(version)
	if err == nil {
		_, err = w.Write(end)
	}
	if err != nil {
		return fmt.Errorf("encode model: %w", err)
	}
	return nil
}

// Model is what DecodeModel found: the bytes themselves went to its writer.
type Model struct {
	Size    int64 // bytes, inflated
	Version Version
}

// DecodeModel reads what EncodeModel or a Python server wrote, down to the zlib
// checksum, and writes the model's bytes to w. A model of more than limit bytes
// is ErrTooLarge, a well-formed body without one ErrNoModel. Every error but w's own
// means that the body is no model.
func DecodeModel(w io.Writer, r io.Reader, limit int64) (Model, error) {
	z, err := newInflater(r)
	if err != nil {
		return Model{}, fmt.Errorf("model: %w", eof(err))
	}
	defer z.free()
	m, err := decodeModel(w, bufio.NewReader(z), limit)
	if err != nil {
		return Model{}, fmt.Errorf("model: %w", eof(err))
	}
	return m, nil
}

func decodeModel(w io.Writer, r *bufio.Reader, limit int64) (Model, error) {
	dec := msgpack.NewDecoder(&frugal{Reader: r, left: MaxMessage})
	n, err := dec.DecodeMapLen()
	if err != nil {
		return Model{}, err
	}
	var m Model
	var haveModel, haveVersion bool
	unknown := ""
	for range n {
		key, err := dec.DecodeString()
		if err != nil {
			return Model{}, err
		}
		switch key {
		case "global_model":
			size, err := dec.DecodeBytesLen()
			if err != nil {
				return Model{}, err
			}
			if m.Size = max(int64(size), 0); m.Size > limit {
				return Model{}, fmt.Errorf("%d bytes: %w", m.Size, ErrTooLarge)
			}
			if _, err := io.CopyN(w, r, m.Size); err != nil {
				return Model{}, err
			}
			haveModel = true
		case "global_model_version":
			if m.Version, err = decodeVersion(dec); err != nil {
				return Model{}, err
			}
			haveVersion = true
		default:
			unknown = key
			if err := dec.Skip(); err != nil {
				return Model{}, err
			}
		}
	}
	// The checksum stands behind the last byte: read to the end.
	if _, err := r.ReadByte(); err == nil {
		return Model{}, errors.New("bytes after the model")
	} else if err != io.EOF {
		return Model{}, err
	}
	switch {
	case !haveModel || !haveVersion:
		return Model{}, fmt.Errorf("%w: global_model or global_model_version is missing", ErrNoModel)
	case unknown != "":
		return Model{}, fmt.Errorf("unknown key %.40q", unknown)
	}
	return m, nil
}

// frugal lets the msgpack decoder read only so much: all but the model's bytes
// is small, and without a bound a hostile body could nest or grow for ever. It is
// the decoder's own buffer too, so that it reads no byte ahead of the model.
type frugal struct {
	*bufio.Reader
	left int
}

func (f *frugal) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := f.Reader.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

func (f *frugal) ReadByte() (byte, error) {
	if f.left <= 0 {
		return 0, ErrTooLarge
	}
	f.left--
	return f.Reader.ReadByte()
}

// eof turns an end within a body into what it is: a cut.
func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
