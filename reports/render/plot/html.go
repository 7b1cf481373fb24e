package plot

import (
	"fmt"
	"unicode/utf8"

	"github.com/fltool/fltool/reports/render/markup"
)

// rulesBeside is how many names of upright rules stand below each other, and ruleLine how
// far, in rem.
const (
	rulesBeside = 4
	ruleLine    = 1.1
)

// letter is the width of one in a rule's name, in percent of a plot on a phone.
const letter = 2.2

// far says whether a rule's name stands to its left, or above it: what is to the right of an
// upright one is what began there, so that is its place while there is room.
func (t text) far() bool {
	return t.at > 50 && (!t.upright || t.at+letter*float64(utf8.RuneCountInString(t.text)) > 100)
}

// HTML is the plot as a figure of a page that has Style.
func (p Plot) HTML() markup.HTML {
	d := p.draw()
	var m markup.Page
	class := ""
	if p.Wide {
		class = ` class="wide"`
	}
	frame, above := "frame", ""
	if p.Rows > 0 { // whose rules have their names above
		frame += " rows"
		if n := len(d.rules); n > 1 {
			above = fmt.Sprintf(` style="margin-bottom:%.1frem"`, .5+ruleLine*float64(n-1))
		}
	}
	m.Put("<figure%s role=\"group\" aria-label=\"%s\">\n<figcaption>%s</figcaption>\n<div class=\"plot\">\n<div class=\"unit\"%s>%s</div>\n", markup.HTML(class), d.title, d.title, markup.HTML(above), d.yLabel)
	m.Put("<div class=\"y\">")
	for _, t := range d.y {
		m.Put("<span style=\"top:%.2f%%\">%s</span>", t.at, t.text)
	}
	m.Put("</div>\n<div class=\"%s\" style=\"height:%.2frem\">\n", frame, d.height)
	m.Put("<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%s\">\n<path class=\"grid\" d=\"%s\"/>\n", d.title, d.grid)
	for _, s := range d.shapes {
		m.Put("<path class=\"%s\" d=\"%s\"", s.class, s.path)
		if s.shade > 0 {
			m.Put(" fill-opacity=\"%.2f\"", s.shade)
		}
		m.Put(">")
		if s.title != "" {
			m.Put("<title>%s</title>", s.title)
		}
		m.Put("</path>\n")
	}
	m.Put("</svg>\n")
	uprights := 0
	for _, r := range d.rules {
		class, style := "level", fmt.Sprintf("top:%.2f%%", r.at)
		if r.upright {
			room, down := 100-r.at, ruleLine*float64(uprights%rulesBeside) // lest names that are near each other lie on each other
			if r.far() {
				room = r.at
			}
			if p.Rows > 0 {
				down = -ruleLine * float64(uprights+1)
			}
			class, style = "upright", fmt.Sprintf("left:%.2f%%;max-width:%.2f%%;top:%.1frem", r.at, room, down)
			uprights++
		}
		if r.far() {
			class += " far"
		}
		m.Put("<span class=\"%s\" style=\"%s\">%s</span>\n", class, style, r.text)
	}
	m.Put("</div>\n<div class=\"x\">")
	for _, t := range d.x {
		m.Put("<span style=\"left:%.2f%%\">%s</span>", t.at, t.text)
	}
	m.Put("</div>\n<div class=\"label\">%s</div>\n</div>\n", d.xLabel)
	if len(d.keys) > 0 {
		m.Put("<p class=\"keys\">")
		for _, k := range d.keys {
			m.Put("<span><svg class=\"key\" viewBox=\"0 0 28 10\" aria-hidden=\"true\"><path class=\"%s c%d\" d=\"%s\"", k.mark, int(k.colour), keyPaths[k.mark])
			if k.shade > 0 {
				m.Put(" fill-opacity=\"%.2f\"", k.shade)
			}
			m.Put("/></svg>%s</span> ", k.name)
		}
		m.Put("</p>\n")
	}
	if d.note != "" {
		m.Put("<p class=\"note\">%s</p>\n", d.note)
	}
	m.Put("</figure>\n")
	return m.HTML()
}

// keyPaths are what a key shows, by its mark.
var keyPaths = map[string]string{"block": "M9 0H19V10H9Z", "band": "M9 0H19V10H9Z", "dot": "M14 5h0", "line": "M0 5H28"}
