package loadgen

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/fltool/fltool/reports"
)

func stagesOf(t *testing.T, texts ...string) (all []Stage) {
	t.Helper()
	for _, text := range texts {
		s, err := ParseStage(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// TestParseStage reads each shape, and names the part that is wrong.
func TestParseStage(t *testing.T) {
	for text, want := range map[string]string{
		"hold:1000,for=5m":                     "hold:workers=1000,for=5m0s",
		"ramp:workers=10,for=5s":               "ramp:workers=10,for=5s",
		"spike:for=5s,10":                      "spike:workers=10,for=5s",
		"steps:from=100,to=1000,by=300,for=1m": "steps:from=100,to=1000,by=300,for=1m0s",
		"wave:from=9,to=1,times=2,for=1s":      "wave:from=9,to=1,times=2,for=1s",
		"churn:workers=100,leave=0.5,for=1m":   "churn:workers=100,leave=0.5,for=1m0s",
		"churn:workers=100,leave=5/s,for=1m":   "churn:workers=100,leave=5,for=1m0s",
		"hold:10":                              "for!",
		"hold:for=1s":                          "workers!",
		"hold:0,for=1s":                        "hold:workers=0,for=1s",
		"hold:-1,for=1s":                       "workers!",
		"ramp:0,for=1s":                        "ramp:workers=0,for=1s",
		"spike:0,for=1s":                       "workers!",
		"steps:from=0,to=10,by=5,for=1s":       "steps:from=0,to=10,by=5,for=1s",
		"steps:from=0,to=0,by=5,for=1s":        "to!",
		"wave:from=0,to=10,times=2,for=1s":     "wave:from=0,to=10,times=2,for=1s",
		"hold:1.5,for=1s":                      "workers!",
		"hold:20000000,for=1s":                 "workers!",
		"hold:NaN,for=1s":                      "workers!",
		"hold:1,2,for=1s":                      "workers!",
		"hold:1,for=0s":                        "for!",
		"hold:1,for=5":                         "for!",
		"hold:1,for=1s,for=2s":                 "for!",
		"hold:1,for=9999h":                     "for!",
		"hold:1,for=1s,leave=5":                "leave!",
		"hold:":                                "workers!",
		"hold":                                 "workers!",
		"storm:1,for=1s":                       "storm!",
		"":                                     "!",
		"steps:from=10,to=5,by=1,for=1s":       "by!",
		"steps:from=1,to=100000,by=1,for=1s":   "by!",
		"steps:from=1,to=10,for=1s":            "by!",
		"wave:from=1,to=9,times=51,for=1s":     "times!",
		"wave:from=1,to=9,times=50,for=1s":     "wave:from=1,to=9,times=50,for=1s",
		"churn:workers=100,leave=0,for=1m":     "leave!",
	} {
		s, err := ParseStage(text)
		var bad *StageError
		switch got := s.String(); {
		case errors.As(err, &bad):
			if bad.Part+"!" != want {
				t.Errorf("%q: %v", text, err)
			}
		case err != nil || got != want:
			t.Errorf("%q is %q: %v", text, got, err)
		default:
			if again, err := ParseStage(got); err != nil || again.String() != got {
				t.Errorf("%q is read as %q: %v", got, again, err)
			}
		}
	}
}

// TestLegs makes a schedule of stages: how many workers are wanted at each moment.
func TestLegs(t *testing.T) {
	stages := stagesOf(t, "hold:20,for=1m", "spike:60,for=1s", "ramp:10,for=10s", "steps:from=10,to=25,by=10,for=2s",
		"wave:from=5,to=9,times=1,for=3s", "churn:workers=9,leave=2,for=4s")
	ms := time.Millisecond
	want := []leg{
		{1, "hold", 0, 20, 20 * ms, time.Minute, 0},
		{2, "spike", 20, 60, 0, time.Second, 0},
		{3, "ramp", 60, 10, 10 * time.Second, 0, 0},
		{4, "steps", 10, 10, 0, 2 * time.Second, 0}, {4, "steps", 10, 20, 10 * ms, 2 * time.Second, 0}, {4, "steps", 20, 25, 5 * ms, 2 * time.Second, 0},
		{5, "wave", 25, 5, 20 * ms, 3 * time.Second, 0}, {5, "wave", 5, 9, 4 * ms, 3 * time.Second, 0}, {5, "wave", 9, 5, 4 * ms, 3 * time.Second, 0},
		{6, "churn", 5, 9, 4 * ms, 4 * time.Second, 2},
	}
	got := legs(stages)
	if !slices.Equal(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	if MostWorkers(stages) != 60 {
		t.Errorf("%d workers", MostWorkers(stages))
	}
	if sum := StagesTime(stages); sum != 90*time.Second+67*ms {
		t.Errorf("they take %s", sum)
	}
	for _, c := range []struct {
		leg   int
		since time.Duration
		want  int
	}{
		{0, 0, 0}, {0, 10 * ms, 10}, {0, 20 * ms, 20}, {0, time.Hour, 20}, {1, 0, 60},
		{2, 0, 60}, {2, 5 * time.Second, 35}, {2, 10*time.Second - 1, 11}, {2, 10 * time.Second, 10}, {3, 0, 10},
	} {
		if n := got[c.leg].wanted(c.since); n != c.want {
			t.Errorf("leg %d after %s: %d workers, want %d", c.leg, c.since, n, c.want)
		}
	}
	for i, l := range got { // it never asks for more than it has, nor for fewer than either end
		for since := time.Duration(0); since <= l.over; since += l.over/7 + 1 {
			if n := l.wanted(since); n < min(l.from, l.workers) || n > max(l.from, l.workers) {
				t.Errorf("leg %d after %s: %d workers", i, since, n)
			}
		}
	}
}

// TestStages has one fleet grow and shrink: who stays polls once, on the connection that it
// has.
func TestStages(t *testing.T) {
	for name, own := range map[string]bool{"own": true, "foreign": false} {
		t.Run(name, func(t *testing.T) {
			f := newFake(60)
			p := testPlan(serve(t, f), 60)
			p.Rounds, p.Stages = 0, stagesOf(t, "hold:20,for=50ms", "spike:60,for=50ms", "ramp:10,for=60ms", "hold:10,for=50ms")
			rep, err := Run(bounded(t), p, Setup{Own: own})
			if err != nil {
				t.Fatal(err)
			}
			if rep.Verdict != reports.VerdictPass || len(rep.Lost) > 0 {
				t.Errorf("%s %v, errors %v", rep.Verdict, rep.Reasons, rep.Errors)
			}
			if n := series(rep, "register").Count; n != 60 || f.count(stepRegister) != 60 {
				t.Errorf("%d registrations, the server saw %d", n, f.count(stepRegister))
			}
			if n := f.count(stepPoll); own && n != 60 {
				t.Errorf("%d polls of 60 workers: some were cut", n)
			}
			var said []string
			for i, s := range rep.Stages {
				said = append(said, fmt.Sprintf("%d %s %d: held %d, fewest %d, %d never, %d lost", s.Number, s.Shape, s.Asked, s.Held, s.Fewest, s.NeverHeld, s.LostWhile))
				if !(s.From < s.HeldFrom && s.HeldFrom <= s.To) || i > 0 && s.From != rep.Stages[i-1].To {
					t.Errorf("stage %d has the times %g, %g, %g", i+1, s.From, s.HeldFrom, s.To)
				}
			}
			want := []string{
				"1 hold 20: held 20, fewest 20, 0 never, 0 lost", "2 spike 60: held 60, fewest 60, 0 never, 0 lost",
				"3 ramp 10: held 10, fewest 10, 0 never, 0 lost", "4 hold 10: held 10, fewest 10, 0 never, 0 lost",
			}
			if !slices.Equal(said, want) {
				t.Errorf("stages %q", said)
			}
			if h := rep.Held; h.Asked != 60 || h.Peak != 60 || h.Steady != 60 || h.NeverHeld != 0 || h.LostWhile != 0 || h.Unfreed != 0 {
				t.Errorf("held %+v", *h)
			}
			if last := rep.Timeline[len(rep.Timeline)-1]; last.Asked != 10 || last.Held != 10 {
				t.Errorf("at the end %+v", last)
			}
		})
	}
}

// TestStagesOfShard has a shard drive its part of each stage, which may be nobody.
func TestStagesOfShard(t *testing.T) {
	f := newFake(2)
	p := testPlan(serve(t, f), 2)
	p.Rounds, p.Stages, p.Shard = 0, stagesOf(t, "hold:2,for=20ms", "spike:5,for=20ms", "hold:1,for=20ms", "ramp:4,for=20ms"), reports.Shard{Index: 2, Count: 3}
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictPass {
		t.Fatalf("%v %s %v, errors %v", err, rep.Verdict, rep.Reasons, rep.Errors)
	}
	for i, want := range []int{1, 2, 0, 1} {
		if s := rep.Stages[i]; s.Asked != want || s.Held != want || s.HeldFrom == 0 {
			t.Errorf("stage %d: %+v, want %d", i+1, s, want)
		}
	}
	if h := rep.Held; h.Asked != 2 || h.Steady != 2 || h.Unfreed != 0 {
		t.Errorf("held %+v", *h)
	}
}

// TestStagesNobody has all leave, and some come back after a while.
func TestStagesNobody(t *testing.T) {
	for name, own := range map[string]bool{"own": true, "foreign": false} {
		t.Run(name, func(t *testing.T) {
			f := newFake(6)
			p := testPlan(serve(t, f), 6)
			p.Rounds, p.Stages = 0, stagesOf(t, "hold:0,for=20ms", "hold:6,for=50ms", "ramp:0,for=50ms", "hold:0,for=20ms", "spike:4,for=50ms", "ramp:0,for=20ms")
			rep, err := Run(bounded(t), p, Setup{Own: own})
			if err != nil || rep.Verdict != reports.VerdictPass || len(rep.Errors) > 0 {
				t.Fatalf("%v %s %v, errors %v", err, rep.Verdict, rep.Reasons, rep.Errors)
			}
			if n := f.count(stepRegister); n != 6+4 {
				t.Errorf("%d registrations", n)
			}
			for i, want := range []int{0, 6, 0, 0, 4, 0} {
				if s := rep.Stages[i]; s.Asked != want || s.Held != want || s.NeverHeld != 0 || s.HeldFrom == 0 {
					t.Errorf("stage %d: %+v", i+1, s)
				}
			}
			if h := rep.Held; h.Asked != 6 || h.Steady != 6 || h.Unfreed != 0 {
				t.Errorf("held %+v", *h)
			}
		})
	}
}

// TestStagesChurn has workers of a stage leave and come back: those register again, and are
// no loss.
func TestStagesChurn(t *testing.T) {
	f := newFake(5)
	p := testPlan(serve(t, f), 5)
	p.Rounds, p.Stages = 0, stagesOf(t, "churn:workers=5,leave=100,for=300ms", "hold:5,for=50ms")
	rep, err := Run(bounded(t), p, Setup{Own: true})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Verdict != reports.VerdictPass || rep.Held.NeverHeld+rep.Held.LostWhile > 0 {
		t.Errorf("%s %v, %+v", rep.Verdict, rep.Reasons, rep.Held)
	}
	if n := f.count(stepRegister); n <= 5 {
		t.Errorf("%d registrations: nobody came back", n)
	}
	if last := rep.Stages[1]; last.Held != 5 || last.Fewest != 5 {
		t.Errorf("after the churn %+v", last)
	}
}

// TestStagesLost counts whose held poll is cut in a stage, and goes on without who gave up.
func TestStagesLost(t *testing.T) {
	f := newFake(4)
	f.fault = func(s step, n int, w http.ResponseWriter, _ *http.Request) bool {
		if s != stepRegister || n <= 2 {
			return false
		}
		http.Error(w, "no", http.StatusServiceUnavailable)
		return true
	}
	p := testPlan(serve(t, f), 4)
	p.Rounds, p.Stages, p.RoundTimeout, p.Backoff = 0, stagesOf(t, "hold:2,for=20ms", "hold:4,for=20ms", "hold:1,for=20ms"), 50*time.Millisecond, time.Millisecond
	rep, err := Run(bounded(t), p, Setup{Own: true})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Verdict != reports.VerdictFail || len(rep.Lost) != 2 || len(rep.Stages) != 3 {
		t.Fatalf("%s %v, lost %v, stages %+v", rep.Verdict, rep.Reasons, rep.Lost, rep.Stages)
	}
	if s := rep.Stages[1]; s.Held != 2 || s.NeverHeld != 2 || s.Asked != 4 {
		t.Errorf("the stage that lost two: %+v", s)
	}
	if s := rep.Stages[2]; s.Held != 1 || s.NeverHeld != 0 {
		t.Errorf("the stage after: %+v", s)
	}
}

// TestStagePlaces counts the places of a server that answers some workers of a stage not one
// byte any more. Behind a proxy their requests have connections of their own, so that some
// were answered before, and polls that wait for a place look held: the server tells.
func TestStagePlaces(t *testing.T) {
	const asked, unknown = 8, -1
	for name, c := range map[string]struct {
		mute     []string // ids of the last workers, who gave up
		accepted int
		quiet    time.Duration // since the last answer
		want     int
	}{
		"all are held":                {nil, asked, time.Minute, 0},
		"by itself":                   {[]string{"", "", ""}, unknown, time.Minute, 5},
		"behind a proxy":              {[]string{"", "", "id"}, 4, time.Minute, 4},
		"behind one, of another host": {[]string{"id"}, unknown, time.Minute, 0},
		"others have answers":         {[]string{"", "id"}, 4, time.Second, 0},
		"nobody has":                  {make([]string, asked), 0, time.Minute, 0},
	} {
		r := &run{plan: Plan{RequestTimeout: DefaultRequestTimeout}, workers: make([]*worker, asked+1)} // of another stage is one more
		s := &staging{comings: newComings(r), rows: []reports.Stage{{Asked: asked}}}
		for i := range r.workers {
			r.workers[i] = &worker{}
		}
		r.workers[asked].mute, s.is[asked] = true, gaveUp
		for i, id := range c.mute {
			at := asked - len(c.mute) + i
			r.workers[at].id, r.workers[at].mute, s.is[at] = id, true, gaveUp
		}
		now := time.Now()
		r.start = now.Add(-time.Hour)
		r.answered.Store(int64(time.Hour - c.quiet))
		s.full(now, func() int { return c.accepted })
		if got := s.rows[0].Places; got != c.want {
			t.Errorf("%s: %d places, want %d", name, got, c.want)
		}
	}
}

// TestStagesPlan has a plan with stages ask for nothing beside.
func TestStagesPlan(t *testing.T) {
	target := serve(t, newFake(1))
	for name, change := range map[string]func(*Plan){
		"":        func(*Plan) {},
		"rounds":  func(p *Plan) { p.Rounds = 1 },
		"workers": func(p *Plan) { p.Workers = 4 },
		"shard":   func(p *Plan) { p.Shard = reports.Shard{Index: 1, Count: 2} },
		"scenario": func(p *Plan) {
			p.Scenario, _ = ParseScenario(ScenarioStorm)
		},
	} {
		p := testPlan(target, 5)
		p.Rounds, p.Stages = 0, stagesOf(t, "hold:5,for=1s")
		change(&p)
		if err := p.check(); (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
