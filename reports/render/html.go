package render

import (
	_ "embed"
	"io"
	"regexp"
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
	return writePage(w, onPage(r), string(r.Kind), way(r))
}

// onPage is the document of a report's page.
func onPage(r reports.Report) document {
	d := newDocument(r)
	d.facts = facts(r)
	d.sections = slices.DeleteFunc(d.sections, func(s section) bool { return s.title == wayTitle || s.head }) // drawn, and told on top
	return d
}

func writePage(w io.Writer, d document, kind string, way []step) error {
	var p markup.Page
	putHead(&p, d.word+": "+d.headline, "", "")
	putBody(&p, d, kind, way)
	p.Put("</body>\n</html>\n")
	_, err := io.WriteString(w, string(p.HTML()))
	return err
}

// putHead begins a page; policy is what it may do beside being looked at, and script
// does that.
func putHead(p *markup.Page, title string, policy, script markup.HTML) {
	p.Put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:%s">
<link rel="icon" href="data:,">
<title>%s</title>
<style>
%s%s</style>
%s</head>
<body>
`, policy, title, markup.HTML(plot.Style), markup.HTML(style), script)
}

func putBody(p *markup.Page, d document, kind string, way []step) {
	putHeader(p, d, kind)
	ids := anchors(d.sections)
	putContents(p, d.sections, ids)
	putWay(p, way)
	p.Put("<main>\n")
	for i, s := range d.sections {
		putSection(p, s, ids[i])
	}
	p.Put("</main>\n")
}

func putHeader(p *markup.Page, d document, kind string) {
	p.Put("<header class=\"%s\">\n<p class=\"kind\">fltool %s</p>\n<h1>%s: %s</h1>\n", d.verdict, kind, d.word, d.headline)
	if len(d.reasons) > 0 {
		p.Put("<ul>\n")
		for _, reason := range d.reasons {
			p.Put("<li>%s</li>\n", reason)
		}
		p.Put("</ul>\n")
	}
	p.Put("</header>\n")
	if len(d.facts) > 0 {
		p.Put("<dl class=\"facts\">\n")
		for _, f := range d.facts {
			p.Put("<div><dt>%s</dt><dd>%s</dd></div>\n", f.label, f.text)
		}
		p.Put("</dl>\n")
	}
}

// fewSections need no list of what there is.
const fewSections = 4

func putContents(p *markup.Page, sections []section, ids []string) {
	if len(sections) < fewSections {
		return
	}
	p.Put("<nav aria-label=\"On this page\">")
	for i, s := range sections {
		p.Put("<a href=\"#%s\">%s</a> ", ids[i], s.title)
	}
	p.Put("</nav>\n")
}

var noWord = regexp.MustCompile(`[^a-z0-9]+`)

// anchors are the names of sections in addresses, each once.
func anchors(sections []section) []string {
	var ids []string
	for _, s := range sections {
		id := strings.Trim(noWord.ReplaceAllString(strings.ToLower(s.title), "-"), "-")
		for slices.Contains(ids, id) || id == "" {
			id += "-"
		}
		ids = append(ids, id)
	}
	return ids
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

// manyColumns is from when on a table takes the width of the page.
const manyColumns = 7

func putSection(p *markup.Page, s section, id string) {
	halves, whole := 0, len(s.items) > 0 || len(s.commands) > 0 || len(s.figures) > 0
	for _, f := range s.figures {
		if !f.Wide {
			halves++
		}
	}
	large := s.grid != nil && len(s.grid.head) > manyColumns
	p.Put("<section%s>\n<h2 id=\"%s\"><a href=\"#%s\">%s</a></h2>\n<div class=\"parts\">\n", across(whole || large), id, id, s.title)
	for _, f := range s.figures {
		p.Put("%s", f.HTML())
	}
	// What is small stands in the place that an odd figure leaves beside it.
	p.Put("<div%s>\n", across(large || halves%2 == 0))
	switch {
	case s.grid == nil:
	case len(s.grid.rows) == 1 && len(s.grid.text) == 0:
		putFigures(p, *s.grid)
	default:
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
		p.Put("<pre tabindex=\"0\">%s</pre>\n", strings.Join(s.commands, "\n"))
	}
	for _, it := range s.items {
		putItem(p, it)
	}
	p.Put("</div>\n</div>\n</section>\n")
}

func across(is bool) markup.HTML {
	if is {
		return ` class="wide"`
	}
	return ""
}

func putItem(p *markup.Page, it item) {
	p.Put("<article>\n<h3><span class=\"mark %s\">%s</span> %s</h3>\n<dl>\n",
		strings.ReplaceAll(string(it.status), "/", ""), it.word, it.title)
	for _, l := range it.lines {
		p.Put("<dt>%s</dt><dd>", l.label)
		switch {
		case l.label == moreLabel:
			p.Put("<code>%s</code>", l.text)
			if page := checkPage(it.check); page != "" {
				p.Put(" or <a href=\"%s\">its page</a>", page)
			}
		case l.command:
			p.Put("<code>%s</code>", l.text)
		default:
			p.Put("%s", l.text)
		}
		p.Put("</dd>\n")
	}
	p.Put("</dl>\n</article>\n")
}

var checkID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*`)

// checkPage is the address of a check's page, by a name that begins with it; "" for what
// is no check's.
func checkPage(name string) string {
	id := checkID.FindString(name)
	if id == "" || len(id) < len(name) && name[len(id)] != ' ' {
		return ""
	}
	return home + "/blob/main/docs/checks/" + strings.ReplaceAll(id, "/", "-") + ".md"
}

// putFigures shows a row of numbers.
func putFigures(p *markup.Page, g grid) {
	p.Put("<dl class=\"row\">\n")
	for i, head := range g.head {
		p.Put("<div><dt>%s</dt><dd>%s</dd></div>\n", head, g.rows[0][i])
	}
	p.Put("</dl>\n")
}

// longText is from how many characters on a cell is broken into lines.
const longText = 24

func putGrid(p *markup.Page, g grid) {
	class := func(column int) markup.HTML {
		switch {
		case !slices.Contains(g.text, column):
			return ""
		case column == len(g.head)-1 && slices.ContainsFunc(g.rows, func(row []string) bool { return len(row[column]) > longText }):
			return ` class="text long"`
		}
		return ` class="text"`
	}
	p.Put("<div class=\"scroll\" tabindex=\"0\">\n<table>\n<thead><tr>")
	for i, head := range g.head {
		p.Put("<th scope=\"col\"%s>%s</th>", class(i), head)
	}
	p.Put("</tr></thead>\n<tbody>\n")
	for _, row := range g.rows {
		p.Put("<tr>")
		for i, cell := range row {
			p.Put("<td%s>", class(i))
			colour, page := outcomeColour[cell], ""
			if i == 0 && g.checks {
				page = checkPage(cell)
			}
			switch {
			case colour != "" && g.outcome != 0 && i == g.outcome:
				p.Put("<span class=\"mark %s\">%s</span>", colour, cell)
			case page != "":
				p.Put("<a href=\"%s\">%s</a>", page, cell)
			default:
				p.Put("%s", cell)
			}
			p.Put("</td>")
		}
		p.Put("</tr>\n")
	}
	p.Put("</tbody>\n</table>\n</div>\n")
}
