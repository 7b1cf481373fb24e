package loadgen

import (
	"fmt"
	"slices"

	"github.com/fltool/fltool/reports"
)

// Report puts together what the levels showed. Asked is the number of workers
// that the verdict is about; 0: none, any answer is good. What is no level's own
// (series, rounds, resources, …) is of the highest level that held, or of the
// lowest that did not where none held.
func (f Found) Report(asked int) reports.Report {
	shown, ran := f.of(f.Workers)
	if !ran {
		shown, _ = f.of(f.Failed)
	}
	r := shown.Report
	r.Schema, r.Kind = reports.Schema, reports.KindCapacity
	r.Demand.Workers, r.Demand.RampSeconds = asked, 0 // each level has its own
	r.Levels, r.Lost = nil, nil
	for _, t := range f.Tried {
		r.Levels = append(r.Levels, level(t))
	}
	r.Slopes = f.slopes()
	r.Capacity = &reports.Capacity{Workers: f.Workers, AtLeast: f.AtLeast, FailedAt: f.Failed, Ledger: []reports.Row{}}
	r.Notes = append(r.Notes, fmt.Sprintf("the figures after the levels are of the level of %s", workersOf(shown.Workers)))
	r.Notes = append(r.Notes, f.Notes...)
	r.Verdict, r.Reasons = f.verdict(asked)
	return r
}

// Climbed is the answer of levels of fixed sizes, ascending, each of which was tried once.
// What fails after a level that left polls behind proves nothing.
func Climbed(levels []reports.Report) Found {
	var tried []Tried
	left := 0
	for _, r := range levels {
		t := Tried{Workers: r.Demand.Workers, Result: LevelResultOf(r), Report: r}
		if left > 0 && t.Result == LevelFailed {
			t.Result, t.Report.Verdict = LevelSpoiled, reports.VerdictRefused
			t.Report.Reasons = append([]string{fmt.Sprintf("the server may still have held %d polls of the levels before: without them it might have held", left)}, r.Reasons...)
		}
		if r.Held != nil {
			left += r.Held.Unfreed
		}
		tried = append(tried, t)
	}
	f := Search{}.found(tried)
	f.Notes = append(f.Notes, "the levels were fixed, and each was tried once: what lies between is not known")
	return f
}

// of is the last trial of so many workers; one that failed outranks others.
func (f Found) of(workers int) (t Tried, ok bool) {
	for _, x := range f.Tried {
		if x.Workers == workers && !(ok && t.Result == LevelFailed && x.Result != LevelFailed) {
			t, ok = x, true
		}
	}
	return t, ok
}

// FailedReport is of the lowest level that did not hold; false where there is
// none, or where it proves nothing about the server.
func (f Found) FailedReport() (reports.Report, bool) {
	t, ok := f.of(f.Failed)
	return t.Report, ok && t.Result == LevelFailed
}

func level(t Tried) reports.Level {
	l := reports.Level{
		Workers: t.Workers, Verdict: t.Report.Verdict, Rounds: t.Report.Rounds, Thresholds: t.Report.Thresholds,
		Resources: t.Report.Resources, Reasons: t.Report.Reasons, Errors: t.Report.Errors, Remains: t.Remains,
	}
	if t.Report.Held != nil {
		l.Held = *t.Report.Held
	}
	for _, x := range l.Rounds {
		l.FanoutSeconds = max(l.FanoutSeconds, x.FanoutSeconds)
	}
	return l
}

// slopes are of the levels that held, one that did not held fewer than it says, and
// that began with nothing of the levels before.
func (f Found) slopes() []reports.Slope {
	var out []reports.Slope
	for _, m := range []struct {
		of, unit string
		value    func(reports.Resource) float64
	}{
		{"server.rss", "B", func(x reports.Resource) float64 { return float64(x.RSSPeakBytes) }},
		{"server.fds", "", func(x reports.Resource) float64 { return float64(x.FDsPeak) }},
		{"server.cpu", "s", func(x reports.Resource) float64 { return x.CPUSeconds }},
	} {
		var workers, values []float64
		for _, t := range f.Tried {
			for _, x := range t.Report.Resources {
				// No memory is no measurement. No processor time is one: less than a tick.
				if t.Result == LevelHeld && t.Remains == "" && x.Process == "server" && x.RSSPeakBytes > 0 {
					workers, values = append(workers, float64(t.Workers)), append(values, m.value(x))
				}
			}
		}
		if s, ok := reports.FitSlope(m.of, m.unit, workers, values); ok {
			out = append(out, s)
		}
	}
	return out
}

// verdict judges the answer by the number asked for.
func (f Found) verdict(asked int) (reports.Verdict, []string) {
	var why []string
	failed, _ := f.of(f.Failed)
	if f.Failed > 0 {
		why = slices.Clone(failed.Report.Reasons)
		for i := range why {
			why[i] = fmt.Sprintf("at %s: %s", workersOf(f.Failed), why[i])
		}
	}
	switch {
	case f.Cut && (asked == 0 || f.Workers < asked):
		return reports.VerdictRefused, append([]string{"the search was ended before the answer was known"}, why...)
	case f.Workers >= max(asked, 1):
		return reports.VerdictPass, why
	case f.AtLeast:
		return reports.VerdictRefused, why
	}
	return reports.VerdictFail, why
}
