package kinds

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

const haproxyBase = `global
  maxconn 2000
defaults
  mode http
  timeout connect 5000
  timeout client 50s
  timeout server 1h
`

func TestHAProxy(t *testing.T) {
	for _, c := range []proxyCase{
		{"defaults", haproxyBase + "frontend f\n bind :80\n default_backend b\nbackend b\n server s 127.0.0.1:5000\n",
			"holds=unlimited connections=1000/2000 silence=1h keepalive=50s backlog=2000 restart=for-ever tasks=0 body=unlimited state=0"},
		{"the least maxconn counts", haproxyBase + "listen f\n bind :80 maxconn 100\n maxconn 50\n server s 127.0.0.1:5000 maxconn 9\n",
			"holds=9 connections=25/50 backlog=100"},
		{"maxconn of bind", haproxyBase + "listen f\n bind :80 maxconn 40\n server s 127.0.0.1:5000\n", "connections=20/40"},
		{"default-server, and minconn", haproxyBase + "listen f\n bind :80\n default-server maxconn 30 minconn 10\n server s 127.0.0.1:5000\n", "holds=10/30"},
		{"0 is no maxconn", haproxyBase + "listen f\n bind :80\n server s 127.0.0.1:5000 maxconn 0\n", "holds=unlimited"},
		{"a section's own timeout wins", haproxyBase + "listen f\n bind :80\n timeout server 90s\n server s :5000\n", "silence=1m30s"},
		{"milliseconds and days", haproxyBase + "listen f\n bind :80\n timeout server 1500\n timeout http-keep-alive 1d\n server s :5000\n", "silence=1.5s keepalive=24h"},
		{"no timeout", "defaults\n mode http\nlisten f\n bind :80\n server s :5000\n", "silence=for-ever keepalive=for-ever connections=?"},
		{"tcp is cut by the client's, too", haproxyBase + "listen f\n mode tcp\n bind :80\n server s :5000\n", "silence=50s"},
		{"tunnel", haproxyBase + "listen f\n mode tcp\n timeout tunnel 2h\n bind :80\n server s :5000\n", "silence=2h keepalive=2h"},
		{"tcp is the default", "listen f\n timeout client 3s\n bind :80\n server s :5000\n", "silence=3s"},
		{"named defaults", haproxyBase + "defaults quick\n mode http\n timeout server 7s\ndefaults slow\n timeout server 8s\nlisten f from quick\n bind :80\n server s :5000\n", "silence=7s"},
		{"defaults of defaults", haproxyBase + "defaults a\n mode http\n timeout server 7s\ndefaults b from a\n timeout client 1s\nlisten f\n bind :80\n server s :5000\n", "silence=7s"},
		{"the newer defaults alone", haproxyBase + "defaults\n mode http\n timeout client 1s\nlisten f\n bind :80\n server s :5000\n", "silence=for-ever"},
		{"defaults in a circle", "defaults a from b\ndefaults b from a\nlisten f from b\n bind :80\n server s :5000\n", "silence=for-ever"},
		{"of the environment", haproxyBase + "listen f\n bind :80\n timeout server \"${T}\"\n server s :5000\n", "silence=? keepalive=50s"},
		{"under .if", haproxyBase + "listen f\n bind :80\n.if version_atleast(2.4)\n timeout server 5s\n.endif\n server s :5000\n", "silence=?"},
		{"a rule sets the timeout", haproxyBase + "listen f\n bind :80\n http-request set-timeout server 5s if { path / }\n server s :5000\n", "silence=? keepalive=50s"},
		{"maxsslconn", "global\n maxsslconn 60\n" + haproxyBase + "listen f\n bind :443 ssl crt x.pem\n server s :5000\n", "connections=30/60"},
		{"maxsslconn of no TLS", "global\n maxsslconn 60\n" + haproxyBase + "listen f\n bind :80\n server s :5000\n", "connections=1000/2000"},
		{"no time", haproxyBase + "listen f\n bind :80\n timeout server soon\n server s :5000 maxconn many\n", "silence=? holds=?"},
		{"closes", haproxyBase + "listen f\n bind :80\n option httpclose\n server s :5000\n", "keepalive=0s"},
		{"hard-stop-after", "global\n hard-stop-after 30s\n" + haproxyBase + "listen f\n bind :80\n server s :5000\n", "restart=30s"},
		{"a server that is off", haproxyBase + "listen f\n bind :80\n server s :5000 disabled\n", "silence=? holds=?"},
		{"a server elsewhere", haproxyBase + "frontend f\n bind :80\n", "silence=? holds=?"},
		{"an expression chooses", haproxyBase + "frontend f\n bind :80\n use_backend %[req.hdr(x)]\nbackend b\n timeout server 9s\n server s :5000\n", "silence=9s"},
	} {
		h, _ := proxyHop(t, HAProxy, "haproxy -Ws -f h.cfg", map[string]string{"srv/h.cfg": c.config})
		c.check(t, h)
	}
}

// Where maxconn is not set descriptors decide: measured, 1024 → 498 and 4096 → 2034.
func TestHAProxyOfDescriptors(t *testing.T) {
	h, _ := proxyHop(t, HAProxy, "haproxy -f h.cfg", map[string]string{"srv/h.cfg": "listen f\n bind :80\n server s :5000\n"})
	for soft, want := range map[facts.Limit]string{1024: "249/498", 4096: "1017/2034", facts.Unlimited: "unlimited"} {
		h.Processes = []facts.Process{{PID: 7, Limits: facts.Value[facts.Limits]{V: facts.Limits{NoFile: facts.Bound{Soft: soft, Hard: soft}}, Source: "/proc/7/limits"}}}
		if got := said(h, Connections); got != want {
			t.Errorf("%v: %s, want %s", soft, got, want)
		}
	}
}

func TestHAProxyFiles(t *testing.T) {
	files := map[string]string{
		"etc/haproxy/haproxy.cfg":   haproxyBase,
		"etc/haproxy/conf.d/20.cfg": "backend b\n server a unix@/run/fl.sock\n server c [::1]:5001 maxconn 5\n server d app\n",
		"etc/haproxy/conf.d/10.cfg": "frontend f\n bind *:80,:81\n use_backend b if { path / }\n default_backend b\n",
		"etc/haproxy/conf.d/no":     "nonsense",
		"srv/dup.cfg":               "frontend f\n bind :9\n default_backend none\n",
	}
	for line, want := range map[string]string{
		"haproxy -f /etc/haproxy/haproxy.cfg -f /etc/haproxy/conf.d":   "*:80,:81>unix:/run/fl.sock *:80,:81>[::1]:5001 *:80,:81>app:80",
		"/usr/sbin/haproxy -C /etc/haproxy -- haproxy.cfg conf.d":      "*:80,:81>unix:/run/fl.sock *:80,:81>[::1]:5001 *:80,:81>app:80",
		"haproxy -Ws -p /run/h.pid -f dup.cfg -x /run/h.sock -sf 3 4":  "",
		"haproxy -f /etc/none.cfg":                                     "?",
		"haproxy -db":                                                  "?",
		"haproxy -f":                                                   "?",
		"haproxy -f /etc/haproxy/conf.d/no":                            "?",
		"haproxy -n 10 -f /etc/haproxy/haproxy.cfg -f dup.cfg -f none": "?",
	} {
		_, d := proxyHop(t, HAProxy, line, files)
		if got := passed(d); got != want {
			t.Errorf("%s\ngot %s, want %s", line, got, want)
		}
	}
	h, _ := proxyHop(t, HAProxy, "haproxy -n 10 -f /etc/haproxy/haproxy.cfg -f /etc/haproxy/conf.d", files)
	if got := said(h, Connections); got != "5/10" {
		t.Errorf("-n 10: %s", got)
	}
}

func TestHAProxyUnit(t *testing.T) {
	files := map[string]string{"etc/haproxy/haproxy.cfg": haproxyBase + "listen f\n bind :80\n server s :5000\n"}
	for line, want := range map[string]string{
		"haproxy -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS": ":80>:5000",
		"haproxy -Ws -f ${OTHER}":                       "?",
		"haproxy -Ws $FILES":                            "?",
	} {
		p := facts.Program{Args: strings.Fields(line), From: "haproxy.service:9", Unexpanded: true, Cwd: "/"}
		if got := passed(readHAProxy(write(t, files), p)); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

func FuzzHAProxyConfig(f *testing.F) {
	f.Add(haproxyBase + "frontend f\n bind :80 # x\n use_backend b if { a }\nbackend b from x\n server s \"127.0.0.1:5000\" maxconn 5\\ 6\n.if x\n.endif\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := &haproxyConfig{}
		if c.add(text, "f") != nil {
			return
		}
		for _, p := range c.passes() {
			h := Hop{Kind: HAProxy, Settings: over(c.process(), p.Settings)}
			h.Answers()
			if a := h.Connections(); a.Is() && a.V.Safe > a.V.Hard && a.V.Hard != Unlimited {
				t.Errorf("%+v", a)
			}
		}
	})
}
