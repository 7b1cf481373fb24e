package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var thresholdExpr = regexp.MustCompile(`^\s*([\w.]+)\s*(<=?|>=?)\s*([0-9.eE+-]+)\s*([a-zA-Zµ%/×]*)\s*$`)

// unitFactors by the unit of a metric; the empty suffix is the unit itself.
var unitFactors = map[string]map[string]float64{
	"s": {
		"": 1, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1,
		"m": time.Minute.Seconds(), "h": time.Hour.Seconds(),
	},
	"B": {
		"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9,
		"TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	},
	"1":  {"": 1, "%": .01},
	"/s": {"": 1, "/s": 1},
	"×":  {"": 1, "x": 1, "×": 1},
	"":   {"": 1},
}

// ParseThreshold reads a service level: a metric, "<", "<=", ">" or ">=", and
// a limit with a unit: "fanout.p99<2s", "errors<0.1%", "server.rss<2GiB".
// The threshold is not judged yet: it does not pass.
func ParseThreshold(expr string) (Threshold, error) {
	m := thresholdExpr.FindStringSubmatch(expr)
	if m == nil {
		return Threshold{}, fmt.Errorf("threshold %q: want METRIC<LIMIT, such as fanout.p99<2s", expr)
	}
	_, unit, _, err := Report{}.Metric(m[1])
	if err != nil {
		return Threshold{}, fmt.Errorf("threshold %q: %w; the metrics are %s", expr, err, metricList())
	}
	limit, err := strconv.ParseFloat(m[3], 64)
	if err != nil || limit < 0 {
		return Threshold{}, fmt.Errorf("threshold %q: limit %q is no number from 0 up", expr, m[3])
	}
	factor, ok := unitFactors[unit][m[4]]
	if !ok {
		return Threshold{}, fmt.Errorf("threshold %q: %s has no unit %q; want %s", expr, m[1], m[4], unitNames(unit))
	}
	if limit *= factor; math.IsInf(limit, 0) {
		return Threshold{}, fmt.Errorf("threshold %q: the limit is too large", expr)
	}
	return Threshold{Expr: expr, Metric: m[1], Limit: limit, Unit: unit}, nil
}

// unitNames lists the units that a limit in this one may have, the smallest first.
func unitNames(unit string) string {
	by := unitFactors[unit]
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(cmp.Compare(by[a], by[b]), cmp.Compare(a, b))
	})
	names = slices.DeleteFunc(names, func(n string) bool { return n == "" })
	return strings.Join(append(names, "none"), ", ")
}

// Missed says that a judged threshold was missed, and by what.
func (t Threshold) Missed() string {
	if t.Got == nil {
		return "missed " + t.Expr + ": no samples"
	}
	got := fmt.Sprintf("%.6g", *t.Got)
	switch t.Unit {
	case "s":
		got = fmt.Sprintf("%.3g s", *t.Got)
	case "B":
		got = fmt.Sprintf("%.4g MiB", *t.Got/(1<<20))
	case "1":
		got = fmt.Sprintf("%.3g %%", *t.Got*100)
	case "×":
		got = fmt.Sprintf("%.3g ×", *t.Got)
	}
	return "missed " + t.Expr + ": " + got
}

// Judge holds a report to a threshold. A metric without samples fails.
func (t Threshold) Judge(r Report) (Threshold, error) {
	parsed, err := ParseThreshold(t.Expr)
	if err != nil {
		return t, err
	}
	value, _, ok, err := r.Metric(parsed.Metric)
	if err != nil || !ok {
		return parsed, err
	}
	parsed.Got = &value
	switch thresholdExpr.FindStringSubmatch(t.Expr)[2] {
	case "<":
		parsed.Pass = value < parsed.Limit
	case "<=":
		parsed.Pass = value <= parsed.Limit
	case ">":
		parsed.Pass = value > parsed.Limit
	case ">=":
		parsed.Pass = value >= parsed.Limit
	}
	return parsed, nil
}

// Judge holds the report to thresholds and keeps what became of them: one that
// is missed makes the verdict fail, unless it is refused. What it was measured
// over is all of the run: nothing is left out as a warm-up.
func (r *Report) Judge(ts []Threshold) error {
	var missed []string
	for _, t := range ts {
		t, err := t.Judge(*r)
		if err != nil {
			return err
		}
		r.Thresholds = append(r.Thresholds, t)
		if !t.Pass {
			missed = append(missed, t.Missed())
		}
	}
	if len(missed) > 0 {
		r.Verdict = Worse(r.Verdict, r.missing())
		r.Reasons = append(r.Reasons, missed...)
	}
	return nil
}

// missing is the verdict of a threshold that was missed: where the generator took the
// CPUs that the server needed it says nothing of the server.
func (r *Report) missing() Verdict {
	if r.Generator != nil && r.Generator.Slowed != "" {
		return VerdictRefused
	}
	return VerdictFail
}
