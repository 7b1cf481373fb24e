package checks

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

var probeAnswerChecks = []Check{
	{
		ID: "probe/upstream-alive", Title: "the server answers behind the URL", Severity: reports.SeverityError, On: OnURL,
		After: []string{"probe/reachable", "probe/tls", "nginx/route", "app/found"},
		Reads: []string{"GET /challenge_phrase/fltool-probe, which every server answers with Invalid Worker"},
		Why: `A proxy answers for a server that is gone, and its status says how it is gone. 502: the server takes no
connection, or drops it. 503: the proxy itself refuses, for want of a healthy server or by a limit. 504: the server took
the request and did not answer in time. dc_federated's workers take each of them for the end of a poll and ask again at
once, without a pause.`,
		Symptom: "workers spin: thousands of requests a second, each answered 502, 503 or 504",
		Mend:    "502: start the server, or fix proxy_pass. 503: look at limit_req, limit_conn and the load balancer's health checks. 504: see what the server does; py-spy dump shows it.",
		Eval:    evalUpstreamAlive,
	},
	{
		ID: "probe/keep-alive", Title: "a connection serves more than one request", Severity: reports.SeverityWarn, On: OnURL,
		After: []string{"probe/upstream-alive", "nginx/keepalive-timeout"},
		Reads: []string{"two requests over one connection"},
		Why: `A worker sends five requests a round. Without keep-alive each is a new connection, with TLS a new
handshake, and one more port in TIME_WAIT.`,
		Symptom: "rounds are slow and the proxy's CPU is busy with handshakes",
		Mend:    "Set keepalive_timeout above 0 in nginx, 75s for instance, and keepalive_requests not to 1.",
		Eval:    evalProbeKeepAlive,
	},
	{
		ID: "probe/buffering", Title: "requests stream through to the server", Severity: reports.SeverityInfo, On: OnURL,
		After: []string{"probe/upstream-alive"},
		Reads: []string{"a request whose body stops after its first byte: whether the answer waits for the rest"},
		Why: `nginx collects a request before it sends it on (proxy_request_buffering, on by default). That spares the
server slow clients; it costs a temporary file and a descriptor for each update that is larger than
client_body_buffer_size, so disk for all workers' updates at once. Whether answers are collected can't be told from
outside, since no route of the server answers in parts.`,
		Symptom: "client_body_temp fills the disk when all workers upload at once; then 500",
		Mend:    "Give the proxy disk for every worker's update, or set proxy_request_buffering off where workers have fast links.",
		Eval:    evalBuffering,
	},
	{
		ID: "probe/admin-exposed", Title: "the list of workers is not open to the world", Severity: reports.SeverityError, On: OnURL,
		After: []string{"probe/upstream-alive", "nginx/admin-exposed"},
		Reads: []string{"GET /workers without a password"},
		Why: `/workers lists all workers' keys and lets them be added and removed. It is behind a password at best,
which is sent in clear over plain http.`,
		Symptom: "somebody adds a worker of his own, or removes yours",
		Mend:    "Close the location at the proxy to all but the admin's addresses (allow, deny), and set DCF_SERVER_ADMIN_USERNAME and DCF_SERVER_ADMIN_PASSWORD.",
		Eval:    evalProbeAdmin,
	},
	{
		ID: "probe/upstream-exposed", Title: "the server's own port is closed to the world", Severity: reports.SeverityError, On: OnURL,
		After: []string{"probe/reachable", "nginx/upstream-exposed"},
		Reads: []string{"a connection to the URL's host at --upstream-port"},
		Why: `Who reaches the server past the proxy meets none of its limits, no TLS and no closed /workers, and takes
connections that the proxy knows nothing of.`,
		Symptom: "requests in the server's log that are in none of the proxy's",
		Mend:    "Let the server listen on 127.0.0.1 or a unix socket, or close the port by a firewall.",
		Eval:    evalProbeUpstream,
	},
	{
		ID: "probe/body-limit", Title: "an update as large as the model comes through", Severity: reports.SeverityError, On: OnURL,
		After: []string{"probe/upstream-alive", "nginx/client-max-body-size"},
		Reads: []string{"updates of growing size that every server must refuse: bytes that are no zlib stream, signed by nobody"},
		Why: `Each hop has a limit of its own: nginx 1 MB by default (client_max_body_size), Cloudflare 100 MB on most
plans, the server its own. Only what comes through all of them counts. An update of random bytes does not shrink by
zlib, so the model's whole size is wanted.`,
		Symptom: "413 Request Entity Too Large after every training; the round never ends",
		Mend:    "Raise client_max_body_size at the proxy to more than the update, and the server's own limit with it (fltool serve --max-update-size).",
		Eval:    evalBodyLimit,
	},
}

// isServerAnswer says whether an answer to the probe's question is a server's.
func isServerAnswer(a facts.Answer) bool {
	return a.Status == http.StatusOK && a.Text == "Invalid Worker"
}

// says is an answer in a few words.
func says(a facts.Answer) string {
	s := fmt.Sprintf("HTTP %d", a.Status)
	if a.Server != "" {
		s += " by " + a.Server
	}
	return s
}

var evalUpstreamAlive = probed(func(p *facts.Probe) facts.Value[facts.Answer] { return p.Alive }, func(_ Case, v facts.Value[facts.Answer]) Judgement {
	a := v.V
	var r string
	switch {
	case isServerAnswer(a):
		return pass(fmt.Sprintf("it answers in %.0f ms", a.Seconds*1000), v.Source)
	case a.Status == http.StatusBadGateway:
		r = "the proxy gets no connection to the server: start the server, or fix proxy_pass"
	case a.Status == http.StatusServiceUnavailable:
		r = "the proxy or load balancer refuses by itself: no healthy server (health checks), or a limit (limit_req, limit_conn), or maintenance"
	case a.Status == http.StatusGatewayTimeout:
		r = "the server took the request and did not answer in time: it hangs, or its accept queue is full"
	case a.Status >= 300 && a.Status < 400:
		r = "give the URL that it leads to: " + a.Location
	case a.Status == http.StatusNotFound:
		r = "the proxy sends this path elsewhere: fix its location blocks, or give the URL of the server"
	default:
		r = "something in front of the server answers, or it is none of dc_federated's: look what listens there"
	}
	return fail(says(a), "HTTP 200, Invalid Worker", v.Source, reports.Remedy{Text: r})
})

var evalProbeKeepAlive = probed(func(p *facts.Probe) facts.Value[facts.KeepAlive] { return p.KeepAlive }, func(_ Case, v facts.Value[facts.KeepAlive]) Judgement {
	if !v.V.Reused {
		return fail(v.V.Why, "two requests over one connection", v.Source, reports.Remedy{Text: "set keepalive_timeout 75s; in nginx", Then: "reload"})
	}
	return pass(v.V.Proto+", kept", v.Source)
})

var evalBuffering = probed(func(p *facts.Probe) facts.Value[bool] { return p.Buffering }, func(c Case, v facts.Value[bool]) Judgement {
	if v.V {
		return fail("something before the server collects whole requests",
			fmt.Sprintf("%s of disk at the proxy for %s at once, or streaming", facts.Bytes(int64(c.Demand.Workers)*BodyBytes(c.Demand.ModelBytes)), count(c.Demand.Workers, "update", "updates")),
			v.Source, reports.Remedy{Text: "see that the disk of client_body_temp_path has that room, or set proxy_request_buffering off"})
	}
	return pass("the server answers before a request is whole", v.Source)
})

var evalProbeAdmin = probed(func(p *facts.Probe) facts.Value[facts.Answer] { return p.Admin }, func(c Case, v facts.Value[facts.Answer]) Judgement {
	p, a := c.Probe.V, v.V
	closed := reports.Remedy{Text: "close it at the proxy: location /workers { allow 10.0.0.0/8; deny all; proxy_pass …; }", Then: "reload"}
	switch {
	case a.Status == http.StatusOK:
		return fail("/workers answers without a password", "401, 403 or 404", v.Source, closed)
	case a.Status == http.StatusUnauthorized && strings.HasPrefix(p.URL, "http:") && !p.Loopback:
		return fail("/workers asks for a password over plain http", "https, or closed", v.Source, closed)
	case a.Status == http.StatusUnauthorized:
		return pass("/workers asks for a password", v.Source)
	case a.Status == http.StatusForbidden || a.Status == http.StatusNotFound:
		return pass(fmt.Sprintf("HTTP %d: closed", a.Status), v.Source)
	case a.Status >= 300 && a.Status < 400:
		return pass(fmt.Sprintf("HTTP %d: it leads elsewhere", a.Status), v.Source)
	}
	return unknownFor("/workers answers %s", says(a))
})

var evalProbeUpstream = probed(func(p *facts.Probe) facts.Value[*facts.PortAnswer] { return p.Upstream }, func(c Case, v facts.Value[*facts.PortAnswer]) Judgement {
	a := v.V
	switch {
	case a == nil:
		return notApplicable("no --upstream-port was asked")
	case c.Probe.V.Loopback:
		return notApplicable("asked over loopback, which tells nothing of the world")
	case !a.Open:
		return pass(fmt.Sprintf("%s: %s", a.Address, a.Err), v.Source)
	}
	got := a.Address + " takes connections"
	if a.Answer != nil && isServerAnswer(*a.Answer) {
		got = "the server answers at " + a.Address
	}
	return fail(got, "no connection from outside", v.Source,
		reports.Remedy{Text: "let the server listen on 127.0.0.1 or a unix socket, or close the port by a firewall", Then: "restart"})
})

var evalBodyLimit = probed(func(p *facts.Probe) facts.Value[*facts.BodyLimit] { return p.Body }, func(c Case, v facts.Value[*facts.BodyLimit]) Judgement {
	b := v.V
	if b == nil {
		return notApplicable("not asked (--probe-body-max 0)")
	}
	need := BodyBytes(c.Demand.ModelBytes)
	want := fmt.Sprintf("%s: a model of %s, its zlib stream and form", facts.Bytes(need), facts.Bytes(c.Demand.ModelBytes))
	switch {
	case b.Refused > 0 && b.Refused <= need:
		how := "the connection was cut"
		if b.Status != 0 {
			how = says(facts.Answer{Status: b.Status, Server: b.Server})
		}
		got := fmt.Sprintf("%s is refused (%s)", facts.Bytes(b.Refused), how)
		if b.Accepted > 0 {
			got += fmt.Sprintf("; %s comes through", facts.Bytes(b.Accepted))
		}
		r := reports.Remedy{Text: "raise the body limit of the hop that refuses; the server's own is --max-update-size of fltool serve"}
		if strings.HasPrefix(b.Server, "nginx") {
			r = reports.Remedy{Text: fmt.Sprintf("write client_max_body_size %dm; in nginx", (need+need/4)>>20+1), Then: "reload"}
		}
		o := fail(got, want, v.Source, r)
		if !c.Deployment.refuses(*b) {
			o.RuledOut = []string{"nginx/client-max-body-size"}
		}
		return o
	case b.Accepted >= need:
		got := fmt.Sprintf("%s comes through", facts.Bytes(b.Accepted))
		if b.Refused > 0 {
			got += fmt.Sprintf(", %s does not", facts.Bytes(b.Refused))
		}
		o := pass(got, v.Source)
		o.Want = want
		return o
	case b.Stopped != "":
		return unknownFor("%s", b.Stopped)
	}
	return unknownFor("no larger one than %s was tried; wanted is %s: raise --probe-body-max", facts.Bytes(b.Accepted), want)
})

// refuses says whether nginx's client_max_body_size is where the bodies were refused.
func (d Deployment) refuses(b facts.BodyLimit) bool {
	if b.Status != http.StatusRequestEntityTooLarge || !strings.HasPrefix(b.Server, "nginx") {
		return false
	}
	return slices.ContainsFunc(d.nginxAt(facts.RouteUpdate), func(at *facts.Location) bool {
		v := at.ClientMaxBodySize
		return v.Known() && v.V > 0 && b.Accepted <= v.V && v.V < b.Refused
	})
}
