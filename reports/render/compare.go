package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// outcomeVerdict is the verdict whose colour an outcome has.
var outcomeVerdict = map[reports.Trend]reports.Verdict{
	reports.TrendSame: reports.VerdictPass, reports.TrendBetter: reports.VerdictPass,
	reports.TrendWorse: reports.VerdictFail, reports.TrendInconclusive: reports.VerdictWarn,
}

// outcomeWord is an outcome in a table.
func outcomeWord(o reports.Trend) string {
	switch o {
	case reports.TrendInconclusive:
		return "unclear" // shorter
	case reports.TrendUnmeasured:
		return "missing"
	}
	return string(o)
}

// comparison puts a comparison into words; all says whether with metrics that
// neither decide nor changed.
func comparison(c reports.Comparison, all bool) document {
	d := document{word: strings.ToUpper(string(c.Trend)), verdict: outcomeVerdict[c.Trend]}
	runs := fmt.Sprintf("%s against %d of the base", Plural(c.NewRuns, "new run"), c.BaseRuns)
	d.headline = map[reports.Trend]string{
		reports.TrendSame:         "no metric that decides changed beyond its limit; ",
		reports.TrendBetter:       "nothing got worse, and something better; ",
		reports.TrendWorse:        "a regression; ",
		reports.TrendInconclusive: "these runs can't tell; ",
	}[c.Trend] + runs
	for _, reason := range c.Reasons {
		d.reasons = append(d.reasons, reports.Clean(reason))
	}
	// Runs of several kinds have a table each.
	decide, others := map[string]*grid{}, map[string]*grid{}
	var kinds, limits []string
	quiet := 0
	for _, ch := range c.Metrics {
		if decide[ch.Of] == nil {
			kinds = append(kinds, ch.Of)
			decide[ch.Of] = &grid{head: []string{"metric", "outcome", "base", "new", "change", "interval", "p"}, text: []int{0, 1}, outcome: 1}
			others[ch.Of] = &grid{head: []string{"metric", "base", "new", "change", "interval", "p"}, text: []int{0}}
		}
		figures := []string{figure(ch.Base, ch.Unit), figure(ch.New, ch.Unit), delta(ch, ch.Change), interval(ch)}
		if ch.BaseRuns == 0 || ch.NewRuns == 0 {
			figures = []string{orNone(ch.BaseRuns, figures[0]), orNone(ch.NewRuns, figures[1]), "", ""}
		}
		if !ch.Gated {
			if !all && ch.Trend != reports.TrendBetter && ch.Trend != reports.TrendWorse {
				quiet++
				continue
			}
			others[ch.Of].rows = append(others[ch.Of].rows, slices.Concat([]string{ch.Metric}, figures, []string{pvalue(ch.P)}))
			continue
		}
		outcome, p := outcomeWord(ch.Trend), pvalue(ch.PHolm)
		if ch.Trend == reports.TrendUnmeasured {
			p = ""
		}
		decide[ch.Of].rows = append(decide[ch.Of].rows, slices.Concat([]string{ch.Metric, outcome}, figures, []string{p}))
		if limit := ch.Metric + " " + limitOf(ch); !slices.Contains(limits, limit) {
			limits = append(limits, limit)
		}
	}
	var sections []section
	for _, of := range kinds {
		sections = append(sections, section{title: "Metrics that decide" + ofRuns(of), grid: decide[of]})
	}
	if len(limits) > 0 {
		sections = append(sections, section{title: "How they decide", notes: []string{
			"worse is beyond its limit, and significant; limits: " + strings.Join(limits, ", "),
			notMeasured(c.Unmeasured),
			"change: the median over all pairs of a base and a new run (Hodges-Lehmann), not that of the medians",
			fmt.Sprintf("p: Mann-Whitney over runs, after Holm's correction for %s", Plural(c.GatedMetrics, "metric")),
		}})
	}
	sections = append(sections,
		section{title: "The runs", notes: slices.Clone(c.Runs)},
		section{title: "Differences of environment and demand", notes: slices.Clone(c.Environment)},
		section{title: "Notes", notes: slices.Clone(c.Warnings)})
	for _, of := range kinds {
		sections = append(sections, section{title: "Other metrics, which decide nothing" + ofRuns(of), detail: true, grid: others[of]})
	}
	sections = append(sections, section{title: "Not shown", notes: []string{quietly(quiet)}})
	for _, s := range sections {
		if s.grid != nil && len(s.grid.rows) == 0 {
			s.grid = nil
		}
		s.notes = slices.DeleteFunc(s.notes, func(n string) bool { return n == "" })
		if s.grid != nil || len(s.notes) > 0 {
			d.sections = append(d.sections, s.clean())
		}
	}
	return d
}

// ofRuns is the end of a title of what is about one kind of runs.
func ofRuns(kind string) string {
	if kind == "" {
		return ""
	}
	return " (" + kind + ")"
}

func quietly(metrics int) string {
	if metrics == 0 {
		return ""
	}
	return fmt.Sprintf("%s without a significant change: --format markdown has all", Plural(metrics, "more metric"))
}

func notMeasured(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "not measured by runs of this kind: " + strings.Join(names, ", ")
}

func orNone(runs int, s string) string {
	if runs == 0 {
		return "none"
	}
	return s
}

// limitOf writes how much worse a metric may get.
func limitOf(ch reports.Change) string {
	if ch.Metric == "server.fdsGrowth" {
		return figure(ch.Limit, ch.Unit)
	}
	return percent(ch.Limit)
}

// delta writes a change with its sign.
func delta(ch reports.Change, v float64) string {
	switch {
	case !ch.Absolute:
		return fmt.Sprintf("%+.1f%%", 100*v)
	case ch.Unit == "1":
		return fmt.Sprintf("%+.2f%%", 100*v)
	case v > 0:
		return "+" + figure(v, ch.Unit)
	}
	return figure(v, ch.Unit)
}

func interval(ch reports.Change) string {
	return strings.TrimSuffix(delta(ch, ch.Low), "%") + "…" + delta(ch, ch.High)
}

func pvalue(p float64) string {
	if p < .0005 {
		return "<.001"
	}
	return fmt.Sprintf("%.3f", p)
}
