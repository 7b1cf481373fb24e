package loadgen

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/reports"
)

// TestTurns has the same seed make the same moves, as often as their rates have it.
func TestTurns(t *testing.T) {
	first := func(r moveRates, seed uint64, n int) (all []turn) {
		for next := r.turns(seed); len(all) < n; {
			all = append(all, next())
		}
		return all
	}
	rates := moveRates{moveJoin: 3, moveVanish: 1}
	all := first(rates, 7, 4000)
	if !slices.Equal(all, first(rates, 7, 4000)) || slices.Equal(all, first(rates, 8, 4000)) {
		t.Error("a seed does not make its moves")
	}
	var made [moves]int
	for _, x := range all {
		made[x.move]++
	}
	if end := all[len(all)-1].at; end < 900*time.Second || end > 1100*time.Second || made[moveLeave] != 0 || made[moveVanish] < 900 || made[moveVanish] > 1100 {
		t.Errorf("%v within %s", made, end)
	}
}

// TestChurnVerdict judges what became of those that went.
func TestChurnVerdict(t *testing.T) {
	n := func(n int) *int { return &n }
	both := moveRates{1, 1, 1}
	for name, tt := range map[string]struct {
		churn  reports.Churn
		rates  moveRates
		want   reports.Verdict
		reason string
	}{
		"all ended":      {reports.Churn{Left: 2, Vanished: 2, ServerFDsBefore: n(9), ServerFDsAfter: n(8)}, both, reports.VerdictPass, ""},
		"uncounted":      {reports.Churn{Left: 2, Vanished: 2}, both, reports.VerdictPass, ""},
		"nobody left":    {reports.Churn{Vanished: 2}, both, reports.VerdictRefused, "0 workers had left and 2 vanished"},
		"none should":    {reports.Churn{Vanished: 2}, moveRates{moveVanish: 1}, reports.VerdictPass, ""},
		"doubled":        {reports.Churn{Left: 2, Vanished: 2, Doubled: 1}, both, reports.VerdictWarn, "1 polls of workers"},
		"keeps some":     {reports.Churn{Left: 10, Vanished: 10, ServerFDsBefore: n(9), ServerFDsAfter: n(11)}, both, reports.VerdictWarn, "kept 2 descriptors"},
		"one for nobody": {reports.Churn{Left: 10, Vanished: 10, ServerFDsBefore: n(9), ServerFDsAfter: n(10)}, both, reports.VerdictPass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := reports.Report{Verdict: reports.VerdictPass, Scenario: &reports.Scenario{Churn: &tt.churn}}
			churnVerdict(&r, tt.rates, nil)
			fdsVerdict(&r)
			if said := strings.Join(r.Reasons, "\n"); r.Verdict != tt.want || !strings.Contains(said, tt.reason) || (tt.reason == "") != (said == "") {
				t.Errorf("%s %q", r.Verdict, r.Reasons)
			}
		})
	}
}
