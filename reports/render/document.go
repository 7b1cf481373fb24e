package render

import (
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// document is a report put into words and tables, the same for every format
// that people read. All its text is clean.
type document struct {
	word     string          // the verdict, in capitals
	verdict  reports.Verdict // its colour
	headline string
	reasons  []string
	facts    []particular // what was asked, of what, and where
	sections []section
}

// section is one part: what it has, in this order.
type section struct {
	title    string
	detail   bool        // explains, decides nothing
	head     bool        // what a page has among its facts on top
	figures  []plot.Plot // for a page
	grid     *grid
	notes    []string
	commands []string // to be copied whole
	items    []item
}

// grid is a table. Cells of the columns named in text are left-aligned.
type grid struct {
	head    []string
	rows    [][]string
	text    []int
	outcome int  // the column of outcomes, which a page colours; 0: none
	checks  bool // the first column has the names of checks
}

// item is one thing with its particulars.
type item struct {
	status reports.Status
	word   string // for its status
	title  string
	check  string // whose page tells more; "" if there is none
	lines  []particular
}

type particular struct {
	label, text string
	command     bool // text is to be copied whole
}

// said says whether the section has anything in words.
func (s section) said() bool {
	return s.grid != nil || len(s.notes) > 0 || len(s.commands) > 0 || len(s.items) > 0
}

// newDocument puts a report into words, what matters most first.
func newDocument(r reports.Report) document {
	d := document{word: strings.ToUpper(string(r.Verdict)), verdict: r.Verdict, headline: reports.Clean(headline(r))}
	if r.Kind == reports.KindPreflight {
		d.word, _, _ = answerTo(r)
	}
	for _, reason := range r.Reasons {
		d.reasons = append(d.reasons, reports.Clean(reason))
	}
	for _, of := range []func(reports.Report) section{
		sizing, roles, hosts, grouped, driftChecks, driftLimits, driftFacts, capacity, chain, findings, passed, thresholds, levels,
		slopes, planned, notes, befell, raided, dribbled, acts, held, staged, storm, rounds, series, errorClasses, lost,
		resources, generator, shards, environment, again,
	} {
		s := of(r)
		if s.grid != nil && len(s.grid.rows) == 0 {
			s.grid = nil
		}
		s.figures = drawn(s.figures...)
		if s.said() || len(s.figures) > 0 {
			d.sections = append(d.sections, s.clean())
		}
	}
	return d
}

// inWords is the document without what only a page can show.
func (d document) inWords() document {
	d.sections = slices.DeleteFunc(d.sections, func(s section) bool { return !s.said() })
	return d
}

// filled is the grid without the columns that are empty in every row.
func (g grid) filled() grid {
	full := grid{rows: make([][]string, len(g.rows)), checks: g.checks}
	for c, head := range g.head {
		if !slices.ContainsFunc(g.rows, func(row []string) bool { return row[c] != "" }) {
			continue
		}
		at := len(full.head)
		full.head = append(full.head, head)
		for i, row := range g.rows {
			full.rows[i] = append(full.rows[i], row[c])
		}
		if slices.Contains(g.text, c) {
			full.text = append(full.text, at)
		}
		if c == g.outcome {
			full.outcome = at
		}
	}
	return full
}

func (s section) clean() section {
	for _, lines := range [][]string{s.notes, s.commands} {
		for i := range lines {
			lines[i] = reports.Clean(lines[i])
		}
	}
	if s.grid != nil {
		full := s.grid.filled()
		s.grid = &full
		for _, row := range s.grid.rows {
			for i := range row {
				row[i] = reports.Clean(row[i])
			}
		}
	}
	for i := range s.items {
		s.items[i].status = reports.Status(reports.Clean(string(s.items[i].status)))
		s.items[i].word = reports.Clean(s.items[i].word)
		s.items[i].title = reports.Clean(s.items[i].title)
		for j := range s.items[i].lines {
			s.items[i].lines[j].text = reports.Clean(s.items[i].lines[j].text)
		}
	}
	return s
}
