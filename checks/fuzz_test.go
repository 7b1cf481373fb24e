package checks

import (
	"bytes"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// Whatever a facts file says, judging it ends in a report that holds together.
func FuzzRun(f *testing.F) {
	for _, change := range []change{func(*facts.Facts) {}, noNginx, goServer, unseen, cases["app/pids"].na} {
		host := tuned()
		change(&host)
		var b bytes.Buffer
		if err := host.Write(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes(), 1000, 3600.0)
	}
	f.Add([]byte(`{"schema":"`+facts.Schema+`"}`), 1, 0.0)
	f.Fuzz(func(t *testing.T, b []byte, n int, hold float64) {
		host, err := facts.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		demand := reports.Demand{Workers: min(max(n, 1), 10_000_000), HoldSeconds: hold}
		proxy := host
		for _, d := range []Deployment{OneHost(host), {App: &host, Proxy: &proxy}} {
			findings, capacity := Run(d, demand, nil, time.Time{})
			verdict, _ := Verdict(findings, reports.SeverityError)
			if verdict == reports.VerdictPass && capacity.Workers < demand.Workers {
				t.Errorf("%d workers pass, and %d are supported", demand.Workers, capacity.Workers)
			}
			for _, r := range capacity.Ledger {
				if r.Workers != nil && (*r.Workers < 0 || r.WorkersHard != nil && *r.WorkersHard < *r.Workers) {
					t.Errorf("%s: %d workers, at best %d", r.Limit, *r.Workers, *r.WorkersHard)
				}
			}
			for _, x := range findings {
				if x.Status == reports.StatusUnknown && x.Reason == "" {
					t.Errorf("%s is unknown for no reason", x.Check)
				}
			}
		}
	})
}

func FuzzParseWaiver(f *testing.F) {
	f.Add("app/nofile until 2027-01-31 = known")
	f.Add("app/nofile=x=y")
	f.Fuzz(func(t *testing.T, s string) {
		w, err := ParseWaiver(s)
		if err == nil && (w.Reason == "" || w.ID == "") {
			t.Errorf("%q: %+v", s, w)
		}
	})
}
