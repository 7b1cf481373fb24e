package reports

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// A report within a log is lines, between one that begins it and one that ends it with
// its length and sum. Each names the shard, so that the lines of several may be mixed,
// with others between them and anything before:
//
//	fltool-report 3/20 begin
//	fltool-report 3/20 1 H4sIAAAA…
//	fltool-report 3/20 end 1 9f86d081…
const (
	logMark      = "fltool-report"
	logLineBytes = 3 << 10 // of what is encoded: engines cut lines of 16 KiB and more
	maxLogLine   = 1 << 20 // of anybody's
)

// EncodeLog writes a report as lines of a log, which DecodeLog finds there.
func EncodeLog(w io.Writer, r Report) error {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if err := errors.Join(Encode(z, r), z.Close()); err != nil {
		return err
	}
	index, count := 1, 1
	if r.Shard != nil {
		index, count = r.Shard.Index, r.Shard.Count
	}
	var b bytes.Buffer
	line := func(format string, a ...any) {
		fmt.Fprintf(&b, "%s %d/%d ", logMark, index, count)
		fmt.Fprintf(&b, format+"\n", a...)
	}
	line("begin")
	sum, n := sha256.Sum256(packed.Bytes()), 0
	for part := packed.Next(logLineBytes); len(part) > 0; part = packed.Next(logLineBytes) {
		n++
		line("%d %s", n, base64.StdEncoding.EncodeToString(part))
	}
	line("end %d %x", n, sum)
	_, err := w.Write(b.Bytes())
	return err
}

// logLine is one of a report's, with what it is of, and its number and content.
var logLine = regexp.MustCompile(logMark + ` (\d+/\d+) (?:(begin)|end (\d+) ([0-9a-f]{64})|(\d+) ([A-Za-z0-9+/]+=*))`)

// inLog is a report of which a log's lines have begun.
type inLog struct {
	lines  int
	packed bytes.Buffer
	broken string // what is wrong with it; "": nothing
}

// DecodeLog reads the reports that stand in a log, in the order in which they end. One
// that never ends is an error, unless it was begun again.
func DecodeLog(log io.Reader) ([]Report, error) {
	var found []Report
	open := map[string]*inLog{}
	scan := bufio.NewScanner(log)
	scan.Buffer(nil, maxLogLine)
	for scan.Scan() {
		m := logLine.FindStringSubmatch(scan.Text())
		if m == nil {
			continue
		}
		of, begins, length, sum, number, text := m[1], m[2], m[3], m[4], m[5], m[6]
		in := open[of]
		switch {
		case begins != "":
			open[of] = &inLog{}
		case in == nil:
			return nil, fmt.Errorf("the report of shard %s has no beginning: the log was cut", of)
		case length != "":
			r, err := in.end(length, sum)
			if err != nil {
				return nil, fmt.Errorf("the report of shard %s: %w", of, err)
			}
			found = append(found, r)
			delete(open, of)
		default:
			in.add(number, text)
		}
	}
	if err := scan.Err(); err != nil {
		return nil, err
	}
	for of := range open {
		return nil, fmt.Errorf("the report of shard %s has no end: the log was cut, or is not all of it", of)
	}
	if len(found) == 0 {
		return nil, errors.New("no report is in it")
	}
	return found, nil
}

// add takes one more line.
func (in *inLog) add(number, text string) {
	part, err := base64.StdEncoding.DecodeString(text)
	switch in.lines++; {
	case in.broken != "":
	case number != strconv.Itoa(in.lines):
		in.broken = fmt.Sprintf("its line %d is missing", in.lines)
	case err != nil:
		in.broken = fmt.Sprintf("its line %d is damaged", in.lines)
	case in.packed.Len()+len(part) > MaxFileBytes:
		in.broken = fmt.Sprintf("larger than the %d MiB that a report may have", MaxFileBytes>>20)
	default:
		in.packed.Write(part)
	}
}

// end is the report, once all its lines are there.
func (in *inLog) end(length, sum string) (Report, error) {
	have := sha256.Sum256(in.packed.Bytes())
	switch {
	case in.broken != "":
		return Report{}, errors.New(in.broken)
	case length != strconv.Itoa(in.lines):
		return Report{}, fmt.Errorf("it has %d lines of %s", in.lines, length)
	case !strings.EqualFold(sum, hex.EncodeToString(have[:])):
		return Report{}, errors.New("it is damaged: its sum differs")
	}
	z, err := gzip.NewReader(&in.packed)
	if err != nil {
		return Report{}, err
	}
	return Decode(z)
}
