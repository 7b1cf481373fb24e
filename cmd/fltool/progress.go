package main

import (
	"fmt"
	"io"
	"time"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
)

// plainEvery is how often progress is told in plain lines.
const plainEvery = 5 * time.Second

// plainProgress tells how far a run has come in a line every few seconds.
func plainProgress(w io.Writer) loadgen.Follower {
	next := plainEvery.Seconds()
	return func(p reports.Progress, _ func() reports.Report) {
		if p.Seconds < plainEvery.Seconds() {
			next = plainEvery.Seconds() // it may be another run than before
		}
		if p.Seconds >= next && !p.Over {
			next += plainEvery.Seconds()
			fmt.Fprintln(w, progressLine(p))
		}
	}
}

func progressLine(p reports.Progress) string {
	line := fmt.Sprintf("%5.1fs  held %d/%d  requests %d", p.Seconds, p.Held, p.Workers, p.Done)
	if p.Load != "" {
		line += "  " + p.Load
	}
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
