package reports

import (
	"fmt"
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
)

// confidence of every interval about a Slope.
const confidence = .95

// Slope is what each further worker costs the server, by the line of least
// squares through the levels that held. The intervals are of 95 % confidence, by
// Student's t; they are absent where fewer than three sizes tell.
type Slope struct {
	Of        string    `json:"of"`   // the metric: "server.rss", "server.fds", "server.cpu"
	Unit      string    `json:"unit"` // of the metric: "B", "s", ""
	PerWorker float64   `json:"perWorker"`
	Low       *float64  `json:"low,omitempty"` // of PerWorker
	High      *float64  `json:"high,omitempty"`
	Intercept float64   `json:"intercept"` // what it uses without workers, by the line
	InterLow  *float64  `json:"interceptLow,omitempty"`
	InterHigh *float64  `json:"interceptHigh,omitempty"`
	Workers   []float64 `json:"workers"` // of the levels, and what was measured there
	Values    []float64 `json:"values"`
}

// Sizes is how many different numbers of workers the slope rests on: a level that
// was run again is no further one.
func (s Slope) Sizes() int {
	return len(slices.Compact(slices.Sorted(slices.Values(s.Workers))))
}

// FitSlope draws the line through the values measured at so many workers each;
// false where they don't tell a slope.
func FitSlope(of, unit string, workers, values []float64) (Slope, bool) {
	s := Slope{Of: of, Unit: unit, Workers: workers, Values: values}
	if len(workers) != len(values) || s.Sizes() < 2 {
		return Slope{}, false
	}
	mean, level := stats.Mean(workers), stats.Mean(values)
	var sxx, sxy float64
	for i, x := range workers {
		sxx += (x - mean) * (x - mean)
		sxy += (x - mean) * (values[i] - level)
	}
	s.PerWorker = sxy / sxx
	s.Intercept = level - s.PerWorker*mean
	if t, rest, mean, sxx, ok := s.spread(); ok {
		s.Low, s.High = around(s.PerWorker, t*rest/math.Sqrt(sxx))
		s.InterLow, s.InterHigh = around(s.Intercept, t*rest*math.Sqrt(1/float64(len(workers))+mean*mean/sxx))
	}
	return s, true
}

// At is what the line gives for so many workers, and the interval in which one
// measurement there is to be expected (absent as those of the slope).
func (s Slope) At(workers int) (value float64, low, high *float64) {
	x := float64(workers)
	value = s.Intercept + s.PerWorker*x
	if t, rest, mean, sxx, ok := s.spread(); ok {
		low, high = around(value, t*rest*math.Sqrt(1+1/float64(len(s.Workers))+(x-mean)*(x-mean)/sxx))
	}
	return value, low, high
}

// spread is what the intervals are made of: Student's t, the standard deviation
// of the values from the line, the mean of the workers and their sum of squares
// about it.
func (s Slope) spread() (t, rest, mean, sxx float64, ok bool) {
	n := float64(len(s.Workers))
	if s.Sizes() < 3 {
		return 0, 0, 0, 0, false
	}
	mean = stats.Mean(s.Workers)
	var squares float64
	for i, x := range s.Workers {
		off := s.Values[i] - s.Intercept - s.PerWorker*x
		squares += off * off
		sxx += (x - mean) * (x - mean)
	}
	t = stats.InvCDF(stats.TDist{V: n - 2})(1 - (1-confidence)/2)
	return t, math.Sqrt(squares / (n - 2)), mean, sxx, true
}

func around(v, by float64) (low, high *float64) {
	a, b := v-by, v+by
	return &a, &b
}

// Forecast is what so many workers would need by the slopes: an extrapolation.
type Forecast struct {
	Workers int      `json:"workers"`
	Needs   []Need   `json:"needs"`
	Unknown []string `json:"unknown,omitempty"` // what can't be told, and why
}

// Beyond says whether the plan is for more workers than were measured.
func (p Forecast) Beyond() bool {
	return slices.ContainsFunc(p.Needs, func(n Need) bool { return n.Beyond > 1 })
}

// Need is one figure of a plan.
type Need struct {
	Of     string   `json:"of"`
	Unit   string   `json:"unit"`
	Value  float64  `json:"value"`
	Low    *float64 `json:"low,omitempty"` // 95 %; absent where too few levels tell
	High   *float64 `json:"high,omitempty"`
	Beyond float64  `json:"beyond"` // how many times the highest level that was measured
	Rests  string   `json:"rests"`  // what it rests on, in words
}

// Extrapolate plans for so many workers by the slopes of memory and descriptors. A
// line that does not rise is noise, and tells nothing.
func Extrapolate(workers int, slopes []Slope) *Forecast {
	p := &Forecast{Workers: workers}
	for _, s := range slopes {
		if s.Of != "server.rss" && s.Of != "server.fds" {
			continue // processor time adds up over a run, so it is no need of a moment
		}
		least, most := slices.Min(s.Workers), slices.Max(s.Workers)
		line := fmt.Sprintf("the line through %d sizes, %.0f to %.0f workers", s.Sizes(), least, most)
		if s.PerWorker <= 0 {
			p.Unknown = append(p.Unknown, fmt.Sprintf("%s: %s does not rise, so nothing can be planned by it", s.Of, line))
			continue
		}
		n := Need{Of: s.Of, Unit: s.Unit, Beyond: float64(workers) / most, Rests: line}
		n.Value, n.Low, n.High = s.At(workers)
		if n.Beyond > 1 {
			n.Rests += fmt.Sprintf(", %.1f times beyond the last", n.Beyond)
		}
		p.Needs = append(p.Needs, n)
	}
	return p
}
