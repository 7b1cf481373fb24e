package reports

import (
	"math"
	"math/rand/v2"
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
			Env: Env{Tool: "fltool v0", CPU: "x", CPUs: 2}, Demand: Demand{Workers: 1000, Rounds: 3},
			Held:      &Held{Asked: 1000, Steady: 1000},
			Timeline:  []Tick{{Sent: 10000}},
			Resources: []Resource{{Process: "server", CPUSeconds: 2 * noise(.02), RSSPeakBytes: 4e7, RSSPerWorkerBytes: &rss, FDsPeak: 1013, FDsPerWorker: &fds}},
		}
		for i := range 3 {
			x.Rounds = append(x.Rounds, Round{Number: i + 1, Seconds: .4 * noise(.08), FanoutSeconds: .1 * noise(.08), Told: 1000})
		}
		if change != nil {
			change(&x)
		}
		rs = append(rs, x)
	}
	return rs
}

func outcomes(c Comparison) map[string]Outcome {
	by := map[string]Outcome{}
	for _, ch := range c.Metrics {
		if ch.Gated {
			by[ch.Metric] = ch.Outcome
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
			got, err := Compare(runs(8, 2*seed, nil), runs(8, 2*seed+1, c.fault), nil)
			if err != nil {
				t.Fatal(err)
			}
			for metric, outcome := range outcomes(got) {
				if (outcome == OutcomeWorse) != (metric == c.metric) {
					t.Errorf("%s, seed %d: %s is %s", name, seed, metric, outcome)
				}
			}
			if (got.Outcome == OutcomeWorse) != (c.metric != "") {
				t.Errorf("%s, seed %d: %s", name, seed, got.Outcome)
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
	for name, c := range map[string]struct {
		base, new []Report
		limits    map[string]float64
		want      Outcome
		reason    string
	}{
		"better":            {runs(8, 1, nil), runs(8, 2, scale(.7)), nil, OutcomeBetter, "server.cpuPerRound is better"},
		"within the limit":  {runs(8, 1, nil), runs(8, 2, scale(1.2)), map[string]float64{"server.cpuPerRound": .5}, OutcomeSame, ""},
		"too few":           {runs(4, 1, nil), runs(4, 2, scale(2)), nil, OutcomeInconclusive, "errors, fanout.mean, round.mean, server.cpuPerRound, server.fdsPerWorker and server.rssPerWorker are inconclusive: too few runs to tell: 4 and 4, 5 on each side are needed"},
		"one each":          {runs(1, 1, nil), runs(1, 2, nil), nil, OutcomeInconclusive, "too few runs"},
		"refused runs":      {runs(8, 1, nil), refused(runs(7, 2, nil)), nil, OutcomeInconclusive, "too few runs to tell: 8 and 3"},
		"a metric is gone":  {runs(8, 1, nil), runs(8, 2, func(r *Report) { r.Resources[0].RSSPerWorkerBytes = nil }), nil, OutcomeInconclusive, "server.rssPerWorker is inconclusive: only one side has it"},
		"nothing to go by":  {runs(8, 1, func(r *Report) { *r = Report{Kind: KindSimulate} }), runs(8, 1, func(r *Report) { *r = Report{Kind: KindSimulate} }), nil, OutcomeInconclusive, "no run has a metric that decides"},
		"worse beats noise": {runs(8, 1, nil), runs(8, 2, func(r *Report) { scale(2)(r); r.Resources[0].RSSPerWorkerBytes = nil }), nil, OutcomeWorse, "server.cpuPerRound is worse"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Compare(c.base, c.new, c.limits)
			if err != nil {
				t.Fatal(err)
			}
			if got.Outcome != c.want || c.reason != "" && !strings.Contains(strings.Join(got.Reasons, "\n"), c.reason) {
				t.Errorf("%s, %q; want %s, %q", got.Outcome, got.Reasons, c.want, c.reason)
			}
		})
	}
}

// What moved beyond its limit within the noise is neither worse nor the same.
func TestCompareNoise(t *testing.T) {
	base, new := runs(6, 1, nil), runs(6, 2, nil)
	for i := range base {
		base[i].Resources[0].CPUSeconds = []float64{1, 2, 3, 4, 5, 6}[i]
		new[i].Resources[0].CPUSeconds = []float64{1.1, 2.6, 3.7, 4.9, 6.1, 7}[i]
	}
	c, err := Compare(base, new, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(c)["server.cpuPerRound"]; got != OutcomeInconclusive {
		t.Error(got)
	}
}

func TestCompareRefuses(t *testing.T) {
	ok := runs(1, 1, nil)
	shard := runs(1, 1, func(r *Report) { r.Shard = &Shard{Index: 1, Count: 2} })
	preflight := runs(1, 1, func(r *Report) { r.Kind = KindPreflight })
	for want, c := range map[string][2][]Report{
		"no base runs":                          {nil, ok},
		"no new runs":                           {ok, nil},
		"new run 1 is shard 1 of 2 alone":       {ok, shard},
		"new run 1 is a preflight report":       {ok, preflight},
		"a preflight report has no runs to com": {preflight, preflight},
	} {
		if _, err := Compare(c[0], c[1], nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestCompareEnvironment(t *testing.T) {
	c, err := Compare(runs(2, 1, nil), runs(2, 2, func(r *Report) {
		r.Env.CPU, r.Env.Tool, r.Demand.Workers = "y", "fltool v1", 500
	}), nil)
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
	holm(cs)
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

func TestParseLimit(t *testing.T) {
	for s, want := range map[string]string{"round=10%": "round.mean", "server.rss=5%": "server.rssPerWorker", "errors=0.1%": "errors", "fanout.mean=0.2": "fanout.mean"} {
		if got, limit, err := ParseLimit(s); got != want || err != nil || limit <= 0 {
			t.Errorf("%s: %s, %v, %v", s, got, limit, err)
		}
	}
	for _, s := range []string{"", "round", "round=", "round=fast", "poll.p99=1%", "round=-1%", "round=1s"} {
		if _, _, err := ParseLimit(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}
