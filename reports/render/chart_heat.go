package render

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// heatColumns is how many columns the heat map has at most.
const heatColumns = 100

// shares are the steps of the heat map: so many answers and more.
var shares = []struct {
	from  int
	name  string
	shade float64
}{{1, "1 to 9 answers", .3}, {10, "10 to 99", .55}, {100, "100 to 999", .8}, {1000, "1000 and more", 1}}

// latencyAxis has the latencies of the timeline and the percentiles of the series.
func latencyAxis(r reports.Report) plot.Axis {
	low, high := math.MaxInt, 0
	for _, t := range r.Timeline {
		for band := range t.Latency {
			low, high = min(low, band), max(high, band)
		}
	}
	for _, s := range byShare(r) {
		low = min(low, reports.LatencyBand(s.Histogram.Quantile(.05)))
		high = max(high, reports.LatencyBand(s.Histogram.Max()))
	}
	low, high = max(low, 0), min(high, 40)
	if low > high {
		return plot.Axis{}
	}
	a := plot.Axis{Log: true, Label: "time, logarithmic", Say: seconds, Min: reports.BandFrom(low).Seconds(), Max: reports.BandFrom(high + 1).Seconds(), Ticks: []plot.Tick{}}
	for at, d := range []string{"1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s", "1000 s"} {
		if v := math.Pow(10, float64(at-6)); v >= a.Min*.999 && v <= a.Max*1.001 {
			a.Ticks = append(a.Ticks, plot.Tick{At: v, Text: d})
		}
	}
	return a
}

// latencyOverTime is how fast requests were answered, as a heat map.
func latencyOverTime(r reports.Report) plot.Plot {
	ticks, _ := columns(r, heatColumns)
	if !slices.ContainsFunc(ticks, func(t reports.Tick) bool { return len(t.Latency) > 0 }) || len(ticks) < least {
		return plot.Plot{}
	}
	p := plot.Plot{
		Title: "How fast requests were answered, but held polls", X: runTime, Y: latencyAxis(r), Rules: actsOf(r), Tips: []plot.Tip{},
	}
	for _, s := range shares {
		p.Blocks = append(p.Blocks, plot.Blocks{Name: s.name, Colour: plot.Blue, Shade: s.shade})
	}
	from := 0.
	for _, t := range ticks {
		for _, band := range slices.Sorted(maps.Keys(t.Latency)) {
			n := t.Latency[band]
			for i := range slices.Backward(shares) {
				if n >= shares[i].from {
					p.Blocks[i].Cells = append(p.Blocks[i].Cells, plot.Cell{X0: from, X1: t.T, Y0: reports.BandFrom(band).Seconds(), Y1: reports.BandFrom(band + 1).Seconds()})
					break
				}
			}
		}
		if text := answersOf(t); text != "" {
			p.Tips = append(p.Tips, plot.Tip{From: from, To: t.T, Text: text})
		}
		from = t.T
	}
	p.Blocks = slices.DeleteFunc(p.Blocks, func(b plot.Blocks) bool { return len(b.Cells) == 0 })
	return p
}

// answersOf says how many answers came until a tick, and how fast.
func answersOf(t reports.Tick) string {
	bands := slices.Sorted(maps.Keys(t.Latency))
	all := 0
	for _, b := range bands {
		all += max(t.Latency[b], 0)
	}
	if all == 0 {
		return ""
	}
	s := fmt.Sprintf("%s\n%s", seconds(t.T), Plural(all, "answer"))
	sum := 0
	for _, b := range bands {
		if sum += max(t.Latency[b], 0); 2*sum >= all {
			s += "\nhalf of them within " + upTo(b)
			break
		}
	}
	return s + "\nall within " + upTo(bands[len(bands)-1])
}

func upTo(band int) string { return seconds(reports.BandFrom(band + 1).Seconds()) }

// byShare are the series that are drawn by their percentiles: how long something took
// that nobody chose.
func byShare(r reports.Report) []reports.Series {
	var all []reports.Series
	for _, name := range []string{"wakeup", "challenge", "model", "update", "register"} {
		for _, s := range r.Series {
			if s.Name == name && s.Histogram.Count() >= enoughSamples {
				all = append(all, s)
			}
		}
	}
	return all
}

// enoughSamples is how many samples a distribution has that is drawn.
const enoughSamples = 10

// percentiles is how long the shares of workers and requests waited at most.
func percentiles(r reports.Report) plot.Plot {
	p := plot.Plot{Title: "How long it took at most, by share", Y: latencyAxis(r), X: plot.Axis{
		Label: "share",
		Ticks: []plot.Tick{{At: 0, Text: "0"}, {At: 1, Text: "90 %"}, {At: 2, Text: "99 %"}, {At: 3, Text: "99.9 %"}, {At: 4, Text: "99.99 %"}},
		Say:   func(x float64) string { return percent(1 - math.Pow(10, -x)) },
	}}
	most := 0.
	for _, s := range byShare(r) {
		// As far out as the samples go.
		last := min(math.Log10(float64(s.Histogram.Count())), 4)
		most = max(most, last)
		var pts []plot.Point
		for x := 0.; x <= last; x += .05 {
			pts = append(pts, plot.Point{X: x, Y: max(s.Histogram.Quantile(1-math.Pow(10, -x)), time.Microsecond).Seconds()})
		}
		p.Lines = append(p.Lines, plot.Series{Name: stepName(s.Name), Points: pts})
	}
	p.X.Ticks = slices.DeleteFunc(p.X.Ticks, func(t plot.Tick) bool { return t.At > most })
	for _, rule := range limits(slices.DeleteFunc(slices.Clone(r.Thresholds), func(t reports.Threshold) bool { return strings.HasPrefix(t.Metric, "round") })) {
		rule.Beyond = rule.At > p.Y.Max
		p.Rules = append(p.Rules, rule)
	}
	return p
}

// stepName is what a series is called where it stands beside others.
func stepName(name string) string {
	if name == "wakeup" {
		return "fan-out"
	}
	return name
}
