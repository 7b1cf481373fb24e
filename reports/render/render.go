// Package render writes a report for people and for other tools, one file a
// format.
package render

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// A Func writes a report in one format. Its error is the writer's.
type Func func(io.Writer, reports.Report) error

// Style is how a report is written. The zero value is plain text.
type Style struct {
	Color   bool // the table's verdicts in ANSI colours: for a terminal, which the caller knows
	Verbose bool // the table of a preflight tells every finding in full, and lists what is right and what is not applicable
}

// Default is the format of stdout.
const Default = "table"

var formats = map[string]func(Style) Func{
	"benchmark": func(Style) Func { return Benchmark },
	"html":      func(Style) Func { return HTML },
	"junit":     func(Style) Func { return JUnit },
	"markdown":  func(Style) Func { return Markdown },
	"table":     func(o Style) Func { return o.Table },
	"json":      func(Style) Func { return reports.Encode },
	"sarif":     func(Style) Func { return SARIF },
}

// Formats are the names that For knows, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// For is the format of that name; the error of an unknown one lists the names.
func For(name string, o Style) (Func, error) {
	f, ok := formats[name]
	if !ok {
		return nil, fmt.Errorf("unknown format %q: want %s", name, strings.Join(Formats(), ", "))
	}
	return f(o), nil
}
