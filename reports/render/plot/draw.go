package plot

import (
	"cmp"
	"fmt"
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
	colour     int
}

// The height of a plot, and of a row with a name, in rem.
const (
	height    = 13
	rowHeight = 1.5
)

func (p Plot) draw() drawing {
	xs, ys := p.values()
	p.X, p.Y = p.X.over(xs, false), p.Y.over(ys, true)
	d := drawing{title: p.Title, xLabel: p.X.Label, yLabel: p.Y.Label, height: height}
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
	colour := 0
	next := func(mark, name string) string {
		c := colour % Colours
		if name != "" {
			d.keys = append(d.keys, key{mark, name, c})
		}
		colour++
		return fmt.Sprintf("%s c%d", mark, c)
	}
	for _, b := range p.Blocks {
		class := next("block", b.Name)
		for _, c := range b.Cells {
			path := "M" + p.at(Point{c.X0, c.Y0}) + "L" + p.at(Point{c.X1, c.Y0}) + "L" + p.at(Point{c.X1, c.Y1}) + "L" + p.at(Point{c.X0, c.Y1}) + "Z"
			d.shapes = append(d.shapes, shape{class, path, c.Title, c.Shade})
		}
	}
	d.shapes = append(d.shapes, p.bands(next)...)
	for _, l := range p.Lines {
		class := next("line", l.Name)
		d.shapes = append(d.shapes, shape{class: class, path: p.line(l.Points)})
		if len(l.Points) <= 30 {
			d.shapes = append(d.shapes, shape{class: strings.Replace(class, "line", "dot", 1), path: p.dots(l.Points)})
		}
	}
	d.shapes = append(d.shapes, p.strips()...)
	for _, s := range p.Dots {
		class := next("dot", s.Name)
		for _, pt := range s.Points {
			d.shapes = append(d.shapes, shape{class: class, path: p.dots([]Point{pt}), title: fmt.Sprintf("%s\n%s: %s", p.X.say(pt.X), s.Name, p.Y.say(pt.Y))})
		}
	}
	for _, r := range p.Rules {
		path, at := "M0 "+number(1000*(1-p.Y.share(r.At)))+"H1000", 1-p.Y.share(r.At)
		if r.Upright {
			path, at = "M"+number(1000*p.X.share(r.At))+" 0V1000", p.X.share(r.At)
		}
		d.shapes = append(d.shapes, shape{class: "rule", path: path, title: r.Text})
		d.rules = append(d.rules, text{100 * at, r.Text, r.Upright})
	}
	if len(d.keys) == 1 && len(p.Rules) == 0 {
		d.keys = nil // the title says it
	}
	return d
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
		if r.Upright {
			xs = append(xs, r.At)
		} else {
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

func (p Plot) bands(next func(mark, name string) string) []shape {
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
		shapes = append(shapes, shape{class: next("band", p.Bands[i].Name), path: path + "Z"})
		lower = upper
	}
	return shapes
}

// strips show the values of all lines and bands where the pointer is.
func (p Plot) strips() []shape {
	said := map[float64]string{}
	for _, s := range slices.Concat(p.Bands, p.Lines) {
		for _, pt := range s.Points {
			said[pt.X] += fmt.Sprintf("\n%s: %s", s.Name, p.Y.say(pt.Y))
		}
	}
	xs := make([]float64, 0, len(said))
	for x := range said {
		xs = append(xs, x)
	}
	slices.SortFunc(xs, func(a, b float64) int { return cmp.Compare(a, b) })
	var shapes []shape
	from := 0.
	for i, x := range xs {
		to := 1000.
		if i+1 < len(xs) {
			to = 1000 * (p.X.share(x) + p.X.share(xs[i+1])) / 2
		}
		path := fmt.Sprintf("M%s 0H%sV1000H%sZ", number(from), number(to), number(from))
		shapes = append(shapes, shape{class: "strip", path: path, title: p.X.say(x) + said[x]})
		from = to
	}
	return shapes
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
