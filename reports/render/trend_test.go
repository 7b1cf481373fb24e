package render

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/trend"
)

// trends are analyses of histories by name.
func trends(t *testing.T) map[string]trend.Analysis {
	t.Helper()
	all := map[string]trend.Analysis{}
	for name, commits := range map[string]int{"trend": 40, "trend-few": 5} {
		r := rand.New(rand.NewPCG(1, 1)) // #nosec G404 -- a test's
		var history []trend.Entry
		for i := range commits {
			level := 1 + .01*float64(max(0, i-20))
			e := trend.Entry{
				Schema: trend.Schema, Commit: fmt.Sprintf("%08x%032d", 0x9e3779b9*uint32(i+1), i), Kind: reports.KindSimulate, Verdict: reports.VerdictPass,
				CPU: "EPYC", CPUs: 2, Demand: reports.Demand{Workers: 200, Rounds: 10},
			}
			if i >= 30 {
				e.CPU = "Xeon"
			}
			for range 4 {
				e.Metrics = map[string]float64{
					"errors": 0, "bytesPerWorkerRound": 2000, "round.mean": .4 * level * (1 + .02*r.NormFloat64()),
					"server.cpuRatio": .7 * level * (1 + .02*r.NormFloat64()), "server.fdsPerWorker": float64(1 + i/30),
				}
				history = append(history, e)
			}
		}
		refused := history[0]
		refused.Verdict = reports.VerdictRefused
		a, err := trend.Analyze(append(history, refused), reports.QuietGate(), "")
		if err != nil {
			t.Fatal(err)
		}
		all[name] = a
	}
	return all
}

func TestTrendGolden(t *testing.T) {
	for name, a := range trends(t) {
		for _, format := range Trends.Names() {
			show, err := Trends.For(format, Style{})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := show(&b, a); err != nil {
				t.Fatal(err)
			}
			golden(t, name+"."+format, b.Bytes())
			if format == "table" {
				for line := range strings.Lines(b.String()) {
					if len([]rune(line)) > usualColumns+1 {
						t.Errorf("%s: a line of %d columns: %s", name, len([]rune(line))-1, line)
					}
				}
			}
		}
	}
}

// The page has a plot for each metric.
func TestTrendPlots(t *testing.T) {
	a := trends(t)["trend"]
	var b bytes.Buffer
	show, err := Trends.For("html", Style{})
	if err != nil {
		t.Fatal(err)
	}
	if err := show(&b, a); err != nil {
		t.Fatal(err)
	}
	for _, m := range a.Metrics {
		if !strings.Contains(b.String(), "<figcaption>"+m.Title()+"</figcaption>") {
			t.Errorf("no plot of %s", m.Title())
		}
	}
	if got := strings.Count(b.String(), "<figure"); got != len(a.Metrics) || got < 5 {
		t.Errorf("%d plots of %d metrics", got, len(a.Metrics))
	}
}
