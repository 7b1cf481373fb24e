package kinds

import (
	"fmt"
	"strings"
	"testing"
)

// envoyBase is a bootstrap with one route to one endpoint; its parts are put in.
const envoyBase = `
static_resources:
  listeners:
  - name: fl
    address: { socket_address: { address: 0.0.0.0, port_value: 80 } }
    %[1]s
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: fl
          %[2]s
          route_config:
            virtual_hosts:
            - name: fl
              domains: ["*"]
              %[3]s
  clusters:
  - name: app
    type: STATIC
    %[4]s
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 5000 } } }
%[5]s
`

func envoyYAML(listener, manager, routes, cluster, root string) string {
	if routes == "" {
		routes = `routes: [ { match: { prefix: "/" }, route: { cluster: app } } ]`
	}
	return fmt.Sprintf(envoyBase, listener, manager, routes, cluster, root)
}

func envoyRoute(action string) string {
	return `routes: [ { match: { prefix: "/" }, route: { cluster: app, ` + action + ` } } ]`
}

func TestEnvoy(t *testing.T) {
	route := func(action string) string { return envoyYAML("", "", envoyRoute(action), "", "") }
	cluster := func(s string) string { return envoyYAML("", "", "", s, "") }
	const http2 = `typed_extension_protocol_options: { envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { explicit_http_config: { http2_protocol_options: {} } } }`
	for _, c := range []proxyCase{
		{"defaults", envoyYAML("", "", "", "", ""),
			"holds=1024 connections=unlimited tasks=0 descriptors=? memory=? silence=15s body=unlimited keepalive=1h restart=15m state=0 backlog=unlimited"},
		{"a route without a timeout", route("timeout: 0s"), "silence=5m"},
		{"a long timeout", route("timeout: 3600s"), "silence=5m"},
		{"both", route("timeout: 0s, idle_timeout: 0s"), "silence=for-ever"},
		{"camel case", route("timeout: 0s, idleTimeout: 7.5s"), "silence=7.5s"},
		{"of the manager", envoyYAML("", "stream_idle_timeout: 9s", "", "", ""), "silence=9s"},
		{"the route's counts", envoyYAML("", "stream_idle_timeout: 9s", envoyRoute("timeout: 20s, idle_timeout: 40s"), "", ""), "silence=20s"},
		{"streams", envoyYAML("", "common_http_protocol_options: { max_stream_duration: 5s, idle_timeout: 90s }", "", "", ""), "silence=5s keepalive=1m30s"},
		{"streams of the route", envoyYAML("", "common_http_protocol_options: { max_stream_duration: 5s, idle_timeout: 0s }", envoyRoute("max_stream_duration: { max_stream_duration: 0s }"), "", ""),
			"silence=15s keepalive=for-ever"},
		{"tries", route("timeout: 0s, retry_policy: { per_try_timeout: 4s }"), "silence=4s"},
		{"the age of connections", envoyYAML("", "common_http_protocol_options: { max_connection_duration: 3600s }", "", "", ""), "silence=? holds=1024"},
		{"request_timeout ends no poll", envoyYAML("", "request_timeout: 1s", "", "", ""), "silence=15s"},
		{"no time", route("timeout: soon"), "silence=? holds=1024"},
		{"no unit", route("timeout: 90"), "silence=?"},
		{"no text", route("timeout: [1s]"), "silence=?"},
		{"not set", route("timeout: null"), "silence=15s"},
		{"the route of polls", envoyYAML("", "", `routes:
              - { match: { prefix: "/health" }, route: { cluster: app, timeout: 1s } }
              - { match: { prefix: "/", headers: [ { name: x } ] }, route: { cluster: app, timeout: 2s } }
              - { match: { safe_regex: { regex: "/notify_me.*" } }, route: { cluster: app, timeout: 60s } }
              - { match: { prefix: "/" }, route: { cluster: app } }`, "", ""), "silence=1m"},
		{"breakers", cluster("circuit_breakers: { thresholds: [ { priority: HIGH, max_connections: 7 }, { max_connections: 5000, max_requests: 6000, max_pending_requests: 10 } ] }"), "holds=5000"},
		{"fewer requests", cluster("circuit_breakers: { thresholds: [ { max_connections: 5000 } ] }"), "holds=1024"},
		{"of a priority", envoyYAML("", "", envoyRoute("priority: HIGH"), "circuit_breakers: { thresholds: [ { priority: HIGH, max_connections: 7 } ] }", ""), "holds=7"},
		{"HTTP/2", cluster(http2 + "\n    circuit_breakers: { thresholds: [ { max_connections: 1, max_requests: 3000 } ] }"), "holds=3000"},
		{"any protocol", cluster(strings.Replace(http2, "explicit_http_config: { http2_protocol_options: {} }", "auto_config: {}", 1)), "holds=?"},
		{"a host's own", cluster("circuit_breakers: { per_host_thresholds: [ { max_connections: 7 } ] }"), "holds=?"},
		{"no count", cluster("circuit_breakers: { thresholds: [ { max_requests: many } ] }"), "holds=? silence=15s"},
		{"of the runtime", envoyYAML("", "", "", "", "layered_runtime: { layers: [ { name: s, static_layer: { circuit_breakers: { app: { default: { max_connections: 3 } } }, overload.global_downstream_max_connections: 100 } }, { name: a, admin_layer: {} } ] }"),
			"holds=3 connections=50/100"},
		{"a runtime elsewhere", envoyYAML("", "", "", "", "layered_runtime: { layers: [ { name: r, rtds_layer: { name: r } } ] }"), "holds=? connections=? silence=15s"},
		{"of the listener", envoyYAML("tcp_backlog_size: 64", "", "", "", "layered_runtime: { layers: [ { static_layer: { envoy.resource_limits.listener.fl.connection_limit: 40 } } ] }"),
			"backlog=64 connections=20/40"},
		{"overload manager", envoyYAML("", "", "", "", `overload_manager: { resource_monitors: [ { name: m, typed_config: { "@type": x/envoy.v3.DownstreamConnectionsConfig, max_active_downstream_connections: 60 } } ] }`), "connections=30/60"},
		{"a buffer", envoyYAML("", `http_filters: [ { name: b, typed_config: { "@type": a/b.v3.Buffer, max_request_bytes: 1000 } }, { name: r, typed_config: { "@type": a/b.v3.Router } } ]`, "", "", ""), "body=1000"},
		{"a filter of its own", envoyYAML("", `http_filters: [ { name: l, typed_config: { "@type": a/b.v3.Lua } } ]`, "", "", ""), "body=? silence=15s"},
		{"an anchor", envoyYAML("", "", `routes: [ { match: { prefix: "/" }, route: &r { cluster: app, timeout: 8s } }, { match: { prefix: "/" }, route: *r } ]`, "", ""), "silence=8s"},
	} {
		h, d := proxyHop(t, Envoy, "envoy -l info -c /etc/envoy/envoy.yaml", map[string]string{"etc/envoy/envoy.yaml": c.config})
		if !d.Passes.Known() {
			t.Errorf("%s: %s", c.name, d.Passes.Why())
		}
		c.check(t, h)
	}
}

// What one more poll sees is what the breakers make of it.
func TestEnvoyBeyond(t *testing.T) {
	for config, want := range map[string]string{
		"": "waits for a connection, and beyond 1024 that wait it gets a 503 (UO)",
		"circuit_breakers: { thresholds: [ { max_pending_requests: 0 } ] }": "gets a 503 (UO)",
		"circuit_breakers: { thresholds: [ { max_requests: 5 } ] }":         "gets a 503 (UO)",
	} {
		h, _ := proxyHop(t, Envoy, "envoy -c e.yaml", map[string]string{"srv/e.yaml": envoyYAML("", "", "", config, "")})
		if got := h.Holds().V.Beyond; got != want {
			t.Errorf("%q: one more %s, want %s", config, got, want)
		}
	}
}

func TestEnvoyFiles(t *testing.T) {
	manager := func(s string) string { return envoyYAML("", s, "", "", "") }
	action := func(s string) string {
		return envoyYAML("", "", `routes: [ { match: { prefix: "/" }, `+s+` } ]`, "", "")
	}
	files := map[string]string{
		"srv/e.yaml":    envoyYAML("", "", "", "", ""),
		"srv/e.json":    "{\n\t\"staticResources\": {\"listeners\": [], \"clusters\": []}\n}\n",
		"srv/two.yaml":  strings.Replace(envoyYAML("", "", "", "", ""), "- lb_endpoints:", "- lb_endpoints:\n        - endpoint: { address: { pipe: { path: /run/fl.sock } } }", 1),
		"srv/tcp.yaml":  `static_resources: { listeners: [ { address: { pipe: { path: /run/in } }, filter_chains: [ { filters: [ { typed_config: { "@type": x.TcpProxy, cluster: a } } ] } ] } ], clusters: [ { name: a, load_assignment: { endpoints: [ { lb_endpoints: [ { endpoint: { address: { socket_address: { address: "::1", port_value: 5 } } } } ] } ] } } ] }`,
		"srv/w.yaml":    action("route: { weighted_clusters: { clusters: [ { name: app }, { name: app } ] } }"),
		"srv/h.yaml":    action("route: { cluster_header: x }"),
		"srv/r.yaml":    action("redirect: { https_redirect: true }"),
		"srv/none.yaml": action("route: { cluster: other }"),
		"srv/plug.yaml": action("route: { cluster_specifier_plugin: x }"),
		"srv/rds.yaml":  manager("rds: { route_config_name: x }"),
		"srv/lds.yaml":  envoyYAML("", "", "", "", "dynamic_resources: { lds_config: { path: /x } }"),
		"srv/eds.yaml":  strings.Replace(envoyYAML("", "", "", "", ""), "load_assignment:", "eds_cluster_config:", 1),
		"srv/self.yaml": "a: &a [ *a ]\n",
		"srv/list.yaml": "- a\n",
		"srv/torn.yaml": "a: [\n",
		"srv/e.pb":      "x",
	}
	for line, want := range map[string]string{
		"envoy -c e.yaml": "0.0.0.0:80>127.0.0.1:5000",
		"/usr/local/bin/envoy --config-path e.yaml":   "0.0.0.0:80>127.0.0.1:5000",
		"envoy -c e.json --concurrency 2":             "",
		"envoy --config-path=/srv/two.yaml":           "0.0.0.0:80>unix:/run/fl.sock 0.0.0.0:80>127.0.0.1:5000",
		"envoy -c tcp.yaml":                           "unix:/run/in>[::1]:5",
		"envoy -c w.yaml":                             "0.0.0.0:80>127.0.0.1:5000 0.0.0.0:80>127.0.0.1:5000",
		"envoy -c h.yaml":                             "0.0.0.0:80>127.0.0.1:5000",
		"envoy -c r.yaml":                             "",
		`envoy --config-yaml {"static_resources":{}}`: "",
		"envoy -c e.yaml --config-yaml {node:{id:x}}": "?",
		"envoy -c none.yaml":                          "?",
		"envoy -c plug.yaml":                          "?",
		"envoy -c rds.yaml":                           "?",
		"envoy -c lds.yaml":                           "?",
		"envoy -c eds.yaml":                           "?",
		"envoy -c self.yaml":                          "?",
		"envoy -c list.yaml":                          "?",
		"envoy -c torn.yaml":                          "?",
		"envoy -c e.pb":                               "?",
		"envoy -c gone.yaml":                          "?",
		"envoy -c":                                    "?",
		"envoy":                                       "?",
	} {
		h, d := proxyHop(t, Envoy, line, files)
		if got := passed(d); got != want {
			t.Errorf("%s\ngot %s, want %s (%s)", line, got, want, d.Passes.Why())
		}
		if !d.Passes.Known() {
			proxyCase{line, "", "holds=? connections=? silence=? body=? keepalive=? backlog=? restart=15m"}.check(t, h)
		}
	}
}

// What is to be written lifts every timeout that is too short, not the first alone.
func TestEnvoyLonger(t *testing.T) {
	for action, want := range map[string]string{
		"timeout: 20s": "timeout: 600s in the route, idle_timeout: 600s in the route",
		"timeout: 0s, retry_policy: { per_try_timeout: 9s }": "idle_timeout: 600s in the route, per_try_timeout: 600s",
	} {
		h, _ := proxyHop(t, Envoy, "envoy -c e.yaml", map[string]string{"srv/e.yaml": envoyYAML("", "", envoyRoute(action), "", "")})
		if got := h.Silence().Set(600); got != want {
			t.Errorf("%s: write %s, want %s", action, got, want)
		}
	}
}

func TestEnvoyRestart(t *testing.T) {
	for line, want := range map[string]string{
		"envoy -c x --parent-shutdown-time-s 7200": "restart=2h",
		"envoy -c x --disable-hot-restart":         "restart=0s",
		"envoy -c x --parent-shutdown-time-s":      "restart=?",
		"envoy -c x --parent-shutdown-time-s soon": "restart=?",
	} {
		h, _ := proxyHop(t, Envoy, line, nil)
		proxyCase{line, "", want}.check(t, h)
	}
}

func FuzzEnvoy(f *testing.F) {
	f.Add(envoyYAML("tcp_backlog_size: 64", "stream_idle_timeout: 9s", envoyRoute("timeout: 1s"), "circuit_breakers: { thresholds: [ { max_requests: 3 } ] }", "layered_runtime: { layers: [ { static_layer: { a: { b: 1 } } } ] }"))
	f.Fuzz(func(t *testing.T, text string) {
		root, err := parseEnvoy(text, "f.yaml")
		if err != nil {
			return
		}
		passes, err := envoyPasses(root)
		if err != nil {
			return
		}
		for _, p := range passes {
			if p.To == "" {
				t.Errorf("a way leads nowhere: %+v", p)
			}
			for q, a := range (Hop{Kind: Envoy, Settings: p.Settings}).Answers() {
				if Status(a[0]) == Unknown && a[1] == "" {
					t.Errorf("%s is unknown for no reason", q)
				}
			}
		}
	})
}
