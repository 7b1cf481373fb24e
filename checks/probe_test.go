package checks

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// tunedProbe is what a deployment answers where all is well.
func tunedProbe() *facts.Probe {
	return &facts.Probe{
		URL: "https://fl.example.org", At: "2027-01-01T00:00:00Z", Requests: 20,
		IPv4: is([]facts.Endpoint{{Address: "192.0.2.1:443", Open: true}}),
		IPv6: is([]facts.Endpoint{{Address: "[2001:db8::1]:443", Open: true}}),
		TLS: is(&facts.TLS{Version: "TLS 1.3", Protocol: "h2", Trusted: true, Chain: []facts.Cert{
			{Subject: "CN=fl.example.org", NotAfter: "2027-03-01T00:00:00Z"}, {Subject: "CN=R1", NotAfter: "2029-01-01T00:00:00Z"},
		}}),
		Alive:     is(facts.Answer{Status: 200, Text: "Invalid Worker", Server: "nginx", Seconds: 0.02}),
		KeepAlive: is(facts.KeepAlive{Proto: "HTTP/1.1", Reused: true}),
		Buffering: is(false),
		Admin:     is(facts.Answer{Status: 401}),
		Plain:     is(&facts.PortAnswer{Address: "192.0.2.1:80", Open: true, Answer: &facts.Answer{Status: 301, Location: "https://fl.example.org/"}}),
		Upstream:  is(&facts.PortAnswer{Address: "192.0.2.1:5000", Err: "connection refused"}),
		Body:      is(&facts.BodyLimit{Accepted: 64e6}),
		Hold:      is(&facts.Hold{Asked: 3600, Seconds: 3600, End: facts.EndHeld}),
		Held:      is(&facts.HeldWorkers{Asked: 1000, Peak: 1000, Steady: 1000, Seconds: 30}),
	}
}

// probeCases are those of cases that are about the probe.
var probeCases = map[string]struct {
	pass, fail, unknown, na change
	never                   string
	workers                 int
}{
	"probe/reachable": {
		fail: func(f *facts.Facts) {
			f.Probe.V.IPv6.V[0] = facts.Endpoint{Address: "[2001:db8::1]:443", Err: "connection refused"}
		},
		unknown: func(f *facts.Facts) { f.Probe.V.IPv6 = no[[]facts.Endpoint]() },
		never:   "every URL has a host", workers: -1,
	},
	"probe/tls": {
		fail: func(f *facts.Facts) {
			f.Probe.V.TLS.V.Trusted, f.Probe.V.TLS.V.Why = false, "x509: certificate has expired"
		},
		unknown: func(f *facts.Facts) { f.Probe.V.TLS = no[*facts.TLS]() },
		na:      plainHTTP, workers: -1,
	},
	"probe/tls-expiry": {
		fail:    func(f *facts.Facts) { f.Probe.V.TLS.V.Chain[1].NotAfter = "2027-01-20T00:00:00Z" },
		unknown: func(f *facts.Facts) { f.Probe.V.TLS.V.Chain = nil },
		na:      plainHTTP, workers: -1,
	},
	"probe/plain-http": {
		fail: func(f *facts.Facts) {
			f.Probe.V.Plain.V.Answer = &facts.Answer{Status: 200, Text: "Invalid Worker"}
		},
		unknown: func(f *facts.Facts) { f.Probe.V.Plain.V.Answer = nil },
		na:      func(f *facts.Facts) { f.Probe.V.Plain.V = nil }, workers: -1,
	},
	"probe/upstream-alive": {
		fail:    func(f *facts.Facts) { f.Probe.V.Alive.V = facts.Answer{Status: 502, Server: "nginx"} },
		unknown: func(f *facts.Facts) { f.Probe.V.Alive = no[facts.Answer]() },
		never:   "every URL is asked", workers: -1,
	},
	"probe/keep-alive": {
		fail: func(f *facts.Facts) {
			f.Probe.V.KeepAlive.V = facts.KeepAlive{Proto: "HTTP/1.1", Why: "the answer says Connection: close"}
		},
		unknown: func(f *facts.Facts) { f.Probe.V.KeepAlive = no[facts.KeepAlive]() },
		never:   "every URL is asked", workers: -1,
	},
	"probe/buffering": {
		fail:    func(f *facts.Facts) { f.Probe.V.Buffering.V = true },
		unknown: func(f *facts.Facts) { f.Probe.V.Buffering = no[bool]() },
		never:   "every URL is asked", workers: -1,
	},
	"probe/admin-exposed": {
		fail:    func(f *facts.Facts) { f.Probe.V.Admin.V = facts.Answer{Status: 200} },
		unknown: func(f *facts.Facts) { f.Probe.V.Admin.V = facts.Answer{Status: 500} },
		never:   "every URL is asked", workers: -1,
	},
	"probe/upstream-exposed": {
		fail: func(f *facts.Facts) {
			f.Probe.V.Upstream.V = &facts.PortAnswer{Address: "192.0.2.1:5000", Open: true, Err: "no answer in time"}
		},
		unknown: func(f *facts.Facts) { f.Probe.V.Upstream = no[*facts.PortAnswer]() },
		na:      func(f *facts.Facts) { f.Probe.V.Upstream.V = nil }, workers: -1,
	},
	"probe/body-limit": {
		fail: func(f *facts.Facts) {
			f.Probe.V.Body.V = &facts.BodyLimit{Accepted: 1 << 20, Refused: 1<<20 + 1, Status: 413, Server: "nginx"}
		},
		unknown: func(f *facts.Facts) { f.Probe.V.Body.V.Accepted = 1e6 },
		na:      func(f *facts.Facts) { f.Probe.V.Body.V = nil }, workers: -1,
	},
	"probe/longest-hold": {
		fail: func(f *facts.Facts) {
			f.Probe.V.Hold.V = &facts.Hold{Asked: 3600, Seconds: 60.1, End: facts.EndStatus, Status: 504, Server: "nginx"}
		},
		unknown: func(f *facts.Facts) { f.Probe.V.Hold.V.Seconds = 600 },
		na:      func(f *facts.Facts) { f.Probe.V.Hold.V = nil }, workers: -1,
	},
	"probe/held": {
		fail:    func(f *facts.Facts) { f.Probe.V.Held.V.Steady, f.Probe.V.Held.V.Peak = 240, 255 },
		unknown: func(f *facts.Facts) { f.Probe.V.Held.V.Refused = "requests were sent late" },
		na:      func(f *facts.Facts) { f.Probe.V.Held.V = nil }, workers: 240,
	},
}

func init() { maps.Copy(cases, probeCases) }

func plainHTTP(f *facts.Facts) {
	f.Probe.V.URL, f.Probe.V.TLS.V, f.Probe.V.Plain.V = "http://fl.example.org", nil, nil
}

// asked judges a probe alone.
func asked(p facts.Probe, d reports.Demand) (map[string]reports.Finding, reports.Capacity) {
	out := make(map[string]reports.Finding)
	findings, capacity := Run(Deployment{Outside: &facts.Facts{Probe: is(&p)}}, d, nil, time.Time{})
	for _, f := range findings {
		out[f.Check] = f
	}
	return out, capacity
}

// A probe without hosts is judged by itself, and hosts without a probe are not
// asked for one.
func TestProbeAlone(t *testing.T) {
	found, capacity := asked(*tunedProbe(), demand)
	if want := len(probeChecks) + len(probeAnswerChecks) + len(probeHoldChecks); len(found) != want {
		t.Errorf("%d findings, want %d", len(found), want)
	}
	for id, f := range found {
		if f.Status != reports.StatusPass {
			t.Errorf("%s: %s %s%s", id, f.Status, f.Got, f.Reason)
		}
	}
	if len(capacity.Ledger) != 0 {
		t.Errorf("ledger %+v", capacity.Ledger)
	}
	f := tuned()
	f.Probe.V = nil
	findings, _ := Run(OneHost(f), demand, nil, time.Time{})
	for _, f := range findings {
		if strings.HasPrefix(f.Check, "probe/") {
			t.Errorf("%s without a probe: %s", f.Check, f.Status)
		}
	}
}

// The statuses behind which a dead server hides, and what may stand before it.
func TestUpstreamAliveTells(t *testing.T) {
	for _, c := range []struct {
		answer facts.Answer
		remedy string
	}{
		{facts.Answer{Status: 502}, "gets no connection"},
		{facts.Answer{Status: 503}, "refuses by itself"},
		{facts.Answer{Status: 504}, "did not answer in time"},
		{facts.Answer{Status: 301, Location: "https://fl.example.org/"}, "https://fl.example.org/"},
		{facts.Answer{Status: 404}, "sends this path elsewhere"},
		{facts.Answer{Status: 200, Text: "Welcome to nginx!"}, "look what listens"},
	} {
		p := tunedProbe()
		p.Alive.V = c.answer
		found, _ := asked(*p, demand)
		if f := found["probe/upstream-alive"]; f.Status != reports.StatusFail || !strings.Contains(f.Remedy.Text, c.remedy) {
			t.Errorf("%+v: %s, %q", c.answer, f.Status, f.Remedy.Text)
		}
	}
}

func TestLongestHoldNamesTheHop(t *testing.T) {
	const want = 1800
	for _, c := range []struct {
		hold   facts.Hold
		status reports.Status
		says   string // in what was seen, or the reason
		not    string
	}{
		{hold: facts.Hold{Seconds: 60.02, End: facts.EndStatus, Status: 504, Server: "nginx/1.22.1"}, status: reports.StatusFail, says: "looks like nginx's proxy_read_timeout of 60 s"},
		{hold: facts.Hold{Seconds: 600.4, End: facts.EndStatus, Status: 504, Server: "nginx"}, status: reports.StatusFail, says: "proxy_read_timeout of 600 s"},
		{hold: facts.Hold{Seconds: 60.3, End: facts.EndStatus, Status: 504, Server: "awselb/2.0"}, status: reports.StatusFail, says: "AWS application load balancer"},
		{hold: facts.Hold{Seconds: 30.1, End: facts.EndClosed}, status: reports.StatusFail, says: "gunicorn"},
		{hold: facts.Hold{Seconds: 100.2, End: facts.EndStatus, Status: 524, Server: "cloudflare"}, status: reports.StatusFail, says: "Cloudflare"},
		{hold: facts.Hold{Seconds: 240, End: facts.EndReset}, status: reports.StatusFail, says: "Azure"},
		{hold: facts.Hold{Seconds: 350.9, End: facts.EndReset}, status: reports.StatusFail, says: "350 s"},
		{hold: facts.Hold{Seconds: 15.01, End: facts.EndStatus, Status: 504, Server: "envoy"}, status: reports.StatusFail, says: "looks like Envoy's timeout of a route"},
		{hold: facts.Hold{Seconds: 50.03, End: facts.EndStatus, Status: 504}, status: reports.StatusFail, says: "looks like HAProxy's timeout server"},
		{hold: facts.Hold{Seconds: 17, End: facts.EndReset}, status: reports.StatusFail, says: "reset after 17s", not: "looks like"},
		{hold: facts.Hold{Seconds: 60, End: facts.EndSilence}, status: reports.StatusFail, says: "dead without a word", not: "looks like"},
		{hold: facts.Hold{Seconds: 2000, End: facts.EndSilence}, status: reports.StatusFail, says: "at some time"},
		{hold: facts.Hold{Seconds: 2000, End: facts.EndReset}, status: reports.StatusPass, says: "reset after 33m20s"},
		{hold: facts.Hold{Seconds: 600, End: facts.EndHeld}, status: reports.StatusUnknown, says: "--probe-hold 30m"},
		{hold: facts.Hold{Seconds: 3, End: facts.EndAnswer, Text: "New request for global model"}, status: reports.StatusUnknown, says: "key of its own"},
		{hold: facts.Hold{Seconds: 3, End: facts.EndAnswer, Text: "Global model has been updated"}, status: reports.StatusUnknown, says: "between rounds"},
	} {
		p := tunedProbe()
		p.Hold.V = &c.hold
		found, _ := asked(*p, reports.Demand{Workers: 10, HoldSeconds: want, ModelBytes: 1e6})
		f := found["probe/longest-hold"]
		text := f.Got + f.Reason
		if f.Status != c.status || !strings.Contains(text, c.says) || c.not != "" && strings.Contains(text, c.not) {
			t.Errorf("%+v: %s, %q", c.hold, f.Status, text)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	for _, c := range []struct {
		body   facts.BodyLimit
		model  int64
		status reports.Status
		says   string
	}{
		{facts.BodyLimit{Accepted: 64e6}, 20e6, reports.StatusPass, "64 MB comes through"},
		{facts.BodyLimit{Accepted: 64e6}, 100e6, reports.StatusUnknown, "--probe-body-max"},
		{facts.BodyLimit{Accepted: 20e6, Refused: 21e6, Status: 413, Server: "nginx"}, 13e6, reports.StatusPass, "21 MB does not"},
		{facts.BodyLimit{Accepted: 1e6, Refused: 1.1e6, Status: 413, Server: "nginx"}, 13e6, reports.StatusFail, "HTTP 413 by nginx"},
		{facts.BodyLimit{Refused: 2e3}, 13e6, reports.StatusFail, "cut"},
		{facts.BodyLimit{Accepted: 5e6, Stopped: "an update of 20 MB: HTTP 403"}, 13e6, reports.StatusUnknown, "HTTP 403"},
		{facts.BodyLimit{Accepted: 5e6, Refused: 50e6}, 13e6, reports.StatusUnknown, ""},
	} {
		p := tunedProbe()
		p.Body.V = &c.body
		found, _ := asked(*p, reports.Demand{Workers: 10, ModelBytes: c.model})
		if f := found["probe/body-limit"]; f.Status != c.status || !strings.Contains(f.Got+f.Reason, c.says) {
			t.Errorf("%+v for %d: %s, %q", c.body, c.model, f.Status, f.Got+f.Reason)
		}
	}
}

// Over loopback nothing is told of the world.
func TestLoopbackIsNoWorld(t *testing.T) {
	p := tunedProbe()
	p.URL, p.Loopback, p.TLS.V, p.Plain.V = "http://127.0.0.1:8080", true, nil, nil
	p.Upstream.V = &facts.PortAnswer{Open: true}
	found, _ := asked(*p, demand)
	for id, want := range map[string]reports.Status{
		"probe/plain-http": reports.StatusNA, "probe/upstream-exposed": reports.StatusNA, "probe/admin-exposed": reports.StatusPass,
	} {
		if f := found[id]; f.Status != want {
			t.Errorf("%s: %s, %s", id, f.Status, f.Got)
		}
	}
}

// What a run held stands beside what was predicted, and counts.
func TestMeasuredBesidePredicted(t *testing.T) {
	row := func(k reports.Capacity, id string) *reports.Row {
		if i := slices.IndexFunc(k.Ledger, func(r reports.Row) bool { return r.Limit == id }); i >= 0 {
			return &k.Ledger[i]
		}
		return nil
	}
	f := tuned()
	_, k := Run(OneHost(f), demand, nil, time.Time{})
	if r := row(k, "app/worker-connections"); r == nil || r.Measured == nil || *r.Measured != 1000 || k.Workers != 2016 {
		t.Errorf("all held: %+v, capacity %d", r, k.Workers)
	}
	f.Probe.V.Held.V = &facts.HeldWorkers{Asked: 1000, Peak: 600, Steady: 590}
	_, k = Run(OneHost(f), demand, nil, time.Time{})
	if r := row(k, "probe/held"); r == nil || r.Measured == nil || *r.Measured != 590 || *r.WorkersHard != 600 || k.Workers != 590 || k.Limit != "probe/held" {
		t.Errorf("not all held: %+v, capacity %d by %s", r, k.Workers, k.Limit)
	}
	if r := row(k, "app/worker-connections"); r.Measured == nil || *r.Measured != 590 {
		t.Errorf("the predicted one: %+v", r)
	}
	f.Probe.V.Held.V.Refused = "the generator was too slow"
	_, k = Run(OneHost(f), demand, nil, time.Time{})
	for _, r := range k.Ledger {
		if r.Measured != nil {
			t.Errorf("a refused run is a measurement of %s", r.Limit)
		}
	}
}

// What the probe met is the consequence of what a host's config says, if that is
// what was met; a limit that lies elsewhere stands by itself.
func TestProbeAndConfigAreOneFault(t *testing.T) {
	hold := func(seconds float64, status int) change {
		return func(f *facts.Facts) {
			f.Probe.V.Hold.V = &facts.Hold{Asked: 3600, Seconds: seconds, End: facts.EndStatus, Status: status, Server: "nginx"}
		}
	}
	body := func(accepted, refused int64) change {
		return func(f *facts.Facts) {
			f.Probe.V.Body.V = &facts.BodyLimit{Accepted: accepted, Refused: refused, Status: 413, Server: "nginx/1.22.1"}
		}
	}
	for _, c := range []struct {
		name    string
		config  change
		seen    change
		check   string
		because string
	}{
		{"nginx's timeout", edit("proxy_read_timeout 2h", "proxy_read_timeout 90s"), hold(90.2, 504), "probe/longest-hold", "nginx/proxy-read-timeout"},
		{"another hop cuts sooner", edit("proxy_read_timeout 2h", "proxy_read_timeout 90s"), hold(30.2, 504), "probe/longest-hold", ""},
		{"the same time, and not nginx", edit("proxy_read_timeout 2h", "proxy_read_timeout 90s"), hold(90.2, 502), "probe/longest-hold", ""},
		{"the load balancer's", func(f *facts.Facts) { f.Asked.Balancers = []string{"aws-alb"} }, hold(60.1, 504), "probe/longest-hold", "lb/idle-timeout"},
		{"not the load balancer's", func(f *facts.Facts) { f.Asked.Balancers = []string{"aws-alb"} }, hold(30, 504), "probe/longest-hold", ""},
		{"silence", func(f *facts.Facts) { f.Asked.Balancers = []string{"azure-lb"} },
			func(f *facts.Facts) { f.Probe.V.Hold.V = &facts.Hold{Asked: 600, Seconds: 600, End: facts.EndSilence} }, "probe/longest-hold", "lb/idle-timeout"},
		{"gunicorn's", func(f *facts.Facts) { set(f, "worker_class", "sync"); set(f, "timeout", "30") }, hold(31, 502), "probe/longest-hold", "app/timeout"},
		{"nginx's body limit", edit("client_max_body_size 32m", "client_max_body_size 10m"), body(10_000_000, 11_000_000), "probe/body-limit", "nginx/client-max-body-size"},
		{"a smaller one of another nginx", edit("client_max_body_size 32m", "client_max_body_size 10m"), body(1_000_000, 1_100_000), "probe/body-limit", ""},
		{"the open admin route", edit("deny all", "allow all"),
			func(f *facts.Facts) { f.Probe.V.Admin.V = facts.Answer{Status: 200} }, "probe/admin-exposed", "nginx/admin-exposed"},
		{"the certificate's end", certificate(func(c *facts.Certificate) { c.NotAfter = "2027-01-01T00:00:00Z" }),
			func(f *facts.Facts) { f.Probe.V.TLS.V.Trusted, f.Probe.V.TLS.V.Why = false, "expired" }, "probe/tls", "tls/valid"},
	} {
		f := tuned()
		c.config(&f)
		c.seen(&f)
		findings, _ := Run(OneHost(f), demand, nil, time.Time{})
		i := slices.IndexFunc(findings, func(f reports.Finding) bool { return f.Check == c.check })
		if g := findings[i]; !bad(g) || g.Because != c.because {
			t.Errorf("%s: %s is %s because of %q, want %q", c.name, c.check, g.Status, g.Because, c.because)
		}
	}
}
