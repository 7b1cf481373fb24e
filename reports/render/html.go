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
	var figures []pageFigure
	for _, c := range charts(r) {
		svg, err := c.svg()
		if err != nil {
			return err
		}
		// Drawn by the library, which escapes what text is in it.
		f := pageFigure{Title: c.title, SVG: template.HTML(svg)} // #nosec G203 -- escaped, see above
		for i, l := range c.lines {
			s := strokes[i%len(strokes)]
			mark := fmt.Sprintf(`<path d="M0 4H28" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`, s.hex, s.dash)
			if l.dots {
				mark = fmt.Sprintf(`<circle cx="14" cy="4" r="3" fill="%s"/>`, s.hex)
			}
			f.Key = append(f.Key, template.HTML(`<svg class="key" viewBox="0 0 28 8" aria-hidden="true">`+mark+`</svg>`+template.HTMLEscapeString(l.name))) // #nosec G203 -- the name is escaped
		}
		figures = append(figures, f)
	}
	d := newDocument(r)
	d.sections = slices.DeleteFunc(d.sections, func(s section) bool { return s.title == wayTitle }) // it is drawn
	return writePage(w, d, pageOf{kind: string(r.Kind), when: reports.Clean(r.Env.Started), figures: figures, way: way(r)})
}

// pageFigure is a plot on a page.
type pageFigure struct {
	Title string
	SVG   template.HTML
	Key   []template.HTML
}

// pageOf is what a page says beside its document.
type pageOf struct {
	kind, when string
	figures    []pageFigure
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
		Figures                             []pageFigure
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
