package checks

import (
	"slices"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

// TestTwins has the hops that cut after the same time: the way in which the poll ended
// and the headers tell them apart.
func TestTwins(t *testing.T) {
	all := map[string]string{ // of every twin, a word that only its name has
		"Envoy's timeout": "15", "Fastly": "15", "API gateway of Google": "15",
		"Azure application gateway": "20", "Akamai's first": "20",
		"Google Cloud HTTP": "30", "Heroku's router (30": "30", "gunicorn": "30", "API gateway of AWS": "30",
		"nginx's proxy_read_timeout": "60", "Apache": "60", "AWS application": "60", "Traefik": "60",
		"Cloudflare (100": "120", "Akamai's read": "120",
		"stream_idle_timeout": "300", "Cloud Run": "300",
	}
	for _, c := range []struct {
		seconds           float64
		status            int
		server, via, text string
		other             facts.Answer
		want              string // the twins that remain, by their words
	}{
		{seconds: 15.1, status: 504, want: "Envoy's timeout, API gateway of Google"},
		{seconds: 15.1, status: 504, server: "envoy", want: "Envoy's timeout"},
		{seconds: 15.1, status: 504, text: "upstream request timeout", want: "Envoy's timeout"},
		{seconds: 15.1, status: 504, via: "1.1 google", want: "API gateway of Google"},
		{seconds: 15.1, status: 503, via: "1.1 varnish", want: "Fastly"},
		{seconds: 20.2, status: 504, server: "Microsoft-Azure-Application-Gateway/v2", want: "Azure application gateway"},
		{seconds: 20.2, status: 504, server: "AkamaiGHost", want: "Akamai"},
		{seconds: 20.2, status: 504, want: "Azure application gateway, Akamai's first"},
		{seconds: 30.2, want: "gunicorn"},
		{seconds: 30.2, status: 502, server: "nginx", want: "gunicorn"},
		{seconds: 30.2, status: 502, server: "awselb/2.0", want: "gunicorn"},
		{seconds: 30.2, status: 502, via: "1.1 google", want: "Google Cloud HTTP"},
		{seconds: 30.2, status: 503, via: "1.1 vegur", want: "Heroku's router (30"},
		{seconds: 30.2, status: 503, server: "Heroku", want: "Heroku's router"},
		{seconds: 29.1, status: 504, want: "API gateway of AWS"},
		{seconds: 60.1, status: 504, server: "nginx/1.22.1", want: "nginx's proxy_read_timeout"},
		{seconds: 60.1, status: 504, server: "openresty", want: "nginx's proxy_read_timeout"},
		{seconds: 60.1, status: 504, server: "awselb/2.0", want: "AWS application"},
		{seconds: 60.1, status: 502, server: "Apache/2.4.62 (Debian)", want: "Apache"},
		{seconds: 60.1, status: 499, want: "Traefik"},
		{seconds: 60.1, status: 504, server: "cloudflare", want: "nginx's proxy_read_timeout, Apache, AWS application, Traefik"}, // behind it
		{seconds: 60.1, status: 504, want: "nginx's proxy_read_timeout, Apache, AWS application, Traefik"},
		{seconds: 120.2, status: 524, server: "cloudflare", want: "Cloudflare"},
		{seconds: 100.2, status: 524, want: "Cloudflare (100"},
		{seconds: 120.2, status: 504, server: "AkamaiGHost", want: "Akamai"},
		{seconds: 120.2, status: 504, want: "Akamai's read"},
		{seconds: 120.2, want: "Akamai's read, Cloudflare (100"}, // neither ends so
		{seconds: 120.2, other: facts.Answer{Server: "cloudflare"}, want: "Cloudflare (100"},
		{seconds: 300.3, status: 504, server: "Google Frontend", want: "Cloud Run"},
		{seconds: 300.3, status: 504, via: "1.1 google", want: "Cloud Run"},
		{seconds: 300.3, status: 408, server: "istio-envoy", want: "stream_idle_timeout"},
		{seconds: 300.3, status: 504, text: "stream timeout", want: "stream_idle_timeout"},
		{seconds: 300.3, status: 504, want: "stream_idle_timeout, Cloud Run"},
	} {
		h := facts.Hold{Seconds: c.seconds, Status: c.status, Server: c.server, Via: c.via, Text: c.text, End: facts.EndStatus}
		if c.status == 0 {
			h.End = facts.EndClosed
		}
		got := looksLike(h, c.other)
		want := strings.Split(c.want, ", ")
		for word := range all {
			if slices.Contains(want, word) != strings.Contains(got, word) && !slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(word, w) }) {
				t.Errorf("%+v: %q, want %s", c, got, c.want)
			}
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%+v: %q, want %s", c, got, c.want)
			}
		}
	}
}

// TestCutsOfOneMaker has the times that one hop alone has.
func TestCutsOfOneMaker(t *testing.T) {
	for seconds, want := range map[float64]string{
		50.1: "HAProxy", 55.2: "Heroku's router (55 s", 240.5: "Azure load balancer", 270.3: "Zero Trust gateway (270 s", 350.4: "AWS network load balancer",
		600.2: "proxy_timeout of a stream", 900.2: "IPVS", 1200.5: "Cloud NAT", 17: "", 280: "",
	} {
		if got := CutAfter(seconds); !strings.Contains(got, want) || strings.Contains(got, " or Heroku") || want == "" && got != "" {
			t.Errorf("%g s: %q, want %q", seconds, got, want)
		}
	}
}

// TestCuts wants a source of every default, and how a poll ends by it.
func TestCuts(t *testing.T) {
	for _, c := range usualCuts {
		if c.source == "" || c.name == "" || c.least >= c.most || len(c.status) == 0 {
			t.Errorf("%+v lacks something", c)
		}
	}
}
