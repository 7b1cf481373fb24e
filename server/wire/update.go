package wire

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/textproto"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// The parts of an update, in their order.
const (
	partUpdate = "worker_model_update"
	partSigned = "signed_phrase"
)

// maxPhrase bounds the signed phrase of an update, in bytes. A real one has 192.
const maxPhrase = 4 << 10

// maxHead bounds the head of a part, and what stands before the first one, in
// bytes. A real one has some 150; mime/multipart alone would keep 10 MB of it.
const maxHead = 4 << 10

// Digest is the sha256 of an update before compression: what its worker signs.
type Digest [sha256.Size]byte

// CompressUpdate gives an update's zlib stream and its digest.
func CompressUpdate(update io.Reader) ([]byte, Digest, error) {
	var out bytes.Buffer
	if sized, ok := update.(interface{ Len() int }); ok {
		out.Grow(sized.Len() + sized.Len()/512 + 256) // incompressible ones grow a little
	}
	sum := sha256.New()
	z := zlib.NewWriter(&out)
	if _, err := io.Copy(io.MultiWriter(z, sum), update); err != nil {
		return nil, Digest{}, fmt.Errorf("compress update: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, Digest{}, fmt.Errorf("compress update: %w", err)
	}
	compressed := out.Bytes()
	if cap(compressed)/2 > len(compressed) {
		compressed = bytes.Clone(compressed) // it was compressible: the room for it is given back
	}
	return compressed, Digest(sum.Sum(nil)), nil
}

// UpdateForm is the body of PathUpdate but for the signature in it: made once
// and shared by all workers that send the same update.
type UpdateForm struct {
	ContentType string // with the boundary
	head, tail  []byte // up to the signature, and behind it
	body        []byte // the zlib stream, between head's two halves
	split       int    // of head: where body goes
}

// NewUpdateForm wraps an update's zlib stream.
func NewUpdateForm(zlibbed []byte) (UpdateForm, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part := func(name string) error {
		_, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition(name)}})
		return err
	}
	if err := part(partUpdate); err != nil {
		return UpdateForm{}, err
	}
	split := b.Len()
	if err := part(partSigned); err != nil {
		return UpdateForm{}, err
	}
	head := b.Len()
	if err := w.Close(); err != nil {
		return UpdateForm{}, err
	}
	return UpdateForm{
		ContentType: w.FormDataContentType(),
		head:        b.Bytes()[:head:head], tail: b.Bytes()[head:],
		body: zlibbed, split: split,
	}, nil
}

// Len is the length of the whole body with this signature, in bytes.
func (f *UpdateForm) Len(signed string) int64 {
	return int64(len(f.head) + len(f.body) + len(signed) + len(f.tail))
}

// Segments is the body with this signature, in order, without a copy of the
// update. They are the form's own: not to be written to.
func (f *UpdateForm) Segments(signed string) net.Buffers {
	return net.Buffers{f.head[:f.split], f.body, f.head[f.split:], []byte(signed), f.tail}
}

// Update is what ReadUpdate found besides the update's bytes.
type Update struct {
	Size   int64  // bytes, inflated
	Digest Digest // of what was inflated
	Signed string // the signed phrase, unchecked
}

// ReadUpdate reads the body of PathUpdate as it comes and writes the inflated
// update to w. The signature stands behind the update, so whatever w got is worth
// nothing until the caller has checked it. An update of more than limit bytes is
// ErrTooLarge; a part that is not there is ErrNoUpdate or ErrNoPhrase; a second
// update ErrTwice; one that does not inflate an InflateError. What reading body or writing w fails with is
// returned as it is.
//
// With w nil nothing is inflated: the update's zlib header alone is looked at,
// and Size and Digest stay zero.
func ReadUpdate(w io.Writer, body io.Reader, contentType string, limit int64) (up Update, err error) {
	source := &sticky{r: body}
	up.Signed, err = readForm(source, contentType, func(stream io.Reader) (err error) {
		if w == nil {
			return checkHeader(stream)
		}
		up.Size, up.Digest, err = inflate(w, stream, limit)
		return err
	})
	if source.err != nil {
		err = source.err // a body that was cut looks to all above like a body that is wrong
	}
	if err != nil {
		return Update{}, err
	}
	return up, nil
}

// Form is the body of PathUpdate with nothing inflated yet.
type Form struct {
	Signed string // the signed phrase, unchecked
	stream []byte // of zlib
}

// OpenForm is ReadUpdate with w nil for a body that is there. What it gives may share the
// body's memory.
func OpenForm(body []byte, contentType string) (f Form, err error) {
	if stream, signed, ok := plainForm(body, contentType); ok {
		return Form{Signed: signed, stream: stream}, checkHeader(bytes.NewReader(stream))
	}
	f.Signed, err = readForm(bytes.NewReader(body), contentType, func(stream io.Reader) error {
		b := bytes.NewBuffer(make([]byte, 0, len(body)+bytes.MinRead))
		_, _ = b.ReadFrom(stream) // a part that is cut: the next one is missing
		f.stream = b.Bytes()
		return checkHeader(bytes.NewReader(f.stream))
	})
	return f, err
}

// Inflate is the rest of ReadUpdate.
func (f Form) Inflate(w io.Writer, limit int64) (Update, error) {
	size, digest, err := inflate(w, bytes.NewReader(f.stream), limit)
	if err != nil {
		return Update{}, err
	}
	return Update{Size: size, Digest: digest, Signed: f.Signed}, nil
}

// readForm gives take the update's part and returns the signature.
func readForm(body io.Reader, contentType string, take func(io.Reader) error) (signed string, err error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return "", ErrNoPhrase
	}
	var haveUpdate, havePhrase bool
	heads := &headReader{r: body}
	for parts := multipart.NewReader(heads, params["boundary"]); !haveUpdate || !havePhrase; {
		heads.begin()
		part, err := parts.NextRawPart()
		heads.end()
		if err != nil {
			// Whatever else is wrong with the form, a part is missing.
			break
		}
		switch part.FormName() {
		case partUpdate:
			if haveUpdate {
				// Only one of them could be what was signed.
				return "", ErrTwice
			}
			err = take(part)
			haveUpdate = true
		case partSigned:
			var b []byte
			b, err = io.ReadAll(io.LimitReader(part, maxPhrase))
			signed = string(b)
			havePhrase = true
		}
		if err != nil {
			return "", err
		}
		// Else the rest of the part would count as the next one's head.
		if _, err := io.Copy(io.Discard, part); err != nil {
			break
		}
	}
	switch {
	case !havePhrase:
		return "", ErrNoPhrase
	case !haveUpdate:
		return "", ErrNoUpdate
	}
	return signed, nil
}

// headReader gives no more than maxHead bytes while the head of a part is read,
// and then ends.
type headReader struct {
	r    io.Reader
	head bool
	left int
}

func (h *headReader) begin() { h.head, h.left = true, maxHead }
func (h *headReader) end()   { h.head = false }

func (h *headReader) Read(p []byte) (int, error) {
	if !h.head {
		return h.r.Read(p)
	}
	if h.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := h.r.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}

const copySize = 8 << 10

// copyBuffers are for inflating: thousands of updates come at once.
var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

func inflate(w io.Writer, r io.Reader, limit int64) (int64, Digest, error) {
	z, err := newInflater(r)
	if err != nil {
		return 0, Digest{}, &InflateError{err}
	}
	defer z.free()
	sum := sha256.New()
	out := &sink{w: io.MultiWriter(w, sum)}
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	n, err := io.CopyBuffer(out, io.LimitReader(z, limit+1), buf[:])
	switch {
	case out.err != nil:
		return 0, Digest{}, out.err
	case err != nil:
		return 0, Digest{}, &InflateError{err}
	case n > limit:
		return 0, Digest{}, fmt.Errorf("update of more than %d bytes: %w", limit, ErrTooLarge)
	}
	return n, Digest(sum.Sum(nil)), nil
}

// checkHeader reads the header of a zlib stream.
func checkHeader(r io.Reader) error {
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return &InflateError{err}
	}
	if !ZlibHeader(h[:]) {
		return &InflateError{zlib.ErrHeader}
	}
	return nil
}

// sticky remembers what reading failed with, the end excepted.
type sticky struct {
	r   io.Reader
	err error
}

func (s *sticky) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// sink remembers what writing failed with.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// Errors of ReadUpdate, besides ErrTooLarge and what inflating fails with.
var (
	ErrNoUpdate error = formError("worker_model_update not found in worker update payload.")
	ErrNoPhrase error = formError("signed_phrase not found in worker update payload.")
	ErrTwice    error = formError("worker_model_update is in the worker update payload twice.")
)

// formError is a fault of a form in upstream's words, full stop included.
type formError string

func (e formError) Error() string { return string(e) }

// InflateError is an update that is no zlib stream. Its text is what Python's
// zlib says.
type InflateError struct{ Cause error }

func (e *InflateError) Error() string {
	switch {
	case errors.Is(e.Cause, zlib.ErrHeader):
		return "Error -3 while decompressing data: incorrect header check"
	case errors.Is(e.Cause, zlib.ErrDictionary):
		return "Error 2 while decompressing data"
	case errors.Is(e.Cause, zlib.ErrChecksum):
		return "Error -3 while decompressing data: incorrect data check"
	case errors.Is(e.Cause, io.EOF), errors.Is(e.Cause, io.ErrUnexpectedEOF):
		return "Error -5 while decompressing data: incomplete or truncated stream"
	}
	return "Error -3 while decompressing data: invalid stored block lengths"
}

func (e *InflateError) Unwrap() error { return e.Cause }
