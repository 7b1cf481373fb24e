package render

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"github.com/fltool/fltool/reports"
)

// The columns that a table has where it is not for a terminal of a known width, and those
// that text takes at most, which reads badly when wider.
const (
	usualColumns = 80
	textColumns  = 100
)

// columns are those of grids; text is what is written in lines.
func (o Style) columns() int { return cmp.Or(o.Columns, usualColumns) }

func (o Style) text() int { return min(o.columns(), textColumns) }

// Table writes the report for a terminal: the verdict and the answer in words,
// then what they rest on, in its columns.
func (o Style) Table(w io.Writer, r reports.Report) error {
	if r.Kind == reports.KindPreflight {
		return o.preflightTable(w, r)
	}
	return o.table(w, newDocument(r).inWords())
}

func (o Style) table(w io.Writer, d document) error {
	var b bytes.Buffer
	word, width := d.word, o.text()
	fmt.Fprintln(&b, strings.Replace(Wrap(word+"  "+d.headline, len(word)+2, width), word, o.paint(word, verdictColor[d.verdict]), 1))
	for _, reason := range d.reasons {
		fmt.Fprintln(&b, Wrap("- "+reason, 2, width))
	}
	for _, s := range d.sections {
		fmt.Fprintf(&b, "\n%s\n", o.paint(s.title, bold))
		if s.grid != nil {
			textGrid(&b, *s.grid, o.columns())
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

// textGrid writes a table without lines, two blanks between columns, its last column
// wrapped to what the others leave of the width. Where that is too little, one blank
// stands between columns, and heads and the widest text are broken too.
func textGrid(w io.Writer, g grid, width int) {
	gap := 2
	if g.least(gap) > width {
		gap = 1
		g = g.narrowed(gap, width)
	}
	rows := slices.Concat([][]string{g.head}, g.wrapLast(gap, width))
	widths := g.widths(rows)
	for r, row := range rows {
		lines := make([][]string, len(row)) // of each cell
		most := 0
		for i, cell := range row {
			lines[i] = strings.Split(cell, "\n")
			most = max(most, len(lines[i]))
		}
		for n := range most {
			var b strings.Builder
			for i, of := range lines {
				at := n
				if r == 0 {
					at -= most - len(of) // heads stand on their columns
				}
				cell := ""
				if at >= 0 && at < len(of) {
					cell = of[at]
				}
				if i > 0 {
					b.WriteString(strings.Repeat(" ", gap))
				}
				b.WriteString(g.padded(i, cell, widths[i]))
			}
			fmt.Fprintln(w, strings.TrimRight(" "+b.String(), " "))
		}
	}
}

// least is the width that a grid needs, with its last column as narrow as it may be.
func (g grid) least(gap int) int {
	sum := 1 - gap
	for i, n := range g.widths(slices.Concat([][]string{g.head}, g.rows)) {
		if i == len(g.head)-1 && slices.Contains(g.text, i) {
			n = min(n, minText)
		}
		sum += n + gap
	}
	return sum
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

// narrowed is a grid with its heads in as many lines as they have words, and its widest
// text, unless that is the last column, in as many as it takes for all to fit.
func (g grid) narrowed(gap, width int) grid {
	g.head, g.rows = slices.Clone(g.head), slices.Clone(g.rows)
	for i := range g.head {
		g.head[i] = strings.ReplaceAll(g.head[i], " ", "\n")
	}
	over := g.least(gap) - width
	widths := g.widths(slices.Concat([][]string{g.head}, g.rows))
	widest := -1
	for _, i := range g.text {
		if i < len(g.head)-1 && (widest < 0 || widths[i] > widths[widest]) {
			widest = i
		}
	}
	if over <= 0 || widest < 0 {
		return g
	}
	for i, row := range g.rows {
		g.rows[i] = slices.Clone(row)
		g.rows[i][widest] = breakWords(row[widest], max(widths[widest]-over, minText))
	}
	return g
}

// wrapLast is the rows of a grid with its last column, where it is text,
// wrapped to what the others leave of the width.
func (g grid) wrapLast(gap, width int) [][]string {
	last := len(g.head) - 1
	if !slices.Contains(g.text, last) {
		return g.rows
	}
	left := width - 1
	for _, n := range g.widths(slices.Concat([][]string{g.head}, g.rows))[:last] {
		left -= n + gap
	}
	left = max(left, minText)
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
