// Package render writes a report for people and for other tools, one file a
// format.
package render

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// Style is how a report is written. The zero value is plain text.
type Style struct {
	Color   bool // the table's verdicts in ANSI colours: for a terminal, which the caller knows
	Columns int  // of the terminal that the table is written for; 0: 80
	Verbose bool // the table of a preflight tells every finding in full, and lists what is right and what is not applicable

	Repository, Dir string // SARIF: the root of the repository, and the folder in it that relative paths are of; "": none
}

// Default is the format of stdout.
const Default = "table"

// Formats are the ways to write something, by name.
type Formats[T any] map[string]func(Style) func(io.Writer, T) error

// Names are those of the formats, sorted.
func (f Formats[T]) Names() []string { return slices.Sorted(maps.Keys(f)) }

// For is the format of that name; the error of an unknown one lists the names.
func (f Formats[T]) For(name string, o Style) (func(io.Writer, T) error, error) {
	of, ok := f[name]
	if !ok {
		return nil, fmt.Errorf("unknown format %q: want %s", name, strings.Join(f.Names(), ", "))
	}
	return of(o), nil
}

// Reports are the formats of a report.
var Reports = Formats[reports.Report]{
	"benchmark":  func(Style) func(io.Writer, reports.Report) error { return Benchmark },
	"html":       func(Style) func(io.Writer, reports.Report) error { return HTML },
	"junit":      func(Style) func(io.Writer, reports.Report) error { return JUnit },
	"log":        func(Style) func(io.Writer, reports.Report) error { return reports.EncodeLog },
	"markdown":   func(Style) func(io.Writer, reports.Report) error { return Markdown },
	"table":      func(o Style) func(io.Writer, reports.Report) error { return o.Table },
	"json":       func(Style) func(io.Writer, reports.Report) error { return reports.Encode },
	"sarif":      func(o Style) func(io.Writer, reports.Report) error { return o.SARIF },
	"prometheus": func(Style) func(io.Writer, reports.Report) error { return Prometheus },
}

// Comparisons are the formats of a comparison, Trends those of a history's analysis.
var (
	Comparisons = formatsOf("comparison", comparison)
	Trends      = formatsOf("trend", trendWords)
)

// formatsOf are the formats of what words puts into a document, all of it or what a
// terminal has room for.
func formatsOf[T any](kind string, words func(v T, all bool) document) Formats[T] {
	return Formats[T]{
		"table": func(o Style) func(io.Writer, T) error {
			return func(w io.Writer, v T) error { return o.table(w, words(v, false)) }
		},
		"markdown": func(Style) func(io.Writer, T) error {
			return func(w io.Writer, v T) error { return markdown(w, words(v, true)) }
		},
		"html": func(Style) func(io.Writer, T) error {
			return func(w io.Writer, v T) error { return writePage(w, words(v, true), kind, nil) }
		},
		"json": func(Style) func(io.Writer, T) error {
			return func(w io.Writer, v T) error {
				enc := json.NewEncoder(w)
				enc.SetIndent("", "  ")
				return enc.Encode(v)
			}
		},
	}
}
