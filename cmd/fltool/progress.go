package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
)

// plainEvery is how often progress is told where there is no terminal.
const plainEvery = 5 * time.Second

// progressTo tells how far a run has come: on a terminal in one line that is
// rewritten, elsewhere in a line every few seconds.
func progressTo(w io.Writer) loadgen.Follower {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return func(p reports.Progress, _ func() reports.Report) {
			line := progressLine(p)
			// A line that wraps can't be rewritten.
			if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && len(line) >= width {
				line = line[:width-1]
			}
			fmt.Fprintf(w, "\r\x1b[K%s", line)
			if p.Over {
				fmt.Fprint(w, "\r\x1b[K")
			}
		}
	}
	next := plainEvery.Seconds()
	return func(p reports.Progress, _ func() reports.Report) {
		if p.Seconds >= next && !p.Over {
			next += plainEvery.Seconds()
			fmt.Fprintln(w, progressLine(p))
		}
	}
}

func progressLine(p reports.Progress) string {
	line := fmt.Sprintf("%5.1fs  held %d/%d  requests %d", p.Seconds, p.Held, p.Workers, p.Done)
	if p.Errors > 0 {
		line += fmt.Sprintf("  errors %d", p.Errors)
	}
	if p.Lost > 0 {
		line += fmt.Sprintf("  lost %d", p.Lost)
	}
	if p.Rounds > 0 {
		line += fmt.Sprintf("  round %d/%d", min(p.Round+1, p.Rounds), p.Rounds)
	}
	if p.Finished > 0 {
		line += fmt.Sprintf("  finished %d", p.Finished)
	}
	if p.Left > 0 {
		line += fmt.Sprintf("  %s left", time.Duration(p.Left*float64(time.Second)).Round(time.Second))
	}
	return line
}
