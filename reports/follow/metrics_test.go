package follow

import (
	"encoding/json"
	"flag"
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/fltool/fltool/reports"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// during is a run in the midst of its rounds.
func during() (reports.Progress, func() reports.Report) {
	times := func(ds ...time.Duration) (h reports.Histogram) {
		for _, d := range ds {
			h.Record(d)
		}
		return h
	}
	const ms = time.Millisecond
	r := reports.Report{
		Schema: reports.Schema, Kind: reports.KindSimulate,
		Env:    reports.Env{Tool: "fltool v0", Target: "http://127.0.0.1:5000", Started: "2026-11-29T00:00:00Z"},
		Demand: reports.Demand{Workers: 300, Rounds: 5},
		Held:   &reports.Held{Asked: 300, Peak: 299},
		Rounds: []reports.Round{{Number: 1, Workers: 300, Seconds: .5, Told: 300}, {Number: 2, Workers: 300, Seconds: 2, Told: 300}, {Number: 3, Open: true, Seconds: 9}},
		Series: []reports.Series{
			times(ms, 2*ms, 3*ms).Series("poll"), times(200*time.Microsecond, 700*time.Microsecond).Series("model"),
			times(10*ms, 10*ms, 40*ms).Series(seriesFanOut), times(ms).Series(seriesLag),
		},
		Errors: []reports.ErrorClass{{Class: "reset", Count: 3}, {Class: reports.ClassReconnect, Count: 7}},
		Bytes:  &reports.Bytes{Sent: 1000, Received: 2000},
	}
	return reports.Progress{
		Seconds: 12.5, Left: 30, Stage: reports.StageRounds, Workers: 300, Doing: map[string]int{reports.PhaseHeld: 120, reports.PhaseThinking: 180},
		Held: 120, Cut: 2, Lost: 1, Round: 2, Rounds: 5, Sent: 900, Done: 780, Errors: 3,
		Uses: []reports.Use{{Process: "server", RSSBytes: 1 << 20, Cores: .5, FDs: 310, FDLimit: 1024}, {Process: "generator", RSSBytes: 2 << 20, FDs: -1, FDLimit: -1}},
	}, func() reports.Report { return r }
}

func scrape(b *Board, accept string) string {
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	b.Metrics().ServeHTTP(w, r)
	return w.Body.String()
}

// TestMetrics: what Prometheus reads of a run, which promtool is held to as well.
func TestMetrics(t *testing.T) {
	var b Board
	if got := scrape(&b, ""); !strings.Contains(got, `fltool_runs_total{verdict="pass"} 0`) || strings.Contains(got, "fltool_run_") {
		t.Errorf("before the first run:\n%s", got)
	}
	b.Tell(during())
	b.Ended(reports.VerdictPass)
	got := scrape(&b, "")
	const golden = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
	for name := range names() {
		if !strings.Contains(got, "# TYPE "+name+" ") {
			t.Errorf("nothing of %s", name)
		}
	}
}

// TestNative: who asks for protobuf gets native histograms as well.
func TestNative(t *testing.T) {
	var b Board
	b.Tell(during())
	text := scrape(&b, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text;q=1")
	for _, want := range []string{`name:\s*"fltool_run_fanout_seconds"`, `schema:\s*3`, `positive_span:`, `cumulative_count:`} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// TestHistogram: both forms of a histogram are those that Prometheus's own library makes
// of the same durations.
func TestHistogram(t *testing.T) {
	const us = time.Microsecond
	for name, durations := range map[string][]time.Duration{
		"none":  nil,
		"one":   {us},
		"some":  {3 * us, 70 * us, 71 * us, 72 * us, 500 * us, 1500 * us, 1501 * us, 30 * time.Millisecond, 31 * time.Millisecond, 4 * time.Second, 4100 * time.Millisecond},
		"long":  {time.Hour, 5 * 24 * time.Hour},
		"equal": {90 * us, 90 * us, 90 * us},
	} {
		theirs := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "x", Buckets: bounds, NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: prometheus.NativeHistogramZeroThresholdZero,
		})
		var of reports.Histogram
		for _, d := range durations {
			of.Record(d)
			theirs.Observe(d.Seconds())
		}
		var want, got dto.Metric
		if err := theirs.Write(&want); err != nil {
			t.Fatal(err)
		}
		want.Histogram.CreatedTimestamp = nil
		if err := newHistogram(theirs.Desc(), of).Write(&got); err != nil {
			t.Fatal(err)
		}
		if a, b := want.Histogram.GetSampleSum(), got.Histogram.GetSampleSum(); b < .999*a || b > 1.001*a {
			t.Errorf("%s: the sum is %v, want %v", name, b, a)
		}
		want.Histogram.SampleSum, got.Histogram.SampleSum = nil, nil
		if diff := cmp.Diff(&want, &got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

var fullName = regexp.MustCompile(`fqName: "([^"]+)"`)

// names are those of all metrics that are exported.
func names() map[string]bool {
	all := map[string]bool{}
	for _, d := range Descriptions {
		all[fullName.FindStringSubmatch(d.String())[1]] = true
	}
	return all
}

// TestDocumented: the manual's table has each metric, and no other.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/follow.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (.*?) \|`).FindAllStringSubmatch(string(page), -1) {
		for _, name := range regexp.MustCompile("`(fltool_[a-z_]+)`").FindAllStringSubmatch(m[1], -1) {
			told[name[1]] = true
		}
	}
	if !maps.Equal(told, names()) {
		t.Errorf("exported and not in the manual, or the other way round: %s", cmp.Diff(slices.Sorted(maps.Keys(names())), slices.Sorted(maps.Keys(told))))
	}
}

// TestDashboard: all that the dashboard asks for is exported, and what a run is about is
// on it.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	exported, shown, ids := names(), map[string]bool{}, map[int]bool{}
	for _, p := range dashboard.Panels {
		if p.ID == 0 || ids[p.ID] || len(p.Targets) == 0 {
			t.Errorf("panel %q: its id is %d, and it has %d queries", p.Title, p.ID, len(p.Targets))
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			asked := regexp.MustCompile(`fltool_[a-z_]+`).FindAllString(target.Expr, -1)
			if len(asked) == 0 {
				t.Errorf("%s: %s asks for nothing of fltool's", p.Title, target.Expr)
			}
			for _, name := range asked {
				if !exported[name] {
					name = strings.TrimSuffix(name, "_bucket")
				}
				if shown[name] = true; !exported[name] {
					t.Errorf("%s: %s is not exported", p.Title, name)
				}
			}
		}
	}
	for name := range exported {
		if !shown[name] && name != "fltool_run_finished_workers" { // among what workers do
			t.Errorf("no panel shows %s", name)
		}
	}
}
