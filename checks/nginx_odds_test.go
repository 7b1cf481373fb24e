package checks

import (
	"os"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

// The table of the experiment is whole, and docs/proofs.md shows it.
func TestOdds(t *testing.T) {
	for _, processes := range []int{1, 2, 4, 8} {
		for _, reuseport := range []bool{false, true} {
			for _, a := range arrivals {
				runs := sharing{processes, reuseport}.runs(a.name)
				if len(runs) < 10 || runs[0].held != runs[0].runs || runs[len(runs)-1].share != 100 {
					t.Errorf("%d processes, reuseport %t, %s: %+v", processes, reuseport, a.name, runs)
				}
				for _, o := range runs {
					if o.processes != processes || o.runs < 10 || o.held < 0 || o.held > o.runs {
						t.Errorf("%+v", o)
					}
				}
			}
		}
	}
	const name = "../docs/proofs.md"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	head, _, _ := strings.Cut(Odds(), " | workers come")
	from := strings.Index(doc, head)
	if from < 0 {
		t.Fatalf("%s has no table of the odds", name)
	}
	table, _, _ := strings.Cut(doc[from:], "\n\n")
	if table+"\n" == Odds() {
		return
	}
	if !*update {
		t.Fatalf("%s is out of step: go test ./checks -run TestOdds -update", name)
	}
	if err := os.WriteFile(name, []byte(doc[:from]+Odds()+doc[from+len(table)+1:]), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A demand passes up to the safe bound, is a warning with its odds up to the likely
// one, and an error beyond; so it is where no experiment tells.
func TestOddsJudge(t *testing.T) {
	judge := func(workers int, change func(*facts.Nginx)) (reports.Finding, *reports.Row) {
		f := tuned()
		n := *f.Nginx.V
		n.Listeners, n.Build = 1, nginx.Build{Version: "1.22.1"}
		n.Events.WorkerConnections.V, n.Main.WorkerProcesses.V = 300, 2
		if change != nil {
			change(&n)
		}
		f.Nginx.V = &n
		f.Processes = facts.Value[[]facts.Process]{Source: "/proc"} // as configured
		d := Defaults
		d.Workers = workers
		check, _ := ByID("nginx/worker-connections")
		c := Case{Facts: f, Deployment: OneHost(f), Demand: d}
		o := check.Eval(c)
		row, _ := check.row(c, o, false)
		return check.finding(c, o), &row
	}
	for _, c := range []struct {
		what    string
		workers int
		change  func(*facts.Nginx)
		want    reports.Status
		odds    bool
	}{
		{"safe", 140, nil, reports.StatusPass, false},
		{"likely", 150, nil, reports.StatusWarn, true},
		{"beyond likely", 290, nil, reports.StatusFail, true},
		{"beyond hard", 299, nil, reports.StatusFail, false},
		{"old nginx", 150, func(n *facts.Nginx) { n.Build.Version = "1.18.0" }, reports.StatusFail, false},
		{"any nginx", 150, func(n *facts.Nginx) { n.Build.Version = "" }, reports.StatusFail, false},
		{"accept_mutex on", 150, func(n *facts.Nginx) { n.Events.AcceptMutex.V = true }, reports.StatusFail, false},
		{"multi_accept on", 150, func(n *facts.Nginx) { n.Events.MultiAccept.V = true }, reports.StatusFail, false},
		{"3 processes, as 4", 150, func(n *facts.Nginx) { n.Main.WorkerProcesses.V = 3 }, reports.StatusWarn, true},
		{"16 processes", 150, func(n *facts.Nginx) { n.Main.WorkerProcesses.V = 16 }, reports.StatusFail, false},
		{"reuseport, and an old nginx", 245, func(n *facts.Nginx) { n.Reuseport, n.Build.Version = 1, "1.18.0" }, reports.StatusWarn, true},
	} {
		f, row := judge(c.workers, c.change)
		if f.Status != c.want || strings.Contains(f.Got, "by experiment") != c.odds {
			t.Errorf("%s: %s: %s; row %+v", c.what, f.Status, f.Got, row)
		}
	}
	if _, row := judge(150, nil); *row.Workers != 140 || row.WorkersLikely == nil || *row.WorkersLikely <= 140 || *row.WorkersLikely >= *row.WorkersHard || *row.WorkersHard != 298 {
		t.Errorf("bounds: %+v", row)
	}
}

// An update that nginx keeps in a file takes a third descriptor.
func TestThirdDescriptor(t *testing.T) {
	d := reports.Demand{Workers: 300, HoldSeconds: 60, ModelBytes: 1e6}
	text := strings.NewReplacer("worker_processes auto", "worker_processes 1", "worker_rlimit_nofile 4096", "worker_rlimit_nofile 800",
		"worker_connections 2400", "worker_connections 700", "32m;", "32m; proxy_request_buffering off;").Replace(wellMade)
	for _, c := range []struct {
		what, old, new string
		size           int64
		want           reports.Status
	}{
		{"passed on as they come", "", "", 1e6, reports.StatusPass},
		{"kept in files", "proxy_request_buffering off;", "", 1e6, reports.StatusFail},
		{"within the buffer", "proxy_request_buffering off;", "client_body_buffer_size 2m;", 1e6, reports.StatusPass},
		{"of no size", "proxy_request_buffering off;", "", 0, reports.StatusPass},
	} {
		if !strings.Contains(text, c.old) {
			t.Fatalf("no %q in %s", c.old, text)
		}
		d.ModelBytes = c.size
		if f := lintText(t, strings.Replace(text, c.old, c.new, 1), "", d)["nginx/worker-rlimit-nofile"]; f.Status != c.want {
			t.Errorf("%s: %+v", c.what, f)
		}
	}
}
