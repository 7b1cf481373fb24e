package trend

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/fltool/fltool/reports"
)

// Schema names the format and version of a history's lines.
const Schema = "fltool.history/v1"

// MaxFileBytes bounds a history: of runs as regress makes them that is 20 a commit for
// 2000 commits.
const MaxFileBytes = 64 << 20

// Entry is one run, a line of a history.
type Entry struct {
	Schema  string             `json:"schema"`
	Commit  string             `json:"commit,omitempty"`  // of what was run; "-dirty" behind it: with changes of its own
	Started string             `json:"started,omitempty"` // RFC 3339, UTC
	Kind    reports.Kind       `json:"kind"`
	Verdict reports.Verdict    `json:"verdict"`
	Tool    string             `json:"tool,omitempty"`
	CPU     string             `json:"cpu,omitempty"`
	CPUs    int                `json:"cpus,omitempty"`
	Kernel  string             `json:"kernel,omitempty"`
	Go      string             `json:"go,omitempty"`
	Demand  reports.Demand     `json:"demand"`
	Metrics map[string]float64 `json:"metrics"` // in seconds, bytes, shares of 1 and counts
}

// EntryOf is the line of a run: its metrics without its distributions.
func EntryOf(r reports.Report, commit string) Entry {
	e := Entry{
		Schema: Schema, Commit: commit, Started: r.Env.Started, Kind: r.Kind, Verdict: r.Verdict,
		Tool: r.Env.Tool, CPU: r.Env.CPU, CPUs: r.Env.CPUs, Kernel: r.Env.Kernel, Go: r.Env.Go,
		Demand: r.Demand, Metrics: map[string]float64{},
	}
	for _, name := range reports.MetricNames() {
		if v, _, ok, err := r.Metric(name); err == nil && ok {
			e.Metrics[name] = v
		}
	}
	return e
}

// Append adds lines to a history, all by one write; it makes the file where there is
// none, also for no lines at all: so it is told beforehand whether it can be written.
// The error names the file.
func Append(path string, entries []Entry) (err error) {
	var b bytes.Buffer
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		b.Write(append(line, '\n'))
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, reports.Public) // #nosec G302 -- as the umask has it, like any report
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	return errors.Join(err, f.Close())
}

// Read reads a history. Its errors name the file and the line.
func Read(path string) ([]Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	all, err := Decode(f)
	if err != nil {
		return nil, fmt.Errorf("read history %s: %w", path, err)
	}
	return all, nil
}

// Decode reads the lines of a history; empty ones are left out. It refuses another
// schema and what is no run's.
func Decode(src io.Reader) ([]Entry, error) {
	var all []Entry
	lines := bufio.NewScanner(io.LimitReader(src, MaxFileBytes+1))
	lines.Buffer(nil, 1<<20)
	read := 0
	for n := 1; lines.Scan(); n++ {
		if read += len(lines.Bytes()) + 1; read > MaxFileBytes {
			return nil, fmt.Errorf("larger than the %d MiB that a history may have", MaxFileBytes>>20)
		}
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		e, err := decode(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, e)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, errors.New("a line is longer than the 1 MiB that a run may have")
	}
	return all, lines.Err()
}

func decode(line []byte) (e Entry, err error) {
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("it is no JSON of a run: %w", err)
	}
	switch {
	case e.Schema == "":
		return e, fmt.Errorf("it names no schema (want %q)", Schema)
	case e.Schema != Schema:
		return e, fmt.Errorf("its schema is %q; this fltool reads %q", e.Schema, Schema)
	case e.Kind != reports.KindSimulate && e.Kind != reports.KindCapacity:
		return e, fmt.Errorf("a %s report is no run", e.Kind)
	}
	return e, nil
}
