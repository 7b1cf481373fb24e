package kinds

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

const traefikWay = "http:\n  services:\n    fl:\n      loadBalancer:\n        servers:\n          - url: http://127.0.0.1:5000\n"

func TestTraefik(t *testing.T) {
	const file = " --providers.file.filename=/srv/fl.yml"
	for _, c := range []proxyCase{
		{"nothing set", "traefik" + file, "holds=unlimited connections=n/a tasks=0 descriptors=2 silence=? body=unlimited keepalive=3m restart=10s state=0 backlog=unlimited"},
		{"by flags", "traefik --entryPoints.Web.address=:80 --entrypoints.web.transport.respondingTimeouts.readTimeout=3600 --entrypoints.web.transport.respondingtimeouts.idletimeout 75s --entrypoints.web.transport.lifecycle.graceTimeOut=1h" + file,
			"silence=1h keepalive=1m15s restart=1h"},
		{"none by flags", "traefik --entrypoints.web.transport.respondingtimeouts.readtimeout=0" + file, "silence=for-ever"},
		{"write", "traefik --entrypoints.web.transport.respondingtimeouts.readtimeout=0s --entrypoints.web.transport.respondingtimeouts.writetimeout=30s" + file, "silence=30s"},
		{"towards the application", "traefik --entrypoints.web.transport.respondingtimeouts.readtimeout=2h --serverstransport.forwardingtimeouts.responseheadertimeout=20" + file, "silence=20s"},
		{"no time", "traefik --entrypoints.web.transport.respondingtimeouts.readtimeout=soon" + file, "silence=?"},
		{"below zero", "traefik --entrypoints.web.transport.respondingtimeouts.readtimeout=-1s" + file, "silence=?"},
		{"labels of Docker", "traefik --providers.docker --entrypoints.web.transport.respondingtimeouts.readtimeout=2h", "silence=2h holds=? body=?"},
		{"Kubernetes", "traefik --providers.kubernetescrd --entrypoints.web.transport.respondingtimeouts.readtimeout=2h", "silence=? holds=? body=?"},
		{"entry points that differ", "traefik --providers.docker --entrypoints.a.transport.respondingtimeouts.readtimeout=2h --entrypoints.b.transport.respondingtimeouts.readtimeout=1h", "silence=? keepalive=3m"},
		{"one redirects", "traefik --providers.docker --entrypoints.a.transport.respondingtimeouts.readtimeout=2h --entrypoints.b.http.redirections.entrypoint.to=a", "silence=2h"},
		{"TOML", "traefik --configFile=/srv/t.toml", "silence=5m keepalive=90s restart=10s"},
		{"YAML", "traefik --configfile t.yml", "silence=7m"},
		{"a file counts, not flags", "traefik --configfile t.yml --entrypoints.web.transport.respondingtimeouts.readtimeout=1s", "silence=7m"},
		{"middlewares", "traefik --providers.file.directory=/srv/d --entrypoints.web.transport.respondingtimeouts.readtimeout=2h", "silence=? holds=? body=?"},
	} {
		h, _ := proxyHop(t, Traefik, c.config, map[string]string{
			"srv/fl.yml": traefikWay,
			"srv/t.toml": "[entryPoints.web]\naddress = ':80'\n[entryPoints.web.transport.respondingTimeouts]\nreadTimeout = 300\nidleTimeout = '90s'\n[providers.file]\nfilename = '/srv/fl.yml'\n",
			"srv/t.yml":  "entryPoints:\n  web:\n    address: ':80'\n    transport:\n      respondingTimeouts:\n        readTimeout: 7m\nproviders:\n  file:\n    filename: /srv/fl.yml\n",
			"srv/d/a.yml": traefikWay + "  middlewares:\n    few:\n      inFlightReq:\n        amount: 5\n    small:\n      buffering:\n        maxRequestBodyBytes: 5\n" +
				"  serversTransports:\n    s:\n      forwardingTimeouts:\n        responseHeaderTimeout: 3s\n",
		})
		c.want = strings.ReplaceAll(c.want, "90s", "1m30s")
		c.check(t, h)
	}
}

func TestTraefikWays(t *testing.T) {
	files := map[string]string{
		"srv/fl.yml":      traefikWay,
		"srv/routed.toml": "[http.routers.r]\nservice = 'fl'\nentryPoints = ['B']\n[[http.services.fl.loadBalancer.servers]]\nurl = 'http://app:5000/'\n[[tcp.services.raw.loadBalancer.servers]]\naddress = 'app:5001'\n",
		"srv/broken.yml":  "a: [",
		"srv/made.yml":    "http: {{ env `X` }}\n",
		"srv/docker.yml":  "providers:\n  docker: {}\n",
		"srv/d/sub/x.yml": traefikWay,
	}
	const two = " --entrypoints.a.address=:80/tcp --entrypoints.b.address=:8443 --entrypoints.u.address=:53/udp"
	for line, want := range map[string]string{
		"traefik --providers.file.filename=fl.yml":                           ":80>127.0.0.1:5000",
		"/usr/bin/traefik --providers.file.filename=fl.yml" + two:            ":80>127.0.0.1:5000 :8443>127.0.0.1:5000",
		"traefik --providers.file.filename=/srv/routed.toml" + two:           ":8443>app:5000 :80>app:5001 :8443>app:5001",
		"traefik --providers.file.filename=broken.yml":                       "?",
		"traefik --providers.file.filename=made.yml":                         "?",
		"traefik --providers.file.filename=none.yml":                         "?",
		"traefik --providers.file.directory=d":                               "?",
		"traefik --configfile=docker.yml":                                    "?",
		"traefik --configfile=fl.json":                                       "?",
		"traefik --providers.docker=true --providers.file.filename=fl.yml":   "?",
		"traefik --providers.docker=false --providers.file.filename=fl.yml":  ":80>127.0.0.1:5000",
		"traefik --api --providers.providersthrottleduration=1s --log=DEBUG": "",
	} {
		_, d := proxyHop(t, Traefik, line, files)
		if got := passed(d); got != want {
			t.Errorf("%s\ngot %s, want %s", line, got, want)
		}
	}
}

func TestTraefikEnvironment(t *testing.T) {
	root := write(t, map[string]string{"srv/fl.yml": traefikWay})
	p := commandOf("traefik", "TRAEFIK_ENTRYPOINTS_WEB_ADDRESS=:81", "TRAEFIK_ENTRYPOINTS_WEB_TRANSPORT_RESPONDINGTIMEOUTS_READTIMEOUT=9m", "TRAEFIK_PROVIDERS_FILE_FILENAME=/srv/fl.yml")
	d := Traefik.Read(root, p)
	if got := passed(d); got != ":81>127.0.0.1:5000" {
		t.Errorf("passes %s", got)
	}
	if got := said(Hop{Kind: Traefik, Settings: d.Settings}, Silence); got != "9m" {
		t.Errorf("silence %s", got)
	}
	p = commandOf("traefik --entrypoints.web.transport.respondingtimeouts.readtimeout=$T")
	p.Unexpanded = true
	if got := said(Hop{Kind: Traefik, Settings: Traefik.Read(root, p).Settings}, Silence); got != "?" {
		t.Errorf("of a unit's variable: silence %s", got)
	}
}

func TestTraefikReadTimeout(t *testing.T) {
	for version, want := range map[string]string{"2.10.7": "0", "2.11.1": "0", "2.11.2": "60", "2.12.0": "60", "3.0": "60", "": "?"} {
		v := known(version, "exe")
		if version == "" {
			v = facts.Value[string]{Err: "it is not known"}
		}
		got := traefikReadTimeout(v)
		if !got.Known() {
			got.V = "?"
		}
		if got.V != want {
			t.Errorf("%s: %s, want %s", version, got.V, want)
		}
	}
}

func FuzzTraefik(f *testing.F) {
	f.Add(traefikWay, false)
	f.Add("[[http.services.fl.loadBalancer.servers]]\nurl = 'http://app:5000/'\n[entryPoints.web]\naddress = ':80'\n", true)
	f.Fuzz(func(t *testing.T, text string, isTOML bool) {
		name := "f.yml"
		if isTOML {
			name = "f.toml"
		}
		tree, err := parseTraefik(text, name)
		if err != nil {
			return
		}
		for _, p := range tree.ways(tree.entryPoints(known("3.0", "exe")), nil) {
			Hop{Kind: Traefik, Settings: p.Settings}.Answers()
		}
	})
}
