package trend

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

// run is one of rounds whose metrics are all so many times what they are.
func run(commit string, factor func() float64) reports.Report {
	r := reports.Report{
		Schema: reports.Schema, Kind: reports.KindSimulate, Verdict: reports.VerdictPass,
		Env: reports.Env{Tool: "fltool v0", Started: commit, CPU: "a", CPUs: 2, Kernel: "Linux 6.1", Go: "go1.26"}, Demand: reports.Demand{Workers: 10, Rounds: 1},
		Timeline: []reports.Tick{{T: 1, Sent: 1000}},
		Bytes:    &reports.Bytes{Sent: int64(1e6 * factor())},
		Resources: []reports.Resource{
			{Process: "server", CPUSeconds: factor()}, {Process: "generator", CPUSeconds: 1},
		},
	}
	r.Rounds = []reports.Round{{Number: 1, Workers: 10, Seconds: factor(), FanoutSeconds: factor(), Told: 10}}
	return r
}

// history has runs of each commit, the metrics of which are the level of that commit,
// with so much noise from run to run.
func history(seed uint64, runs int, noise float64, levels []float64) (all []Entry, by [][]reports.Report) {
	r := rand.New(rand.NewPCG(seed, 0)) // #nosec G404 -- a test's
	for i, level := range levels {
		commit := fmt.Sprintf("c%02d", i)
		by = append(by, nil)
		for j := range runs {
			one := run(commit, func() float64 { return level * (1 + noise*r.NormFloat64()) })
			one.Env.Seed = uint64(j) // #nosec G115 -- small
			by[i] = append(by[i], one)
			all = append(all, EntryOf(one, commit))
		}
	}
	return all, by
}

func flat(n int) []float64 {
	levels := make([]float64, n)
	for i := range levels {
		levels[i] = 1
	}
	return levels
}

// What the CPU ratio of one build varies by from run to run (docs/ci.md).
const noise = .03

// Twenty experiments of 40 commits of noise alone: nothing changed, in any metric.
func TestNoiseAlone(t *testing.T) {
	for seed := range uint64(20) {
		all, _ := history(seed, 8, noise, flat(40))
		a, err := Analyze(all, reports.AllGate(), "")
		if err != nil {
			t.Fatal(err)
		}
		if a.Outcome != reports.TrendSame || a.Commits != 40 || len(a.Metrics) < 5 {
			t.Errorf("experiment %d: %s over %d commits, %d metrics: %+v", seed, a.Outcome, a.Commits, len(a.Metrics), a.Reasons)
		}
		for _, m := range a.Metrics {
			for _, c := range m.Changes {
				t.Errorf("experiment %d: %s changed since %s by %.3f", seed, m.Title(), c.Since, c.Change)
			}
		}
	}
}

// Of 4000 series of noise alone, as long as a history is, few have a change.
func TestNoise(t *testing.T) {
	const series, most = 4000, .005
	found := 0
	for seed := range uint64(series) {
		r := rand.New(rand.NewPCG(seed, 1)) // #nosec G404 -- a test's
		values := make([]float64, 40)
		for i := range values {
			values[i] = 1 + noise*r.NormFloat64()
		}
		if len(Standing(values, Defaults)) > 0 {
			found++
		}
	}
	t.Logf("a change in %d of %d series of noise alone", found, series)
	if found > most*series {
		t.Errorf("a change in %d of %d series of noise alone, more than %g of them", found, series, most)
	}
}

// Twenty experiments of a drift of 1 % a commit over 20 commits: found in all, with the
// whole of it, though a comparison of a commit with the one before calls next to none
// worse.
func TestDrift(t *testing.T) {
	levels := flat(40)
	for i := range 20 {
		levels[20+i] = 1 + .01*float64(i+1)
	}
	compared, seen := 0, 0
	for seed := range uint64(20) {
		all, by := history(seed, 8, noise, levels)
		a, err := Analyze(all, reports.QuietGate(), "")
		if err != nil {
			t.Fatal(err)
		}
		if a.Outcome != reports.TrendWorse {
			t.Errorf("experiment %d: %s", seed, a.Outcome)
		}
		m := metric(t, a, "server.cpuRatio")
		if m.Outcome != reports.TrendWorse || m.Changes[0].At < 15 || m.Changes[0].Now < .1 {
			t.Errorf("experiment %d: %s is %s: %+v", seed, m.Title(), m.Outcome, m.Changes)
		}
		for i := 1; seed < 5 && i < len(by); i++ {
			c, err := reports.Compare(by[i-1], by[i], reports.QuietGate(), 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, ch := range c.Metrics {
				if ch.Metric == "server.cpuRatio" && ch.Trend == reports.TrendWorse {
					seen++
				}
			}
			compared++
		}
	}
	t.Logf("%d of %d comparisons alone say worse", seen, compared)
	if seen > compared/100 {
		t.Errorf("%d of %d comparisons alone say worse: this drift is not slow", seen, compared)
	}
}

func metric(t *testing.T, a Analysis, name string) Metric {
	t.Helper()
	for _, m := range a.Metrics {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("%s is not there", name)
	return Metric{}
}

// A step is named by its first commit; one that was undone is worse no longer.
func TestSteps(t *testing.T) {
	up := flat(30)
	for i := 12; i < 30; i++ {
		up[i] = 1.2
	}
	back := flat(30)
	for i := 12; i < 20; i++ {
		back[i] = 1.2
	}
	for _, c := range []struct {
		name    string
		levels  []float64
		since   string
		outcome reports.Trend
		changes string
	}{
		{"up", up, "", reports.TrendWorse, "c12 worse"},
		{"accepted", up, "c12", reports.TrendSame, ""},
		{"undone", back, "", reports.TrendBetter, "c12 same, c20 better"},
		{"short", up[:7], "", reports.TrendInconclusive, ""},
	} {
		all, _ := history(1, 8, noise, c.levels)
		a, err := Analyze(all, reports.QuietGate(), c.since)
		if err != nil {
			t.Fatal(err)
		}
		var changes []string
		for _, ch := range metric(t, a, "server.cpuRatio").Changes {
			changes = append(changes, ch.Since+" "+string(ch.Outcome))
		}
		if got := strings.Join(changes, ", "); a.Outcome != c.outcome || got != c.changes {
			t.Errorf("%s: %s, with %q; want %s, with %q", c.name, a.Outcome, got, c.outcome, c.changes)
		}
	}
}

// What is left out is said, and a machine that changed with a metric is named.
func TestLeftOut(t *testing.T) {
	all, _ := history(1, 4, .001, flat(20))
	other := all[0]
	other.Demand.Workers = 99
	refused := all[1]
	refused.Verdict = reports.VerdictRefused
	failed := all[2]
	failed.Verdict = reports.VerdictFail
	for i := 40; i < len(all); i++ {
		all[i].CPU = "b"
		all[i].Metrics["server.cpuRatio"] *= 2
	}
	all = append([]Entry{other, refused, failed}, all...)
	a, err := Analyze(all, reports.QuietGate(), "")
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(a.Notes, "\n")
	for _, want := range []string{"verdict is refused: 1", "though they failed: 1", "another demand: 1 (workers 99 and 10)"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note says %q: %s", want, notes)
		}
	}
	m := metric(t, a, "server.cpuRatio")
	if len(m.Changes) != 1 || strings.Join(m.Changes[0].Machine, "") != "CPU: b, before a" || m.Changes[0].P >= a.P {
		t.Errorf("%+v", m.Changes)
	}
	if _, err := Analyze(all, reports.QuietGate(), "nosuch"); err == nil {
		t.Error("a commit that is not there is no error")
	}
}
