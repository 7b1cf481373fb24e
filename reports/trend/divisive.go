package trend

import (
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
)

// Options are how sure and how large a change must be.
type Options struct {
	Window int     // values that are looked at together; two windows overlap by half
	P      float64 // of the t-test, above 0 and below 1, that a change must stay below
	Least  float64 // share, of either side's mean, that a change must exceed
}

// Defaults are Otava's.
var Defaults = Options{Window: 50, P: .001}

// StandingP is what the p of a change that stands is below: of 1000 series of 40 values
// of noise alone about three then have one (TestNoise), and a history has a dozen.
const StandingP = .0001

// Point is where a series changed.
type Point struct {
	At            int     // index of the first value after the change
	Before, After float64 // means, of the values since the change before and until the one after
	P             float64 // of Student's t-test between them, two-sided
}

// ChangePoints finds where the mean of a series changed, by the divisive algorithm of
// Matteson and James (A nonparametric approach for multiple change point analysis,
// 2014) as Fleming et al. made it fit for performance tests (Hunter, 2023, now Apache
// Otava): in windows, with a t-test that first keeps weak points and then leaves out,
// the weakest first, what does not stand beside its neighbours. It gives indices of
// the first values after a change, in order, and finds what Otava finds.
func ChangePoints(values []float64, o Options) []int {
	weak := o.P
	switch {
	case o.P < .05:
		weak *= 10
	case o.P < .5:
		weak *= 2
	}
	var at []int
	for start := 0; start < len(values); {
		last := 0
		for _, i := range divide(values[start:min(start+o.Window, len(values))], weak) {
			last = start + i
			if !slices.Contains(at, last) {
				at = append(at, last)
			}
		}
		start = max(last, start+o.Window/2)
	}
	slices.Sort(at)
	points := measure(values, at, ofThese)
	for len(points) > 0 {
		i := least(points, func(p Point) float64 { return -p.P })
		if points[i].P < o.P {
			if i = least(points, Point.size); points[i].size() > o.Least {
				break
			}
		}
		points = slices.Delete(points, i, i+1)
		at = slices.Delete(at, i, i+1)
		// The point before it is not tested anew, as in Otava, though it should be:
		// what Otava finds depends on that. Standing makes up for it.
		for j, p := range measure(values, at, ofThese) {
			if j == i || j == i+1 {
				points[j] = p
			}
		}
	}
	return at
}

// Standing are those of ChangePoints that the t-test calls surer than StandingP, between
// their neighbours and by the sample variance: Otava divides a variance by the number of values, not by one less,
// which makes few of them look surer than they are.
func Standing(values []float64, o Options) []Point {
	at := ChangePoints(values, o)
	for {
		points := measure(values, at, sample)
		i := least(points, func(p Point) float64 { return -p.P })
		if i < 0 || points[i].P < StandingP {
			return points
		}
		at = slices.Delete(at, i, i+1)
	}
}

// least is the index of the first point of which a figure is least; -1 without points.
func least(points []Point, of func(Point) float64) int {
	at := -1
	for i, p := range points {
		if at < 0 || of(p) < of(points[at]) {
			at = i
		}
	}
	return at
}

// size is how large a change is, as Options.Least counts.
func (p Point) size() float64 {
	var size float64
	for _, side := range []float64{p.Before, p.After} {
		if side != 0 {
			size = max(size, math.Abs((p.After-p.Before)/side))
		}
	}
	return size
}

// measure compares the values on both sides of each point.
func measure(values []float64, at []int, spread variance) []Point {
	var points []Point
	ends := append(append([]int{0}, at...), len(values))
	for i, x := range at {
		points = append(points, compare(values[ends[i]:x], values[x:ends[i+2]], x, spread))
	}
	return points
}

// divide splits values where they differ most, and the parts again, as long as the
// test calls the difference significant. It gives the points in order.
func divide(values []float64, p float64) (at []int) {
	for {
		best, most := -1, math.Inf(-1)
		var point Point
		ends := append(append([]int{0}, at...), len(values))
		for i := range len(ends) - 1 {
			part := values[ends[i]:ends[i+1]]
			if len(part) < 2 {
				continue
			}
			if x, q := candidate(part); q > most {
				best, most = ends[i]+x, q
				point = compare(part[:x], part[x:], best, ofThese)
			}
		}
		if best < 0 || point.P > p {
			return at
		}
		at = append(at, best)
		slices.Sort(at)
	}
}

// candidate is the index at which two or more values differ most from those just
// before it, by the energy statistic: how far both sides are apart, less how far each
// is in itself. The later side need not go to the end.
func candidate(values []float64) (at int, q float64) {
	// within[a][b] is the sum of the distances between all values of [a, b).
	n := len(values)
	within := make([][]float64, n+1)
	for a := range within {
		within[a] = make([]float64, n+1)
	}
	for b := 1; b <= n; b++ {
		sum := 0.
		for a := b - 2; a >= 0; a-- {
			sum += math.Abs(values[a] - values[b-1])
			within[a][b] = within[a][b-1] + sum
		}
	}
	q = math.Inf(-1)
	for x := 1; x < n; x++ {
		for end := x + 1; end <= n; end++ {
			left, right := float64(x), float64(end-x)
			between := within[0][end] - within[0][x] - within[x][end]
			d := 2 * between / (left + right)
			if x > 1 {
				d -= 2 * right / (left + right) / (left - 1) * within[0][x]
			}
			if end-x > 1 {
				d -= 2 * left / (left + right) / (right - 1) * within[x][end]
			}
			if d > q {
				at, q = x, d
			}
		}
	}
	return at, q
}

// compare tests whether two sets of values have the same mean.
func compare(a, b []float64, at int, spread variance) Point {
	p := Point{At: at, Before: stats.Mean(a), After: stats.Mean(b), P: 1}
	if len(a)+len(b) < 3 {
		return p // nothing says how much they vary
	}
	t, err := stats.TwoSampleTTest(side{a, spread}, side{b, spread}, stats.LocationDiffers)
	switch {
	case err == nil:
		p.P = t.P
	case p.Before != p.After: // and no value varies
		p.P = 0
	}
	return p
}

// variance is a way to say how much values vary.
type variance func([]float64) float64

// sample estimates the variance of where the values come from.
func sample(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	return stats.Variance(values)
}

// ofThese is the variance of these values alone.
func ofThese(values []float64) float64 {
	n := float64(len(values))
	return sample(values) * (n - 1) / n
}

// side is one side of a t-test.
type side struct {
	values []float64
	spread variance
}

func (s side) Weight() float64   { return float64(len(s.values)) }
func (s side) Mean() float64     { return stats.Mean(s.values) }
func (s side) Variance() float64 { return s.spread(s.values) }
