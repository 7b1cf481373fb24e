package loadgen

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fltool/fltool/reports"
)

// TestRoundsByQuorum has the server end rounds with two updates of three workers: the
// third's count for the round in which they come.
func TestRoundsByQuorum(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	up := func(sent, done int) acceptedOf { return acceptedOf{at(sent), at(done)} }
	b := newBook()
	*b.round("0") = roundBook{since: at(1), accepted: []acceptedOf{up(2, 3), up(4, 5), up(7, 8)}, told: []toldOf{{sent: at(3), answered: at(6)}}}
	*b.round("1") = roundBook{since: at(6), accepted: []acceptedOf{up(8, 9), up(12, 13)}, late: 1} // nobody waits for its end
	*b.round("2") = roundBook{since: at(10), accepted: []acceptedOf{up(11, 12)}, told: []toldOf{{sent: at(12), answered: at(14)}}}
	*b.round("3") = roundBook{since: at(15)}
	rounds, _ := b.close(time.Now(), true)
	var got [][3]int
	for _, r := range rounds {
		open := 0
		if r.Open {
			open = 1
		}
		got = append(got, [3]int{r.Number, r.Workers, open})
	}
	if d := cmp.Diff([][3]int{{1, 2, 0}, {2, 2, 0}, {3, 2, 0}, {4, 0, 1}}, got); d != "" {
		t.Errorf("number, accepted, open (-want +got):\n%s\n%+v", d, rounds)
	}
	if rounds[0].Version != "0" || rounds[0].Late != 1 || rounds[1].Late != 1 || rounds[1].Seconds != 3 {
		t.Errorf("%+v", rounds)
	}
	if n := len(asked(rounds, 2)); n != 2 {
		t.Errorf("%d rounds of the two asked for", n)
	}
}

// TestRefusesQuorum: workers that take part in so many rounds each say nothing of a
// server that ends rounds without all, unless it went well.
func TestRefusesQuorum(t *testing.T) {
	r := reports.Report{
		Held: &reports.Held{}, Generator: &reports.Generator{}, Lost: []reports.Lost{{Worker: "worker 7"}},
		Rounds: []reports.Round{{Number: 1, Workers: 3}, {Number: 2, Workers: 3, Late: 1}},
	}
	p := Plan{Workers: 3, Rounds: 2, MaxLag: time.Second}
	if v, why := verdict(&p, &r, ending{}); v != reports.VerdictRefused || !strings.Contains(why[0], "ended round 2 with 2 of 3 updates") || len(why) < 2 {
		t.Errorf("%s %q", v, why)
	}
	p.Quorum = 2
	if v, why := verdict(&p, &r, ending{}); v != reports.VerdictFail {
		t.Errorf("%s %q", v, why)
	}
	p.Quorum, r.Lost = 0, nil
	if v, why := verdict(&p, &r, ending{}); v != reports.VerdictPass {
		t.Errorf("%s %q", v, why)
	}
}
