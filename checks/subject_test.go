package checks

import (
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// askOne is the answer of one check about one host.
func askOne(t *testing.T, id string, f facts.Facts) Judgement {
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
	for _, p := range processes(&f, gunicorn) {
		p.Kind, p.Part, p.Settings = facts.KindOther, "", nil
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
	processes(&c.Facts, gunicorn)[0].Listen = no[[]facts.Listener]()
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
		{kinds.Go.Kind, 1024, 524288, reports.StatusPass, 1011}, // built before Go 1.19
		{kinds.Go.Kind, 512, 524288, reports.StatusFail, 499},
		{facts.KindFltool, 512, 524288, reports.StatusFail, 500},
		{kinds.Go.Kind, 524288, 524288, reports.StatusPass, 524275},
	} {
		f := tuned()
		goServer(&f)
		p := processes(&f, facts.KindFltool)[0]
		p.Kind, p.FDs.V = tt.kind, 5+3 // three of them connections
		nofile(&f, tt.kind, tt.soft, tt.hard)
		if o := askOne(t, "app/nofile", f); o.Status != tt.want || workersOf(o) != tt.workers {
			t.Errorf("%s with %d soft, %d hard: %s, %d workers, want %s, %d", tt.kind, tt.soft, tt.hard, o.Status, workersOf(o), tt.want, tt.workers)
		}
	}
	f := tuned()
	without(&f, gunicorn)
	f.Service.V.Kind, f.Service.V.NoFile.V = facts.KindFltool, facts.Bound{Soft: 1024, Hard: 524288}
	if o := askOne(t, "app/nofile", f); o.Status != reports.StatusPass || workersOf(o) != 524276 {
		t.Errorf("fltool that does not run: %s, %d workers", o.Status, workersOf(o))
	}
}

// A running server is what it is, whatever its unit says.
func TestRunningServerNeedsNoUnit(t *testing.T) {
	f := tuned()
	goServer(&f)
	f.Service = no[*facts.Unit]()
	if o := askOne(t, "app/worker-class", f); o.Status != reports.StatusPass {
		t.Errorf("%s: %s", o.Status, o.Reason)
	}
}

// Ports of closed connections are reused at once over loopback alone.
func TestTimeWaitOfAnotherHost(t *testing.T) {
	for peer, want := range map[string]reports.Status{
		"127.0.0.1:5000": reports.StatusPass, "[::1]:5000": reports.StatusPass, "10.0.0.9:5000": reports.StatusFail,
	} {
		f := tuned()
		edit("server 127.0.0.1:5000 max_conns=20000", "server "+peer)(&f)
		f.Ports.V.Lo = 60000
		if o := askOne(t, "host/time-wait", f); o.Status != want {
			t.Errorf("%s: %s (%s), want %s", peer, o.Status, o.Got, want)
		}
		f.Nginx = no[*facts.Nginx]()
		if o := askOne(t, "host/time-wait", f); o.Status != reports.StatusUnknown {
			t.Errorf("without nginx's config: %s (%s)", o.Status, o.Got)
		}
	}
}

// What backlog a server asks for is known of gunicorn and of Go's; of others only
// that the kernel cuts it.
func TestAcceptQueueOfOthers(t *testing.T) {
	for kind, want := range map[string]reports.Status{facts.KindFltool: reports.StatusPass, "": reports.StatusUnknown} {
		f := tuned()
		without(&f, gunicorn)
		f.Service.V.Kind, f.Service.V.Role = kind, facts.RoleServer
		if o := askOne(t, "app/accept-queue", f); o.Status != want {
			t.Errorf("%q: %s (%s), want %s", kind, o.Status, o.Got, want)
		}
		f.Sysctls.SoMaxConn.V = 128
		if o := askOne(t, "app/accept-queue", f); o.Status != reports.StatusFail {
			t.Errorf("%q with somaxconn 128: %s", kind, o.Status)
		}
	}
}

// An nginx that does not run will have its unit's memory.
func TestMemoryOfAnNginxThatDoesNotRun(t *testing.T) {
	f := tuned()
	without(&f, facts.KindNginx)
	f.NginxUnit.V.MemoryMax = facts.Value[facts.Limit]{V: 1 << 20, Source: "nginx.service"}
	if o := askOne(t, "host/cgroup-memory", f); o.Status != reports.StatusFail || workersOf(o) != 97 || o.Source != "nginx.service" {
		t.Errorf("%s, %d workers by %s", o.Status, workersOf(o), o.Source)
	}
	f.NginxUnit.V.MemoryMax = no[facts.Limit]()
	if o := askOne(t, "host/cgroup-memory", f); o.Status != reports.StatusUnknown {
		t.Errorf("a limit that can't be read: %s", o.Status)
	}
}

// systemd ends a service whose RuntimeMaxSec= is over, whatever the server says of
// itself; facts of before it was read don't tell.
func TestRuntimeMax(t *testing.T) {
	for _, c := range []struct {
		max  facts.Value[time.Duration]
		want reports.Status
	}{
		{is(10 * time.Minute), reports.StatusFail},
		{is(time.Duration(0)), reports.StatusPass},
		{facts.Value[time.Duration]{}, reports.StatusUnknown},
	} {
		f := tuned()
		f.Service.V.RuntimeMax = c.max
		if o := askOne(t, "app/recycling", f); o.Status != c.want {
			t.Errorf("%v: %s (%s)", c.max, o.Status, o.Got)
		}
		hide(&f, "max_requests")
		if c.want == reports.StatusPass {
			c.want = reports.StatusUnknown
		}
		if o := askOne(t, "app/recycling", f); o.Status != c.want {
			t.Errorf("%v and max_requests unknown: %s (%s)", c.max, o.Status, o.Got)
		}
		f.Service.V = nil
		set(&f, "max_requests", "0")
		if o := askOne(t, "app/recycling", f); o.Status != reports.StatusPass {
			t.Errorf("%v of no unit: %s (%s)", c.max, o.Status, o.Got)
		}
	}
}

// A statement that promises more than was read is told, and one of a server that is not
// the application; what no file tells may be stated.
func TestStated(t *testing.T) {
	sync := func(f *facts.Facts) { set(f, "worker_class", "sync") }
	for _, c := range []struct {
		name   string
		change change
		holds  int64
		hop    string
		want   reports.Status
	}{
		{"more than one process holds", sync, 5000, "", reports.StatusFail},
		{"more than it accepts connections", func(*facts.Facts) {}, 5000, "", reports.StatusFail},
		{"as many", sync, 1, "", reports.StatusPass},
		{"what was not read", func(f *facts.Facts) { hide(f, "worker_class") }, 5000, "", reports.StatusUnknown},
		{"another server", func(*facts.Facts) {}, 0, "uvicorn holds=5", reports.StatusFail},
		{"a proxy that waits less long", haproxy(nil), 0, "haproxy silence=3h", reports.StatusFail},
		{"a proxy that waits longer", haproxy(nil), 0, "haproxy silence=1h", reports.StatusPass},
		{"a proxy that is not seen", func(*facts.Facts) {}, 0, "haproxy silence=3h", reports.StatusPass},
		{"a balancer's default", func(f *facts.Facts) { f.Asked.Balancers = []string{"cloud-run"} }, 0, "cloud-run holds=1000", reports.StatusPass},
	} {
		f := tuned()
		c.change(&f)
		f.Asked.Holds = c.holds
		if c.hop != "" {
			f.Asked.Hops = []string{c.hop}
		}
		if o := askOne(t, "app/stated", f); o.Status != c.want {
			t.Errorf("%s: %s (%s %s)", c.name, o.Status, o.Got, o.Reason)
		}
	}
}
