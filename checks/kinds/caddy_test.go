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
		"srv/c.json":    "{}",
	}
	for line, want := range map[string]string{
		"caddy run":                               "a.example,b.example>127.0.0.1:5000 a.example,b.example>unix:/run/fl.sock a.example,b.example>app:5001",
		"caddy run --config=/srv/import":          "?",
		"caddy run --config open":                 "?",
		"caddy run --config closed":               "?",
		"caddy run --config circle":               "?",
		"caddy run --config c.json":               "?",
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
