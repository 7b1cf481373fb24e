package render

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/fltool/fltool/reports"
)

// samples are reports as real runs make them, by name.
func samples() map[string]reports.Report {
	return map[string]reports.Report{
		"rounds":      roundsSample(),
		"hold":        holdSample(),
		"lost":        lostSample(),
		"refused":     refusedSample(),
		"interrupted": interruptedSample(),
		"preflight":   preflightSample(),
		"capacity":    capacitySample(),
		"merged":      mergedSample(),
		"storm":       stormSample(),
		"abandon":     abandonSample(),
		"hosts":       hostsSample(),
		"drift":       driftSample(),
		"flaky":       flakySample(),
		"churn":       churnSample(),
		"hostile":     hostileSample(),
		"slow":        slowSample(),
		"stages":      stagesSample(),
	}
}

func sampleEnv() reports.Env {
	return reports.Env{
		Tool: "fltool v0.1.0", Command: []string{"fltool", "simulate", "--workers", "1000", "--rounds", "3"},
		Target: "https://127.0.0.1:8443", Started: "2026-03-01T12:00:00Z", Seconds: 14.2,
		Hostname: "gen-a", Kernel: "Linux 6.1.0", CPU: "AMD EPYC 7B13", CPUs: 2, Go: "go1.26.0", Seed: 7,
	}
}

// spread is a series of n durations around a median, with a long tail.
func spread(name string, n int, median time.Duration) reports.Series {
	r := rand.New(rand.NewPCG(1, uint64(len(name))))
	var h reports.Histogram
	for range n {
		h.Record(time.Duration(float64(median) * math.Exp(r.NormFloat64()/2)))
	}
	return h.Series(name)
}

func ptr[T any](v T) *T { return &v }

// timeline has half a second between ticks.
func timeline(seconds, workers int) []reports.Tick {
	var ticks []reports.Tick
	for i := 1; i <= 2*seconds; i++ {
		come := min(workers, i*workers/20)
		busy := come / 8 * (i % 5)
		t := reports.Tick{
			T: float64(i) / 2, Held: come - busy, Sent: workers / 8, Done: workers / 10,
			Workers: map[string]int{reports.PhaseHeld: come - busy, reports.PhaseDownloading: busy / 2, reports.PhaseThinking: busy - busy/2},
			Latency: map[int]int{12: workers / 20, 13: workers / 40, 14 + i%9: 3},
		}
		ticks = append(ticks, t)
	}
	return ticks
}

func roundsSample() reports.Report {
	r := reports.Report{
		Schema: reports.Schema, Kind: reports.KindSimulate, Verdict: reports.VerdictPass,
		Env:    sampleEnv(),
		Demand: reports.Demand{Workers: 1000, Rounds: 3, ModelBytes: 1024, UpdateBytes: 1024, RampSeconds: 10},
		Held:   &reports.Held{Asked: 1000, Peak: 1000, Steady: 1000},
		Series: []reports.Series{
			spread("register", 1000, 1200*time.Microsecond), spread("challenge", 4000, 800*time.Microsecond),
			spread("poll", 4000, 3*time.Second), spread("model", 3000, 2*time.Millisecond),
			spread("update", 3000, 5*time.Millisecond), spread("wakeup", 3000, 40*time.Millisecond), spread("lag", 15000, 90*time.Microsecond),
		},
		Timeline: timeline(14, 1000), Step: .5,
		Bytes: &reports.Bytes{Sent: 9_300_000, Received: 7_100_000},
		Resources: []reports.Resource{
			{Process: "server", PID: 4711, RSSPeakBytes: 41 << 20, RSSPerWorkerBytes: ptr(17_100.0), CPUSeconds: 2.31, FDsPeak: 1012, FDLimit: 1048576, FDsPerWorker: ptr(1.0)},
			{Process: "generator", PID: 4710, RSSPeakBytes: 52 << 20, RSSPerWorkerBytes: ptr(12_300.0), CPUSeconds: 3.9, FDsPeak: 1019, FDLimit: 1048576, FDsPerWorker: ptr(1.0)},
		},
		Generator: &reports.Generator{LagP50Seconds: 90e-6, LagP99Seconds: .0021, LagMaxSeconds: .0148, CPUShare: .14, GCPauseSeconds: .0031, GCCPUShare: .02, FDsLeft: 1047557, PortsLeft: 27228, Reconnects: 0},
	}
	for i, s := range []float64{.412, .377, .391} {
		r.Rounds = append(r.Rounds, reports.Round{Number: i + 1, Version: fmt.Sprint(i), Workers: 1000, Seconds: s, FanoutSeconds: s / 4, FanoutFrom: "server", Told: 1000})
		at := 11 + float64(i)
		r.Rounds[i].Passed = &reports.Passed{Published: at, Notified: at + s/8*float64(i), Downloaded: at + s/2, Thought: at + s*.8, Accepted: at + s}
	}
	return r
}

func holdSample() reports.Report {
	r := roundsSample()
	r.Env.Command = []string{"fltool", "simulate", "--target", "https://fl.example.org", "--workers", "5000", "--hold", "30s", "--slo", "poll.p99<60s"}
	r.Env.Target = "https://fl.example.org"
	r.Env.Seconds = 52.7
	r.Verdict = reports.VerdictWarn
	r.Reasons = []string{"the server ended 12 holds early with a text, so that its workers polled again: proxy_read_timeout is likely shorter than the hold asked for"}
	r.Demand = reports.Demand{Workers: 5000, HoldSeconds: 30, RampSeconds: 10}
	r.Held = &reports.Held{Asked: 5000, Peak: 5000, Steady: 4988, HoldSeconds: 30, RepollsAsked: 12}
	r.Rounds = nil
	r.Series = []reports.Series{spread("register", 5000, 1200*time.Microsecond), spread("challenge", 10000, 800*time.Microsecond), spread("poll", 5012, 30*time.Second)}
	r.Timeline = timeline(52, 5000)
	r.Thresholds = []reports.Threshold{
		{Expr: "poll.p99<60s", Metric: "poll.p99", Limit: 60, Unit: "s", Got: ptr(48.2), Pass: true},
	}
	r.Resources = r.Resources[1:]
	r.Generator.PortsLeft = -1
	r.Generator.Reconnects = 3
	return r
}

func stagesSample() reports.Report {
	r := roundsSample()
	stages := []string{"ramp:workers=400,for=5s", "hold:workers=1000,for=2s", "churn:workers=200,leave=5,for=4s"}
	r.Env.Command = []string{"fltool", "simulate", "--stages", stages[0], "--stages", stages[1], "--stages", stages[2]}
	r.Verdict, r.Reasons = reports.VerdictFail, []string{"3 of 1000 workers were never held: timed out (3)"}
	r.Demand = reports.Demand{Workers: 1000, HoldSeconds: 11, Stages: strings.Join(stages, " ")}
	r.Held = &reports.Held{Asked: 1000, Peak: 997, Steady: 996, NeverHeld: 3, NeverCauses: map[string]int{"timed out": 3}, LostWhile: 1, LostCauses: map[string]int{"reset": 1}, HoldSeconds: 6}
	r.Rounds = nil
	r.Stages = []reports.Stage{
		{Number: 1, Shape: "ramp", Asked: 400, From: .016, HeldFrom: 5.02, To: 5.03, Held: 400, Fewest: 400},
		{Number: 2, Shape: "hold", Asked: 1000, From: 5.03, HeldFrom: 7.5, To: 9.5, Held: 997, Fewest: 996, NeverHeld: 3, LostWhile: 1},
		{Number: 3, Shape: "churn", Asked: 200, From: 9.5, HeldFrom: 10.2, To: 14.2, Held: 199, Fewest: 197},
	}
	r.Timeline = timeline(14, 1000)
	for i := range r.Timeline {
		t := &r.Timeline[i]
		switch {
		case t.T <= 5:
			t.Asked = int(80 * t.T)
		case t.T <= 9.5:
			t.Asked = 1000
		default:
			t.Asked = 200
		}
		t.Held = t.Asked
		t.Workers = map[string]int{reports.PhaseHeld: t.Held}
	}
	return r
}

func lostSample() reports.Report {
	r := roundsSample()
	r.Verdict = reports.VerdictFail
	r.Reasons = []string{"23 of 1000 workers were lost", "round 3 was not finished: 23 workers had no update accepted"}
	r.Rounds[2].Workers, r.Rounds[2].Failed, r.Rounds[2].FanoutFrom = 977, 23, "client"
	r.Rounds[2].Passed = nil // as in an older report
	r.Held.Steady, r.Held.NeverHeld, r.Held.LostWhile = 974, 3, 23
	r.Held.NeverCauses = map[string]int{"refused": 3}
	r.Held.LostCauses = map[string]int{"reset": 21, "timed out": 2}
	r.Errors = []reports.ErrorClass{
		{Class: "timed out", Count: 4, Workers: 2, Example: "worker 17 (3fa9), update: no answer within 30s"},
		{Class: "reset", Count: 231, Workers: 23, Example: "worker 12 (a1b2c3), poll: read tcp 127.0.0.1:40112->127.0.0.1:8443: connection reset by peer, after it had been held for 11.2 s"},
		{Class: "5xx", Count: 11, Workers: 9, Example: "worker 40 (9d01), update: 502 Bad Gateway | <html>\r\n<head><title>502 Bad Gateway</title></head>\x1b[2J"},
	}
	for i := 20; i < 28; i++ {
		r.Timeline[i].Errors, r.Timeline[i].Workers[reports.PhaseRetrying] = 60, 60
		r.Timeline[i].Classes = map[string]int{"reset": 57, "5xx": 3 - i%3, "timed out": i % 3}
	}
	for i := range 23 {
		r.Lost = append(r.Lost, reports.Lost{
			Worker: fmt.Sprintf("%d (%04x)", 12+i, 4096+i*37), Step: "poll", Class: "reset",
			Detail: "connection reset by peer", Seconds: 11.2 + float64(i)/10,
		})
	}
	r.Thresholds = []reports.Threshold{
		{Expr: "errors<0.1%", Metric: "errors", Limit: .001, Unit: "1", Got: ptr(.0164)},
		{Expr: "server.rss<2GiB", Metric: "server.rss", Limit: 2 << 30, Unit: "B", Got: ptr(41.0 * (1 << 20)), Pass: true},
		{Expr: "model.p99<1s", Metric: "model.p99", Limit: 1, Unit: "s"},
	}
	return r
}

func refusedSample() reports.Report {
	r := roundsSample()
	r.Verdict = reports.VerdictRefused
	r.Reasons = []string{"the generator was the bottleneck: requests left 812 ms after they were due (p99), and its CPUs were 97 % busy; use more CPUs, or --shard over several hosts"}
	r.Generator.LagP99Seconds, r.Generator.LagMaxSeconds, r.Generator.CPUShare = .812, 2.41, .97
	r.Generator.Refused = "lag p99 812 ms"
	return r
}

func interruptedSample() reports.Report {
	r := roundsSample()
	r.Verdict = reports.VerdictRefused
	r.Reasons = []string{"interrupted after 6.1 s, in round 2 of 3"}
	r.Env.Seconds = 6.1
	r.Rounds = r.Rounds[:1]
	r.Series = r.Series[:3]
	r.Timeline = r.Timeline[:12]
	return r
}

func preflightSample() reports.Report {
	env := sampleEnv()
	env.Command = []string{"fltool", "preflight", "--workers", "1000", "--hold", "1h", "--ignore", "tls/expiry=renewed by cron, it's fine"}
	env.Target = ""
	env.Seconds = .31
	return reports.Report{
		Schema: reports.Schema, Kind: reports.KindPreflight, Verdict: reports.VerdictFail,
		Reasons: []string{"nginx/worker-connections supports 239 of 1000 workers", "nginx/proxy-read-timeout cuts polls after 60 s"},
		Env:     env,
		Demand:  reports.Demand{Workers: 1000, HoldSeconds: 3600, ModelBytes: 13_000_000, UpdateBytes: 13_000_000},
		Findings: []reports.Finding{
			{Check: "app/nofile", Title: "open files of the server", Status: reports.StatusPass, Severity: reports.SeverityError, Got: "65536", Workers: ptr(65523)},
			{Check: "nginx/accept-log", Title: "errors in nginx's log", Status: reports.StatusWarn, Severity: reports.SeverityWarn, Because: "nginx/worker-connections"},
			{Check: "tls/expiry", Title: "the certificate expires in 12 days", Status: reports.StatusWaived, Severity: reports.SeverityWarn, Was: reports.StatusWarn, Reason: "renewed by cron, it's fine"},
			{Check: "app/backlog", Title: "accept queue of the server", Status: reports.StatusUnknown, Severity: reports.SeverityError, Reason: "no process listens on 127.0.0.1:8080, and no unit names one"},
			{
				Check: "nginx/proxy-read-timeout", Title: "polls are cut after 60 s", Status: reports.StatusFail, Severity: reports.SeverityError,
				Got: "60s, nginx's default", Want: "more than the hold of 1h0m0s", Source: "/etc/nginx/sites-enabled/fl:12",
				Symptom: "upstream timed out (110: Connection timed out) while reading response header from upstream, and 504",
				Remedy: reports.Remedy{
					Text: "set proxy_read_timeout in the location that polls pass", Commands: []string{"nginx -t", "systemctl reload nginx"}, Then: "reload",
				},
				Doc: "docs/checks/nginx-proxy-read-timeout.md",
			},
			{
				Check: "nginx/worker-connections", Title: "nginx holds 239 of the 1000 polls", Status: reports.StatusFail, Severity: reports.SeverityError,
				Got: "512", Want: "2135 (two a poll, and a sixteenth that nginx keeps free)", Source: "/etc/nginx/nginx.conf:7", Workers: ptr(239),
				Symptom: "512 worker_connections are not enough",
				Remedy:  reports.Remedy{Files: []reports.File{{Path: "/etc/nginx/nginx.conf", Section: "events", Lines: []string{"worker_connections 4096;"}}}, Then: "reload"},
			},
			{Check: "nginx/http2-streams", Title: "HTTP/2 streams", Status: reports.StatusNA, Severity: reports.SeverityWarn, Reason: "no listener speaks HTTP/2"},
			{Check: "host/somaxconn", Title: "accept queue", Status: reports.StatusWarn, Severity: reports.SeverityWarn, Got: "511", Want: "1000"},
		},
		Capacity: &reports.Capacity{
			Workers: 239, AtLeast: false, Limit: "nginx/worker-connections",
			Ledger: []reports.Row{
				{Limit: "app/nofile", Workers: ptr(65523), InUse: ptr(int64(13)), InUseUnit: "fds", Headroom: ptr(64523), Source: "/proc/812/limits", Proof: "app-nofile"},
				{Limit: "nginx/ports", Workers: ptr(28232), Headroom: ptr(27232), Source: "/proc/sys/net/ipv4/ip_local_port_range", Proof: "nginx-ports"},
				{Limit: "app/backlog", Workers: nil, Proof: "unproven"},
				{Limit: "nginx/worker-connections", Workers: ptr(239), WorkersHard: ptr(255), Headroom: ptr(-761), Source: "/etc/nginx/nginx.conf:7", Proof: "nginx-worker-connections"},
			},
		},
	}
}

func capacitySample() reports.Report {
	r := roundsSample()
	r.Kind = reports.KindCapacity
	r.Verdict = reports.VerdictFail
	r.Reasons = []string{"holds 500 of 1000 workers: at 750, fanout.p99<500ms was missed"}
	r.Env.Command = []string{"fltool", "capacity", "--to", "1000", "--slo", "fanout.p99<500ms"}
	r.Notes = []string{"nothing is left out as a warm-up", "the figures after the levels are of the level of 500 workers"}
	r.Capacity = &reports.Capacity{
		Workers: 500, Limit: "nginx/worker-connections", FailedAt: 750, Predicted: ptr(481), PredictedBy: "nginx/worker-connections",
		Evidence: []string{"12 lines such as: 2026/03/01 12:00:09 [alert] 1#1: 1024 worker_connections are not enough"}, Unknown: []string{"tls/expiry"},
		Ledger: []reports.Row{
			{Limit: "app/nofile", Workers: ptr(65523), Headroom: ptr(64523), Source: "/proc/812/limits", Proof: "app-nofile"},
			{Limit: "nginx/worker-connections", Workers: ptr(481), WorkersHard: ptr(511), Headroom: ptr(-519), Proof: "nginx-slots", Source: "/etc/nginx/nginx.conf:7", Measured: ptr(500)},
			{Limit: "tls/expiry", Proof: "unproven"},
		},
	}
	for i, n := range []int{250, 500, 750} {
		pass := n < 750
		l := reports.Level{
			Workers: n, Verdict: reports.VerdictPass, Held: reports.Held{Asked: n, Peak: n, Steady: n, HoldSeconds: 30},
			Rounds:        []reports.Round{{Number: 1, Workers: n, Seconds: float64(n) / 1500, Told: n}},
			FanoutSeconds: .12 * math.Pow(2.2, float64(i)),
			Resources:     []reports.Resource{{Process: "server", RSSPeakBytes: int64(20<<20 + n*17000), FDsPeak: n + 13, CPUSeconds: float64(n) / 300}},
			Thresholds:    []reports.Threshold{{Expr: "fanout.p99<500ms", Metric: "fanout.p99", Limit: .5, Unit: "s", Got: ptr(.12 * math.Pow(2.2, float64(i))), Pass: pass}},
		}
		if !pass {
			l.Verdict, l.Reasons = reports.VerdictFail, []string{"fanout.p99<500ms was missed: 581 ms"}
		}
		r.Levels = append(r.Levels, l)
	}
	var xs, rss, fds []float64
	for _, l := range r.Levels {
		xs = append(xs, float64(l.Workers))
		rss, fds = append(rss, float64(l.Resources[0].RSSPeakBytes+int64(l.Workers/250%2)<<20)), append(fds, float64(l.Resources[0].FDsPeak))
	}
	memory, _ := reports.FitSlope("server.rss", "B", xs, rss)
	files, _ := reports.FitSlope("server.fds", "", xs[:2], fds[:2])
	r.Slopes = []reports.Slope{memory, files}
	r.Plan = reports.Extrapolate(50000, r.Slopes)
	return r
}

func mergedSample() reports.Report {
	var shards []reports.Report
	for i := range 2 {
		r := roundsSample()
		r.Shard = &reports.Shard{Index: i + 1, Count: 2}
		r.Env.Hostname = fmt.Sprintf("gen-%c", 'a'+i)
		r.Env.Target = "https://fl.example.org"
		r.Env.Command = append(r.Env.Command, "--target", r.Env.Target, "--shard", fmt.Sprintf("%d/2", i+1))
		r.Env.Started = time.Date(2026, 3, 1, 12, 0, 7*i, 0, time.UTC).Format(time.RFC3339)
		r.Held.Asked, r.Held.Peak, r.Held.Steady = 500, 500, 500
		for j := range r.Rounds {
			r.Rounds[j].Workers, r.Rounds[j].Told = 500, 500
		}
		r.Resources = r.Resources[i:]
		shards = append(shards, r)
	}
	sum, err := reports.Merge(shards)
	if err != nil {
		panic(err)
	}
	return sum
}

func stormSample() reports.Report {
	r := holdSample()
	r.Env.Command = []string{"fltool", "simulate", "--workers", "5000", "--scenario", "storm"}
	r.Reasons = []string{"5000 workers of dc_federated's would have ended for good: nothing but a supervisor starts them again"}
	r.Scenario = &reports.Scenario{Name: "storm", Plan: "storm"}
	back := []reports.Moment{{Share: .5, Seconds: .31}, {Share: .9, Seconds: .9}, {Share: .99, Seconds: 2.2}, {Share: 1, Seconds: 4.1}}
	r.Drill = &reports.Drill{
		Policy: "resilient", Acts: []reports.Act{{Command: "cut all polls", At: 12, Seconds: .004, Lost: 5000, Workers: 5000, Recovered: back}},
		Cut: 5000, Workers: 5000, Requests: 5210, Failed: map[string]int{"refused": 180, "5xx": 30},
		ConnectsPeak: 4600, Connections: 5000, Ended: 5000, Recovered: back,
	}
	r.Thresholds = nil
	return r
}

func abandonSample() reports.Report {
	r := stormSample()
	r.Env.Command = []string{"fltool", "simulate", "--workers", "5000", "--scenario", "abandon"}
	r.Reasons = []string{"the server's descriptors rose from 5011 to 24015 over 100000 abandoned polls"}
	r.Scenario = &reports.Scenario{Name: "abandon", Plan: "abandon:after=1,times=20", Abandon: &reports.Abandon{
		Polls: 100000, Answered: 100000, Closed: 80996, ServerFDsBefore: ptr(5011), ServerFDsAfter: ptr(24015),
	}}
	r.Drill = &reports.Drill{Policy: "resilient", Acts: []reports.Act{{Command: "abandon all polls", At: 12, Seconds: 20.1}}, ConnectsPeak: 5000, Connections: 5000}
	return r
}

func flakySample() reports.Report {
	r := roundsSample()
	r.Env.Command = []string{"fltool", "simulate", "--workers", "1000", "--scenario", "flaky"}
	r.Scenario = &reports.Scenario{Name: "flaky", Plan: "flaky:delay=0.2,every=8000,silence=2", Flaky: &reports.Flaky{
		Connections: 3412, Delayed: 801, Cut: 790, Reset: 812, Silenced: 805, Workers: 1000, Served: 1000,
	}}
	r.Errors = []reports.ErrorClass{{Class: "reset", Count: 2200, Workers: 871, Example: "worker 2 (667d4394), model: connection closed without a whole answer"}}
	return r
}

func churnSample() reports.Report {
	r := roundsSample()
	r.Env.Command = []string{"fltool", "simulate", "--workers", "1000", "--scenario", "churn"}
	n := func(n int) *int { return &n }
	r.Scenario = &reports.Scenario{
		Name: "churn", Plan: "churn:away=10%,join=5/s,leave=3/s,vanish=2/s",
		Churn: &reports.Churn{
			Workers: 1000, Left: 26, Vanished: 17, Joined: 30, Back: 30, Away: 13,
			Shut: 26, Evicted: 6, Notified: 10, Held: 1, GhostsPeak: 3, Open: 11, ServerFDsBefore: n(11), ServerFDsAfter: n(11),
		},
		Cost: &reports.Cost{RoundsBefore: 3, SecondsBefore: 2.47, RoundsMeanwhile: 3, SecondsMeanwhile: 2.35},
	}
	return r
}

func hostileSample() reports.Report {
	r := roundsSample()
	r.Env.Command = []string{"fltool", "simulate", "--workers", "1000", "--scenario", "hostile"}
	r.Verdict, r.Reasons = reports.VerdictFail, []string{"1 hostile requests got through: 200 \"Update received for worker 03a107bf.\""}
	r.Scenario = &reports.Scenario{
		Name: "hostile", Plan: "hostile:connections=8,requests=10000",
		Hostile: &reports.Hostile{Kinds: []reports.HostileKind{
			{Name: "bomb", Refused: 98, Busy: 2},
			{Name: "forged poll", Refused: 9501, Cut: 8},
			{Name: "forged update", Refused: 390, Through: 1, Example: "200 \"Update received for worker 03a107bf.\""},
		}},
		Cost: &reports.Cost{RoundsBefore: 3, SecondsBefore: .39, RoundsMeanwhile: 3, SecondsMeanwhile: .62},
	}
	slower := .62 / .39
	r.Thresholds = []reports.Threshold{{Expr: "slowdown<2", Metric: "slowdown", Limit: 2, Unit: "×", Got: &slower, Pass: true}}
	return r
}

func slowSample() reports.Report {
	r := roundsSample()
	r.Env.Command = []string{"fltool", "simulate", "--workers", "1000", "--scenario", "slow"}
	r.Scenario = &reports.Scenario{
		Name: "slow", Plan: "slow:clients=20,rate=10",
		Slow: &reports.Slow{Kinds: []reports.SlowKind{
			{Name: "download", Open: 20},
			{Name: "head", Ended: 40, Open: 20, Example: "connection closed without a whole answer"},
			{Name: "upload", Ended: 3, Finished: 1, Open: 20, Example: "answered HTTP/1.1 408 Request Timeout"},
		}},
		Cost: &reports.Cost{RoundsBefore: 3, SecondsBefore: .39, RoundsMeanwhile: 3, SecondsMeanwhile: .41},
	}
	return r
}
