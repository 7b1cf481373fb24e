package plot

import (
	"encoding/xml"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func texts(ticks []Tick) (all []string) {
	for _, t := range ticks {
		all = append(all, t.Text)
	}
	return all
}

func TestTicks(t *testing.T) {
	for name, c := range map[string]struct {
		axis   Axis
		values []float64
		zero   bool
		want   []string
	}{
		"from zero":       {Axis{}, []float64{3, 412}, true, []string{"0", "100", "200", "300", "400"}},
		"whole":           {Axis{Whole: true}, []float64{1, 2, 3}, false, []string{"1", "2", "3"}},
		"fractions":       {Axis{}, []float64{1, 2, 3}, false, []string{"1", "1.5", "2", "2.5", "3"}},
		"one value":       {Axis{Whole: true}, []float64{7}, false, []string{"6", "7", "8"}},
		"nothing":         {Axis{}, nil, true, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		"all zero":        {Axis{Whole: true}, []float64{0, 0}, true, []string{"0", "1"}},
		"below zero":      {Axis{}, []float64{-4, 4}, true, []string{"-4", "-2", "0", "2", "4"}},
		"large":           {Axis{}, []float64{15000}, true, []string{"0", "5000", "10\u202f000", "15\u202f000"}},
		"logarithmic":     {Axis{Log: true}, []float64{0, 239, 65523}, false, []string{"100", "1000", "10\u202f000"}},
		"log of nothing":  {Axis{Log: true}, []float64{0}, false, []string{"1", "10"}},
		"range given":     {Axis{Min: 0, Max: 2}, []float64{50}, true, []string{"0", "0.5", "1", "1.5", "2"}},
		"ticks are given": {Axis{Ticks: []Tick{{1, "one"}}}, []float64{0, 9}, true, []string{"one"}},
	} {
		if got := texts(c.axis.over(c.values, c.zero).ticks(4)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestShare(t *testing.T) {
	linear, log := Axis{Min: 10, Max: 20}, Axis{Min: 1, Max: 1000, Log: true}
	for _, c := range []struct {
		axis     Axis
		at, want float64
	}{{linear, 10, 0}, {linear, 15, .5}, {linear, 99, 1}, {linear, -1, 0}, {log, 10, 1. / 3}, {log, 1e9, 1}, {log, 0, 0}} {
		if got := c.axis.share(c.at); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v of %v to %v is at %v, want %v", c.at, c.axis.Min, c.axis.Max, got, c.want)
		}
	}
}

func TestThin(t *testing.T) {
	var pts []Point
	for i := range 10 * Points {
		pts = append(pts, Point{float64(i), 100})
	}
	pts[1234].Y = 3
	few := Thin(pts, math.Min)
	if len(few) != Points || !slices.ContainsFunc(few, func(p Point) bool { return p.Y == 3 }) {
		t.Errorf("%d points, and the dip is in them: %v", len(few), slices.ContainsFunc(few, func(p Point) bool { return p.Y == 3 }))
	}
	if short := Thin(pts[:5], math.Min); len(short) != 5 {
		t.Errorf("5 points became %d", len(short))
	}
}

// Each kind of mark is drawn where its values are, says them, and stays text where
// a name is hostile.
func TestHTML(t *testing.T) {
	hostile := `<script>alert(1)</script>"`
	html := Plot{
		Title: hostile, X: Axis{Label: "x", Min: 0, Max: 10}, Y: Axis{Label: "y", Min: 0, Max: 100},
		Blocks: []Blocks{{Name: hostile, Shade: .25, Cells: []Cell{{X0: 0, X1: 1, Y0: 0, Y1: 50, Title: "a cell"}, {X0: 1, X1: 2, Y0: 0, Y1: 50}, {X0: 2, X1: 3, Y0: 0, Y1: 50}}}},
		Bands:  []Series{{Name: "low", Colour: Red, Points: []Point{{0, 10}, {10, 20}}}, {Name: "high", Points: []Point{{0, 30}, {10, 40}}}},
		Lines:  []Series{{Name: "line", Points: []Point{{0, 0}, {5, 100}, {10, 0}}}},
		Dots:   []Series{{Name: "dot", Points: []Point{{5, 25}}}},
		Rules:  []Rule{{Text: "level", At: 75}, {Text: "upright", At: 2.5, Upright: true}, {Text: "far", At: 1e6, Beyond: true}},
	}.HTML()
	if strings.Contains(string(html), "<script") {
		t.Error("a script got in")
	}
	for _, want := range []string{
		`class="block c1" d="M0 1000L100 1000L100 500L0 500Z" fill-opacity="0.25"><title>a cell</title>`,
		`class="block c1" d="M100 1000L200 1000L200 500L100 500ZM200 1000L300 1000L300 500L200 500Z" fill-opacity="0.25"></path>`,
		`class="band c8" d="M0 900L1000 800L1000 1000L0 1000Z"`,
		`class="band c4" d="M0 600L1000 400L1000 800L0 900Z"`,
		`class="line c2" d="M0 1000L500 0L1000 1000"`,
		`class="dot c5" d="M500 750h0"><title>5` + "\n" + `dot: 25</title>`,
		`<title>10` + "\n" + `low: 20` + "\n" + `high: 40` + "\n" + `line: 0</title>`,
		`class="rule" d="M0 0H1000"`, `style="top:0.00%">↑ far<`,
		`class="rule" d="M0 250H1000"`, `style="top:25.00%">level<`,
		`class="rule" d="M250 0V1000"`, `style="left:25.00%;max-width:75.00%;top:0.0rem">upright<`,
	} {
		if !strings.Contains(string(html), want) {
			t.Errorf("there is no %s", want)
		}
	}
	dec := xml.NewDecoder(strings.NewReader(string(html)))
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
	}
	if t.Failed() {
		t.Log(html)
	}
}

// TestRuleNames has names of upright rules stand where there is room for them, and none on
// another.
func TestRuleNames(t *testing.T) {
	p := Plot{X: Axis{Min: 0, Max: 100}, Rules: []Rule{
		{Text: "early", At: 20, Upright: true}, {Text: "short", At: 60, Upright: true},
		{Text: "a name that is long", At: 70, Upright: true}, {Text: "beyond", At: 900, Upright: true, Beyond: true},
	}}
	for rows, want := range map[int][]string{
		0: {
			`"upright" style="left:20.00%;max-width:80.00%;top:0.0rem">early`, `"upright" style="left:60.00%;max-width:40.00%;top:1.1rem">short`,
			`"upright far" style="left:70.00%;max-width:70.00%;top:2.2rem">a name`, `"upright far" style="left:100.00%;max-width:100.00%;top:3.3rem">beyond`,
		},
		3: {
			`"unit" style="margin-bottom:3.8rem"`, `"upright" style="left:20.00%;max-width:80.00%;top:-1.1rem">early`, `top:-2.2rem">short`,
			`top:-3.3rem">a name`, `top:-4.4rem">beyond`,
		},
	} {
		p.Rows = rows
		html := string(p.HTML())
		for _, w := range want {
			if !strings.Contains(html, w) {
				t.Errorf("%d rows: there is no %s in\n%s", rows, w, html)
			}
		}
	}
}

// TestRoomForNames has lines end below the names of upright rules.
func TestRoomForNames(t *testing.T) {
	p := Plot{X: Axis{Min: 0, Max: 10}, Lines: []Series{{Name: "line", Points: []Point{{0, 0}, {10, 100}}}}}
	for names, want := range []string{"M0 1000L1000 47.6", "M0 1000L1000 126.3", "M0 1000L1000 192.9"} {
		p.Rules = make([]Rule, names)
		for i := range p.Rules {
			p.Rules[i] = Rule{Text: "name", At: 10, Upright: true}
		}
		if html := string(p.HTML()); !strings.Contains(html, `"line c1" d="`+want+`"`) {
			t.Errorf("%d names: no line %s in\n%s", names, want, html)
		}
	}
}

func TestAnyData(t *testing.T) {
	for name, p := range map[string]Plot{
		"nothing":       {},
		"bands uneven":  {Bands: []Series{{Points: []Point{{0, 1}}}, {Points: []Point{{0, 1}, {1, 1}}}}},
		"rows":          {Rows: 3, X: Axis{Log: true}, Blocks: []Blocks{{Cells: []Cell{{X0: 0, X1: 5, Y0: 0, Y1: 1}}}}},
		"an empty band": {Bands: []Series{{}}},
	} {
		html := p.HTML()
		if strings.Contains(string(html), "NaN") || strings.Contains(string(html), "Inf") {
			t.Errorf("%s: %s", name, html)
		}
	}
}
