package checks

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

func member(name, role string, change func(*facts.Facts)) Member {
	f := tuned()
	f.Host.Hostname = facts.Value[string]{V: name, Source: "/proc"}
	if change != nil {
		change(&f)
	}
	return Member{File: name + ".json", Role: role, Facts: &f}
}

func fewFiles(f *facts.Facts) { nofile(f, gunicorn, 1000, 524288) }

func testJudge(workers int) Judge {
	d := Defaults
	d.Workers = workers
	return Judge{Demand: d, Least: reports.SeverityError, Now: time.Unix(0, 0)}
}

// TestHosts: each host is judged as if it were alone, those that hold least first,
// and one whose facts can't be read before all.
func TestHosts(t *testing.T) {
	got := testJudge(1000).Hosts([]Member{
		member("rich", "", nil), member("poor", "", fewFiles), member("dim", "", func(f *facts.Facts) { unseen(f) }),
		{File: "broken.json", Err: errors.New("ends in the middle")}, member("poor", "", fewFiles),
	})
	var names []string
	for _, h := range got {
		names = append(names, h.Name+" "+string(h.Verdict))
		for _, f := range h.Findings {
			if f.Status == reports.StatusNA {
				t.Errorf("%s: %s is n/a and told", h.Name, f.Name())
			}
		}
	}
	want := "broken.json refused, dim refused, poor (poor.json) fail, poor (poor.json) fail, rich "
	if s := strings.Join(names, ", "); !strings.HasPrefix(s, want) {
		t.Errorf("%s, want %s…", s, want)
	}
	alone, capacity := Run(OneHost(*member("rich", "", nil).Facts), testJudge(1000).Demand, nil, time.Unix(0, 0))
	verdict, _ := Verdict(alone, reports.SeverityError)
	if last := got[len(got)-1]; last.Verdict != verdict || last.Capacity.Workers != capacity.Workers {
		t.Errorf("beside others it is %s with %d, alone %s with %d", last.Verdict, last.Capacity.Workers, verdict, capacity.Workers)
	}
}

// TestHostsOfRoles: a pair is judged as --facts proxy= and app= judge it, by its
// share, and a host beside several partners has the worst of what is found.
func TestHostsOfRoles(t *testing.T) {
	j := testJudge(900)
	app, proxy := member("app", "app", nil), member("proxy", "proxy", nil)
	findings, capacity := Run(Deployment{App: app.Facts, Proxy: proxy.Facts}, j.Demand, nil, j.Now)
	for _, h := range j.Hosts([]Member{app, proxy}) {
		want, told := map[string]reports.Status{}, 0
		for _, f := range findings {
			if f.Host == h.Role && f.Status != reports.StatusNA {
				want[f.Check+f.Hop] = f.Status
			}
		}
		for _, f := range h.Findings {
			if want[f.Check+f.Hop] != f.Status {
				t.Errorf("%s: %s is %s, and of the pair %q", h.Name, f.Name(), f.Status, want[f.Check+f.Hop])
			}
			told++
		}
		if told != len(want) {
			t.Errorf("%s: %d findings, and %d of the pair", h.Name, told, len(want))
		}
		if n, known := h.Holds(); !known || n < capacity.Workers {
			t.Errorf("%s holds %d (%v), and the pair %d", h.Name, n, known, capacity.Workers)
		}
	}

	// nginx cuts idle connections that another application keeps too short.
	short := member("short", "app", func(f *facts.Facts) { set(f, "keepalive", "0") })
	j.Demand.Workers = 1000
	for _, h := range j.Hosts([]Member{app, short, member("other", "app", nil), proxy}) {
		if h.Role == "app" && h.Workers != 334 || h.Role == "proxy" && h.Workers != 1000 {
			t.Errorf("%s has a share of %d", h.Name, h.Workers)
		}
	}
	if n := len(distinct([]Member{app, short, member("other", "app", nil)})); n != 2 {
		t.Errorf("%d of three hosts differ, want 2: names make no difference", n)
	}

	// Without a partner that can be read nothing passes that hangs on it.
	for _, h := range j.Hosts([]Member{{File: "broken.json", Role: "app", Err: errors.New("broken")}, proxy}) {
		if h.Verdict == reports.VerdictPass {
			t.Errorf("%s passes, and of the application nothing is known", h.Name)
		}
	}
}

func TestDriftOfChecks(t *testing.T) {
	j := testJudge(1000)
	rich, poor := *member("a", "", nil).Facts, *member("a", "", fewFiles).Facts
	d := j.Drift(rich, poor)
	verdict, reasons := d.Judge()
	if verdict != reports.VerdictFail || !strings.Contains(strings.Join(reasons, ";"), "app/nofile was pass and is fail") {
		t.Errorf("worse: %s %q", verdict, reasons)
	}
	if len(d.Limits) == 0 || d.Limits[0].Limit != "app/nofile" || len(d.Facts) == 0 {
		t.Errorf("worse: limits %+v, facts %+v", d.Limits, d.Facts)
	}
	if verdict, reasons := j.Drift(poor, rich).Judge(); verdict != reports.VerdictPass {
		t.Errorf("better: %s %q", verdict, reasons)
	}
	if d := j.Drift(rich, rich); len(d.Facts)+len(d.Checks)+len(d.Limits) > 0 {
		t.Errorf("the same: %+v", d)
	}
	dim := *member("a", "", func(f *facts.Facts) { unseen(f) }).Facts
	if verdict, _ := j.Drift(rich, dim).Judge(); verdict != reports.VerdictRefused {
		t.Errorf("what can't be told any more: %s", verdict)
	}
	// Another start, with other ids, is no change.
	again := *member("a", "", nil).Facts
	for i := range again.Processes.V {
		again.Processes.V[i].PID += 5000
	}
	if d := j.Drift(rich, again); len(d.Checks)+len(d.Limits)+len(d.Facts) > 0 {
		t.Errorf("another start: %+v", d)
	}
}
