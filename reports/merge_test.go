package reports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// randomShards are the shards of a run that went as chance would have it.
func randomShards(seed uint64) []Report {
	r := rand.New(rand.NewPCG(seed, 1))
	n := 2 + r.IntN(5)
	shards := make([]Report, n)
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	versions := 1 + r.IntN(3)
	for i := range shards {
		s := Report{
			Schema: Schema, Kind: KindSimulate, Verdict: Verdicts[r.IntN(len(Verdicts))],
			Env: Env{
				Tool: "fltool v0", Target: "http://t", Hostname: string(rune('a' + r.IntN(n))), CPUs: 1 + r.IntN(2),
				Started: start.Add(time.Duration(r.IntN(5000)) * time.Millisecond).Format(time.RFC3339Nano), Seconds: 10 + float64(r.IntN(10)),
			},
			Demand: Demand{Workers: 100 * n}, Shard: &Shard{Index: i + 1, Count: n},
			Held: &Held{
				Asked: 100, Peak: r.IntN(100), Steady: r.IntN(50), NeverHeld: r.IntN(3), LostWhile: r.IntN(3),
				LostCauses: map[string]int{"reset": r.IntN(3)}, HoldSeconds: float64(r.IntN(30)),
			},
			Bytes:     &Bytes{Sent: int64(r.IntN(1e6)), Received: int64(r.IntN(1e6))},
			Generator: &Generator{LagP99Seconds: r.Float64(), FDsLeft: int64(r.IntN(100)), PortsLeft: int64(r.IntN(100)) - 1, Reconnects: r.IntN(9)},
			Resources: []Resource{
				{Process: "generator", PID: i, RSSPeakBytes: int64(r.IntN(1e9))},
				{Process: "server", PID: 1, RSSPeakBytes: int64(r.IntN(1e9)), CPUSeconds: r.Float64(), CPUPeak: r.Float64(), FDsPeak: r.IntN(100), RSSPerWorkerBytes: new(float64)},
			},
		}
		for v := range versions {
			s.Rounds = append(s.Rounds, Round{
				Number: v + 1, Version: fmt.Sprint(v), Workers: r.IntN(100), Failed: r.IntN(9), Told: r.IntN(100), Open: r.IntN(2) == 0,
				Seconds: r.Float64(), FanoutSeconds: r.Float64(), FanoutFrom: []string{"server", "client"}[r.IntN(2)],
				Passed: &Passed{Published: r.Float64(), Notified: r.Float64() + 1, Downloaded: r.Float64() + 2, Thought: r.Float64() + 3, Accepted: r.Float64() + 4},
			})
		}
		for _, name := range []string{"poll", "update", "model"}[:1+r.IntN(3)] {
			var h Histogram
			for range r.IntN(50) {
				h.Record(time.Duration(r.ExpFloat64() * float64(time.Second)))
			}
			s.Series = append(s.Series, h.Series(name))
		}
		s.Step = []float64{0, .25}[r.IntN(2)] // 0 is a report from when all had a tick a second
		for t := 1; t < 20; t++ {
			if r.IntN(8) > 0 {
				held := r.IntN(100)
				s.Timeline = append(s.Timeline, Tick{
					T: (float64(t) + r.Float64()/5) * s.step(), Held: held, Dip: r.IntN(held + 1), Sent: r.IntN(100), Done: r.IntN(100), Errors: r.IntN(9),
					Workers: map[string]int{Phases[r.IntN(3)]: r.IntN(100)}, Latency: map[int]int{r.IntN(4): 1 + r.IntN(9)},
				})
			}
		}
		for k := range r.IntN(3) { // who is interrupted has fewer
			from := 5*float64(k) + r.Float64()
			s.Stages = append(s.Stages, Stage{
				Number: k + 1, Shape: "hold", Asked: 10 * (k + 1), From: from, HeldFrom: float64(r.IntN(4)) * from, To: from + 20,
				Held: r.IntN(10), Fewest: r.IntN(10), NeverHeld: r.IntN(3), LostWhile: r.IntN(3), Places: 5 * r.IntN(2),
			})
		}
		for _, class := range []string{"reset", "refused", "5xx"} {
			if r.IntN(2) == 0 {
				s.Errors = append(s.Errors, ErrorClass{Class: class, Count: 1 + r.IntN(9), Workers: 1, Example: "e"})
			}
		}
		for w := range r.IntN(4) {
			s.Lost = append(s.Lost, Lost{Worker: fmt.Sprintf("%d/%d", i, w), Seconds: float64(w)})
		}
		shards[i] = s
	}
	return shards
}

var approx = cmp.Options{
	cmpopts.EquateApprox(1e-9, 1e-9), cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b Histogram) bool {
		x, _ := a.MarshalJSON()
		y, _ := b.MarshalJSON()
		return string(x) == string(y)
	}),
}

// It does not matter in which order shards are given.
func TestMergeCommutes(t *testing.T) {
	for seed := range uint64(40) {
		shards := randomShards(seed)
		want, err := Merge(shards)
		if err != nil {
			t.Fatal(err)
		}
		rand.New(rand.NewPCG(seed, 2)).Shuffle(len(shards), reflect.Swapper(shards))
		got, err := Merge(shards)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, approx); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
}

// What shards have seen so far adds up as in the end, but for what some of them have not seen
// yet, and to no verdict.
func TestSoFar(t *testing.T) {
	for seed := range uint64(40) {
		shards := randomShards(seed)
		slow := &shards[len(shards)-1]
		slow.Timeline = slow.Timeline[:len(slow.Timeline)/2]
		whole, err := Merge(shards)
		if err != nil {
			t.Fatal(err)
		}
		got, err := SoFar(shards)
		if err != nil {
			t.Fatal(err)
		}
		n := len(got.Timeline)
		if end := slow.Timeline[len(slow.Timeline)-1].T + whole.step() + 5; n == 0 || n >= len(whole.Timeline) || got.Timeline[n-1].T > end {
			t.Fatalf("seed %d: %d ticks of %d, of a shard with %d", seed, n, len(whole.Timeline), len(slow.Timeline))
		}
		for _, r := range []*Report{&got, &whole} {
			r.Timeline, r.Verdict, r.Reasons = r.Timeline[:n], "", nil
			r.Held.HoldSeconds = 0
		}
		if d := cmp.Diff(whole, got, approx); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
}

// It does not matter how shards are grouped: a+(b+c) is (a+b)+c.
func TestAddAssociates(t *testing.T) {
	for seed := range uint64(50) {
		shards := randomShards(seed)
		var parts []Report
		for _, s := range shards {
			parts = append(parts, part(s, 1))
		}
		left := sumOf(t, parts)
		for cut := 1; cut < len(parts); cut++ {
			right := sumOf(t, []Report{sumOf(t, parts[:cut]), sumOf(t, parts[cut:])})
			if d := cmp.Diff(left, right, approx); d != "" {
				t.Fatalf("seed %d, cut at %d:\n%s", seed, cut, d)
			}
		}
	}
}

func sumOf(t *testing.T, parts []Report) Report {
	t.Helper()
	sum := parts[0]
	for _, p := range parts[1:] {
		var err error
		if sum, err = add(sum, p); err != nil {
			t.Fatal(err)
		}
	}
	return sum
}

// Nothing is lost or counted twice, and the inputs stay as they were.
func TestMergeKeepsTotals(t *testing.T) {
	type totals struct {
		Asked, Accepted, Failed, Sent, Done, TickErrors, Answers, Errors, Lost, Reconnects int
		Bytes, Samples                                                                     int64
	}
	total := func(rs ...Report) totals {
		var x totals
		for _, r := range rs {
			x.Asked += r.Held.Asked
			for _, v := range r.Rounds {
				x.Accepted, x.Failed = x.Accepted+v.Workers, x.Failed+v.Failed
			}
			for _, v := range r.Timeline {
				x.Sent, x.Done, x.TickErrors = x.Sent+v.Sent, x.Done+v.Done, x.TickErrors+v.Errors
				for _, n := range v.Latency {
					x.Answers += n
				}
			}
			for _, v := range r.Errors {
				x.Errors += v.Count
			}
			for _, v := range r.Series {
				x.Samples += v.Count
			}
			x.Lost += len(r.Lost)
			x.Reconnects += r.Generator.Reconnects
			x.Bytes += r.Bytes.Sent + r.Bytes.Received
		}
		return x
	}
	busiest := func(rs ...Report) (cpu float64) { // of the server, which all shards saw
		for _, r := range rs {
			for _, x := range r.Resources {
				if x.Process == "server" {
					cpu = max(cpu, x.CPUPeak)
				}
			}
		}
		return cpu
	}
	for seed := range uint64(40) {
		shards := randomShards(seed)
		before := total(shards...)
		sum, err := Merge(shards)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, total(sum)); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
		if got, want := busiest(sum), busiest(shards...); got != want {
			t.Fatalf("seed %d: the server's peak is %g cores, want %g", seed, got, want)
		}
		for i, s := range randomShards(seed) {
			if encode(t, s) != encode(t, shards[i]) {
				t.Fatalf("seed %d: shard %d was changed", seed, i+1)
			}
		}
		for _, s := range shards {
			if Worse(sum.Verdict, s.Verdict) != sum.Verdict {
				t.Fatalf("seed %d: %s is better than a shard's %s", seed, sum.Verdict, s.Verdict)
			}
		}
		if slices.ContainsFunc(sum.Resources, func(x Resource) bool { return x.Process == "server" && x.RSSPerWorkerBytes != nil }) {
			t.Fatal("a slope of the server by the workers of one shard")
		}
	}
}

// twoShards held and finished a round together.
func twoShards() []Report {
	var rs []Report
	for i := range 2 {
		r := Report{
			Schema: Schema, Kind: KindSimulate, Verdict: VerdictPass,
			Env:    Env{Tool: "fltool v0", Target: "http://t", Hostname: string(rune('a' + i)), Started: fmt.Sprintf("2026-03-01T12:00:0%dZ", i), Seconds: 10},
			Demand: Demand{Workers: 10, Rounds: 1}, Shard: &Shard{Index: i + 1, Count: 2},
			Held:     &Held{Asked: 5, Peak: 5, Steady: 5},
			Rounds:   []Round{{Number: 1, Version: "0", Workers: 5, Seconds: float64(i + 1), FanoutSeconds: float64(2 - i), FanoutFrom: "server", Told: 5}},
			Timeline: []Tick{{T: 1, Held: 5, Sent: 10}, {T: 2, Held: 4, Sent: 1}},
		}
		rs = append(rs, r)
	}
	return rs
}

func TestMerge(t *testing.T) {
	sum, err := Merge(twoShards())
	if err != nil {
		t.Fatal(err)
	}
	a, b := twoShards()[0].Env, twoShards()[1].Env
	want := Report{
		Schema: Schema, Kind: KindSimulate, Verdict: VerdictPass,
		Env:    Env{Tool: "fltool v0", Target: "http://t", Started: "2026-03-01T12:00:00Z", Seconds: 11},
		Demand: Demand{Workers: 10, Rounds: 1}, Shards: []Env{a, b},
		Held:     &Held{Asked: 10, Peak: 10, Steady: 10},
		Rounds:   []Round{{Number: 1, Version: "0", Workers: 10, Seconds: 2, FanoutSeconds: 2, FanoutFrom: "server", Told: 10}},
		Timeline: []Tick{{T: 1, Held: 5, Sent: 10}, {T: 2, Held: 9, Sent: 11}, {T: 3, Held: 4, Sent: 1}}, Step: 1,
	}
	if d := cmp.Diff(want, sum, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

// What casts doubt on a sum is said, and makes it no better than a warning.
func TestMergeConcerns(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(rs []Report)
		verdict Verdict
		want    string
	}{
		"late": {func(rs []Report) { rs[1].Env.Started = "2026-03-01T12:00:08Z" }, VerdictWarn,
			"shard 2 (b) started 8s after shard 1 (a): it came late or their clocks disagree"},
		"clocks far apart, rounds shared": {func(rs []Report) { rs[1].Env.Started = "2026-03-01T13:00:00Z" }, VerdictWarn,
			"shard 2 (b) started 1h0m0s after shard 1 (a)"},
		"one after the other": {func(rs []Report) {
			rs[1].Env.Started = "2026-03-01T12:01:00Z"
			rs[0].Rounds, rs[1].Rounds = nil, nil
		}, VerdictRefused, "shard 2 (b) started after shard 1 (a) had ended: they were never one load"},
		"a round not seen": {func(rs []Report) { rs[1].Rounds = nil }, VerdictWarn, "round 1 was not seen by shard 2 (b)"},
		"versions":         {func(rs []Report) { rs[1].Env.Tool = "fltool v1" }, VerdictWarn, "shard 1 (a) was made by fltool v0, shard 2 (b) by fltool v1"},
		"workers missing":  {func(rs []Report) { rs[1].Held.Asked = 4 }, VerdictWarn, "the shards asked for 9 workers in all, the demand is 10"},
		"a failure":        {func(rs []Report) { rs[1].Verdict, rs[1].Reasons = VerdictFail, []string{"lost"} }, VerdictFail, "shard 2 (b): lost"},
		"a refusal without words": {func(rs []Report) { rs[0].Verdict = VerdictRefused }, VerdictRefused,
			"shard 1 (a): the verdict is refused"},
		"the same of both": {func(rs []Report) {
			for i := range rs {
				rs[i].Verdict, rs[i].Reasons = VerdictFail, []string{"lost"}
			}
		}, VerdictFail, "shard 1 (a) and shard 2 (b): lost"},
		"a threshold that only the whole misses": {func(rs []Report) {
			for i := range rs {
				rs[i].Held.HoldSeconds = 9
				rs[i].Thresholds = []Threshold{{Expr: "held<7", Pass: true}}
			}
		}, VerdictFail, "the whole run missed held<7"},
	} {
		t.Run(name, func(t *testing.T) {
			rs := twoShards()
			c.change(rs)
			sum, err := Merge(rs)
			if err != nil {
				t.Fatal(err)
			}
			if sum.Verdict != c.verdict || len(sum.Reasons) != 1 || !strings.HasPrefix(sum.Reasons[0], c.want) {
				t.Errorf("%s, %q; want %s, %q", sum.Verdict, sum.Reasons, c.verdict, c.want)
			}
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(rs []Report) []Report
		want   string
		of     []int
	}{
		"none":       {func([]Report) []Report { return nil }, "no report to merge", nil},
		"missing":    {func(rs []Report) []Report { return rs[:1] }, "shard 2 of 2 is missing", nil},
		"doubled":    {func(rs []Report) []Report { return []Report{rs[0], rs[1], rs[0]} }, "both are shard 1 of 2", []int{0, 2}},
		"two counts": {func(rs []Report) []Report { rs[1].Shard.Count = 3; return rs }, "one is a shard of 2, the other of 3", []int{0, 1}},
		"no shard":   {func(rs []Report) []Report { rs[1].Shard = nil; return rs }, "it is a whole run", []int{1}},
		"shard 0":    {func(rs []Report) []Report { rs[1].Shard.Index = 0; return rs }, "shard 0 of 2 does not exist", []int{1}},
		"schema":     {func(rs []Report) []Report { rs[1].Schema = "x"; return rs }, `its schema is "x"`, []int{1}},
		"demand":     {func(rs []Report) []Report { rs[1].Demand.Rounds = 9; return rs }, "their demands differ: rounds 1 and 9", []int{0, 1}},
		"target":     {func(rs []Report) []Report { rs[1].Env.Target = "x"; return rs }, "different targets", []int{0, 1}},
		"thresholds": {func(rs []Report) []Report { rs[1].Thresholds = []Threshold{{Expr: "round<1s"}}; return rs }, "their thresholds differ", []int{0, 1}},
		"preflight":  {func(rs []Report) []Report { rs[1].Kind = KindPreflight; return rs }, "a preflight report has no shards", []int{1}},
		"levels":     {func(rs []Report) []Report { rs[1].Levels = []Level{{}}; return rs }, "levels, findings and a ledger", []int{1}},
		"no start":   {func(rs []Report) []Report { rs[1].Env.Started = ""; return rs }, "it does not tell when it started", []int{1}},
		"no histogram": {func(rs []Report) []Report { rs[1].Series = []Series{{Name: "poll", Count: 3}}; return rs },
			`series "poll" has no histogram`, nil},
		"an unknown threshold": {func(rs []Report) []Report {
			for i := range rs {
				rs[i].Thresholds = []Threshold{{Expr: "beauty>3"}}
			}
			return rs
		}, `unknown metric "beauty"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Merge(c.change(twoShards()))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			var m *MergeError
			if errors.As(err, &m) && !slices.Equal(m.Of, c.of) {
				t.Errorf("of %v, want %v", m.Of, c.of)
			}
		})
	}
}

// A report that is no shard passes through, whatever its kind.
func TestMergeOne(t *testing.T) {
	want := twoShards()[0]
	want.Shard = nil
	got, err := Merge([]Report{want})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestMergeAsManyAsThereMayBe(t *testing.T) {
	rs := make([]Report, MaxShards)
	for i := range rs {
		rs[i] = twoShards()[0]
		rs[i].Shard = &Shard{Index: i + 1, Count: MaxShards}
		rs[i].Demand.Workers = 5 * MaxShards
	}
	sum, err := Merge(rs)
	if err != nil || sum.Held.Asked != 5*MaxShards || sum.Verdict != VerdictPass {
		t.Errorf("%+v, %v", sum.Held, err)
	}
	if _, err := Merge(rs[:2]); err == nil || err.Error() != "shards 3, 4, 5, 6, 7 and 1017 more of 1024 are missing" {
		t.Error(err)
	}
}

func TestWorse(t *testing.T) {
	for i, a := range Verdicts {
		for j, b := range Verdicts {
			if got := Worse(a, b); got != Verdicts[max(i, j)] {
				t.Errorf("%s and %s: %s", a, b, got)
			}
		}
	}
	if got := Worse("fine", VerdictPass); got != VerdictRefused {
		t.Errorf("a word that is no verdict makes %s", got)
	}
}

// TestMergeExtremes: what all shards saw of one thing is not added, and the worst of
// each generator stands for all, whichever comes first.
func TestMergeExtremes(t *testing.T) {
	server := func(pid int, seconds float64, fds int) Resource {
		return Resource{Process: "server", PID: pid, CPUSeconds: seconds, CPUPeak: seconds / 10, FDsPeak: fds + 5, FDsFullest: fds, RSSPeakBytes: int64(fds) << 20}
	}
	health := func(share, pauses, gc float64, left int64) Generator {
		return Generator{CPUShare: share, GCPauseSeconds: pauses, GCCPUShare: gc, FDsLeft: left, PortsLeft: left, LagP50Seconds: share, LagP99Seconds: pauses, LagMaxSeconds: gc, Reconnects: 2}
	}
	for _, swapped := range []bool{false, true} {
		in := func(a, b float64) (float64, float64) {
			if swapped {
				return b, a
			}
			return a, b
		}
		short, long := in(20, 30)
		if got := addHeld(Held{HoldSeconds: short}, Held{HoldSeconds: long}).HoldSeconds; got != 20 {
			t.Errorf("one held for 20 s and one for 30: together %v", got)
		}
		less, more := in(3, 4)
		got := addResources(
			[]Resource{server(7, less, int(less)), {Process: "generator", PID: 7, CPUSeconds: 1}},
			[]Resource{server(7, more, int(more)), {Process: "generator", PID: 7, CPUSeconds: 1}, server(8, 1, 1)},
		)
		want := []Resource{server(7, 4, 4), {Process: "generator", PID: 7, CPUSeconds: 1}, {Process: "generator", PID: 7, CPUSeconds: 1}, server(8, 1, 1)}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		a, b := in(.2, .9)
		sum := addGenerator(health(a, a/2, a/4, int64(100*a)), health(b, b/2, b/4, int64(100*b)))
		worst := health(.9, .45, .225, 20)
		worst.Reconnects = 4
		if d := cmp.Diff(worst, sum); d != "" {
			t.Error(d)
		}
	}
}
