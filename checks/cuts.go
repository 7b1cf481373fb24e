package checks

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// A usualCut is an idle timeout that somebody ships as a default, and how a held poll
// ends by it. It is a likeness: nearly every one of them can be set.
type usualCut struct {
	least, most time.Duration // between which it is seen; a second late is usual
	by          maker
	name        string
	status      []int  // of the answer that ends the poll; 0: it is cut without one
	source      string // where the default was read
}

// A maker is who ships a hop, as marks know him; "": he leaves none.
type maker string

// usualCuts by time.
var usualCuts = []usualCut{
	{15 * time.Second, 16500 * time.Millisecond, "envoy", "Envoy's timeout of a route (15 s)", []int{504}, "Envoy's documentation of timeouts"},
	{15 * time.Second, 16500 * time.Millisecond, "fastly", "Fastly's first_byte_timeout (15 s)", []int{503}, "Fastly's documentation of bereq.first_byte_timeout"},
	{15 * time.Second, 16500 * time.Millisecond, "google", "an API gateway of Google (15 s)", []int{504}, "Google's documentation of x-google-backend"},
	{20 * time.Second, 22 * time.Second, "azure", "an Azure application gateway (20 s)", []int{502, 504}, "Azure's documentation of application gateway's backend settings"},
	{20 * time.Second, 22 * time.Second, "akamai", "Akamai's first-byte timeout (20 s)", []int{504}, "Akamai's documentation of the behaviour readTimeout"},
	{29 * time.Second, 30500 * time.Millisecond, "aws-api-gateway", "an API gateway of AWS (29 s)", []int{504}, "AWS's documentation of quotas of API Gateway"},
	{30 * time.Second, 32 * time.Second, "google", "a Google Cloud HTTP(S) load balancer (30 s)", []int{502, 504}, "Google's documentation of backend services"},
	{30 * time.Second, 32 * time.Second, "heroku", "Heroku's router (30 s to the first byte)", []int{503}, "Heroku's documentation of its router"},
	{29 * time.Second, 32 * time.Second, "gunicorn", "gunicorn's timeout with sync workers (30 s)", []int{0}, "gunicorn's documentation of settings"},
	{50 * time.Second, 52 * time.Second, "haproxy", "HAProxy's timeout server as it is packaged (50 s)", []int{504}, "haproxy.cfg of Debian's package"},
	{55 * time.Second, 57 * time.Second, "heroku", "Heroku's router (55 s between bytes)", []int{0}, "Heroku's documentation of its router"},
	{59 * time.Second, 63 * time.Second, "nginx", "nginx's proxy_read_timeout (60 s unless set)", []int{504}, "nginx's documentation"},
	{59 * time.Second, 63 * time.Second, "apache", "Apache's ProxyTimeout (60 s)", []int{502, 504}, "Apache's documentation"},
	{59 * time.Second, 63 * time.Second, "aws-alb", "an AWS application load balancer (60 s)", []int{504}, "AWS's documentation of application load balancers"},
	{59 * time.Second, 63 * time.Second, "traefik", "Traefik's readTimeout (60 s)", []int{499, 502, 504}, "Traefik's notes of migration"},
	{99 * time.Second, 125 * time.Second, "cloudflare", "Cloudflare (100 to 120 s)", []int{524}, "Cloudflare's documentation of error 524"},
	{119 * time.Second, 123 * time.Second, "akamai", "Akamai's read timeout as it was once (120 s)", []int{504}, "Akamai's documentation of the behaviour readTimeout"},
	{238 * time.Second, 246 * time.Second, "", "an Azure load balancer (4 minutes)", []int{0}, "Azure's documentation of load balancers"},
	{269 * time.Second, 275 * time.Second, "", "Cloudflare's Zero Trust gateway (270 s of TCP without data, which keep-alive does not help) or a mobile network's NAT", []int{0},
		"Cloudflare's documentation of Zero Trust: troubleshooting; reports of users"},
	{299 * time.Second, 304 * time.Second, "envoy", "Envoy's stream_idle_timeout (300 s)", []int{408, 504}, "Envoy's documentation of timeouts"},
	{299 * time.Second, 304 * time.Second, "google", "Google's Cloud Run (300 s)", []int{504}, "Google's documentation of Cloud Run"},
	{348 * time.Second, 356 * time.Second, "", "an AWS network load balancer, NAT gateway or firewall (350 s)", []int{0}, "AWS's documentation of network load balancers"},
	{599 * time.Second, 604 * time.Second, "", "nginx's proxy_timeout of a stream (10 minutes)", []int{0}, "nginx's documentation"},
	{899 * time.Second, 905 * time.Second, "", "kube-proxy or Docker Swarm by IPVS (900 s)", []int{0}, "Linux's IPVS: net/netfilter/ipvs/ip_vs_proto_tcp.c"},
	{1195 * time.Second, 1210 * time.Second, "", "Google's Cloud NAT (1200 s)", []int{0}, "Google's documentation of Cloud NAT"},
}

// A mark is how an answer tells who made it.
type mark struct {
	server, via, text string // the header Server's start, a part of the header Via, the body's start
	status            int    // of an answer of its own to what it waited for too long; 0: any
	by                maker
	name              string
	// passes is set where the mark is put on the answers of hops behind, too: then it
	// tells who is on the way, and no more.
	passes bool
}

var marks = []mark{
	{text: "upstream request timeout", by: "envoy", name: "Envoy's timeout of a route"},
	{text: "stream timeout", by: "envoy", name: "Envoy's stream_idle_timeout"},
	{server: "nginx", status: 504, by: "nginx", name: "nginx's proxy_read_timeout"},
	{server: "openresty", status: 504, by: "nginx", name: "nginx's proxy_read_timeout"},
	{server: "awselb", status: 504, by: "aws-alb", name: "an AWS application load balancer"},
	{server: "Apache", by: "apache", name: "Apache's ProxyTimeout"},
	{server: "Microsoft-Azure-Application-Gateway", by: "azure", name: "an Azure application gateway"},
	{server: "AkamaiGHost", by: "akamai", name: "Akamai"},
	{server: "Heroku", by: "heroku", name: "Heroku's router"},
	{server: "Cowboy", by: "heroku", name: "Heroku's router"},
	{server: "Caddy", by: "caddy", name: "Caddy"},
	{server: "cloudflare", status: 524, by: "cloudflare", name: "Cloudflare"},
	{server: "cloudflare", by: "cloudflare", passes: true},
	{server: "envoy", by: "envoy", passes: true},
	{server: "istio-envoy", by: "envoy", passes: true},
	{server: "Google Frontend", by: "google", passes: true},
	{via: "vegur", by: "heroku", passes: true},
	{via: "heroku-router", by: "heroku", passes: true},
	{via: "google", by: "google", passes: true},
	{via: "varnish", by: "fastly", passes: true},
	{via: "akamai", by: "akamai", passes: true},
	{via: "envoy", by: "envoy", passes: true},
}

// on says whether an answer bears the mark.
func (m mark) on(server, via, text string) bool {
	return m.server != "" && strings.HasPrefix(server, m.server) ||
		m.via != "" && strings.Contains(strings.ToLower(via), m.via) ||
		m.text != "" && strings.HasPrefix(text, m.text)
}

// looksLike names the hop that may have ended a poll, or is "": by the mark of who
// made the answer, else by the time, the way in which it ended, and the marks of
// hops that this answer or another one of the deployment went through.
func looksLike(h facts.Hold, other facts.Answer) string {
	if h.End == facts.EndSilence { // some time before
		return ""
	}
	status := h.Status
	var onTheWay []maker
	for _, m := range marks {
		own := m.on(h.Server, h.Via, h.Text)
		switch {
		case own && !m.passes && (m.status == 0 || m.status == h.Status):
			if m.by == "nginx" {
				return fmt.Sprintf("%s of %.0f s", m.name, math.Floor(h.Seconds))
			}
			return fmt.Sprintf("%s, cut after %.0f s", m.name, math.Floor(h.Seconds))
		case own && !m.passes && h.Status == http.StatusBadGateway:
			status = 0 // whatever is behind it cut the poll
		case m.passes && (own || m.on(other.Server, other.Via, "")):
			onTheWay = append(onTheWay, m.by)
		}
	}
	likely := narrowed(cutsAfter(h.Seconds), func(c usualCut) bool { return slices.Contains(c.status, status) })
	return oneOf(narrowed(likely, func(c usualCut) bool { return slices.Contains(onTheWay, c.by) }))
}

// CutAfter names the hops that by default cut a silent request after about so many
// seconds, or is "".
func CutAfter(seconds float64) string { return oneOf(cutsAfter(seconds)) }

func cutsAfter(seconds float64) (likely []usualCut) {
	t := duration(seconds)
	for _, c := range usualCuts {
		if t >= c.least && t <= c.most {
			likely = append(likely, c)
		}
	}
	return likely
}

// narrowed leaves those that fit, and all where none does.
func narrowed(likely []usualCut, fits func(usualCut) bool) []usualCut {
	var left []usualCut
	for _, c := range likely {
		if fits(c) {
			left = append(left, c)
		}
	}
	if left == nil {
		return likely
	}
	return left
}

// oneOf lists them: "a, b or c".
func oneOf(likely []usualCut) string {
	var names []string
	for _, c := range likely {
		names = append(names, c.name)
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return strings.Join(names, "")
}
