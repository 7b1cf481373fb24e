package wire

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/vmihailenco/msgpack/v5"
)

// PackedModel is a global model as EncodeModel writes it but for its end, which alone
// depends on the version: another version of the same model costs next to nothing.
type PackedModel struct {
	Start []byte // of the zlib stream; not to be written to
	Size  int64  // of the model, in bytes
	sum   []byte // the state of the stream's checksum behind Start
}

// PackModel packs a model.
func PackModel(model []byte) (PackedModel, error) {
	var out bytes.Buffer
	out.Grow(len(model) + len(model)/512 + 256) // incompressible models grow a little
	p, err := packModel(&out, bytes.NewReader(model), int64(len(model)))
	p.Start = out.Bytes()
	return p, err
}

// packModel writes a model's Start to w.
func packModel(w io.Writer, model io.Reader, size int64) (PackedModel, error) {
	if size < 0 || size > MaxModel {
		return PackedModel{}, fmt.Errorf("encode model: %d bytes: a model has at most %d", size, int64(MaxModel))
	}
	z, sum := zlib.NewWriter(w), adler32.New()
	both := io.MultiWriter(z, sum)
	enc := msgpack.NewEncoder(both)
	if err := errors.Join(enc.EncodeMapLen(2), enc.EncodeString("global_model"), enc.EncodeBytesLen(int(size))); err != nil {
		return PackedModel{}, fmt.Errorf("encode model: %w", err)
	}
	if _, err := io.CopyN(both, model, size); err != nil {
		return PackedModel{}, fmt.Errorf("encode model of %d bytes: %w", size, err)
	}
	state, err := sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err := errors.Join(err, z.Flush()); err != nil { // to a whole byte, without an end
		return PackedModel{}, fmt.Errorf("encode model: %w", err)
	}
	return PackedModel{Size: size, sum: state}, nil
}

// End is what follows Start for a version: the stream's last block, stored as it is
// (RFC 1951, 3.2.4), and the checksum.
func (p *PackedModel) End(version Version) ([]byte, error) {
	var text bytes.Buffer
	enc, sum := msgpack.NewEncoder(&text), adler32.New()
	err := errors.Join(enc.EncodeString("global_model_version"), version.EncodeMsgpack(enc), sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(p.sum))
	if err != nil {
		return nil, err
	}
	n := text.Len()
	if n > 1<<16-1 {
		return nil, fmt.Errorf("a version of %d bytes", n)
	}
	_, _ = sum.Write(text.Bytes()) // never fails
	end := binary.LittleEndian.AppendUint16([]byte{1}, uint16(n))
	end = binary.LittleEndian.AppendUint16(end, ^uint16(n))
	return sum.Sum(append(end, text.Bytes()...)), nil
}

// Bytes is the model that was packed.
func (p *PackedModel) Bytes() ([]byte, error) {
	end, err := p.End(VersionInt(0))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(int(p.Size))
	_, err = DecodeModel(&out, io.MultiReader(bytes.NewReader(p.Start), bytes.NewReader(end)), p.Size)
	return out.Bytes(), err
}
