package loadgen

import (
	"reflect"
	"testing"
	"time"

	"github.com/fltool/fltool/reports"
)

// TestSoFar asks for the report of a run while it lasts, from another goroutine too: what
// it tells only grows, and once the run is over it has the figures of the report.
func TestSoFar(t *testing.T) {
	p := testPlan(serve(t, newFake(5)), 5)
	p.Rounds, p.Hold = 3, 300*time.Millisecond
	var stages []string
	var last func() reports.Report
	var rounds, sent int
	asked := make(chan func() reports.Report, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for soFar := range asked {
			soFar()
		}
	}()
	rep, err := Run(bounded(t), p, Setup{Progress: func(p reports.Progress, soFar func() reports.Report) {
		last = soFar
		if n := len(stages); n == 0 || stages[n-1] != p.Stage {
			stages = append(stages, p.Stage)
		}
		select {
		case asked <- soFar:
		default:
		}
		r := soFar()
		if len(r.Rounds) < rounds || int(p.Sent) < sent {
			t.Errorf("%d rounds after %d, %d requests after %d", len(r.Rounds), rounds, p.Sent, sent)
		}
		if p.Workers != 5 || p.Rounds != 3 || len(p.Uses) != 1 || p.Uses[0].RSSBytes == 0 || r.Held.Asked != 5 {
			t.Errorf("%+v", p)
		}
		rounds, sent = len(r.Rounds), int(p.Sent)
	}})
	close(asked)
	<-done
	if err != nil || rep.Verdict != reports.VerdictPass {
		t.Fatalf("%v, %s %q", err, rep.Verdict, rep.Reasons)
	}
	if n := len(stages); n < 2 || stages[n-2] != reports.StageHolding || stages[n-1] != reports.StageOver {
		t.Errorf("stages %q", stages)
	}
	over := last()
	for name, is := range map[string][2]any{
		"rounds": {over.Rounds, rep.Rounds}, "errors": {over.Errors, rep.Errors}, "lost": {over.Lost, rep.Lost}, "demand": {over.Demand, rep.Demand},
	} {
		if !reflect.DeepEqual(is[0], is[1]) {
			t.Errorf("%s: %+v\nin the report %+v", name, is[0], is[1])
		}
	}
	if len(over.Series) != len(rep.Series) || over.Held.NeverHeld != 0 || over.Held.Peak != rep.Held.Peak {
		t.Errorf("%+v\n%+v", over.Held, over.Series)
	}
}
