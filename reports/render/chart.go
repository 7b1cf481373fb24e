package render

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/fltool/fltool/reports"
)

// chart is one plot as data.
type chart struct {
	title, x, y string
	lines       []curve
	percentile  bool // the x axis is a share below 1, spread out towards 1
}

// curve is one line of a chart; its points are marked where they are few.
type curve struct {
	name string
	pts  plotter.XYs
	dots bool // no line: another tells how they hang together
}

// absurd is a figure that no run gives and no axis takes.
const absurd = 1e15

// charts are the plots that a report has data for.
func charts(r reports.Report) []chart {
	var cs []chart
	for _, of := range []func(reports.Report) chart{
		levelTimes, levelMemory, levelFDs, roundTimes, fanoutPercentiles, heldOverTime, errorsOverTime,
	} {
		c := of(r)
		for i := range c.lines {
			c.lines[i].pts = slices.DeleteFunc(c.lines[i].pts, func(p plotter.XY) bool { return !(math.Abs(p.X) < absurd && math.Abs(p.Y) < absurd) })
		}
		c.lines = slices.DeleteFunc(c.lines, func(l curve) bool { return len(l.pts) == 0 })
		if len(c.lines) > 0 {
			cs = append(cs, c)
		}
	}
	return cs
}

func levelTimes(r reports.Report) chart {
	var round, fanout plotter.XYs
	for _, l := range r.Levels {
		if s := slowestRound(l.Rounds); s > 0 {
			round = append(round, plotter.XY{X: float64(l.Workers), Y: s})
		}
		if l.FanoutSeconds > 0 {
			fanout = append(fanout, plotter.XY{X: float64(l.Workers), Y: l.FanoutSeconds})
		}
	}
	return timeChart(chart{title: "Round and fan-out by number of workers", x: "workers", lines: []curve{{name: "slowest round", pts: round}, {name: "fan-out", pts: fanout}}})
}

func levelMemory(r reports.Report) chart {
	return levelResource(r, "Server memory by number of workers", "MiB", "server.rss", 1<<20,
		func(x reports.Resource) float64 { return float64(x.RSSPeakBytes) })
}

func levelFDs(r reports.Report) chart {
	return levelResource(r, "Server descriptors by number of workers", "descriptors", "server.fds", 1,
		func(x reports.Resource) float64 { return float64(x.FDsPeak) })
}

// levelResource is what the server used at each level, in so large units, with the
// line that the report draws through those that held.
func levelResource(r reports.Report, title, unit, metric string, size float64, of func(reports.Resource) float64) chart {
	var held, failed plotter.XYs
	for _, l := range r.Levels {
		for _, x := range l.Resources {
			p := plotter.XY{X: float64(l.Workers), Y: of(x) / size}
			switch {
			case x.Process != "server":
			case l.Verdict == reports.VerdictPass || l.Verdict == reports.VerdictWarn:
				held = append(held, p)
			default:
				failed = append(failed, p)
			}
		}
	}
	c := chart{title: title, x: "workers", y: unit, lines: []curve{
		{name: "measured", pts: held, dots: true}, {name: "at levels not held", pts: failed, dots: true},
	}}
	for _, s := range r.Slopes {
		if s.Of != metric || len(s.Workers) == 0 {
			continue
		}
		line := curve{name: fmt.Sprintf("slope: %s a worker", figure(s.PerWorker, s.Unit))}
		for _, x := range []float64{slices.Min(s.Workers), slices.Max(s.Workers)} {
			line.pts = append(line.pts, plotter.XY{X: x, Y: (s.Intercept + s.PerWorker*x) / size})
		}
		c.lines = append(c.lines, line)
	}
	return c
}

func roundTimes(r reports.Report) chart {
	var round, fanout plotter.XYs
	for _, x := range r.Rounds {
		round = append(round, plotter.XY{X: float64(x.Number), Y: x.Seconds})
		if x.Told > 0 {
			fanout = append(fanout, plotter.XY{X: float64(x.Number), Y: x.FanoutSeconds})
		}
	}
	return timeChart(chart{title: "Time of each round", x: "round", lines: []curve{{name: "round", pts: round}, {name: "fan-out", pts: fanout}}})
}

func fanoutPercentiles(r reports.Report) chart {
	c := chart{title: "Fan-out: when workers were told, by share of workers", x: "share of workers told", percentile: true}
	for _, s := range r.Series {
		if s.Name != "wakeup" || s.Histogram.Count() == 0 {
			continue
		}
		// As far out as the samples go.
		last := math.Log10(float64(s.Histogram.Count()))
		var pts plotter.XYs
		for x := 0.; x <= min(last, 4); x += .05 {
			pts = append(pts, plotter.XY{X: x, Y: s.Histogram.Quantile(1 - math.Pow(10, -x)).Seconds()})
		}
		c.lines = append(c.lines, curve{name: "fan-out", pts: pts})
	}
	return timeChart(c)
}

func heldOverTime(r reports.Report) chart {
	var pts plotter.XYs
	for _, t := range r.Timeline {
		pts = append(pts, plotter.XY{X: t.T, Y: float64(t.Held)})
	}
	return chart{title: "Polls held", x: "seconds since the start", y: "polls", lines: []curve{{name: "held", pts: thin(pts, math.Min)}}}
}

func errorsOverTime(r reports.Report) chart {
	c := chart{title: "Errors a second", x: "seconds since the start", y: "errors"}
	if len(r.Errors) == 0 {
		return c
	}
	by := map[string]plotter.XYs{}
	var order []string
	for _, e := range r.Errors {
		order = append(order, e.Class)
	}
	told := slices.ContainsFunc(r.Timeline, func(t reports.Tick) bool { return len(t.Classes) > 0 })
	if !told {
		order = []string{"all classes"}
	}
	for _, t := range r.Timeline {
		for _, class := range order {
			n := t.Classes[class]
			if !told {
				n = t.Errors
			}
			by[class] = append(by[class], plotter.XY{X: t.T, Y: float64(n)})
		}
	}
	for _, class := range order[:min(len(order), len(strokes))] {
		c.lines = append(c.lines, curve{name: reports.Clean(class), pts: thin(by[class], math.Max)})
	}
	return c
}

// maxPoints is more than a plot has pixels for.
const maxPoints = 600

// thin makes a long line short, each point the extreme of those it stands for,
// so that no dip of what is held and no burst of errors gets lost.
func thin(pts plotter.XYs, extreme func(a, b float64) float64) plotter.XYs {
	n := (len(pts) + maxPoints - 1) / maxPoints
	if n < 2 {
		return pts
	}
	var few plotter.XYs
	for chunk := range slices.Chunk(pts, n) {
		p := chunk[0]
		for _, q := range chunk[1:] {
			p.Y = extreme(p.Y, q.Y)
		}
		few = append(few, p)
	}
	return few
}

// timeChart turns seconds into the unit that suits them.
func timeChart(c chart) chart {
	var most float64
	for _, l := range c.lines {
		for _, p := range l.pts {
			most = max(most, p.Y)
		}
	}
	factor := 1.
	c.y = "seconds"
	if most < 1 {
		factor, c.y = 1e3, "milliseconds"
	}
	for _, l := range c.lines {
		for i := range l.pts {
			l.pts[i].Y *= factor
		}
	}
	return c
}

// stroke is how a line looks: dark enough to read on white (contrast above
// 4.5), told apart without colours by its dashes.
type stroke struct {
	hex    string
	color  color.RGBA
	dashes []vg.Length
	dash   string // the same in SVG
}

var strokes = []stroke{
	{"#0b5cad", color.RGBA{0x0b, 0x5c, 0xad, 0xff}, nil, ""},
	{"#a8430f", color.RGBA{0xa8, 0x43, 0x0f, 0xff}, []vg.Length{6, 3}, "6 3"},
	{"#1b6e50", color.RGBA{0x1b, 0x6e, 0x50, 0xff}, []vg.Length{2, 2}, "2 2"},
	{"#7a3fa0", color.RGBA{0x7a, 0x3f, 0xa0, 0xff}, []vg.Length{8, 2, 2, 2}, "8 2 2 2"},
	{"#6b5b00", color.RGBA{0x6b, 0x5b, 0x00, 0xff}, []vg.Length{1, 3}, "1 3"},
	{"#8f1450", color.RGBA{0x8f, 0x14, 0x50, 0xff}, []vg.Length{12, 4}, "12 4"},
}

// The size of a plot, in points: legible where a phone shrinks it to its width.
const (
	chartWidth  = 360
	chartHeight = 200
)

// shortTicks are the default ticks, without needless zeros.
type shortTicks struct{ plot.DefaultTicks }

func (t shortTicks) Ticks(min, max float64) []plot.Tick {
	ticks := t.DefaultTicks.Ticks(min, max)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'g', 6, 64)
		}
	}
	return ticks
}

// svg draws the chart, its key left to the page.
func (c chart) svg() (string, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = c.x, c.y
	p.Y.Min = 0
	for _, style := range []*draw.TextStyle{&p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Size = 10
		style.Font.Variant = "Sans" // whose widths the page's font has
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color = color.Gray{0xdd}
	grid.Horizontal.Color = color.Gray{0xdd}
	p.Add(grid)
	for i, l := range c.lines {
		s := strokes[i%len(strokes)]
		line, points, err := plotter.NewLinePoints(l.pts)
		if err != nil {
			return "", fmt.Errorf("plot %s of %s: %w", l.name, c.title, err)
		}
		line.Color, line.Dashes, line.Width = s.color, s.dashes, 1.5
		if !l.dots {
			p.Add(line)
		}
		if l.dots || len(l.pts) <= 30 && len(l.pts) != 2 {
			points.Color, points.Shape, points.Radius = s.color, draw.CircleGlyph{}, 2
			p.Add(points)
		}
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = shortTicks{}, shortTicks{}
	if c.percentile {
		p.X.Tick.Marker = plot.ConstantTicks{
			{Value: 0, Label: "0"}, {Value: 1, Label: "90 %"}, {Value: 2, Label: "99 %"}, {Value: 3, Label: "99.9 %"}, {Value: 4, Label: "99.99 %"},
		}
	}
	if p.X.Min == p.X.Max {
		p.X.Min, p.X.Max = p.X.Min-1, p.X.Max+1
	}
	p.Y.Min, p.Y.Max = 0, p.Y.Max*1.05
	if p.Y.Max <= 0 {
		p.Y.Max = 1
	}
	canvas := vgsvg.New(chartWidth, chartHeight)
	p.Draw(draw.Crop(draw.New(canvas), 6, -16, 4, -6)) // room for the outermost labels
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("plot %s: %w", c.title, err)
	}
	// Within HTML there is no XML prologue.
	if i := bytes.Index(b.Bytes(), []byte("<svg")); i > 0 {
		return b.String()[i:], nil
	}
	return "", fmt.Errorf("plot %s: no SVG was drawn", c.title)
}
