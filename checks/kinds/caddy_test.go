package kinds

import (
	"testing"
)

func TestCaddy(t *testing.T) {
	for _, c := range []proxyCase{
		{"defaults", ":80 {\n\treverse_proxy 127.0.0.1:5000\n}\n", "holds=unlimited connections=n/a silence=for-ever body=unlimited keepalive=5m restart=for-ever backlog=unlimited state=0"},
		{"of the transport", "fl.example.org {\n reverse_proxy /x 127.0.0.1:5000 {\n  transport http {\n   response_header_timeout 3s\n   read_timeout 2m\n   max_conns_per_host 60\n  }\n }\n}\n", "holds=60 silence=3s"},
		{"global", "{\n servers {\n  timeouts {\n   write 30s\n   idle 1d\n  }\n }\n grace_period 10s\n}\n:80 {\n reverse_proxy a:1\n}\n", "silence=30s keepalive=24h restart=10s"},
		{"a body", ":80 {\n request_body {\n  max_size 10MB\n }\n handle /x {\n  reverse_proxy a:1\n }\n}\n", "body=10000000"},
		{"a snippet", "(t) {\n transport http {\n  read_timeout 9s\n }\n}\n:80 {\n reverse_proxy a:1 {\n  import t\n }\n}\n", "silence=9s"},
		{"of the environment", ":80 {\n reverse_proxy a:1 {\n  transport http {\n   read_timeout {$T}\n   max_conns_per_host {env.N}\n  }\n }\n}\n", "silence=? holds=?"},
		{"no time", ":80 {\n reverse_proxy a:1 {\n  transport http {\n   read_timeout soon\n  }\n }\n}\n", "silence=?"},
		{"no way", ":80 {\n file_server\n}\n", "silence=for-ever"},
	} {
		h, _ := proxyHop(t, Caddy, "caddy run --environ --config /etc/caddy/Caddyfile", map[string]string{"etc/caddy/Caddyfile": c.config})
		c.check(t, h)
	}
}

func TestCaddyFiles(t *testing.T) {
	files := map[string]string{
		"srv/Caddyfile": "a.example, b.example {\n\treverse_proxy @m http://127.0.0.1:5000 unix//run/fl.sock {\n\t\tto app:5001 # one more\n\t}\n}\n",
		"srv/import":    "import sites/*\n",
		"srv/open":      ":80 {\n",
		"srv/closed":    "}\n",
		"srv/circle":    "(a) {\n import b\n}\n(b) {\n import a\n}\n:80 {\n import a\n}\n",
		"srv/c.json":    `{"apps":{"http":{"servers":{"a":{"listen":[":443"],"routes":[{"handle":[{"handler":"subroute","routes":[{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"127.0.0.1:5000"},{"dial":"unix//run/fl.sock"}]}]}]}]}]}}}}}`,
		"srv/dyn.json":  `{"apps":{"http":{"servers":{"a":{"routes":[{"handle":[{"handler":"reverse_proxy","dynamic_upstreams":{"source":"a"}}]}]}}}}}`,
		"srv/bad.json":  `{"apps":`,
	}
	for line, want := range map[string]string{
		"caddy run":                               "a.example,b.example>127.0.0.1:5000 a.example,b.example>unix:/run/fl.sock a.example,b.example>app:5001",
		"caddy run --config=/srv/import":          "?",
		"caddy run --config open":                 "?",
		"caddy run --config closed":               "?",
		"caddy run --config circle":               "?",
		"caddy run --config c.json":               ":443>127.0.0.1:5000 :443>unix:/run/fl.sock",
		"caddy run --config dyn.json":             "?",
		"caddy run --config bad.json":             "?",
		"caddy run --resume":                      "?",
		"caddy run --adapter yaml --config x":     "?",
		"caddy run --config none --watch":         "?",
		"caddy run --adapter caddyfile --config":  "?",
		"caddy run --adapter=caddyfile -c import": "?",
	} {
		_, d := proxyHop(t, Caddy, line, files)
		if got := passed(d); got != want {
			t.Errorf("%s\ngot %s, want %s", line, got, want)
		}
	}
}

func TestCaddyJSON(t *testing.T) {
	for _, c := range []proxyCase{
		{"defaults", `{"apps":{"http":{"servers":{"a":{"routes":[{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"a:1"}]}]}]}}}}}`,
			"holds=unlimited connections=n/a silence=for-ever body=unlimited keepalive=5m restart=for-ever"},
		{"all", `{"apps":{"http":{"grace_period":"10s","servers":{"a":{"idle_timeout":60000000000,"write_timeout":"30s","routes":[{"handle":[
			{"handler":"request_body","max_size":5000},
			{"handler":"reverse_proxy","upstreams":[{"dial":"a:1"}],"transport":{"protocol":"http","response_header_timeout":"20s","read_timeout":"1d","max_conns_per_host":60}}]}]}}}}}`,
			"holds=60 silence=20s body=5000 keepalive=1m restart=10s"},
		{"no time", `{"apps":{"http":{"servers":{"a":{"write_timeout":"soon","routes":[{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"a:1"}]}]}]}}}}}`, "silence=?"},
	} {
		h, _ := proxyHop(t, Caddy, "caddy run --config /etc/caddy/caddy.json", map[string]string{"etc/caddy/caddy.json": c.config})
		c.check(t, h)
	}
}

func FuzzCaddyJSON(f *testing.F) {
	f.Add(`{"apps":{"http":{"servers":{"a":{"write_timeout":1,"routes":[{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"a:1"}]}]}]}}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, passes, err := parseCaddyJSON(text, "f")
		if err != nil {
			return
		}
		for _, p := range passes {
			Hop{Kind: Caddy, Settings: over(s, p.Settings)}.Answers()
		}
	})
}

func FuzzCaddyfile(f *testing.F) {
	f.Add("{\n grace_period 1s\n}\n(s) {\n to a:1\n}\n:80 {\n reverse_proxy \"b:2\" {\n  import s\n }\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := parseCaddyfile(text, "f")
		if err != nil {
			return
		}
		s, passes := caddySettings(lines)
		for _, p := range passes {
			Hop{Kind: Caddy, Settings: over(s, p.Settings)}.Answers()
		}
	})
}
