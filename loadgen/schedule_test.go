package loadgen

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
		LagP99Seconds: 2, CPUShare: .25, GCCPUShare: .1, OthersCPUShare: .6, StolenCPUShare: .05,
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
