package plot

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// drawing is a plot whose places are worked out. Shapes are in thousandths of the
// frame, from its upper left; places of texts in percent.
type drawing struct {
	title, xLabel, yLabel string
	height                float64 // rem
	x, y                  []text
	grid                  string // the path of its lines
	shapes                []shape
	rules                 []text // their names
	keys                  []key
	note                  string
}

type text struct {
	at      float64
	text    string
	upright bool
}

// shape is a path, its look, and its tooltip.
type shape struct {
	class, path, title string
	shade              float64 // 0: by its class
}

// key names a colour. Mark is the class of what is drawn: block, band, line or dot.
type key struct {
	mark, name string
	colour     Colour
	shade      float64
}

// The height of a plot, and of a row with a name, in rem.
const (
	height    = 13
	rowHeight = 1.5
)

func (p Plot) draw() drawing {
	xs, ys := p.values()
	p.X, p.Y = p.X.over(xs, false), p.roomy(p.Y.over(ys, true))
	d := drawing{title: p.Title, xLabel: p.X.Label, yLabel: p.Y.Label, height: height, note: p.Note}
	if p.Rows > 0 {
		d.height = float64(p.Rows) * rowHeight
	}
	for _, t := range p.X.ticks(5) {
		d.x = append(d.x, text{at: 100 * p.X.share(t.At), text: t.Text})
		d.grid += "M" + p.at(Point{t.At, p.Y.Min}) + "V0"
	}
	for _, t := range p.Y.ticks(4) {
		d.y = append(d.y, text{at: 100 * (1 - p.Y.share(t.At)), text: t.Text})
		if p.Rows == 0 {
			d.grid += "M" + p.at(Point{p.X.Min, t.At}) + "H1000"
		}
	}
	turn := 0
	next := func(mark, name string, c Colour, shade float64) string {
		if c == 0 {
			c = inTurn[turn%len(inTurn)]
			turn++
		}
		if name != "" {
			d.keys = append(d.keys, key{mark, name, c, shade})
		}
		return fmt.Sprintf("%s c%d", mark, c)
	}
	for _, b := range p.Blocks {
		d.shapes = append(d.shapes, p.blocks(b, next("block", b.Name, b.Colour, b.Shade))...)
	}
	d.shapes = append(d.shapes, p.bands(next)...)
	for _, l := range p.Lines {
		class := next("line", l.Name, l.Colour, 0)
		d.shapes = append(d.shapes, shape{class: class, path: p.line(l.Points)})
		if len(l.Points) <= 30 {
			d.shapes = append(d.shapes, shape{class: strings.Replace(class, "line", "dot", 1), path: p.dots(l.Points)})
		}
	}
	d.shapes = append(d.shapes, p.strips()...)
	for _, s := range p.Dots {
		class := next("dot", s.Name, s.Colour, 0)
		for _, pt := range s.Points {
			d.shapes = append(d.shapes, shape{class: class, path: p.dots([]Point{pt}), title: fmt.Sprintf("%s\n%s: %s", p.X.say(pt.X), s.Name, p.Y.say(pt.Y))})
		}
	}
	for _, r := range p.Rules {
		path, at := "M0 "+number(1000*(1-p.Y.share(r.At)))+"H1000", 1-p.Y.share(r.At)
		if r.Upright {
			path, at = "M"+number(1000*p.X.share(r.At))+" 0V1000", p.X.share(r.At)
		}
		name := r.Text
		switch {
		case r.Beyond && r.Upright:
			path, at, name = "M1000 0V1000", 1, name+" →"
		case r.Beyond:
			path, at, name = "M0 0H1000", 0, "↑ "+name
		}
		d.shapes = append(d.shapes, shape{class: "rule", path: path, title: r.Text})
		d.rules = append(d.rules, text{100 * at, name, r.Upright})
	}
	if len(d.keys) == 1 && len(p.Rules) == 0 {
		d.keys = nil // the title says it
	}
	return d
}

// nameShare is what a name takes of the height of a plot.
const nameShare = .09

// roomy gives an axis of Y room above its lines for the names of upright rules, which stand
// there.
func (p Plot) roomy(y Axis) Axis {
	if p.Rows > 0 || len(p.Lines)+len(p.Dots) == 0 || len(p.Bands) > 0 || p.Y.Max > p.Y.Min || y.Log {
		return y
	}
	names := 0
	for _, r := range p.Rules {
		if r.Upright {
			names++
		}
	}
	y.Max += (y.Max - y.Min) * nameShare * float64(min(names, rulesBeside))
	return y
}

// values are all that the axes must have room for.
func (p Plot) values() (xs, ys []float64) {
	for _, all := range [][]Series{p.Lines, p.Dots} {
		for _, s := range all {
			for _, pt := range s.Points {
				xs, ys = append(xs, pt.X), append(ys, pt.Y)
			}
		}
	}
	for _, s := range p.stacked() {
		for _, pt := range s {
			xs, ys = append(xs, pt.X), append(ys, pt.Y)
		}
	}
	for _, b := range p.Blocks {
		for _, c := range b.Cells {
			xs, ys = append(xs, c.X0, c.X1), append(ys, c.Y0, c.Y1)
		}
	}
	for _, r := range p.Rules {
		switch {
		case r.Beyond:
		case r.Upright:
			xs = append(xs, r.At)
		default:
			ys = append(ys, r.At)
		}
	}
	return xs, ys
}

// stacked are the upper edges of the bands.
func (p Plot) stacked() [][]Point {
	var edges [][]Point
	for _, b := range p.Bands {
		edge := slices.Clone(b.Points)
		if n := len(edges); n > 0 {
			for i := range min(len(edge), len(edges[n-1])) {
				edge[i].Y += edges[n-1][i].Y
			}
		}
		edges = append(edges, edge)
	}
	return edges
}

// blocks are a shape each, or one for all that have no tooltip.
func (p Plot) blocks(b Blocks, class string) []shape {
	var shapes []shape
	rest := ""
	for _, c := range b.Cells {
		path := "M" + p.at(Point{c.X0, c.Y0}) + "L" + p.at(Point{c.X1, c.Y0}) + "L" + p.at(Point{c.X1, c.Y1}) + "L" + p.at(Point{c.X0, c.Y1}) + "Z"
		if c.Title == "" {
			rest += path
			continue
		}
		shapes = append(shapes, shape{class, path, c.Title, b.Shade})
	}
	if rest != "" {
		shapes = append(shapes, shape{class, rest, "", b.Shade})
	}
	return shapes
}

func (p Plot) bands(next func(mark, name string, c Colour, shade float64) string) []shape {
	var shapes []shape
	var lower []Point
	for i, upper := range p.stacked() {
		if len(upper) == 0 {
			continue
		}
		if lower == nil {
			lower = []Point{{upper[0].X, 0}, {upper[len(upper)-1].X, 0}}
		}
		path := p.line(upper)
		for _, pt := range slices.Backward(lower) {
			path += "L" + p.at(pt)
		}
		shapes = append(shapes, shape{class: next("band", p.Bands[i].Name, p.Bands[i].Colour, 0), path: path + "Z"})
		lower = upper
	}
	return shapes
}

// strips have the tooltips where the pointer is.
func (p Plot) strips() []shape {
	if p.Tips == nil {
		p.Tips = p.tips()
	}
	var shapes []shape
	for _, t := range p.Tips {
		from, to := number(1000*p.X.share(t.From)), number(1000*p.X.share(t.To))
		shapes = append(shapes, shape{class: "strip", path: fmt.Sprintf("M%s 0H%sV1000H%sZ", from, to, from), title: t.Text})
	}
	return shapes
}

// tips say what lines have, and what bands have that is not 0.
func (p Plot) tips() []Tip {
	said := map[float64]string{}
	say := func(all []Series, zero bool) {
		for _, s := range all {
			for _, pt := range s.Points {
				if pt.Y != 0 || zero {
					said[pt.X] += fmt.Sprintf("\n%s: %s", s.Name, p.Y.say(pt.Y))
				}
			}
		}
	}
	say(p.Bands, false)
	say(p.Lines, true)
	xs := slices.Sorted(maps.Keys(said))
	var tips []Tip
	from := p.X.Min
	for i, x := range xs {
		to := p.X.Max
		if i+1 < len(xs) {
			to = (x + xs[i+1]) / 2
		}
		tips = append(tips, Tip{from, to, p.X.say(x) + said[x]})
		from = to
	}
	return tips
}

func (p Plot) line(pts []Point) string {
	var b strings.Builder
	for i, pt := range pts {
		b.WriteString(map[bool]string{true: "M", false: "L"}[i == 0] + p.at(pt))
	}
	return b.String()
}

// dots are lines without length, whose round ends the frame's stretching leaves round.
func (p Plot) dots(pts []Point) string {
	var b strings.Builder
	for _, pt := range pts {
		b.WriteString("M" + p.at(pt) + "h0")
	}
	return b.String()
}

func (p Plot) at(pt Point) string {
	return number(1000*p.X.share(pt.X)) + " " + number(1000*(1-p.Y.share(pt.Y)))
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
