package loadgen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Recorder writes every request in one of vegeta's encodings, for `vegeta report`,
// `vegeta plot` and `vegeta encode`. The attack is the step, Seq is contiguous
// within it, Error is our class; vegeta's own success ratio counts by status
// alone, which tells nothing in this protocol.
type Recorder struct {
	buf *bufio.Writer
	enc vegeta.Encoder
	err error
}

// NewRecorder picks the encoding by the suffix of name: .bin (gob), .json or
// .csv.
func NewRecorder(w io.Writer, name string) (*Recorder, error) {
	r := &Recorder{buf: bufio.NewWriterSize(w, 64<<10)}
	switch ext := filepath.Ext(name); ext {
	case ".bin":
		r.enc = vegeta.NewEncoder(r.buf)
	case ".json":
		r.enc = vegeta.NewJSONEncoder(r.buf)
	case ".csv":
		r.enc = vegeta.NewCSVEncoder(r.buf)
	default:
		return nil, fmt.Errorf("%s: want a name that ends in .bin, .json or .csv", name)
	}
	return r, nil
}

// record writes the result of the worker's last request. After an error it does
// nothing more; Close tells.
func (r *Recorder) record(res *vegeta.Result, w *worker, url string) {
	if r.err != nil {
		return
	}
	out := *res
	out.Attack, out.Seq = w.step.String(), w.seq
	out.URL = url
	out.Code = uint16(w.out.status)
	out.BytesIn, out.BytesOut = uint64(w.out.bytesIn), uint64(w.out.bytesOut)
	out.Error, out.Body = "", []byte(w.out.text)
	if w.out.fail != nil {
		out.Error = string(w.out.fail.class)
	}
	r.err = r.enc.Encode(&out)
}

// Close writes what is buffered and tells of the first error there was.
func (r *Recorder) Close() error { return errors.Join(r.err, r.buf.Flush()) }
