package reports

import (
	"reflect"
	"testing"
)

// TestAddScenario adds up what befell two parts of a fleet.
func TestAddScenario(t *testing.T) {
	n := func(n int) *int { return &n }
	a := Scenario{Name: "abandon", Plan: "abandon:times=2", Abandon: &Abandon{Polls: 4, Answered: 3, Closed: 2, Unheard: 1, ServerFDsBefore: n(9), ServerFDsAfter: n(11)}}
	b := Scenario{Name: "abandon", Plan: "abandon:times=2", Abandon: &Abandon{Polls: 6, Answered: 6, Closed: 6, ServerFDsBefore: n(8), ServerFDsAfter: n(12)}}
	want := Scenario{Name: "abandon", Plan: "abandon:times=2", Abandon: &Abandon{Polls: 10, Answered: 9, Closed: 8, Unheard: 1, ServerFDsBefore: n(8), ServerFDsAfter: n(12)}}
	if got := addScenario(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	f := Scenario{Name: "flaky", Plan: "flaky", Flaky: &Flaky{Connections: 5, Delayed: 1, Cut: 1, Reset: 1, Silenced: 1, Workers: 3, Served: 2}}
	if got, want := addScenario(f, f).Flaky, (Flaky{Connections: 10, Delayed: 2, Cut: 2, Reset: 2, Silenced: 2, Workers: 6, Served: 4}); *got != want {
		t.Errorf("%+v", got)
	}
	c := Churn{
		Workers: 9, Left: 5, Vanished: 4, Joined: 6, Back: 5, Away: 3, Unserved: 1, Shut: 4, Evicted: 2, Notified: 2, Held: 1,
		GhostsPeak: 3, Doubled: 1, Open: 2, ServerFDsBefore: n(17), ServerFDsAfter: n(18),
	}
	twice := addChurn(c, c)
	if kept, known := twice.FDsKept(); twice.Workers != 18 || twice.GhostsPeak != 6 || twice.Shut+twice.Evicted+twice.Notified+twice.Held != 18 || !known || kept != 1 {
		t.Errorf("%+v keeps %d, known %t", twice, kept, known)
	}
	if kept, known := c.FDsKept(); !known || kept != 1 {
		t.Errorf("keeps %d, known %t", kept, known)
	}
	if _, known := (&Churn{}).FDsKept(); known {
		t.Error("descriptors that nobody counted are known")
	}
	for metric, want := range map[string]float64{"unserved": 1, "ghosts.peak": 3, "ghosts.doubled": 1, "ghosts.open": 2, "server.fdsOfGhosts": 1} {
		if got, _, ok, err := (Report{Scenario: &Scenario{Churn: &c}}).Metric(metric); got != want || !ok || err != nil {
			t.Errorf("%s is %g, %t, %v", metric, got, ok, err)
		}
	}
	h := Hostile{Kinds: []HostileKind{{Name: "bomb", Refused: 1, Busy: 2, Cut: 3}, {Name: "forged poll", Through: 1, Held: 2, Broken: 3, Example: "500"}}}
	both := addHostile(h, Hostile{Kinds: []HostileKind{{Name: "bomb", Refused: 5}}})
	if sum := both.Sum(); len(both.Kinds) != 2 || both.Kinds[0].Refused != 6 || sum.All() != 17 || sum.Example != "500" {
		t.Errorf("%+v", both)
	}
	dribbled := addSlow(Slow{Kinds: []SlowKind{{Name: "head", Ended: 1, Open: 2}}}, Slow{Kinds: []SlowKind{{Name: "head", Ended: 3, Example: "408"}, {Name: "upload", Finished: 4}}})
	if sum := dribbled.Sum(); len(dribbled.Kinds) != 2 || dribbled.Kinds[0] != (SlowKind{Name: "head", Ended: 4, Open: 2, Example: "408"}) || sum.All() != 10 {
		t.Errorf("%+v", dribbled)
	}
	slow := addCost(Cost{3, 1, 2, 3}, Cost{2, 2, 3, 1})
	if ratio, known := slow.Ratio(); slow != (Cost{2, 2, 2, 3}) || !known || ratio != 1.5 {
		t.Errorf("%+v is %g times longer, known %t", slow, ratio, known)
	}
	if _, known := (Cost{RoundsBefore: 3, SecondsBefore: 1}).Ratio(); known {
		t.Error("rounds that were not played took so many times longer")
	}
	if growth, known := want.Abandon.Growth(); !known || growth != .4 {
		t.Errorf("a growth of %g, known %t", growth, known)
	}
	if _, known := (&Abandon{Polls: 3}).Growth(); known {
		t.Error("descriptors that nobody counted have a growth")
	}
}
