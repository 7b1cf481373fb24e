// Package trend reads the figures of many commits' runs and tells since when they
// have been what they are.
package trend

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// Analysis is what became of the metrics over a history.
type Analysis struct {
	Outcome reports.Trend `json:"outcome"` // of the metrics that decide: the worst
	Reasons []string      `json:"reasons,omitempty"`
	Commits int           `json:"commits"`
	First   string        `json:"first,omitempty"` // commit
	Last    string        `json:"last,omitempty"`
	Runs    int           `json:"runs"`
	P       float64       `json:"p"`               // a change's is below it
	Notes   []string      `json:"notes,omitempty"` // what was left out
	Metrics []Metric      `json:"metrics"`         // those that decide first
}

// Metric is one figure over the commits.
type Metric struct {
	Name     string        `json:"metric"`
	Of       string        `json:"of"` // "rounds" or "hold", the kind of run
	Unit     string        `json:"unit,omitempty"`
	Decides  bool          `json:"decides"`
	Limit    float64       `json:"limit"`              // share, or difference, that is no matter
	Absolute bool          `json:"absolute,omitempty"` // changes and limit are differences in the unit
	Outcome  reports.Trend `json:"outcome"`
	Why      string        `json:"why,omitempty"` // of an inconclusive one
	Values   []Value       `json:"values"`
	Changes  []Change      `json:"changes,omitempty"` // in order
}

// Value is a commit's.
type Value struct {
	Commit string  `json:"commit"`
	Median float64 `json:"median"` // of its runs
	Runs   int     `json:"runs"`
}

// Change is where a metric changed.
type Change struct {
	Since   string        `json:"since"`             // the first commit after it
	At      int           `json:"at"`                // its place in Values
	Before  float64       `json:"before"`            // mean of the commits since the change before
	After   float64       `json:"after"`             // mean of those until the next change
	Change  float64       `json:"change"`            // of After to Before
	Now     float64       `json:"now"`               // of the mean after the last change to Before
	P       float64       `json:"p"`                 // Student's t-test
	Outcome reports.Trend `json:"outcome"`           // same: Now is within the limit
	Machine []string      `json:"machine,omitempty"` // what else was another since then
}

// Fewest is how many commits it takes to tell: of fewer, only leaps would be found.
const Fewest = 8

// leastChange is the share of the mean that a change must exceed to be one.
const leastChange = .01

// Analyze tells of the metrics of a comparison's gate since when they are worse or
// better. A commit's value is the median of its runs. A change decides by what is left
// of it: it is worse if the level now is worse than the one before it by more than the
// metric's limit, so that many small steps count together and what was undone does not
// count. Of each kind of run only those of its last demand are looked at, and none
// whose verdict is refused. Since, if not empty, is the first commit that is looked
// at, or how it begins.
func Analyze(history []Entry, gate reports.Gate, since string) (Analysis, error) {
	a := Analysis{P: StandingP}
	history, err := from(history, since)
	if err != nil {
		return a, err
	}
	history = a.comparable(history)
	commits := byCommit(history)
	a.Commits, a.Runs = len(commits), len(history)
	if len(commits) > 0 {
		a.First, a.Last = commits[0].name, commits[len(commits)-1].name
	}
	kinds := map[string]bool{}
	for _, e := range history {
		kinds[kindOf(e)] = true
	}
	limits := reports.AllGate()
	maps.Copy(limits, gate)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, name := range slices.Sorted(maps.Keys(limits)) {
			m := Metric{Name: name, Of: kind, Limit: limits[name].Share}
			_, m.Decides = gate[name]
			if m.measure(commits); len(m.Values) > 0 {
				m.judge(commits)
				a.Metrics = append(a.Metrics, m)
			}
		}
	}
	slices.SortStableFunc(a.Metrics, func(x, y Metric) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x.Of, y.Of), cmp.Compare(x.Name, y.Name))
	})
	a.judge(gate)
	return a, nil
}

func rank(m Metric) int {
	if m.Decides {
		return 0
	}
	return 1
}

// from drops what was before a commit.
func from(history []Entry, since string) ([]Entry, error) {
	if since == "" {
		return history, nil
	}
	i := slices.IndexFunc(history, func(e Entry) bool { return strings.HasPrefix(name(e), since) })
	if i < 0 {
		return nil, fmt.Errorf("no run of commit %q", since)
	}
	return history[i:], nil
}

func kindOf(e Entry) string {
	if e.Kind == reports.KindCapacity {
		return "search"
	}
	return reports.KindOfRun(e.Demand)
}

// comparable leaves out runs that say nothing of the server, and those of a demand
// that is not asked any more.
func (a *Analysis) comparable(history []Entry) (kept []Entry) {
	last := map[string]reports.Demand{}
	for _, e := range history {
		last[kindOf(e)] = e.Demand
	}
	refused, failed := 0, 0
	other := map[string]int{}
	for _, e := range history {
		switch differ := reports.Differences(e.Demand, last[kindOf(e)]); {
		case e.Verdict == reports.VerdictRefused:
			refused++
		case len(differ) > 0:
			other[strings.Join(differ, ", ")]++
		default:
			if e.Verdict == reports.VerdictFail {
				failed++
			}
			kept = append(kept, e)
		}
	}
	for _, x := range []struct {
		runs int
		what string
	}{{refused, "left out, since their verdict is refused"}, {failed, "not left out, though they failed"}} {
		if x.runs > 0 {
			a.Notes = append(a.Notes, fmt.Sprintf("runs that are %s: %d", x.what, x.runs))
		}
	}
	for _, differ := range slices.Sorted(maps.Keys(other)) {
		a.Notes = append(a.Notes, fmt.Sprintf("runs that are left out, since the last ones of their kind had another demand: %d (%s)", other[differ], differ))
	}
	return kept
}

// commit is the runs of one.
type commit struct {
	name string
	runs []Entry
}

// byCommit puts runs of one commit together, where the first of them was.
func byCommit(history []Entry) (all []commit) {
	at := map[string]int{}
	for _, e := range history {
		n := name(e)
		i, seen := at[n]
		if !seen {
			i = len(all)
			at[n] = i
			all = append(all, commit{name: n})
		}
		all[i].runs = append(all[i].runs, e)
	}
	return all
}

// name is the commit's, or where nobody knew it the moment of the run.
func name(e Entry) string { return cmp.Or(e.Commit, e.Started, "unknown") }

// measure fills in the metric's values.
func (m *Metric) measure(commits []commit) {
	_, m.Unit, _, _ = reports.Report{}.Metric(m.Name) // of no error: it is in the gates
	for _, c := range commits {
		var values []float64
		for _, e := range c.runs {
			if v, ok := e.Metrics[m.Name]; ok && kindOf(e) == m.Of {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			m.Values = append(m.Values, Value{Commit: c.name, Median: median(values), Runs: len(values)})
		}
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// judge finds the metric's changes and gives it its outcome.
func (m *Metric) judge(commits []commit) {
	var values []float64
	for _, v := range m.Values {
		values = append(values, v.Median)
	}
	m.Absolute = reports.ByDifference(m.Name)
	if len(values) < Fewest {
		m.Outcome = reports.TrendInconclusive
		m.Why = fmt.Sprintf("too few commits to tell: %d, and %d are needed", len(values), Fewest)
		return
	}
	o := Defaults
	o.Least = leastChange
	points := Standing(values, o)
	m.Outcome = reports.TrendSame
	for _, p := range points {
		c := Change{
			Since: m.Values[p.At].Commit, At: p.At, Before: p.Before, After: p.After, P: p.P,
			Change: m.change(p.Before, p.After), Now: m.change(p.Before, points[len(points)-1].After),
			Outcome: reports.TrendSame, Machine: machine(commits, m.Values[p.At-1].Commit, m.Values[p.At].Commit),
		}
		gain := -c.Now
		if reports.MoreIsBetter(m.Name) {
			gain = c.Now
		}
		switch {
		case gain < -m.Limit:
			c.Outcome, m.Outcome = reports.TrendWorse, reports.TrendWorse
		case gain > m.Limit:
			c.Outcome = reports.TrendBetter
			if m.Outcome == reports.TrendSame {
				m.Outcome = reports.TrendBetter
			}
		}
		m.Changes = append(m.Changes, c)
	}
}

// change is a share of before, or the difference. What came of nothing is a whole.
func (m *Metric) change(before, after float64) float64 {
	switch {
	case m.Absolute:
		return after - before
	case before == 0:
		return math.Copysign(1, after)
	}
	return (after - before) / math.Abs(before)
}

// machine lists how the first run of a commit differs from that of another in where it
// was made.
func machine(commits []commit, before, after string) (differ []string) {
	of := func(n string) Entry {
		return commits[slices.IndexFunc(commits, func(c commit) bool { return c.name == n })].runs[0]
	}
	b, a := of(before), of(after)
	for _, x := range []struct{ what, before, after string }{
		{"CPU", b.CPU, a.CPU}, {"CPUs", fmt.Sprint(b.CPUs), fmt.Sprint(a.CPUs)}, {"kernel", b.Kernel, a.Kernel}, {"go", b.Go, a.Go},
	} {
		if x.before != x.after {
			differ = append(differ, fmt.Sprintf("%s: %s, before %s", x.what, cmp.Or(x.after, "unknown"), cmp.Or(x.before, "unknown")))
		}
	}
	return differ
}

// Level is the mean of a metric between two changes.
type Level struct {
	From, To int // in Values; To is the first beyond it
	Mean     float64
}

// Levels are those of the metric, in order: one more than there are changes.
func (m Metric) Levels() (levels []Level) {
	from := 0
	for _, c := range m.Changes {
		levels = append(levels, Level{from, c.At, c.Before})
		from = c.At
	}
	last := Level{From: from, To: len(m.Values)}
	for _, v := range m.Values[from:] {
		last.Mean += v.Median / float64(last.To-from)
	}
	return append(levels, last)
}

// Title is the metric's name with its kind of run.
func (m Metric) Title() string { return m.Name + " (" + m.Of + ")" }

// judge gives the whole its outcome.
func (a *Analysis) judge(gate reports.Gate) {
	outcomes := map[reports.Trend][]string{}
	measured := map[string]bool{}
	for _, m := range a.Metrics {
		if m.Decides {
			measured[m.Name] = true
			outcomes[m.Outcome] = append(outcomes[m.Outcome], m.Title())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(gate)) {
		if gate[name].Required && !measured[name] {
			a.Reasons = append(a.Reasons, name+" is in no run")
			outcomes[reports.TrendInconclusive] = append(outcomes[reports.TrendInconclusive], name)
		}
	}
	if len(measured) == 0 {
		a.Reasons = append(a.Reasons, "no run has a metric that decides")
		outcomes[reports.TrendInconclusive] = append(outcomes[reports.TrendInconclusive], "")
	}
	a.Outcome = reports.TrendSame
	for _, o := range []reports.Trend{reports.TrendBetter, reports.TrendInconclusive, reports.TrendWorse} {
		if len(outcomes[o]) > 0 {
			a.Outcome = o
		}
	}
	for _, m := range a.Metrics {
		if m.Decides && m.Why != "" && !slices.Contains(a.Reasons, m.Why) {
			a.Reasons = append(a.Reasons, m.Why)
		}
	}
}
