package render

import (
	_ "embed"
	"io"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/markup"
	"github.com/fltool/fltool/reports/render/plot"
)

//go:embed page.css
var style string

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
	var figures []markup.HTML
	for _, p := range charts(r) {
		figures = append(figures, p.HTML())
	}
	d := newDocument(r)
	d.sections = slices.DeleteFunc(d.sections, func(s section) bool { return s.title == wayTitle }) // it is drawn
	return writePage(w, d, pageOf{kind: string(r.Kind), when: reports.Clean(r.Env.Started), figures: figures, way: way(r)})
}

// pageOf is what a page says beside its document.
type pageOf struct {
	kind, when string
	figures    []markup.HTML
	way        []step
}

func writePage(w io.Writer, d document, of pageOf) error {
	var p markup.Page
	p.Put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>%s: %s</title>
<style>
%s%s</style>
</head>
<body>
`, d.word, d.headline, markup.HTML(plot.Style), markup.HTML(style))
	putHeader(&p, d, of)
	putWay(&p, of.way)
	// The plots follow what decides and precede what explains.
	last := 0
	for i, s := range d.sections {
		if !s.detail && s.title != againTitle {
			last = i
		}
	}
	p.Put("<main>\n")
	for i, s := range d.sections {
		putSection(&p, s)
		if i == last && len(of.figures) > 0 {
			p.Put("<section class=\"wide\">\n<h2>Plots</h2>\n<div class=\"figures\">\n")
			for _, f := range of.figures {
				p.Put("%s", f)
			}
			p.Put("</div>\n</section>\n")
		}
	}
	p.Put("</main>\n</body>\n</html>\n")
	_, err := io.WriteString(w, string(p.HTML()))
	return err
}

func putHeader(p *markup.Page, d document, of pageOf) {
	p.Put("<header class=\"%s\">\n<h1>%s: %s</h1>\n<p>fltool %s", d.verdict, d.word, d.headline, of.kind)
	if of.when != "" {
		p.Put(", %s", of.when)
	}
	p.Put("</p>\n")
	if len(d.reasons) > 0 {
		p.Put("<ul>\n")
		for _, reason := range d.reasons {
			p.Put("<li>%s</li>\n", reason)
		}
		p.Put("</ul>\n")
	}
	p.Put("</header>\n")
}

// putWay draws the hops from the worker to the application.
func putWay(p *markup.Page, way []step) {
	if len(way) == 0 {
		return
	}
	p.Put("<ol class=\"way\" aria-label=\"The way of a poll\">\n<li><strong>worker</strong></li>\n")
	for _, s := range way {
		p.Put("<li><strong>%s</strong>", s.Name)
		for _, text := range []string{s.Holds, s.Bears} {
			if text != "" {
				p.Put("<span>%s</span>", text)
			}
		}
		p.Put("</li>\n")
	}
	p.Put("</ol>\n")
}

func putSection(p *markup.Page, s section) {
	p.Put("<section>\n<h2>%s</h2>\n", s.title)
	if s.grid != nil {
		putGrid(p, *s.grid)
	}
	if len(s.notes) > 0 {
		p.Put("<div class=\"notes\">")
		for _, n := range s.notes {
			p.Put("<p>%s</p>", n)
		}
		p.Put("</div>\n")
	}
	if len(s.commands) > 0 {
		p.Put("<pre>%s</pre>\n", strings.Join(s.commands, "\n"))
	}
	for _, it := range s.items {
		p.Put("<article>\n<h3><span class=\"mark %s\">%s</span> %s</h3>\n<dl>\n",
			strings.ReplaceAll(string(it.status), "/", ""), strings.ToUpper(string(it.status)), it.title)
		for _, l := range it.lines {
			p.Put("<dt>%s</dt><dd>", l.label)
			if l.command {
				p.Put("<code>%s</code>", l.text)
			} else {
				p.Put("%s", l.text)
			}
			p.Put("</dd>\n")
		}
		p.Put("</dl>\n</article>\n")
	}
	p.Put("</section>\n")
}

func putGrid(p *markup.Page, g grid) {
	class := func(column int) markup.HTML {
		if slices.Contains(g.text, column) {
			return ` class="text"`
		}
		return ""
	}
	p.Put("<div class=\"scroll\" tabindex=\"0\">\n<table>\n<thead><tr>")
	for i, head := range g.head {
		p.Put("<th scope=\"col\"%s>%s</th>", class(i), head)
	}
	p.Put("</tr></thead>\n<tbody>\n")
	for _, row := range g.rows {
		p.Put("<tr>")
		for i, cell := range row {
			if colour := outcomeColour[cell]; colour != "" && g.outcome != 0 && i == g.outcome {
				p.Put("<td%s><span class=\"mark %s\">%s</span></td>", class(i), colour, cell)
			} else {
				p.Put("<td%s>%s</td>", class(i), cell)
			}
		}
		p.Put("</tr>\n")
	}
	p.Put("</tbody>\n</table>\n</div>\n")
}
