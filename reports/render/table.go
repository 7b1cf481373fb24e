package render

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"github.com/fltool/fltool/reports"
)

// width is the columns that a table has: a terminal's, at its smallest.
const width = 80

// Table writes the report for a terminal: the verdict and the answer in words,
// then what they rest on, in 80 columns.
func (o Style) Table(w io.Writer, r reports.Report) error {
	if r.Kind == reports.KindPreflight {
		return o.preflightTable(w, r)
	}
	return o.table(w, newDocument(r).inWords())
}

func (o Style) table(w io.Writer, d document) error {
	var b bytes.Buffer
	word := d.word
	fmt.Fprintln(&b, strings.Replace(Wrap(word+"  "+d.headline, len(word)+2, width), word, o.paint(word, verdictColor[d.verdict]), 1))
	for _, reason := range d.reasons {
		fmt.Fprintln(&b, Wrap("- "+reason, 2, width))
	}
	for _, s := range d.sections {
		fmt.Fprintf(&b, "\n%s\n", o.paint(s.title, bold))
		if s.grid != nil {
			textGrid(&b, *s.grid)
		}
		for _, n := range s.notes {
			fmt.Fprintln(&b, Wrap(" "+n, 3, width))
		}
		for _, c := range s.commands {
			fmt.Fprintln(&b, " "+c) // whole, so that it can be copied
		}
		for _, it := range s.items {
			status := it.word
			head := Wrap(fmt.Sprintf(" %-7s  %s", status, it.title), 10, width)
			fmt.Fprintln(&b, strings.Replace(head, status, o.paint(status, statusColor[it.status]), 1))
			for _, l := range it.lines {
				line := fmt.Sprintf("%10s%-9s  %s", "", l.label, l.text)
				if !l.command {
					line = Wrap(line, 21, width)
				}
				fmt.Fprintln(&b, line)
			}
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// textGrid writes a table without lines, two blanks between columns, its last
// column wrapped to what the others leave.
func textGrid(w io.Writer, g grid) {
	rows := slices.Concat([][]string{g.head}, wrapLast(g))
	widths := g.widths(rows)
	for _, row := range rows {
		lines := strings.Split(row[len(row)-1], "\n") // no other column has several
		for n, line := range lines {
			cells := slices.Clone(row[:len(row)-1])
			if n > 0 {
				clear(cells)
			}
			var b strings.Builder
			for i, cell := range append(cells, line) {
				b.WriteString(" " + g.padded(i, cell, widths[i]) + " ")
			}
			fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
		}
	}
}

// widths are what the columns of rows need, in columns of a terminal.
func (g grid) widths(rows [][]string) []int {
	widths := make([]int, len(g.head))
	for _, row := range rows {
		for i, cell := range row {
			for line := range strings.SplitSeq(cell, "\n") {
				widths[i] = max(widths[i], displaywidth.String(line))
			}
		}
	}
	return widths
}

// padded is a cell as wide as its column, text to the left and numbers to the right.
func (g grid) padded(column int, cell string, width int) string {
	blank := strings.Repeat(" ", max(0, width-displaywidth.String(cell)))
	if slices.Contains(g.text, column) {
		return cell + blank
	}
	return blank + cell
}

// wrapLast is the rows of a grid with its last column, where it is text,
// wrapped to what the others leave of the width.
func wrapLast(g grid) [][]string {
	last := len(g.head) - 1
	if !slices.Contains(g.text, last) {
		return g.rows
	}
	left := width
	for i := range last {
		col := displaywidth.String(g.head[i])
		for _, row := range g.rows {
			col = max(col, displaywidth.String(row[i]))
		}
		left -= col + 2
	}
	left = max(left-2, minText)
	rows := make([][]string, len(g.rows))
	for i, row := range g.rows {
		rows[i] = slices.Clone(row)
		rows[i][last] = breakWords(row[last], left)
	}
	return rows
}

// minText is the least width of a text column, should others take too much.
const minText = 12

// Wrap breaks a line between words, and indents what follows. A word longer
// than a line stays whole: it may be a command or a path to copy.
func Wrap(s string, indent, width int) string {
	lead := len(s) - len(strings.TrimLeft(s, " "))
	var b strings.Builder
	b.WriteString(s[:lead])
	col := lead
	for i, word := range strings.SplitAfter(s[lead:], " ") {
		n := displaywidth.String(strings.TrimRight(word, " "))
		if i > 0 && n > 0 && col+n > width {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			col = indent
		}
		b.WriteString(word)
		col += displaywidth.String(word)
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// breakWords wraps to a narrow column, where words too long for it break too,
// after a slash or a comma if they have one.
func breakWords(s string, width int) string {
	var words []string
	for _, word := range strings.Fields(s) {
		for displaywidth.String(word) > width {
			head := displaywidth.TruncateString(word, width, "")
			if head == "" { // one rune wider than the column
				break
			}
			if i := strings.LastIndexAny(head, "/,"); i > 0 {
				head = head[:i+1]
			}
			words = append(words, head)
			word = word[len(head):]
		}
		words = append(words, word)
	}
	return Wrap(strings.Join(words, " "), 0, width)
}

// The ANSI colours, legible on dark and light.
const (
	bold   = "1"
	red    = "1;31"
	green  = "1;32"
	yellow = "1;33"
)

var verdictColor = map[reports.Verdict]string{
	reports.VerdictPass: green, reports.VerdictWarn: yellow, reports.VerdictFail: red, reports.VerdictRefused: red,
}

var statusColor = map[reports.Status]string{
	reports.StatusPass: green, reports.StatusWarn: yellow, reports.StatusFail: red, reports.StatusUnknown: yellow,
	reports.StatusWaived: bold, reports.StatusNA: bold,
}

func (o Style) paint(s, color string) string {
	if !o.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}
