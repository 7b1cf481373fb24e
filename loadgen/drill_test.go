package loadgen

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// trailOf takes workers through a drill whose acts began at those seconds.
func drillOf(workers int, began ...time.Duration) *drill {
	d := newDrill(context.Background(), make([]Act, len(began)), time.Minute, workers)
	for i, at := range began {
		d.acts[i].Name, d.acts[i].began, d.acts[i].ended = "act", at, at+time.Second
	}
	return d
}

// TestDrillTrail takes one worker through what can become of a held poll.
func TestDrillTrail(t *testing.T) {
	const s = time.Second
	p := &Plan{Workers: 1, Hold: time.Hour, Policy: Policy{Behaviour: Resilient}}
	poll := func(sent, done time.Duration, status int, text string, f *failure) outcome {
		return outcome{begun: true, held: true, sent: sent, done: done, status: status, text: text, fail: f}
	}
	refused := outcome{begun: true, sent: 13 * s, done: 13 * s, fail: failed(classRefused, "")}
	back := poll(15*s, 30*s, 0, "", stopped)
	for _, c := range []struct {
		name     string
		outs     []outcome // of polls
		cut      int
		text     int
		server   int
		ended    int
		requests int
		away     int
		seconds  float64 // until held again; 0: it is not told
	}{
		{"nothing happens", []outcome{poll(s, 30*s, 0, "", stopped)}, 0, 0, 0, 0, 0, 0, 0},
		{"a new model is no loss", []outcome{poll(s, 12*s, 200, wire.TextUpdated, nil), back}, 0, 0, 0, 0, 0, 0, 0},
		{"lost before the first act", []outcome{poll(s, 9*s, 0, "", failed(classReset, "")), back}, 0, 0, 0, 0, 0, 0, 0},
		{"cut", []outcome{poll(s, 12*s, 0, "", failed(classReset, "")), back}, 1, 0, 0, 1, 0, 0, 5},
		{"refused for a while", []outcome{poll(s, 12*s, 0, "", failed(classReset, "")), refused, refused, back}, 1, 0, 0, 1, 2, 0, 5},
		{"held for a moment only", []outcome{poll(s, 12*s, 200, "later", nil), poll(13*s, 13*s+s/2, 200, "later", nil), back}, 0, 1, 0, 0, 1, 0, 5},
		{"a proxy's word", []outcome{poll(s, 12*s, 502, "", failed(class5xx, "")), back}, 0, 0, 1, 0, 0, 0, 5},
		{"never again", []outcome{poll(s, 12*s, 502, "", failed(class5xx, "")), refused}, 0, 0, 1, 1, 1, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := drillOf(1, 10*s)
			w := &worker{step: stepPoll, version: "1"}
			for _, w.out = range c.outs {
				d.enter(w, p)
			}
			r := d.report(p, nil)
			if r.Cut != c.cut || r.Text != c.text || r.ServerErrors != c.server || r.Ended != c.ended || r.Requests != c.requests || r.Away != c.away {
				t.Errorf("%+v", r)
			}
			got := 0.0
			if n := len(r.Recovered); n > 0 {
				got = r.Recovered[n-1].Seconds
			}
			if got != c.seconds {
				t.Errorf("held again after %g s, want %g", got, c.seconds)
			}
		})
	}
}

// TestDrillActs has losses belong to the act before them, and shares that were not
// reached left out.
func TestDrillActs(t *testing.T) {
	const s = time.Second
	d := drillOf(4, 10*s, 20*s)
	d.trails[0].absences = []absence{{lost: 11 * s, again: 12 * s}, {lost: 21 * s, again: 25 * s}}
	d.trails[1].absences = []absence{{lost: 20 * s, again: 22 * s}}
	d.trails[2].absences = []absence{{lost: 29 * s}}
	r := d.report(&Plan{Workers: 4}, nil)
	if a := r.Acts[0]; a.Lost != 1 || len(a.Recovered) != len(reports.DrillShares) || a.Recovered[3].Seconds != 2 {
		t.Errorf("the first act: %+v", a)
	}
	if a := r.Acts[1]; a.Lost != 3 || a.Workers != 3 || len(a.Recovered) != 1 || a.Recovered[0] != (reports.Moment{Share: .5, Seconds: 5}) {
		t.Errorf("the second act: %+v", a)
	}
	if r.Workers != 3 || r.Away != 1 {
		t.Errorf("%+v", r)
	}
}

// TestDrillConnects counts the busiest second from the first act on.
func TestDrillConnects(t *testing.T) {
	d := drillOf(1, time.Second)
	for _, ms := range []int{100, 100, 100, 100, 1000, 1950, 2050, 2850, 3100} {
		d.dialled(time.Duration(ms) * time.Millisecond)
	}
	if got := d.report(&Plan{Workers: 1}, nil).ConnectsPeak; got != 3 {
		t.Errorf("%d connects in the busiest second, want the 3 from 1950 to 2850 ms", got)
	}
}

// TestDrillModels counts what workers never had, and sees a version that comes again.
func TestDrillModels(t *testing.T) {
	d := drillOf(2, time.Second)
	give := func(i int, v wire.Version) {
		d.enter(&worker{index: i, step: stepModel, out: outcome{begun: true, done: 2 * time.Second, status: 200, version: v}}, &Plan{})
	}
	give(0, "1")
	give(1, "1")
	give(0, "2")
	give(0, "3")
	give(1, "3")
	if r := d.report(&Plan{Workers: 2}, nil); r.ModelsMissed != 1 || r.WentBack {
		t.Errorf("%+v", r)
	}
	give(1, "2")
	if r := d.report(&Plan{Workers: 2}, nil); !r.WentBack {
		t.Error("a version that came again was not seen")
	}
}

// TestDrillUpdates judges rounds by what their workers were answered.
func TestDrillUpdates(t *testing.T) {
	for _, c := range []struct {
		name        string
		round       reports.Round
		unheard     int
		lost, twice int
	}{
		{"all accepted, and it ended", reports.Round{Version: "1", Workers: 4}, 0, 0, 0},
		{"all accepted, and nothing came", reports.Round{Version: "1", Workers: 4, Open: true}, 0, 4, 0},
		{"some are to come", reports.Round{Version: "1", Workers: 3, Open: true}, 0, 0, 0},
		{"one is missing, and it ended", reports.Round{Version: "1", Workers: 3}, 0, 0, 1},
		{"one was not answered, and may have counted", reports.Round{Version: "1", Workers: 3}, 1, 0, 0},
	} {
		d := drillOf(4, time.Second)
		for i := range c.unheard {
			d.trails[i].unheard = "1"
		}
		if r := d.report(&Plan{Workers: 4}, []reports.Round{c.round}); r.UpdatesLost != c.lost || r.UpdatesTwice != c.twice || !r.UpdatesJudged {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	for s, want := range map[string]Policy{
		"resilient":      {Behaviour: Resilient},
		"upstream":       {Behaviour: Upstream},
		"backoff:1s..1m": {Behaviour: Resilient, Backoff: time.Second, Longest: time.Minute},
		"supervised:5s":  {Behaviour: Upstream, Restart: 5 * time.Second},
	} {
		if got, err := ParsePolicy(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "backoff", "backoff:1s", "backoff:2s..1s", "backoff:0s..1s", "supervised", "supervised:0s", "upstream:1s", "hard"} {
		if got, err := ParsePolicy(s); err == nil {
			t.Errorf("%s: %+v", s, got)
		}
	}
}

// TestDeeds does what acts do, and bounds it.
func TestDeeds(t *testing.T) {
	do := func(s string, longest time.Duration) (string, error) {
		f, err := ParseDeed(s, longest)
		if err != nil {
			t.Fatal(err)
		}
		return f(t.Context())
	}
	if said, err := do("echo done", time.Minute); err != nil || said != "done" {
		t.Errorf("%q, %v", said, err)
	}
	if _, err := do("echo what; exit 3", time.Minute); err == nil || !strings.Contains(err.Error(), "exit status 3: what") {
		t.Error(err)
	}
	if _, err := do("sleep 1h & wait", time.Millisecond); err == nil || !strings.Contains(err.Error(), "had not ended after 1ms") {
		t.Error(err)
	}
	if _, err := do("kill:2147483646", time.Minute); err == nil {
		t.Error("a process that is not there was killed")
	}
	for _, s := range []string{"", "kill:", "kill:1", "kill:-1", "pause:5", "pause:5:0s", "pause:x:1s"} {
		if _, err := ParseDeed(s, time.Minute); err == nil {
			t.Errorf("%q is an act", s)
		}
	}
}
