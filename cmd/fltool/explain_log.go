package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/reports/render"
)

// explainLog tells what stands in a log. Interrupted, it tells what it has read.
func explainLog(ctx context.Context, w io.Writer, stdin io.Reader, name string) error {
	in := untilDone(ctx, func() (io.ReadCloser, error) {
		if name == "-" {
			return io.NopCloser(stdin), nil
		}
		return os.Open(name)
	})
	defer in.Close()
	log, err := symptoms.Scan(in)
	if err != nil && ctx.Err() == nil {
		return cantError("", "read the log: %w", err)
	}
	if err := printTo(w, "the symptoms", told(log)); err != nil {
		return err
	}
	return ctx.Err()
}

// untilDone reads what open gives until the context ends, at once even where opening
// or reading waits for ever, as a named pipe without a writer does: that wait can't
// be ended, and is left to the end of the process.
func untilDone(ctx context.Context, open func() (io.ReadCloser, error)) io.ReadCloser {
	r, w := io.Pipe()
	stop := context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	go func() {
		defer stop()
		in, err := open()
		if err == nil {
			_, err = io.Copy(w, in)
			in.Close() // only read: nothing is lost
		}
		w.CloseWithError(err)
	}()
	return r
}

// told is the text of what a log tells, of 80 columns.
func told(log symptoms.Log) string {
	var b strings.Builder
	for _, f := range log.Found {
		fmt.Fprintf(&b, "%7d× %s\n", f.Lines, titled(f.Symptom))
		at := fmt.Sprintf("         line %d: ", f.First)
		fmt.Fprintf(&b, "%s%s\n", at, around(f.Example, f.From, f.To, columns-len(at)))
		if t := timesOf(f); t != "" {
			item(&b, t)
		}
		for i, c := range f.Causes {
			text := c.Text
			if len(c.Checks) > 0 {
				text += " (" + strings.Join(c.Checks, ", ") + ")"
			}
			switch {
			case len(f.Causes) == 1:
				item(&b, "because: "+text)
			case i == 0:
				item(&b, "either: "+text)
			default:
				item(&b, "or: "+text)
			}
		}
		item(&b, "do: "+f.Do)
	}
	if log.Unknown > 0 {
		fmt.Fprintf(&b, "%7d× of level error or worse, and no symptom that fltool knows\n", log.Unknown)
		at := fmt.Sprintf("         line %d: ", log.First)
		fmt.Fprintf(&b, "%s%s\n", at, around(log.Example, len(stamp.FindString(log.Example)), len(log.Example), columns-len(at)))
	}
	lines := render.Plural(log.Lines, "line")
	if len(log.Found) == 0 {
		fmt.Fprintf(&b, "no known symptom in %s\n", lines)
	} else {
		fmt.Fprintf(&b, "in %s; fltool explain ID tells all of a check\n", lines)
	}
	return b.String()
}

// titled is a symptom's title, with its source where the title doesn't name it.
func titled(s symptoms.Symptom) string {
	if strings.Contains(strings.ToLower(s.Title), s.Source) {
		return s.Title
	}
	return s.Source + ": " + s.Title
}

// timesOf says after how long the requests of a symptom ended, and whose default that
// is; "" where its lines can't tell.
func timesOf(f symptoms.Found) string {
	switch {
	case f.Took == nil:
		return ""
	case f.Timed == 0:
		return "no line tells how long the request took, which would name the hop: add request_time=$request_time (nginx), request_time=%T (Apache) or request_time=%(L)s (gunicorn) to the log's format"
	case f.Most == 0:
		return fmt.Sprintf("after very different times, in %d that tell it: no single timeout", f.Timed)
	}
	text := fmt.Sprintf("after %d s in %d of %d that tell it", f.After, f.Most, f.Timed)
	if f.After == 0 {
		return fmt.Sprintf("at once in %d of %d that tell the time", f.Most, f.Timed)
	}
	if hops := checks.CutAfter(float64(f.After)); hops != "" {
		text += ", the default of " + hops
	}
	return text
}

// item is a paragraph below a symptom.
func item(b *strings.Builder, text string) {
	const indent = 9
	b.WriteString(render.Wrap(strings.Repeat(" ", indent)+text, indent+2, columns) + "\n")
}

// stamp is what stands before the message in a line of nginx's or gunicorn's.
var stamp = regexp.MustCompile(`^(\d{4}/\d\d/\d\d [\d:]{8} \[\w+\] \d+#\d+: (\*\d+ )?|\[[-+ :\d]+\] \[\d+\] \[\w+\] )`)

// around shortens a line to n characters that show its bytes from from to to, with
// more of what is before them where all of them fit; what can't be printed becomes
// a dot.
func around(s string, from, to, n int) string {
	before, match, after := printable(s[:from]), printable(s[from:to]), printable(s[to:])
	all := slices.Concat(before, match, after)
	if len(all) <= n {
		return string(all)
	}
	// Room for two ellipses; of what is left of it a third shows how the line comes to the match.
	lead := max(0, n-2-len(match))
	lead = max(min(len(before), lead/3), lead-len(after))
	start := max(0, len(before)-lead)
	for start > 0 && start < len(before) && before[start-1] != ' ' { // at a word
		start++
	}
	text := all[start:]
	if start > 0 {
		text = append([]rune{'…'}, text...)
	}
	if len(text) > n {
		text = append(slices.Clone(text[:n-1]), '…')
	}
	return string(text)
}

func printable(s string) []rune {
	return []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == '\uFFFD' {
			return '.'
		}
		return r
	}, s))
}
