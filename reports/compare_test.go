package reports

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// runs are n runs of one build, as a noisy machine makes them: times vary by
// some 8 %, what is counted hardly.
func runs(n int, seed uint64, change func(*Report)) []Report {
	r := rand.New(rand.NewPCG(seed, 7))
	noise := func(s float64) float64 { return math.Exp(s * r.NormFloat64()) }
	var rs []Report
	for range n {
		rss, fds := 17000*noise(.01), 1.0
		x := Report{
			Schema: Schema, Kind: KindSimulate, Verdict: VerdictPass,
			Env: Env{Tool: "fltool v0", CPU: "x", CPUs: 2}, Demand: Demand{Workers: 1000, Rounds: 3, HoldSeconds: 2},
			Held:     &Held{Asked: 1000, Steady: 1000},
			Timeline: []Tick{{Sent: 10000}},
			Bytes:    &Bytes{Sent: 2e6, Received: 1e6},
			Resources: []Resource{
				{Process: "server", CPUSeconds: 2 * noise(.02), RSSPeakBytes: 4e7, RSSPerWorkerBytes: &rss, FDsPeak: 1013, FDsPerWorker: &fds},
				{Process: "generator", CPUSeconds: 1 * noise(.02)},
			},
		}
		for i := range 3 {
			x.Rounds = append(x.Rounds, Round{Number: i + 1, Seconds: .4 * noise(.08), FanoutSeconds: .1 * noise(.08), Told: 1000, Workers: 1000})
		}
		if change != nil {
			change(&x)
		}
		rs = append(rs, x)
	}
	return rs
}

func outcomes(c Comparison) map[string]Trend {
	by := map[string]Trend{}
	for _, ch := range c.Metrics {
		if ch.Gated {
			by[ch.Metric] = ch.Trend
		}
	}
	return by
}

// A fault is found in the metric that it touches and in no other; without one
// nothing is. Seeds are fixed: what this asserts does not vary.
func TestCompareFindsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault  func(*Report)
		metric string
	}{
		"none": {nil, ""},
		"slower rounds": {func(r *Report) {
			for i := range r.Rounds {
				r.Rounds[i].Seconds *= 1.3
			}
		}, "round.mean"},
		"more CPU":    {func(r *Report) { r.Resources[0].CPUSeconds *= 1.2 }, "server.cpuPerRound"},
		"more memory": {func(r *Report) { *r.Resources[0].RSSPerWorkerBytes *= 1.3 }, "server.rssPerWorker"},
		"more fds":    {func(r *Report) { *r.Resources[0].FDsPerWorker++ }, "server.fdsPerWorker"},
		"errors":      {func(r *Report) { r.Errors = []ErrorClass{{Class: "5xx", Count: 20, Workers: 20}} }, "errors"},
	} {
		for seed := range uint64(20) {
			got, err := Compare(runs(8, 2*seed, nil), runs(8, 2*seed+1, c.fault), nil, 1)
			if err != nil {
				t.Fatal(err)
			}
			for metric, outcome := range outcomes(got) {
				if (outcome == TrendWorse) != (metric == c.metric) {
					t.Errorf("%s, seed %d: %s is %s", name, seed, metric, outcome)
				}
			}
			if (got.Trend == TrendWorse) != (c.metric != "") {
				t.Errorf("%s, seed %d: %s", name, seed, got.Trend)
			}
		}
	}
}

func TestCompareOutcomes(t *testing.T) {
	scale := func(f float64) func(*Report) {
		return func(r *Report) { r.Resources[0].CPUSeconds *= f }
	}
	refused := func(rs []Report) []Report {
		for i := range rs[:4] {
			rs[i].Verdict = VerdictRefused
		}
		return rs
	}
	noResources := func(r *Report) { r.Resources = nil }
	noHold := func(r *Report) {
		r.Demand.HoldSeconds, r.Resources[0].RSSPerWorkerBytes, r.Resources[0].FDsPerWorker = 0, nil, nil
	}
	fail := func(r *Report) { r.Verdict, r.Reasons = VerdictFail, []string{"a worker was lost"} }
	for name, c := range map[string]struct {
		base, new []Report
		gate      Gate
		want      Trend
		reason    string
	}{
		"better":            {runs(8, 1, nil), runs(8, 2, scale(.7)), nil, TrendBetter, "server.cpuPerRound is better"},
		"within the limit":  {runs(8, 1, nil), runs(8, 2, scale(1.2)), Gate{"server.cpuPerRound": {Share: .5}, "errors": {Share: .001}}, TrendSame, ""},
		"too few":           {runs(4, 1, nil), runs(4, 2, scale(2)), nil, TrendInconclusive, "bytesPerWorkerRound, errors, fanout.mean, round.mean, server.cpuPerRound, server.fdsPerWorker and server.rssPerWorker are inconclusive: too few runs to tell: 4 and 4, 6 on each side are needed"},
		"one each":          {runs(1, 1, nil), runs(1, 2, nil), nil, TrendInconclusive, "too few runs"},
		"refused runs":      {runs(8, 1, nil), refused(runs(7, 2, nil)), nil, TrendInconclusive, "too few runs to tell: 8 and 3"},
		"a metric is gone":  {runs(8, 1, nil), runs(8, 2, func(r *Report) { r.Resources[0].RSSPerWorkerBytes = nil }), nil, TrendInconclusive, "server.rssPerWorker is inconclusive: only one side has it"},
		"nothing to go by":  {runs(8, 1, func(r *Report) { *r = Report{Kind: KindSimulate} }), runs(8, 1, func(r *Report) { *r = Report{Kind: KindSimulate} }), nil, TrendInconclusive, "no run has a metric that decides"},
		"no cpu":            {runs(8, 1, noResources), runs(8, 2, noResources), nil, TrendInconclusive, "server.fdsPerWorker and server.rssPerWorker are not measured: runs that hold measure it, where they see the server's process"},
		"no cpu, not asked": {runs(8, 1, noResources), runs(8, 2, noResources), Gate{"errors": {Share: .001}}, TrendSame, ""},
		"rounds alone":      {runs(8, 1, noHold), runs(8, 2, noHold), nil, TrendSame, ""},
		"memory required":   {runs(8, 1, noHold), runs(8, 2, noHold), Gate{"errors": {Share: .001}, "server.rssPerWorker": {Share: .05, Required: true}}, TrendInconclusive, "server.rssPerWorker is not measured"},
		"one failed":        {runs(8, 1, nil), append(runs(7, 2, nil), runs(1, 3, fail)...), nil, TrendWorse, "1 of 8 new runs failed, of the base none: a worker was lost"},
		"failed, no base":   {refused(runs(4, 1, nil)), runs(8, 2, fail), nil, TrendInconclusive, "only one side has it"},
		"all failed":        {runs(8, 1, fail), runs(8, 2, fail), nil, TrendSame, ""},
		"noisily better":    {withCPU(6, 1, 1.1, 2.6, 3.7, 4.9, 6.1, 7), withCPU(6, 2, 1, 2, 3, 4, 5, 6), Gate{"server.cpuPerRound": {Share: .05}}, TrendSame, ""},
		"worse beats noise": {runs(8, 1, nil), runs(8, 2, func(r *Report) { scale(2)(r); r.Resources[0].RSSPerWorkerBytes = nil }), nil, TrendWorse, "server.cpuPerRound is worse"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Compare(c.base, c.new, c.gate, 1)
			if err != nil {
				t.Fatal(err)
			}
			if got.Trend != c.want || c.reason != "" && !strings.Contains(strings.Join(got.Reasons, "\n"), c.reason) {
				t.Errorf("%s, %q; want %s, %q", got.Trend, got.Reasons, c.want, c.reason)
			}
		})
	}
}

func withCPU(n int, seed uint64, cpu ...float64) []Report {
	rs := runs(n, seed, nil)
	for i := range rs {
		rs[i].Resources[0].CPUSeconds = cpu[i]
	}
	return rs
}

// What moved beyond its limit within the noise is neither worse nor the same.
func TestCompareNoise(t *testing.T) {
	base, new := withCPU(6, 1, 1, 2, 3, 4, 5, 6), withCPU(6, 2, 1.1, 2.6, 3.7, 4.9, 6.1, 7)
	c, err := Compare(base, new, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(c)["server.cpuPerRound"]; got != TrendInconclusive {
		t.Error(got)
	}
}

func TestCompareRefuses(t *testing.T) {
	ok := runs(1, 1, nil)
	shard := runs(1, 1, func(r *Report) { r.Shard = &Shard{Index: 1, Count: 2} })
	started := runs(1, 1, func(r *Report) { r.Env.Started = "2026-01-02T03:04:05.6Z" })
	preflight := runs(1, 1, func(r *Report) { r.Kind = KindPreflight })
	for want, c := range map[string][2][]Report{
		"base run 1 and new run 1: both are the same run": {started, started},
		"no base runs":                        {nil, ok},
		"no new runs":                         {ok, nil},
		"new run 1: it is shard 1 of 2 alone": {ok, shard},
		"base run 1 and new run 1: one is a simulate report, the other a preflight report": {ok, preflight},
		"base run 1: a preflight report has no runs to com":                                {preflight, preflight},
	} {
		if _, err := Compare(c[0], c[1], nil, 1); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestCompareEnvironment(t *testing.T) {
	c, err := Compare(runs(2, 1, nil), runs(2, 2, func(r *Report) {
		r.Env.CPU, r.Env.Tool, r.Demand.Workers = "y", "fltool v1", 500
	}), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := "tool: base fltool v0, new fltool v1|CPU: base x, new y|demand: workers 1000 and 500"
	if got := strings.Join(c.Environment, "|"); got != want {
		t.Errorf("got %s", got)
	}
}

// The values of Holm's procedure for p = .01, .04, .03, .005, worked by hand:
// ascending .005×4, .01×3, .03×2, .04×1 (not below the one before).
func TestHolm(t *testing.T) {
	cs := []Change{{P: .01, Gated: true}, {P: .04, Gated: true}, {P: .001}, {P: .03, Gated: true}, {P: .005, Gated: true}}
	holm(cs, 1)
	for i, want := range []float64{.03, .06, 0, .06, .02} {
		if math.Abs(cs[i].PHolm-want) > 1e-12 {
			t.Errorf("%d: %v, want %v", i, cs[i].PHolm, want)
		}
	}
}

func TestSmallestP(t *testing.T) {
	for n, want := range map[int]float64{1: 1, 3: 2. / 20, 4: 2. / 70, 8: 2. / 12870} {
		if got := smallestP(n, n); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d: %v, want %v", n, got, want)
		}
	}
}

// Runs of rounds and holds are compared with their own kind, and the errors of
// both decide.
func TestCompareKinds(t *testing.T) {
	mixed := func(seed uint64, held func(*Report)) []Report {
		rounds := runs(8, seed, func(r *Report) {
			r.Demand.HoldSeconds, r.Resources[0].RSSPerWorkerBytes, r.Resources[0].FDsPerWorker = 0, nil, nil
		})
		return append(rounds, runs(8, seed+1, func(r *Report) {
			r.Demand.Rounds, r.Rounds, r.Resources[0].CPUSeconds = 0, nil, .01
			if held != nil {
				held(r)
			}
		})...)
	}
	c, err := Compare(mixed(1, nil), mixed(3, nil), QuietGate(), 1)
	if err != nil || c.Trend != TrendSame || len(c.Environment) > 0 || len(c.Unmeasured) > 0 || c.GatedMetrics != 6 {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = Compare(mixed(1, nil), mixed(3, func(r *Report) { r.Errors = []ErrorClass{{Class: "reset", Count: 50}} }), QuietGate(), 1)
	if err != nil || len(c.Reasons) != 1 || c.Reasons[0] != "errors (hold) is worse" {
		t.Errorf("%v, %v", c.Reasons, err)
	}
	// A kind that one side lacks is no verdict.
	c, err = Compare(mixed(1, nil), mixed(3, nil)[:8], QuietGate(), 1)
	if err != nil || c.Trend != TrendInconclusive {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestGate(t *testing.T) {
	for s, want := range map[string]string{"round=10%": "round.mean", "server.rss=5%": "server.rssPerWorker", "errors=0.1%": "errors", "fanout.mean=0.2": "fanout.mean", "bytes=1%": "bytesPerWorkerRound"} {
		g := Gate{}
		if err := g.SetLimit(s); err != nil || g[want].Share <= 0 || !g[want].Required {
			t.Errorf("%s: %v, %v", s, g, err)
		}
	}
	for _, s := range []string{"", "round", "round=", "round=fast", "poll.p99=1%", "round=-1%", "round=1s"} {
		if err := (Gate{}).SetLimit(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
	g, err := GateOf([]string{"bytes", "errors"})
	if err != nil || len(g) != 2 || !g["bytesPerWorkerRound"].Required {
		t.Errorf("%v, %v", g, err)
	}
	if _, err := GateOf([]string{"beauty"}); err == nil {
		t.Error("no error of a metric that is none")
	}
	for _, name := range append(slices.Collect(maps.Keys(QuietGate())), slices.Collect(maps.Keys(DefaultGate()))...) {
		if _, ok := metrics[name]; !ok {
			t.Errorf("%s is no metric", name)
		}
	}
}

func FuzzGateLimit(f *testing.F) {
	for _, s := range []string{"round=10%", "errors=0.1%", "bytes=", "=", "server.rss=1e309", "round=-1%", "fanout=NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g := Gate{}
		if err := g.SetLimit(s); err != nil {
			if len(g) > 0 {
				t.Errorf("%q: %v, and yet %v", s, err, g)
			}
			return
		}
		for name, l := range g {
			if !(l.Share >= 0) || math.IsInf(l.Share, 0) || limits[name] == 0 {
				t.Errorf("%q: %s %v", s, name, l)
			}
		}
	})
}

// TestInterval holds the interval of a change to tables: of n runs against m it lies
// between the pairs of the rank that is the critical value of the Mann-Whitney test,
// two-sided at 5 %, and the one that is as far from the end.
func TestInterval(t *testing.T) {
	for _, c := range []struct{ base, news, critical int }{{6, 6, 5}, {6, 8, 8}, {8, 8, 13}} {
		// Their pairs differ by 0, 1, 2, 3, …
		var b, n []float64
		for i := range c.base {
			b = append(b, 1000-float64(i))
		}
		for i := range c.news {
			n = append(n, 1000+float64(i*c.base))
		}
		ch := change(b, n, true)
		last := float64(c.base*c.news - 1)
		if ch.Low != float64(c.critical) || ch.High != last-float64(c.critical) || ch.Change != last/2 {
			t.Errorf("%d against %d: %v to %v about %v, want the pairs %d and %v", c.base, c.news, ch.Low, ch.High, ch.Change, c.critical, last-float64(c.critical))
		}
	}
}
