package checks

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct{ most, processes, want int }{
		{239, 1, 239}, {239, 0, 239}, {239, 4, 725}, {0, 4, 0}, {1, 4, 0}, {481, 2, 780},
	} {
		if got := spread(c.most, c.processes); got != c.want {
			t.Errorf("%d in each of %d: %d, want %d", c.most, c.processes, got, c.want)
		}
	}
	// Of 2000 draws the fullest process is above its bound in few.
	r := rand.New(rand.NewPCG(1, 2))
	over := 0
	for range 2000 {
		var full [4]int
		for range spread(239, 4) {
			full[r.IntN(4)]++
		}
		if max(full[0], full[1], full[2], full[3]) > 239 {
			over++
		}
	}
	if over > 20 {
		t.Errorf("%d of 2000 draws have a process above its bound", over)
	}
}

// Processes that share evenly are judged together, and any others by one of them.
func TestReuseport(t *testing.T) {
	judge := func(reuseport, processes int) Judgement {
		f := tuned()
		n := *f.Nginx.V
		n.Listeners, n.Reuseport = 2, reuseport
		n.Events.WorkerConnections.V = 512
		n.Main.WorkerProcesses.V = int64(processes)
		f.Nginx.V = &n
		f.Processes = facts.Value[[]facts.Process]{Source: "/proc"} // as configured
		d := Defaults
		d.Workers = 600
		c, _ := ByID("nginx/worker-connections")
		return c.Eval(Case{Facts: f, Deployment: OneHost(f), Demand: d})
	}
	one, _ := bySlots(512, 1, 2)
	if o := judge(2, 4); o.Capacity == nil || o.Capacity.Safe != spread(one, 4) || o.Status != "pass" {
		t.Errorf("with reuseport: %+v", o)
	}
	for _, o := range []Judgement{judge(0, 4), judge(1, 4), judge(2, 1)} {
		if o.Capacity == nil || o.Capacity.Safe != one || o.Status != "fail" {
			t.Errorf("%+v", o)
		}
	}
	if o := judge(0, 4); !strings.Contains(o.Remedy.Text, "reuseport") {
		t.Errorf("the fix of uneven processes: %q", o.Remedy.Text)
	}
	if o := judge(0, 2); strings.Contains(o.Remedy.Text, "reuseport") {
		t.Errorf("two processes would not do: %q", o.Remedy.Text)
	}
	if need := slotsFor(600, 1, 2, 4); float64(need) > math.Ceil(512*600./float64(spread(one, 4)))+64 || spread(first(bySlots(need, 1, 2)), 4) < 600 {
		t.Errorf("need %d", need)
	}
}

func first[A, B any](a A, _ B) A { return a }
