package checks

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/reports"
)

func TestBind(t *testing.T) {
	server := func(x reports.Resource) []reports.Resource {
		x.Process = "server"
		return []reports.Resource{{Process: "generator", CPUPeak: .3}, x}
	}
	lines := func(log string) []symptoms.Found {
		scan, err := symptoms.Scan(strings.NewReader(log))
		if err != nil {
			t.Fatal(err)
		}
		return scan.Found
	}
	two := reports.Env{CPUs: 2}
	got, much := .7, float64(3<<20)
	slow := reports.Threshold{Expr: "fanout.p99<500ms", Metric: "fanout.p99", Limit: .5, Unit: "s", Got: &got}
	reset := reports.ErrorClass{Class: "reset", Count: 3, Example: "worker 7, poll: connection closed without a whole answer"}
	for _, c := range []struct {
		name     string
		report   reports.Report
		said     []symptoms.Found
		limit    string
		evidence string
	}{
		{"nothing", reports.Report{}, nil, "", ""},
		{"its log outranks the rest",
			reports.Report{Resources: server(reports.Resource{CPUPeak: 2}), Env: two, Thresholds: []reports.Threshold{slow}, Errors: []reports.ErrorClass{reset}},
			lines("2026/05/01 10:00:00 [crit] 1#1: accept4() failed (24: Too many open files)\n"), "nginx/nofile", "1 line such as: 2026/05/01"},
		{"nginx's slots", reports.Report{Errors: []reports.ErrorClass{reset}},
			lines("[warn] 512 worker_connections are not enough, reusing connections\n[alert] 512 worker_connections are not enough\n"),
			"nginx/worker-connections", "2 lines such as: [warn] 512"},
		{"a server that is gone", reports.Report{},
			lines("[error] connect() failed (111: Connection refused) while connecting to upstream\n"), "", ""},
		{"a line of several causes", reports.Report{},
			lines("[error] upstream prematurely closed connection while reading response header from upstream\n"), "", "1 line of several possible causes: [error]"},
		{"an answer that quotes it", reports.Report{Errors: []reports.ErrorClass{{Class: "5xx", Count: 1, Example: "worker 1, poll: HTTP 500 [Errno 24] Too many open files"}}},
			nil, "app/nofile", "1 × 5xx"},
		{"descriptors all open", reports.Report{Resources: server(reports.Resource{FDsPeak: 198, FDLimit: 200}), Errors: []reports.ErrorClass{reset}}, nil, "app/nofile", "198 of 200"},
		{"descriptors left", reports.Report{Resources: server(reports.Resource{FDsPeak: 150, FDLimit: 200}), Errors: []reports.ErrorClass{reset}}, nil, "", "3 × reset"},
		{"the fullest of several processes", reports.Report{Resources: server(reports.Resource{FDsPeak: 230, FDsFullest: 199, FDLimit: 200, Processes: 3})}, nil, "app/nofile", "199 of 200"},
		{"several processes, none full", reports.Report{Resources: server(reports.Resource{FDsPeak: 230, FDsFullest: 120, FDLimit: 200, Processes: 3})}, nil, "", ""},
		{"places", reports.Report{Held: &reports.Held{Asked: 400, Places: 300}, Queue: &reports.Queue{Overflows: 9}, Errors: []reports.ErrorClass{{Class: "timed out", Count: 100}}}, nil, BindingPlaces, "exactly 300 workers had a place, and the other 100 got not one byte"},
		{"a full accept queue", reports.Report{Queue: &reports.Queue{Overflows: 9}, Errors: []reports.ErrorClass{{Class: "timed out", Count: 100}}}, nil, "app/accept-queue", "9 connections found the accept queue full"},
		{"somebody else's full accept queue", reports.Report{Queue: &reports.Queue{Overflows: 9}, Thresholds: []reports.Threshold{slow}}, nil, BindingLatency, "missed fanout"},
		{"no limit of descriptors", reports.Report{Resources: server(reports.Resource{FDsPeak: 150, FDLimit: -1})}, nil, "", ""},
		{"killed", reports.Report{Reasons: []string{"the server ended during the run: signal: killed"}, Errors: []reports.ErrorClass{{Class: "refused", Count: 9}}}, nil, BindingMemory, "killed"},
		{"memory", reports.Report{Thresholds: []reports.Threshold{{Expr: "server.rss<1MiB", Metric: "server.rss", Unit: "B", Got: &much}}}, nil, BindingMemory, "missed server.rss<1MiB: 3 MiB"},
		{"memory that was not measured", reports.Report{Thresholds: []reports.Threshold{{Expr: "server.rss<1MiB", Metric: "server.rss", Unit: "B"}}}, nil, "", ""},
		{"busy, and a time that was not measured", reports.Report{Env: two, Resources: server(reports.Resource{CPUPeak: 2}), Thresholds: []reports.Threshold{{Expr: "fanout.p99<1s", Unit: "s"}}}, nil, "", ""},
		{"refused", reports.Report{Errors: []reports.ErrorClass{{Class: "refused", Count: 9}}}, nil, BindingRefused, "9 connections were refused"},
		{"cpu", reports.Report{Env: two, Resources: server(reports.Resource{CPUPeak: 1.9}), Thresholds: []reports.Threshold{slow}}, nil, BindingCPU, "1.9 of 2 cores"},
		{"cpu beside the generator", reports.Report{Env: two, Resources: server(reports.Resource{CPUPeak: 1.6}), Thresholds: []reports.Threshold{slow}}, nil, BindingCPU, "the generator beside it 0.3"},
		{"one thread", reports.Report{Env: reports.Env{CPUs: 16}, Resources: server(reports.Resource{CPUPeak: .99}), Thresholds: []reports.Threshold{slow}}, nil, BindingCPU, "one thread"},
		{"busy without harm", reports.Report{Env: two, Resources: server(reports.Resource{CPUPeak: 2}), Errors: []reports.ErrorClass{reset}}, nil, "", "3 × reset"},
		{"latency", reports.Report{Env: two, Resources: server(reports.Resource{CPUPeak: .2}), Thresholds: []reports.Threshold{slow}}, nil, BindingLatency, "missed fanout.p99<500ms: 0.7 s"},
		{"slow and broken", reports.Report{Thresholds: []reports.Threshold{slow}, Errors: []reports.ErrorClass{reset}}, nil, "", "3 × reset"},
		{"idle connections' ends are no evidence", reports.Report{Errors: []reports.ErrorClass{{Class: reports.ClassReconnect, Count: 40}}}, nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := Bind(c.report, c.said)
			text := strings.Join(b.Evidence, "\n")
			if b.Limit != c.limit || !strings.Contains(text, c.evidence) || c.evidence == "" && text != "" {
				t.Errorf("%q by %q; want %q by %q", b.Limit, text, c.limit, c.evidence)
			}
		})
	}
}

// TestNamePlaces names a number of connections by the row that foretold it.
func TestNamePlaces(t *testing.T) {
	n := func(n int) *int { return &n }
	ledger := []reports.Row{
		{Limit: "app/worker-connections", Workers: n(118), WorkersHard: n(300)}, {Limit: "app/nofile", Workers: n(387)},
		{Limit: "host/memory", Workers: n(9000)}, {Limit: "nginx/nofile"}, {Limit: "waived", Workers: n(500), Waived: true},
	}
	for places, want := range map[int]string{300: "app/worker-connections", 299: "app/worker-connections", 386: "app/nofile", 350: BindingPlaces, 118: BindingPlaces, 500: BindingPlaces} {
		c := Name(reports.Capacity{Workers: places, Ledger: ledger}, Bind(reports.Report{Held: &reports.Held{Asked: 600, Places: places}}, nil))
		if c.Limit != want {
			t.Errorf("%d places: %s, %q; want %s", places, c.Limit, c.Evidence, want)
		}
		for _, row := range c.Ledger {
			if (row.Measured != nil) != (row.Limit == want) {
				t.Errorf("%d places: row %+v", places, row)
			}
		}
	}
}
