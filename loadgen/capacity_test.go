package loadgen

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

// ran is a level as a run would report it.
func ran(workers int, v reports.Verdict, why ...string) Tried {
	r := reports.Report{
		Verdict: v, Reasons: why, Held: &reports.Held{Asked: workers, Steady: workers},
		Series:    []reports.Series{{Name: "poll", Count: int64(workers)}},
		Rounds:    []reports.Round{{FanoutSeconds: .1}, {FanoutSeconds: .3}},
		Resources: []reports.Resource{{Process: "server", RSSPeakBytes: int64(1e6 + 1000*workers), FDsPeak: 13 + workers, CPUSeconds: float64(workers) / 1e3}},
	}
	return Tried{Workers: workers, Result: LevelResultOf(r), Report: r}
}

func TestFoundReport(t *testing.T) {
	tried := []Tried{
		ran(100, reports.VerdictPass), ran(200, reports.VerdictWarn, "3 requests were tried again"),
		ran(400, reports.VerdictFail, "missed errors<=0"), ran(300, reports.VerdictPass),
	}
	f := Search{From: 100}.found(tried)
	for asked, want := range map[int]reports.Verdict{0: reports.VerdictPass, 300: reports.VerdictPass, 301: reports.VerdictFail} {
		r := f.Report(asked)
		if r.Verdict != want || r.Demand.Workers != asked || r.Kind != reports.KindCapacity {
			t.Errorf("asked for %d: %s, %d", asked, r.Verdict, r.Demand.Workers)
		}
		if !slices.Equal(r.Reasons, []string{"at 400 workers: missed errors<=0"}) {
			t.Errorf("reasons %q", r.Reasons)
		}
	}
	r := f.Report(0)
	if c := r.Capacity; c.Workers != 300 || c.AtLeast || c.FailedAt != 400 {
		t.Errorf("capacity %+v", c)
	}
	if len(r.Levels) != 4 || r.Levels[2].Workers != 400 || r.Levels[2].Verdict != reports.VerdictFail || r.Levels[3].FanoutSeconds != .3 {
		t.Errorf("levels %+v", r.Levels)
	}
	if r.Series[0].Count != 300 {
		t.Errorf("the series are of the level of %d", r.Series[0].Count)
	}
	// The level that failed tells no slope.
	for i, per := range []float64{1000, 1, 1e-3} {
		if s := r.Slopes[i]; math.Abs(s.PerWorker-per) > 1e-6*per || len(s.Workers) != 3 {
			t.Errorf("slope %+v, want %v", s, per)
		}
	}
	if failed, ok := f.FailedReport(); !ok || failed.Held.Asked != 400 {
		t.Errorf("failed: %t, %+v", ok, failed.Held)
	}
}

func TestFoundReportOfLittle(t *testing.T) {
	none := Search{From: 1}.found([]Tried{ran(1, reports.VerdictFail, "1 of 1 workers lost")})
	if r := none.Report(0); r.Verdict != reports.VerdictFail || r.Capacity.Workers != 0 || r.Series[0].Count != 1 || len(r.Slopes) != 0 {
		t.Errorf("nothing held: %s, %+v", r.Verdict, r.Capacity)
	}
	limited := Search{From: 100}.found([]Tried{ran(100, reports.VerdictPass), ran(200, reports.VerdictRefused, "the generator could not keep up")})
	if r := limited.Report(0); r.Verdict != reports.VerdictPass || !r.Capacity.AtLeast {
		t.Errorf("generator: %s, %+v", r.Verdict, r.Capacity)
	}
	if r := limited.Report(150); r.Verdict != reports.VerdictRefused || !strings.Contains(r.Reasons[0], "generator") {
		t.Errorf("generator, more asked for: %s, %q", r.Verdict, r.Reasons)
	}
	if _, ok := limited.FailedReport(); ok {
		t.Error("a level at the generator's limit tells of the server")
	}
	cut := limited
	cut.Cut = true
	for asked, want := range map[int]reports.Verdict{0: reports.VerdictRefused, 150: reports.VerdictRefused, 100: reports.VerdictPass} {
		if r := cut.Report(asked); r.Verdict != want {
			t.Errorf("cut, %d asked for: %s, %q", asked, r.Verdict, r.Reasons)
		}
	}
	empty := Search{From: 1}.found(nil)
	if r := empty.Report(0); r.Verdict == reports.VerdictPass {
		t.Errorf("no level: %+v", r)
	}
}
