package loadgen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/fltool/fltool/reports"
)

// Recorder writes every request in one of vegeta's encodings, for `vegeta report`,
// `vegeta plot` and `vegeta encode`. The attack is the step, Seq is contiguous
// within it and rises with time, Error is our class, also of what the end of the run
// cut; vegeta's own success ratio counts by status alone, which tells nothing in
// this protocol.
type Recorder struct {
	file  *os.File
	buf   *bufio.Writer
	enc   vegeta.Encoder
	start time.Time // of the run

	mu  sync.Mutex // of all above it, and of err, while the run lasts
	err error
}

// NewRecorder creates the file, in the encoding that its suffix names: .bin
// (gob), .json or .csv. With another suffix it touches nothing.
func NewRecorder(path string) (*Recorder, error) {
	if err := CheckRecordName(path); err != nil {
		return nil, err
	}
	at, _, err := reports.Target(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file, err := os.Create(at)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewWriterSize(file, 64<<10)
	return &Recorder{file: file, buf: buf, enc: encoders[filepath.Ext(path)](buf)}, nil
}

var encoders = map[string]func(io.Writer) vegeta.Encoder{
	".bin": vegeta.NewEncoder, ".json": vegeta.NewJSONEncoder, ".csv": vegeta.NewCSVEncoder,
}

// CheckRecordName says what is wrong with a recorder's file name, if anything.
func CheckRecordName(path string) error {
	if encoders[filepath.Ext(path)] == nil {
		return fmt.Errorf("%s: want a name that ends in .bin, .json or .csv", path)
	}
	return nil
}

// record writes the worker's last request, whose answer another hit of vegeta's may
// have read. After an error it does nothing more; Close tells.
func (r *Recorder) record(w *worker, method, url string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	out := vegeta.Result{
		Attack: w.step.String(), Seq: w.seq, Method: method, URL: url,
		// As the report has them: without the generator's own delays before and after.
		Timestamp: r.start.Add(w.out.sent), Latency: w.out.done - w.out.sent,
		Code: uint16(w.out.status), Body: []byte(w.out.text),
		BytesIn: uint64(w.out.bytesIn), BytesOut: uint64(w.out.bytesOut),
	}
	if w.out.fail != nil {
		out.Error = string(w.out.fail.class)
	}
	r.err = r.enc.Encode(&out)
}

// Close writes what is buffered, closes the file and tells of all that failed.
func (r *Recorder) Close() error { return errors.Join(r.err, r.buf.Flush(), r.file.Close()) }
