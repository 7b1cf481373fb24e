package checks

import (
	"testing"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// askOne is the answer of one check about one host.
func askOne(t *testing.T, id string, f facts.Facts) Outcome {
	t.Helper()
	check, ok := ByID(id)
	if !ok {
		t.Fatalf("no check %s", id)
	}
	return check.Eval(check.cases(OneHost(f), demand)[0])
}

// Processes that share a socket, as uWSGI's do, share its connections.
func TestSharedSocketIsCountedOnce(t *testing.T) {
	f := tuned()
	for _, p := range processes(&f, facts.KindGunicorn) {
		p.Kind, p.Part, p.Gunicorn = facts.KindOther, "", nil
		p.Listen = is([]facts.Listener{listener("0.0.0.0:5000", 1000), listener("[::]:5000", 1000)})
	}
	if n := (Case{Facts: f}).held(false); n != 1000 {
		t.Errorf("%d connections are held, want 1000", n)
	}
}

// What gunicorn's and nginx's workers listen at is told of their masters.
func TestConnectionsOfMasters(t *testing.T) {
	c := Case{Facts: tuned()}
	for _, nginx := range []bool{false, true} {
		if v := c.connections(nginx); !v.Known() || v.V != 3 {
			t.Errorf("nginx %v: %+v, want 3", nginx, v)
		}
	}
	processes(&c.Facts, facts.KindGunicorn)[0].Listen = no[[]facts.Listener]()
	if v := c.connections(false); v.Known() {
		t.Errorf("the master hides its sockets: %+v", v)
	}
}

// A running Go server has what /proc shows: only one that is not running yet is
// judged by what it will raise its limit to.
func TestGoServersLimit(t *testing.T) {
	for _, tt := range []struct {
		kind       string
		soft, hard facts.Limit
		want       reports.Status
		workers    int
	}{
		{facts.KindGo, 1024, 524288, reports.StatusPass, 1011}, // built before Go 1.19
		{facts.KindGo, 512, 524288, reports.StatusFail, 499},
		{facts.KindFltool, 512, 524288, reports.StatusFail, 500},
		{facts.KindGo, 524288, 524288, reports.StatusPass, 524275},
	} {
		f := tuned()
		goServer(&f)
		processes(&f, facts.KindFltool)[0].Kind = tt.kind
		nofile(&f, tt.kind, tt.soft, tt.hard)
		if o := askOne(t, "app/nofile", f); o.Status != tt.want || workersOf(o) != tt.workers {
			t.Errorf("%s with %d soft, %d hard: %s, %d workers, want %s, %d", tt.kind, tt.soft, tt.hard, o.Status, workersOf(o), tt.want, tt.workers)
		}
	}
	f := tuned()
	without(&f, facts.KindGunicorn)
	f.Service.V.Executable, f.Service.V.NoFile.V = "fltool", facts.Bound{Soft: 1024, Hard: 524288}
	if o := askOne(t, "app/nofile", f); o.Status != reports.StatusPass || workersOf(o) != 524276 {
		t.Errorf("fltool that does not run: %s, %d workers", o.Status, workersOf(o))
	}
}

// A running server is what it is, whatever its unit says.
func TestRunningServerNeedsNoUnit(t *testing.T) {
	f := tuned()
	goServer(&f)
	f.Service = no[*facts.Unit]()
	if o := askOne(t, "app/worker-class", f); o.Status != reports.StatusNA {
		t.Errorf("%s: %s", o.Status, o.Reason)
	}
}
