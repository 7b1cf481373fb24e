package render

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// Markdown writes the report for a comment on a pull request, in GitHub's
// dialect; what only explains is folded away.
func Markdown(w io.Writer, r reports.Report) error {
	return markdown(w, newDocument(r).inWords())
}

func markdown(w io.Writer, d document) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "## %s: %s\n", d.word, escape(d.headline))
	if len(d.reasons) > 0 {
		fmt.Fprintln(&b)
	}
	for _, reason := range d.reasons {
		fmt.Fprintf(&b, "- %s\n", escape(reason))
	}
	for _, s := range d.sections {
		if s.detail {
			fmt.Fprintf(&b, "\n<details><summary>%s</summary>\n", escape(s.title))
		} else {
			fmt.Fprintf(&b, "\n### %s\n", escape(s.title))
		}
		if s.grid != nil {
			fmt.Fprintln(&b)
			markdownGrid(&b, *s.grid)
		}
		for _, n := range s.notes {
			fmt.Fprintf(&b, "\n%s\n", escape(n))
		}
		if len(s.commands) > 0 {
			text := strings.Join(s.commands, "\n")
			fence := strings.Repeat("`", max(3, longestTicks(text)+1))
			fmt.Fprintf(&b, "\n%ssh\n%s\n%s\n", fence, text, fence)
		}
		for _, it := range s.items {
			fmt.Fprintf(&b, "\n**%s** %s\n\n", escape(it.word), escape(it.title))
			for _, l := range it.lines {
				if l.command {
					fmt.Fprintf(&b, "- %s: %s\n", l.label, codeSpan(l.text))
				} else {
					fmt.Fprintf(&b, "- %s: %s\n", l.label, escape(l.text))
				}
			}
		}
		if s.detail {
			fmt.Fprintf(&b, "\n</details>\n")
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func markdownGrid(w io.Writer, g grid) {
	rows := [][]string{g.head}
	for _, row := range g.rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = escape(c)
		}
		rows = append(rows, cells)
	}
	widths := g.widths(rows)
	for n, row := range rows {
		line, rule := "|", "|"
		for i, cell := range row {
			width := max(widths[i], 1)
			line += " " + g.padded(i, cell, width) + " |"
			if slices.Contains(g.text, i) {
				rule += ":" + strings.Repeat("-", width+1) + "|"
			} else {
				rule += strings.Repeat("-", width+1) + ":|"
			}
		}
		fmt.Fprintln(w, line)
		if n == 0 {
			fmt.Fprintln(w, rule)
		}
	}
}

var (
	markdownSpecial = regexp.MustCompile("[\\\\`*_{}\\[\\]<>#|~&!]")
	mention         = regexp.MustCompile(`@(\w)`)
	ticks           = regexp.MustCompile("`+")
)

// escape makes text stand in Markdown as it is: no markup, no table column, no
// mention of whoever has the name behind an @.
func escape(s string) string {
	s = markdownSpecial.ReplaceAllString(s, `\$0`)
	return mention.ReplaceAllString(s, "@<!-- -->$1")
}

// codeSpan shows text as code, whatever backquotes it has.
func codeSpan(s string) string {
	n := longestTicks(s)
	if n == 0 {
		return "`" + s + "`"
	}
	fence := strings.Repeat("`", n+1)
	return fence + " " + s + " " + fence
}

func longestTicks(s string) int {
	longest := 0
	for _, run := range ticks.FindAllString(s, -1) {
		longest = max(longest, len(run))
	}
	return longest
}
