package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// What a reader takes: far above any real report, far below what hurts.
const (
	MaxFileBytes = 64 << 20 // of a report as JSON
	MaxShards    = 1024     // of one run

	maxSeconds  = 1e9 // of a run: 31 years
	maxSeries   = 256
	maxFindings = 10_000
	maxCommas   = 4 << 20 // of the whole document: bounds what it unfolds to in memory; a week of seconds has 3.6 million
)

// Read reads the report in a file. Its errors name the file.
func Read(path string) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	defer f.Close()
	r, err := Decode(f)
	if err != nil {
		return Report{}, fmt.Errorf("read report %s: %w", path, err)
	}
	return r, nil
}

// Decode reads one report and nothing after it. It refuses another schema, a
// field that it does not know (a merge would lose it in silence), figures that
// are no numbers, and reports larger than MaxFileBytes.
func Decode(src io.Reader) (Report, error) {
	data, err := io.ReadAll(io.LimitReader(src, MaxFileBytes+1))
	if err != nil {
		return Report{}, err
	}
	if err := checkDocument(data); err != nil {
		return Report{}, err
	}
	var r Report
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("not a report that this fltool knows: %w", inWords(err))
	}
	return r, r.validate()
}

// checkDocument holds the document to its schema and bounds before it unfolds.
func checkDocument(data []byte) error {
	switch {
	case len(data) > MaxFileBytes:
		return fmt.Errorf("larger than the %d MiB that a report may have", MaxFileBytes>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("it is empty")
	case bytes.Count(data, []byte(",")) > maxCommas:
		return errors.New("it holds more values than a report may have")
	}
	var head struct {
		Schema           *string
		Series, Findings length
	}
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(data, &head); {
	case errors.As(err, &syntax):
		return syntaxError(data, syntax)
	case err != nil:
		return fmt.Errorf("not a report: %w", inWords(err))
	case head.Schema == nil:
		return fmt.Errorf("not a report: it names no schema (want %q)", Schema)
	case *head.Schema != Schema:
		return fmt.Errorf("its schema is %q; this fltool reads %q", *head.Schema, Schema)
	case head.Series > maxSeries:
		return fmt.Errorf("%d series, more than the %d that a report may have", head.Series, maxSeries)
	case head.Findings > maxFindings:
		return fmt.Errorf("%d findings, more than the %d that a report may have", head.Findings, maxFindings)
	}
	return nil
}

// length reads a JSON array's length alone; the greatest where a key repeats.
type length int

func (n *length) UnmarshalJSON(b []byte) error {
	var values []json.RawMessage
	if err := json.Unmarshal(b, &values); err != nil {
		return err
	}
	*n = max(*n, length(len(values)))
	return nil
}

// syntaxError says in an operator's words where and how the JSON is broken.
func syntaxError(data []byte, e *json.SyntaxError) error {
	at := min(max(int(e.Offset)-1, 0), len(data))
	line := 1 + bytes.Count(data[:at], []byte("\n"))
	rest := bytes.TrimLeft(data[at:], "+-")
	switch {
	case bytes.HasPrefix(rest, []byte("NaN")), bytes.HasPrefix(rest, []byte("Inf")):
		return fmt.Errorf("line %d: NaN and infinity are no figures", line)
	case e.Error() == "unexpected end of JSON input":
		return fmt.Errorf("line %d: it ends in the middle: half a report", line)
	}
	return fmt.Errorf("line %d: %w", line, e)
}

// inWords says of a value of the wrong type where it stands, not which Go type it
// should have been.
func inWords(err error) error {
	var e *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &e):
		return err
	case e.Field == "":
		return fmt.Errorf("it is a JSON %s, no object", e.Value)
	}
	return fmt.Errorf("%s can't be a %s", e.Field, e.Value)
}

// validate tells what no report can say.
func (r Report) validate() error {
	if r.Schema != Schema {
		return fmt.Errorf("its schema is %q; this fltool writes %q", r.Schema, Schema)
	}
	if !slices.Contains([]Kind{KindSimulate, KindPreflight, KindCapacity, KindDrill, KindHosts, KindDrift}, r.Kind) {
		return fmt.Errorf("unknown kind %q", r.Kind)
	}
	if !slices.Contains(Verdicts, r.Verdict) {
		return fmt.Errorf("unknown verdict %q", r.Verdict)
	}
	if s := r.Shard; s != nil && (s.Count < 1 || s.Count > MaxShards || s.Index < 1 || s.Index > s.Count) {
		return fmt.Errorf("shard %d of %d: a run has 1 to %d shards, numbered from 1", s.Index, s.Count, MaxShards)
	}
	if r.Demand.Workers < 0 || r.Capacity != nil && r.Capacity.Workers < 0 {
		return errors.New("it counts less than no workers")
	}
	if r.Env.Started != "" {
		if _, err := r.Env.started(); err != nil {
			return err
		}
	}
	if r.Env.Seconds < 0 || r.Env.Seconds > maxSeconds {
		return fmt.Errorf("a run of %g s", r.Env.Seconds)
	}
	if !validStep(r.Step) {
		return fmt.Errorf("a timeline of %g s a step: want 1 s halved or doubled", r.Step)
	}
	for _, t := range r.Timeline {
		if t.T < 0 || t.T > maxSeconds {
			return fmt.Errorf("a tick of the timeline is at %g s", t.T)
		}
	}
	names := map[string]bool{}
	for _, s := range r.Series {
		if names[s.Name] {
			return fmt.Errorf("series %q is there twice", s.Name)
		}
		names[s.Name] = true
		if n := s.Histogram.Count(); n > 0 && n != s.Count {
			return fmt.Errorf("series %q counts %d and its histogram %d", s.Name, s.Count, n)
		}
	}
	if (r.Kind == KindSimulate || r.Kind == KindDrill) && r.Verdict.rank() < VerdictFail.rank() && !r.measured() {
		return fmt.Errorf("the verdict is %s, but nothing was measured", r.Verdict)
	}
	return nil
}

// measured tells whether a run has anything to show.
func (r Report) measured() bool {
	return r.Held != nil || len(r.Rounds) > 0 ||
		slices.ContainsFunc(r.Series, func(s Series) bool { return s.Count > 0 })
}

// started is the moment of the start; an error where it is not told.
func (e Env) started() (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, e.Started)
	if err != nil {
		return time.Time{}, fmt.Errorf("start %q is no RFC 3339 time", e.Started)
	}
	return t, nil
}

// Encode writes a report as Decode reads it, indented.
func Encode(w io.Writer, r Report) error {
	if err := r.validate(); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	return nil
}
