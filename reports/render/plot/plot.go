// Package plot draws plain data as figures of a web page, without scripts and
// without fonts: an SVG that stretches to the width there is, and the texts of its
// axes as HTML around it, so that they keep their size on a phone and on a wall.
package plot

import (
	_ "embed"
	"math"
	"strconv"
)

// Plot is a figure as data. What it has is drawn in the order of its fields, and what
// names no colour has the page's in that order, too.
type Plot struct {
	Title  string
	X, Y   Axis
	Blocks []Blocks
	Bands  []Series // each upon the one before; all have the same X
	Lines  []Series
	Dots   []Series // no line: another tells how they hang together
	Rules  []Rule
	Tips   []Tip // nil: what bands and lines have at each X
	Note   string
	Rows   int  // of a plot that has a row a name: makes it as high as they need
	Wide   bool // it has more to show than half a page takes
}

// Axis is one of a plot's two. Where Max is not above Min the data tell its range;
// that of Y then begins at 0.
type Axis struct {
	Label    string
	Min, Max float64
	Log      bool
	Whole    bool                 // between two whole numbers there is nothing
	Ticks    []Tick               // nil: chosen by the range
	Say      func(float64) string // a value in a tooltip; nil: the number
}

// Tick is a mark on an axis.
type Tick struct {
	At   float64
	Text string
}

// Series is what one name has over X.
type Series struct {
	Name   string
	Colour Colour
	Points []Point
}

// Point of a Series.
type Point struct{ X, Y float64 }

// Blocks are rectangles of one colour; without a name they have no key.
type Blocks struct {
	Name   string
	Colour Colour
	Shade  float64 // above 0, up to 1; 0 is 1
	Cells  []Cell
}

// Cell is a rectangle.
type Cell struct {
	X0, X1, Y0, Y1 float64
	Title          string // its tooltip
}

// Rule is a line across the plot at a value of Y, or of X if it is upright.
type Rule struct {
	Text    string
	At      float64
	Upright bool
	Beyond  bool // the axis does not reach so far: the line is at its end
}

// Tip is a tooltip over a part of X.
type Tip struct {
	From, To float64
	Text     string
}

// Colour is one of those that the page tells apart; 0 is the next that nobody named.
type Colour int

// The colours.
const (
	Blue Colour = iota + 1
	Teal
	Amber
	Orange
	Purple
	Pink
	Grey
	Red
)

// inTurn are the colours of what names none.
var inTurn = [Colours]Colour{Blue, Orange, Teal, Purple, Amber, Pink}

// Colours is how many of them there are.
const Colours = 6

// Style is what a page with plots has in its style sheet.
//
//go:embed plot.css
var Style string

// Points is how many of a line are drawn at most: a page has few more pixels.
const Points = 300

// Thin makes a long line short, each point the extreme of those it stands for, so
// that no dip and no burst gets lost.
func Thin(pts []Point, extreme func(a, b float64) float64) []Point {
	n := (len(pts) + Points - 1) / Points
	if n < 2 {
		return pts
	}
	var few []Point
	for i, p := range pts {
		if i%n == 0 {
			few = append(few, p)
			continue
		}
		last := &few[len(few)-1]
		last.Y = extreme(last.Y, p.Y)
	}
	return few
}

func (a Axis) say(v float64) string {
	if a.Say != nil {
		return a.Say(v)
	}
	return plain(v)
}

func plain(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// over gives an axis that has no range that of so many values.
func (a Axis) over(values []float64, zero bool) Axis {
	if a.Max > a.Min {
		return a
	}
	a.Min, a.Max = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if a.Log && v <= 0 {
			continue
		}
		a.Min, a.Max = min(a.Min, v), max(a.Max, v)
	}
	switch {
	case a.Min > a.Max: // no values
		a.Min, a.Max = 0, 1
		if a.Log {
			a.Min, a.Max = 1, 10
		}
	case a.Log:
		a.Min, a.Max = math.Pow(10, math.Floor(math.Log10(a.Min))), a.Max*1.2
	case zero:
		a.Min, a.Max = min(0, a.Min), a.Max*1.05
		if a.Max <= a.Min {
			a.Max = a.Min + 1
		}
	case a.Min == a.Max:
		a.Min, a.Max = a.Min-1, a.Max+1
	}
	return a
}

// share is where on the axis a value is, from 0 to 1; beyond an end it is there.
func (a Axis) share(v float64) float64 {
	from, to := a.Min, a.Max
	if a.Log {
		from, to, v = math.Log10(from), math.Log10(to), math.Log10(max(v, a.Min))
	}
	return min(max((v-from)/(to-from), 0), 1)
}

// ticks are those given, or round numbers, about so many.
func (a Axis) ticks(about int) []Tick {
	if a.Ticks != nil {
		return a.Ticks
	}
	var ticks []Tick
	if a.Log {
		from, to := math.Ceil(math.Log10(a.Min)), math.Log10(a.Max)
		for e := from; e <= to; e += 1 + math.Floor((to-from)/float64(about)) {
			ticks = append(ticks, Tick{math.Pow(10, e), grouped(math.Pow(10, e))})
		}
		return ticks
	}
	step := round((a.Max - a.Min) / float64(about) / 1.4) // rather some more than half of them
	if a.Whole {
		step = max(step, 1)
	}
	for i := math.Ceil(a.Min/step - 1e-9); i*step <= a.Max*(1+1e-9); i++ {
		ticks = append(ticks, Tick{i * step, grouped(i*step + 0)}) // + 0, lest it be -0
	}
	return ticks
}

// round is the least of 1, 2, 5, 10, 20, … that is no smaller.
func round(v float64) float64 {
	e := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*e >= v*(1-1e-9) {
			return m * e
		}
	}
	return 10 * e
}

// grouped is a number of an axis; 20000 is "20 000".
func grouped(v float64) string {
	s := plain(v)
	if v == math.Trunc(v) && math.Abs(v) >= 1e4 && math.Abs(v) < 1e15 {
		s = strconv.FormatFloat(v, 'f', 0, 64)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "\u202f" + s[i:]
		}
	}
	return s
}
