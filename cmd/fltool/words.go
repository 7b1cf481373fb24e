package main

import (
	"cmp"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// columns is the width of the terminals that output is written for.
const columns = 80

// are is a number, its noun and verb: "1 run is", "2 runs are".
func are(n int, noun string) string {
	if n == 1 {
		return render.Plural(n, noun) + " is"
	}
	return render.Plural(n, noun) + " are"
}

// fitted is text for a person: on a terminal no line of it is wider than that, and
// elsewhere it is one line, for programs that read lines. What others wrote in it
// can't steer the terminal.
func fitted(w io.Writer, text string) string {
	text = reports.Clean(text)
	if onTerminal(w) {
		return render.Wrap(text, 2, cmp.Or(columnsOf(w), columns))
	}
	return text
}

// columnsOf is the width of the terminal that is written to; 0: it is none, or does not say.
func columnsOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil || n == 0 { // it does not say
		return 0
	}
	return max(n, leastColumns)
}

// leastColumns are those below which no table can be read.
const leastColumns = 40

func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
