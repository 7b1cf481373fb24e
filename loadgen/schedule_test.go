package loadgen

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// TestArrive has three workers arrive on a machine that is busy until long after their
// ramp: that is its own lag only if they are to come in that time.
func TestArrive(t *testing.T) {
	for _, open := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const busy = 10 * time.Second
			workers := []*worker{{index: 0}, {index: 1}, {index: 2}}
			s := newScheduler(&transport{start: time.Now(), places: newPlaces(len(workers))}, len(workers))
			s.arrive(workers, 3*time.Second, open)
			time.Sleep(busy)
			b := newBook()
			for i, want := range workers {
				if _, stop := s.Pace(0, 0); stop {
					t.Fatal("stopped")
				}
				w := <-s.next
				w.out.sent = time.Since(s.start)
				b.enter(w)
				if w != want || w.timed != open || open && w.due != time.Duration(i)*time.Second {
					t.Errorf("open %t: worker %d at place %d, timed %t, due at %s", open, w.index, i, w.timed, w.due)
				}
			}
			late, arrived := int64(0), busy
			if open {
				late, arrived = 3, 0
			}
			if b.lag.Count() != late || b.arrived != arrived {
				t.Errorf("open %t: %d were late, the last arrived at %s", open, b.lag.Count(), b.arrived)
			}
		})
	}
}

// TestTooSlow tells what else the machine did.
func TestTooSlow(t *testing.T) {
	p := Plan{Workers: 1, MaxLag: time.Second}
	r := reports.Report{Held: &reports.Held{}, Generator: &reports.Generator{
		LagP99Seconds: 2, SpareLagP99Seconds: 2, CPUShare: .25, GCCPUShare: .1, OthersCPUShare: .6, StolenCPUShare: .05,
	}}
	v, why := verdict(&p, &r, ending{})
	if v != reports.VerdictRefused {
		t.Fatalf("%s %q", v, why)
	}
	for _, part := range []string{"2s or more", "used 25%", "10% of that for its garbage", "server 60%", "hypervisor 5%", "--ramp", "--shard"} {
		if !strings.Contains(why[0], part) {
			t.Errorf("no %q in %s", part, why[0])
		}
	}
}

// TestSlowed: what is late for want of CPU that server and generator share may pass, and
// what goes wrong then is not blamed on the server.
func TestSlowed(t *testing.T) {
	for _, c := range []struct {
		name       string
		lag, spare float64
		strict     bool
		lost, slo  bool
		want       reports.Verdict
	}{
		{"in time", .5, .5, false, false, false, reports.VerdictPass},
		{"late, and all CPUs busy", 2, .5, false, false, false, reports.VerdictPass},
		{"late, and CPUs idle", 2, 1.5, false, false, false, reports.VerdictRefused},
		{"late by any reason", 2, .5, true, false, false, reports.VerdictRefused},
		{"in time, and a worker lost", .5, .5, false, true, false, reports.VerdictFail},
		{"late, all CPUs busy, and a worker lost", 2, .5, false, true, false, reports.VerdictRefused},
		{"in time, and a threshold missed", .5, .5, false, false, true, reports.VerdictFail},
		{"late, all CPUs busy, and a threshold missed", 2, .5, false, false, true, reports.VerdictRefused},
	} {
		p := Plan{Workers: 1, MaxLag: time.Second, StrictLag: c.strict}
		r := reports.Report{Held: &reports.Held{}, Generator: &reports.Generator{LagP99Seconds: c.lag, SpareLagP99Seconds: c.spare}}
		if c.lost {
			r.Lost = []reports.Lost{{Worker: "worker 0"}}
		}
		r.Generator.Slowed = slowedBy(&p, r.Generator)
		var reasons []string
		r.Verdict, reasons = verdict(&p, &r, ending{})
		if c.slo {
			threshold, err := reports.ParseThreshold("lost<0")
			if err == nil {
				err = r.Judge([]reports.Threshold{threshold})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if r.Verdict != c.want {
			t.Errorf("%s: %s %q, want %s", c.name, r.Verdict, reasons, c.want)
		}
	}
}

// TestPress: a pair that had all CPUs, two that were idle for a part of the time, and two
// that others had.
func TestPress(t *testing.T) {
	before := facts.ProcessorTime{Busy: 10, Idle: 10}
	for pair, want := range map[float64]bool{.5: true, .2: false} {
		if press(before, facts.ProcessorTime{Busy: 10.48, Idle: 10.02}, pair) != want {
			t.Errorf("a pair that used %g of .5 s", pair)
		}
		if press(before, facts.ProcessorTime{Busy: 10.4, Idle: 10.1}, pair) {
			t.Errorf("a pair that used %g of .5 s, where .1 s was idle", pair)
		}
	}
	if press(before, before, 0) {
		t.Error("within no time")
	}
}
