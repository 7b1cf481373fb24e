package render

import "github.com/fltool/fltool/reports"

func hostsSample() reports.Report {
	env := sampleEnv()
	env.Command = []string{"fltool", "preflight", "--facts=proxy=p/*.json", "--facts=app=a/*.json", "--workers=1000"}
	env.Target, env.Hostname = "", ""
	files := func(fix string) reports.Finding {
		return reports.Finding{
			Check: "app/nofile", Title: "descriptors of the application", Status: reports.StatusFail, Severity: reports.SeverityError,
			Got: "256 for gunicorn 812", Want: "347: one a poll and 13", Source: "/proc/812/limits", Workers: ptr(243),
			Symptom: "OSError: [Errno 24] Too many open files", Doc: "docs/checks/app-nofile.md",
			Remedy: reports.Remedy{Text: fix, Commands: []string{"systemctl restart fl.service"}, Files: []reports.File{
				{Path: "/etc/systemd/system/fl.service.d/zz-fltool.conf", Section: "Service", Lines: []string{"LimitNOFILE=65536"}},
			}},
		}
	}
	limit := func(n *int, limit string) *reports.Capacity {
		c := &reports.Capacity{Limit: limit, Ledger: []reports.Row{{Limit: limit, Workers: n, Proof: "unproven"}}}
		if n != nil {
			c.Workers = *n
		}
		return c
	}
	r := reports.Report{
		Schema: reports.Schema, Kind: reports.KindHosts, Env: env, Demand: reports.Demand{Workers: 1000, HoldSeconds: 3600},
		Notes: []string{"every host is judged by an even share of its role's workers"},
		Hosts: []reports.Host{
			{Name: "a/broken.json", File: "a/broken.json", Role: "app", Verdict: reports.VerdictRefused, Workers: 334, Reasons: []string{"the facts can't be read: ends in the middle, after 9 bytes"}},
			{Name: "fl-2", File: "a/fl-2.json", Role: "app", Verdict: reports.VerdictRefused, Workers: 334, Capacity: limit(nil, "app/worker-class"), Findings: []reports.Finding{
				{Check: "app/worker-class", Title: "the application holds polls without a thread each", Status: reports.StatusUnknown, Severity: reports.SeverityError, Reason: "what kind of server it is"},
			}},
			{Name: "fl-1", File: "a/fl-1.json", Role: "app", Verdict: reports.VerdictFail, Workers: 334, Capacity: limit(ptr(243), "app/nofile"), Findings: []reports.Finding{
				files("give fl.service more descriptors by a drop-in"),
				{Check: "app/limits-conf", Title: "lines of limits.conf", Status: reports.StatusWarn, Severity: reports.SeverityWarn, Because: "app/nofile"},
				{Check: "app/found", Title: "a server runs", Status: reports.StatusPass, Severity: reports.SeverityWarn},
			}},
			{Name: "px-1", File: "p/px-1.json", Role: "proxy", Verdict: reports.VerdictPass, Workers: 1000, Capacity: limit(ptr(4000), "nginx/worker-connections")},
		},
	}
	r.Roles = reports.SumRoles(r.Hosts)
	r.Verdict, r.Reasons = reports.JudgeHosts(r.Hosts, r.Roles, 1000)
	return r
}

func driftSample() reports.Report {
	env := sampleEnv()
	env.Command, env.Target = []string{"fltool", "preflight", "--drift=true", "old.json", "new.json"}, ""
	r := reports.Report{
		Schema: reports.Schema, Kind: reports.KindDrift, Env: env, Demand: reports.Demand{Workers: 1000, HoldSeconds: 3600},
		Drift: &reports.Drift{
			Old: reports.Reading{Hostname: "fl-1", Gathered: "2026-02-01T12:00:00Z", Workers: ptr(4000), Limit: "nginx/worker-connections"},
			New: reports.Reading{Hostname: "fl-1", Gathered: "2026-03-01T12:00:00Z", Limit: "app/nofile"},
			Facts: []reports.FactChange{
				{What: "sysctls.net.core.somaxconn", Old: "4096", New: "128", Source: "/proc/sys/net/core/somaxconn"},
				{What: "nginx.sites._.locations.= /x", Old: "there", Source: "/etc/nginx/nginx.conf:7"},
				{What: "processes.gunicorn", Old: "there", New: ""},
			},
			Checks: []reports.CheckChange{
				{Was: reports.StatusPass, Worse: true, Finding: reports.Finding{Check: "app/nofile", Title: "descriptors", Status: reports.StatusUnknown, Severity: reports.SeverityError, Reason: "permission denied"}},
				{Was: reports.StatusWarn, Finding: reports.Finding{Check: "app/accept-queue", Title: "accept queue", Status: reports.StatusPass, Severity: reports.SeverityWarn, Got: "4096"}},
			},
			Limits: []reports.LimitChange{{Limit: "nginx/worker-connections", Was: ptr(4000), Is: ptr(2000)}, {Limit: "app/nofile", Was: ptr(65000)}},
		},
	}
	r.Verdict, r.Reasons = r.Drift.Judge()
	return r
}
