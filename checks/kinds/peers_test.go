package kinds

import (
	"strings"
	"testing"
)

// One worker's requests go to one server where there is one, or where something binds
// it; a way that can't be told is no answer.
func TestPeers(t *testing.T) {
	const (
		two    = "listen f\n bind :80\n server a 127.0.0.1:5000\n server b 10.0.0.7:5000\n"
		member = "<Proxy balancer://fl>\nBalancerMember http://10.0.0.1:5000 route=a\nBalancerMember http://10.0.0.2:5000 route=b%\n</Proxy>\nProxyPass / balancer://fl/"
	)
	haproxy := func(more string) string { return haproxyBase + two + more }
	apache := func(ofMember, after string) string {
		return apacheEvent + strings.ReplaceAll(member, "%", ofMember) + after + "\n"
	}
	caddy := func(block string) string { return ":80 {\n reverse_proxy a:1 b:1 {\n" + block + " }\n}\n" }
	caddyJSON := func(policy string) string {
		return `{"apps":{"http":{"servers":{"a":{"listen":[":80"],"routes":[{"handle":[{"handler":"reverse_proxy","load_balancing":{"selection_policy":{"policy":"` + policy +
			`"}},"upstreams":[{"dial":"a:1"},{"dial":"b:1"}]}]}]}}}}}`
	}
	const traefikTwo = traefikWay + "          - url: http://10.0.0.7:5000\n"
	envoy := func(routes, cluster string) string {
		return strings.Replace(envoyYAML("", "", routes, cluster, ""), "      - lb_endpoints:\n", "      - lb_endpoints:\n        - endpoint: { address: { socket_address: { address: 10.0.0.7, port_value: 5000 } } }\n", 1)
	}
	const weighted = `routes: [ { match: { prefix: "/" }, route: { weighted_clusters: { clusters: [ { name: app, weight: 1 }, { name: app, weight: 1 } ] } } } ]`
	for _, k := range []struct {
		kind  *Kind
		line  string
		file  string
		cases []proxyCase
	}{
		{HAProxy, "haproxy -f h.cfg", "srv/h.cfg", []proxyCase{
			{"round robin by default", haproxy(""), "peers=2"},
			{"round robin", haproxy(" balance roundrobin\n"), "peers=2"},
			{"of defaults", "defaults\n balance source\n" + two, "peers=1"},
			{"source", haproxy(" balance source\n"), "peers=1"},
			{"header", haproxy(" balance hdr(X-Worker)\n"), "peers=1"},
			{"path", haproxy(" balance uri\n"), "peers=2"},
			{"hash", haproxy(" balance hash src\n"), "peers=1"},
			{"hash of the path", haproxy(" balance hash path\n"), "peers=2"},
			{"first", haproxy(" balance first\n"), "peers=?"},
			{"of the environment", haproxy(" balance $B\n"), "peers=?"},
			{"stick", haproxy(" stick-table type ip size 1m\n stick on src\n"), "peers=1"},
			{"cookie without values", haproxy(" cookie S insert\n"), "peers=2"},
			{"cookie", haproxyBase + "listen f\n bind :80\n cookie S insert\n server a a:1 cookie a\n server b b:1 cookie b\n", "peers=1"},
			{"a spare", haproxyBase + "listen f\n bind :80\n server a a:1\n server b b:1 backup\n server c c:1 disabled\n server d d:1 weight 0\n", "peers=1"},
			{"one twice", haproxyBase + "listen f\n bind :80\n server a a:1\n server b a:1\n", "peers=1"},
			{"a template", haproxyBase + "listen f\n bind :80\n server-template a 5 app.internal:1\n", "peers=?"},
		}},
		{Apache, "httpd -f /srv/h.conf", "srv/h.conf", []proxyCase{
			{"by requests", apache("", ""), "peers=2"},
			{"of the way", apache("", " stickysession=ROUTE"), "peers=1"},
			{"of a ProxySet", apache("\nProxySet stickysession=ROUTE", ""), "peers=1"},
			{"a hot spare", apache(" status=+H", ""), "peers=1"},
			{"one", apacheEvent + "ProxyPass / http://127.0.0.1:5000/\n", "peers=1"},
		}},
		{Caddy, "caddy run", "srv/Caddyfile", []proxyCase{
			{"random", caddy(""), "peers=2"},
			{"round robin", caddy("  lb_policy round_robin\n"), "peers=2"},
			{"by address", caddy("  lb_policy ip_hash\n"), "peers=1"},
			{"by cookie", caddy("  lb_policy cookie fl secret\n"), "peers=1"},
			{"a matcher is no server", ":80 {\n reverse_proxy /x a:1\n}\n", "peers=1"},
		}},
		{Caddy, "caddy run --config c.json", "srv/c.json", []proxyCase{
			{"JSON", caddyJSON("round_robin"), "peers=2"},
			{"JSON by address", caddyJSON("ip_hash"), "peers=1"},
		}},
		{Traefik, "traefik --providers.file.filename=/srv/fl.yml", "srv/fl.yml", []proxyCase{
			{"one", traefikWay, "peers=1"},
			{"two", traefikTwo, "peers=2"},
			{"sticky", traefikTwo + "        sticky:\n          cookie: {}\n", "peers=1"},
			{"by address", traefikTwo + "        strategy: hrw\n", "peers=1"},
			{"weighted", traefikTwo + "    both:\n      weighted:\n        services:\n          - name: fl\n          - name: fl\n", "peers=?"},
		}},
		{Envoy, "envoy -c e.yaml", "srv/e.yaml", []proxyCase{
			{"one", envoyYAML("", "", "", "", ""), "peers=1"},
			{"two", envoy("", ""), "peers=2"},
			{"a ring without a hash", envoy("", "lb_policy: RING_HASH"), "peers=2"},
			{"a ring", envoy(envoyRoute("hash_policy: [ { connection_properties: { source_ip: true } } ]"), "lb_policy: RING_HASH"), "peers=1"},
			{"another policy", envoy("", "load_balancing_policy: { policies: [] }"), "peers=?"},
			{"weighted", envoyYAML("", "", weighted, "", ""), "peers=?"},
		}},
	} {
		for _, c := range k.cases {
			c.name = k.kind.Kind + ": " + c.name
			h, _ := proxyHop(t, k.kind, k.line, map[string]string{k.file: c.config})
			c.check(t, h)
		}
	}
}
