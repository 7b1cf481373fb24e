package render

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"upper":  strings.ToUpper,
	"isText": func(g *grid, i int) bool { return slices.Contains(g.text, i) },
	"colour": func(g *grid, i int, cell string) string {
		if g.outcome == 0 || i != g.outcome {
			return ""
		}
		return outcomeColour[cell]
	},
	"plots": plot.Style,
}).Parse(page))

// outcomeColour is the verdict whose colour an outcome has in a table.
var outcomeColour = map[string]string{
	"pass": "pass", "met": "pass", "same": "pass", "better": "pass",
	"warn": "warn", "unclear": "warn", "missing": "warn",
	"fail": "fail", "missed": "fail", "worse": "fail",
	"refused": "refused",
}

// HTML writes the report as one page that needs nothing else: no script, no
// font, no picture from anywhere.
func HTML(w io.Writer, r reports.Report) error {
	var figures []template.HTML
	for _, p := range charts(r) {
		f, err := p.HTML()
		if err != nil {
			return err
		}
		figures = append(figures, f)
	}
	d := newDocument(r)
	d.sections = slices.DeleteFunc(d.sections, func(s section) bool { return s.title == wayTitle }) // it is drawn
	return writePage(w, d, pageOf{kind: string(r.Kind), when: reports.Clean(r.Env.Started), figures: figures, way: way(r)})
}

// pageOf is what a page says beside its document.
type pageOf struct {
	kind, when string
	figures    []template.HTML
	way        []step
}

func writePage(w io.Writer, d document, of pageOf) error {
	type detail struct {
		Label, Text string
		Command     bool
	}
	type entry struct {
		Status, Title string
		Lines         []detail
	}
	type part struct {
		Title           string
		Grid            *grid
		Head            []string
		Rows            [][]string
		Notes, Commands []string
		Items           []entry
	}
	data := struct {
		Word, Verdict, Headline, Kind, When string
		Reasons                             []string
		Way                                 []step
		Parts                               []part
		Figures                             []template.HTML
		FiguresAfter                        int // of the parts
	}{
		Word: d.word, Verdict: string(d.verdict), Headline: d.headline, Reasons: d.reasons,
		Figures: of.figures, Way: of.way, Kind: of.kind, When: of.when,
	}
	for i, s := range d.sections {
		p := part{Title: s.title, Grid: s.grid, Notes: s.notes, Commands: s.commands}
		if s.grid != nil {
			p.Head, p.Rows = s.grid.head, s.grid.rows
		}
		for _, it := range s.items {
			e := entry{Status: string(it.status), Title: it.title}
			for _, l := range it.lines {
				e.Lines = append(e.Lines, detail{l.label, l.text, l.command})
			}
			p.Items = append(p.Items, e)
		}
		data.Parts = append(data.Parts, p)
		// The plots follow what decides and precede what explains.
		if !s.detail && s.title != "To run it again" {
			data.FiguresAfter = i
		}
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, data); err != nil {
		return fmt.Errorf("html: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
