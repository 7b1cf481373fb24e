package kinds

import (
	"strings"
	"testing"
)

// What keeps workers out is told, what may is unknown, and what is about others is
// neither.
func TestAccess(t *testing.T) {
	apache := func(more string) string { return apacheEvent + "ProxyPass / http://127.0.0.1:5000/\n" + more }
	in := func(section, more string) string {
		kind, _, _ := strings.Cut(section, " ")
		return apache("<" + section + ">\n" + more + "\n</" + kind + ">\n")
	}
	haproxy := func(more string) string {
		return haproxyBase + "listen f\n bind :80\n server a 127.0.0.1:5000\n " + strings.ReplaceAll(more, "\n", "\n ") + "\n"
	}
	caddy := func(more string) string { return ":80 {\n" + more + "\nreverse_proxy 127.0.0.1:5000\n}\n" }
	caddyJSON := func(server, routes string) string {
		return `{"apps":{"http":{"servers":{"a":{` + server + `"routes":[` + routes + `{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"a:1"}]}]}]}}}}}`
	}
	traefik := func(router, more string) string {
		return traefikWay + "  routers:\n    r:\n      service: fl\n      rule: Host(`fl.example.org`) && PathPrefix(`/`)\n" + router + more
	}
	middleware := func(m string) string {
		return traefik("      middlewares: [m]\n", "  middlewares:\n    m:\n      "+m+"\n")
	}
	filter := func(kind string) string {
		return envoyYAML("", `http_filters: [ { name: f, typed_config: { "@type": a/`+kind+` } }, { name: r, typed_config: { "@type": a/b.v3.Router } } ]`, "", "", "")
	}
	routes := func(r string) string { return envoyYAML("", "", "routes: [ "+r+" ]", "", "") }
	chain := func(s string) string {
		return strings.Replace(envoyYAML("", "", "", "", ""), "    - filters:\n", "    - "+s+"\n      filters:\n", 1)
	}
	const client = `transport_socket: { name: tls, typed_config: { "@type": a/b.v3.DownstreamTlsContext, require_client_certificate: %s } }`
	const password = "AuthType Basic\nAuthName x\nAuthUserFile /x\nRequire valid-user"
	for _, k := range []struct {
		kind  *Kind
		line  string
		file  string
		cases []proxyCase
	}{
		{Apache, "httpd -f /srv/h.conf", "srv/h.conf", []proxyCase{
			{"nothing", apache(""), "access=open"},
			{"denied", in("Location /", "Require all denied"), "access=shut"},
			{"granted", in("Location /", "Require all granted"), "access=open"},
			{"password", in("Location /", password), "access=shut"},
			{"a directory", in("Directory /", "Require all denied"), "access=open"},
			{"another's place", in("Location /server-status", "Require local"), "access=open"},
			{"of one route", in("Location /register_worker", "Require all denied"), "access=shut"},
			{"no such name", in("Location /register", "Require all denied"), "access=open"},
			{"of routes by a pattern", in("LocationMatch ^/receive_", "Require all denied"), "access=shut"},
			{"by another pattern", in("Location ~ ^/admin", "Require all denied"), "access=open"},
			{"no pattern", in("LocationMatch (?=x)", "Require all denied"), "access=?"},
			{"networks", in("Location /", "Require ip 10.0.0.0/8"), "access=?"},
			{"all networks", in("Location /", "Require ip 0.0.0.0/0"), "access=open"},
			{"this host", in("Location /", "Require local"), "access=?"},
			{"a password or a network", in("Location /", password+"\nRequire ip 10.0.0.0/8"), "access=?"},
			{"a password and a network", in("Location /", "<RequireAll>\nRequire valid-user\nRequire ip 10.0.0.0/8\n</RequireAll>"), "access=shut"},
			{"all but some", in("Location /", "<RequireAll>\nRequire all granted\nRequire not ip 192.0.2.1\n</RequireAll>"), "access=open"},
			{"not all", in("Location /", "<RequireAll>\nRequire all granted\nRequire not all granted\n</RequireAll>"), "access=shut"},
			{"none", in("Location /", "<RequireNone>\nRequire all granted\n</RequireNone>\nRequire all denied"), "access=shut"},
			{"an expression", in("Location /", "Require expr %{HTTP:X} == 'secret'"), "access=?"},
			{"methods", in("Location /", "Require method GET POST"), "access=open"},
			{"not POST", in("Location /", "Require method GET"), "access=shut"},
			{"the later counts", in("Location /", "Require all denied") + "<Location /register_worker>\nRequire all granted\n</Location>\n", "access=shut"},
			{"and opens", in("Location /", "Require all denied") + "<LocationMatch .>\nRequire all granted\n</LocationMatch>\n", "access=open"},
			{"methods of others", in("Location /", "<LimitExcept GET POST>\nRequire all denied\n</LimitExcept>"), "access=open"},
			{"methods of workers", in("Location /", "<Limit POST>\nRequire all denied\n</Limit>"), "access=shut"},
			{"under a condition", in("If \"%{REMOTE_ADDR} == '192.0.2.1'\"", "Require all denied"), "access=?"},
			{"of a version", in("IfVersion >= 2.4", "<Location />\nRequire all denied\n</Location>"), "access=?"},
			{"granted of a version", in("IfVersion >= 2.4", "<Location />\nRequire all granted\n</Location>"), "access=open"},
			{"merged", in("Location /", "AuthMerging And\nRequire all denied"), "access=?"},
			{"of the proxy", in("Proxy *", "Require all denied"), "access=shut"},
			{"of this target", in("Proxy http://127.0.0.1:5000/*", "Require all denied"), "access=shut"},
			{"of another target", in("Proxy http://127.0.0.1:6000/*", "Require all denied"), "access=open"},
			{"a Location opens a Proxy", in("Location /", "Require all granted") + "<Proxy *>\nRequire all denied\n</Proxy>\n", "access=open"},
			{"Deny", in("Proxy *", "Order deny,allow\nDeny from all"), "access=shut"},
			{"Allow", in("Proxy *", "Order deny,allow\nAllow from all"), "access=open"},
			{"Deny but", in("Location /", "Order deny,allow\nDeny from all\nAllow from 10.0.0.0/8"), "access=?"},
			{"Deny some", in("Location /", "Order allow,deny\nAllow from all\nDeny from 192.0.2.1"), "access=open"},
			{"Order without Allow", in("Location /", "Order allow,deny"), "access=shut"},
			{"Satisfy", in("Location /", password+"\nOrder deny,allow\nDeny from all\nAllow from 10.0.0.0/8\nSatisfy any"), "access=?"},
			{"of another host", apacheEvent + "<VirtualHost *:80>\nProxyPass / http://127.0.0.1:5000/\n</VirtualHost>\n<VirtualHost *:81>\n<Location />\nRequire all denied\n</Location>\n</VirtualHost>\n", "access=open"},
			{"below a path", apacheEvent + "ProxyPass /fl/ http://127.0.0.1:5000/\n<Location /fl>\nRequire all denied\n</Location>\n", "access=shut"},
			{"beside a path", apacheEvent + "ProxyPass /fl/ http://127.0.0.1:5000/\n<Location /x>\nRequire all denied\n</Location>\n", "access=open"},
			{"in its own place", apacheEvent + "<Location /fl>\nProxyPass http://127.0.0.1:5000/\nRequire all denied\n</Location>\n", "access=shut"},
			{"by a rule", apacheEvent + "RewriteRule ^/fl/(.*)$ http://127.0.0.1:5000/$1 [P]\n<Location /fl>\nRequire all denied\n</Location>\n", "access=shut"},
			{"included", in("Location /", "Include /srv/deny.conf"), "access=shut"},
		}},
		{HAProxy, "haproxy -f h.cfg", "srv/h.cfg", []proxyCase{
			{"nothing", haproxy(""), "access=open"},
			{"deny", haproxy("http-request deny"), "access=shut"},
			{"tarpit", haproxy("http-request tarpit deny_status 429"), "access=shut"},
			{"reject", haproxy("tcp-request connection reject"), "access=shut"},
			{"content", haproxy("tcp-request inspect-delay 5s\ntcp-request content reject"), "access=shut"},
			{"password", haproxy("http-request auth realm x unless { http_auth(users) }"), "access=shut"},
			{"password by name", haproxy("acl ok http_auth(users)\nhttp-request auth if !ok"), "access=shut"},
			{"admin", haproxy("http-request deny if { path_beg /admin }"), "access=open"},
			{"a route", haproxy("http-request deny if { path -m beg -i /RECEIVE }"), "access=shut"},
			{"all but a path", haproxy("http-request deny unless { path_beg /fl }"), "access=?"},
			{"a pattern", haproxy("http-request deny if { path_reg ^/[a-z_]+ }"), "access=shut"},
			{"networks", haproxy("tcp-request connection reject unless { src 10.0.0.0/8 }"), "access=?"},
			{"some", haproxy("tcp-request connection reject if { src -f /etc/bad.lst }"), "access=open"},
			{"a rate", haproxy("http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }"), "access=?"},
			{"allowed before", haproxy("http-request allow\nhttp-request deny"), "access=open"},
			{"some allowed before", haproxy("http-request allow if { src 10.0.0.0/8 }\nhttp-request deny"), "access=?"},
			{"none allowed before", haproxy("http-request allow if METH_DELETE\nhttp-request deny"), "access=shut"},
			{"methods", haproxy("http-request deny unless METH_GET or METH_POST"), "access=open"},
			{"no POST", haproxy("http-request deny if ! METH_GET"), "access=shut"},
			{"and", haproxy("acl post method POST\nacl adm path /admin /x\nhttp-request deny if post adm"), "access=open"},
			{"or", haproxy("acl post method POST\nacl adm path /admin\nhttp-request deny if adm || post"), "access=shut"},
			{"TLS", haproxy("http-request deny unless { ssl_fc }"), "access=shut"},
			{"no such name", haproxy("http-request deny if what"), "access=?"},
			{"under .if", haproxy(".if defined(X)\nhttp-request deny\n.endif"), "access=?"},
			{"of tcp", haproxy("mode tcp\nhttp-request deny"), "access=open"},
			{"of defaults", "defaults d\n mode http\n http-request deny\nlisten f from d\n bind :80\n server a a:1\n", "access=shut"},
			{"of the backend", haproxyBase + "frontend f\n bind :80\n default_backend b\nbackend b\n http-request deny\n server a a:1\n", "access=shut"},
			{"allow of the frontend", haproxyBase + "frontend f\n bind :80\n http-request allow\n default_backend b\nbackend b\n http-request deny\n server a a:1\n", "access=shut"},
			{"TLS of the frontend", haproxyBase + "frontend f\n bind :443 ssl\n default_backend b\nbackend b\n http-request deny if !{ ssl_fc }\n server a a:1\n", "access=open"},
			{"a brace that stays open", haproxy("http-request deny if { path"), "access=?"},
		}},
		{Caddy, "caddy run --config Caddyfile", "srv/Caddyfile", []proxyCase{
			{"nothing", caddy(""), "access=open"},
			{"harmless", caddy("encode gzip\nheader X y\nlog {\n output file /x\n}\ntls a@example.org"), "access=open"},
			{"password", caddy("basic_auth {\n w secret\n}"), "access=shut"},
			{"password by its old name", caddy("basicauth {\n w secret\n}"), "access=shut"},
			{"password of all by a pattern", caddy("basic_auth /* {\n w secret\n}"), "access=shut"},
			{"password of admin", caddy("basic_auth /admin/* {\n w secret\n}"), "access=open"},
			{"password of a route", caddy("basic_auth /register_worker {\n w secret\n}"), "access=shut"},
			{"password of a name", caddy("@a path /admin /x\nbasic_auth @a {\n w secret\n}"), "access=open"},
			{"password of others", caddy("@a remote_ip 10.0.0.0/8\nbasic_auth @a {\n w secret\n}"), "access=?"},
			{"all but a network", caddy("@a not remote_ip 10.0.0.0/8\nabort @a"), "access=?"},
			{"all but a network in a block", caddy("@a {\n not {\n  client_ip 10.0.0.0/8\n }\n}\nabort @a"), "access=?"},
			{"no POST", caddy("@a method POST\nrespond @a 405"), "access=shut"},
			{"methods of others", caddy("@a not method GET POST\nrespond @a 405"), "access=open"},
			{"a server is asked", caddy("forward_auth auth:9091 {\n uri /x\n}"), "access=?"},
			{"abort", caddy("abort"), "access=shut"},
			{"error", caddy("error 403"), "access=?"},
			{"a redirect", caddy("redir https://x{uri}"), "access=?"},
			{"respond", caddy("respond /health 200"), "access=open"},
			{"respond to all", caddy("respond 403"), "access=shut"},
			{"a plugin", caddy("rate_limit {\n zone x\n}"), "access=?"},
			{"its own order", "{\n order respond last\n}\n" + caddy("respond 403"), "access=?"},
			{"a wrapper", "{\n servers {\n  listener_wrappers {\n   geo\n  }\n }\n}\n" + caddy(""), "access=?"},
			{"certificates", caddy("tls {\n client_auth {\n  mode require_and_verify\n }\n}"), "access=shut"},
			{"certificates that may be", caddy("tls {\n client_auth {\n  mode verify_if_given\n }\n}"), "access=open"},
			{"certificates by default", caddy("tls {\n client_auth {\n  trust_pool file /x\n }\n}"), "access=?"},
			{"a snippet", "(p) {\n basic_auth {\n  w secret\n }\n}\n" + caddy("import p"), "access=shut"},
			{"of another site", caddy("") + ":81 {\n abort\n}\n", "access=open"},
			{"the rest", ":80 {\n handle /fl/* {\n  reverse_proxy a:1\n }\n handle {\n  respond 404\n }\n}\n", "access=open"},
			{"the rest of some", ":80 {\n handle /receive_* {\n  reverse_proxy a:1\n }\n handle {\n  abort\n }\n}\n", "access=?"},
			{"beside", ":80 {\n handle /register_worker {\n  abort\n }\n handle {\n  reverse_proxy a:1\n }\n}\n", "access=?"},
			{"beside, of admin", ":80 {\n handle /admin {\n  abort\n }\n handle {\n  reverse_proxy a:1\n }\n}\n", "access=open"},
			{"within", ":80 {\n handle {\n  basic_auth {\n   w secret\n  }\n  reverse_proxy a:1\n }\n}\n", "access=shut"},
			{"below a path", ":80 {\n basic_auth /fl/* {\n  w secret\n }\n handle_path /fl/* {\n  reverse_proxy a:1\n }\n}\n", "access=?"},
			{"before", ":80 {\n route {\n  basic_auth {\n   w secret\n  }\n  reverse_proxy a:1\n }\n}\n", "access=shut"},
			{"after", ":80 {\n route {\n  reverse_proxy a:1\n  respond 404\n }\n}\n", "access=open"},
			{"some alone", ":80 {\n @in remote_ip 10.0.0.0/8\n reverse_proxy @in a:1\n}\n", "access=?"},
			{"a host", ":80 {\n @fl host fl.example.org\n handle @fl {\n  reverse_proxy a:1\n }\n handle {\n  abort\n }\n}\n", "access=open"},
		}},
		{Caddy, "caddy run --config c.json", "srv/c.json", []proxyCase{
			{"JSON", caddyJSON("", ""), "access=open"},
			{"JSON: password", caddyJSON("", `{"handle":[{"handler":"authentication","providers":{"http_basic":{"accounts":[{"password":"secret"}]}}}]},`), "access=shut"},
			{"JSON: password of admin", caddyJSON("", `{"match":[{"path":["/admin/*"]}],"handle":[{"handler":"authentication","providers":{"http_basic":{}}}]},`), "access=open"},
			{"JSON: password of some", caddyJSON("", `{"match":[{"remote_ip":{"ranges":["10.0.0.0/8"]}}],"handle":[{"handler":"authentication","providers":{"http_basic":{}}}]},`), "access=?"},
			{"JSON: another provider", caddyJSON("", `{"handle":[{"handler":"authentication","providers":{"x":{}}}]},`), "access=?"},
			{"JSON: an answer", caddyJSON("", `{"handle":[{"handler":"subroute","routes":[{"handle":[{"handler":"static_response"}]}]}]},`), "access=?"},
			{"JSON: of another host", strings.Replace(caddyJSON("", `{"match":[{"host":["b"]}],"handle":[{"handler":"error"}]},`), `{"handle":[{"handler":"reverse`, `{"match":[{"host":["a"]}],"handle":[{"handler":"reverse`, 1), "access=open"},
			{"JSON: some alone", strings.Replace(caddyJSON("", ""), `{"handle"`, `{"match":[{"remote_ip":{}}],"handle"`, 1), "access=?"},
			{"JSON: certificates", caddyJSON(`"tls_connection_policies":[{"client_authentication":{"mode":"require"}}],`, ""), "access=shut"},
			{"JSON: certificates of a name", caddyJSON(`"tls_connection_policies":[{"match":{"sni":["x"]},"client_authentication":{"mode":"require"}},{}],`, ""), "access=?"},
			{"JSON: a wrapper", caddyJSON(`"listener_wrappers":[{"wrapper":"geo"}],`, ""), "access=?"},
		}},
		{Traefik, "traefik --providers.file.filename=/srv/fl.yml", "srv/fl.yml", []proxyCase{
			{"nothing", traefik("", ""), "access=open"},
			{"no router", traefikWay, "access=open"},
			{"password", middleware("basicAuth: { users: [ 'w:secret' ] }"), "access=shut"},
			{"digest", middleware("digestAuth: { users: [ 'w:x:secret' ] }"), "access=shut"},
			{"of no router", traefik("", "  middlewares:\n    m:\n      basicAuth: { users: [ x ] }\n"), "access=open"},
			{"harmless", middleware("stripPrefix: { prefixes: [ /fl ] }"), "access=open"},
			{"headers", middleware("headers: { customRequestHeaders: { X: y } }"), "access=open"},
			{"hosts", middleware("headers: { allowedHosts: [ a ] }"), "access=?"},
			{"a server is asked", middleware("forwardAuth: { address: 'http://a' }"), "access=?"},
			{"networks", middleware("ipAllowList: { sourceRange: [ 10.0.0.0/8 ] }"), "access=?"},
			{"all networks", middleware("ipWhiteList: { sourceRange: [ 0.0.0.0/0 ] }"), "access=open"},
			{"a rate", middleware("rateLimit: { average: 5 }"), "access=?"},
			{"a plugin", middleware("plugin: { x: { a: b } }"), "access=?"},
			{"a chain", traefik("      middlewares: [c]\n", "  middlewares:\n    c:\n      chain: { middlewares: [ m@file ] }\n    m:\n      basicAuth: { users: [ x ] }\n"), "access=shut"},
			{"a chain in a circle", middleware("chain: { middlewares: [ m ] }"), "access=?"},
			{"of another provider", traefik("      middlewares: ['auth@docker']\n", ""), "access=?"},
			{"by another router, too", traefik("      middlewares: [m]\n", "    s:\n      service: fl\n      rule: Host(`x`)\n  middlewares:\n    m:\n      basicAuth: { users: [ x ] }\n"), "access=?"},
			{"a rule", strings.Replace(traefik("", ""), "PathPrefix(`/`)", "ClientIP(`10.0.0.0/8`)", 1), "access=?"},
			{"certificates", traefik("      tls: {}\n", "tls:\n  options:\n    default:\n      clientAuth: { clientAuthType: RequireAndVerifyClientCert }\n"), "access=shut"},
			{"certificates of other options", traefik("      tls: { options: a }\n", "tls:\n  options:\n    b:\n      clientAuth: { clientAuthType: RequireAnyClientCert }\n"), "access=?"},
			{"certificates that may be", traefik("      tls: {}\n", "tls:\n  options:\n    default:\n      clientAuth: { clientAuthType: VerifyClientCertIfGiven }\n"), "access=open"},
			{"no TLS", traefik("", "tls:\n  options:\n    default:\n      clientAuth: { clientAuthType: RequireAnyClientCert }\n"), "access=open"},
		}},
		{Traefik, "traefik --entrypoints.web.http.middlewares=m@file --providers.file.filename=/srv/fl.yml", "srv/fl.yml", []proxyCase{
			{"of the entry point", traefik("", "  middlewares:\n    m:\n      basicAuth: { users: [ x ] }\n"), "access=shut"},
			{"of the entry point, and gone", traefik("", ""), "access=?"},
		}},
		{Envoy, "envoy -c e.yaml", "srv/e.yaml", []proxyCase{
			{"nothing", envoyYAML("", "", "", "", ""), "access=open"},
			{"harmless", filter("b.v3.Cors"), "access=open"},
			{"password", filter("b.v3.BasicAuth, users: { inline_string: secret }"), "access=shut"},
			{"password but on a route", envoyYAML("", `http_filters: [ { typed_config: { "@type": a/b.v3.BasicAuth } } ]`, `routes: [ { match: { prefix: "/" }, route: { cluster: app }, typed_per_filter_config: { x: {} } } ]`, "", ""), "access=?"},
			{"disabled", envoyYAML("", `http_filters: [ { disabled: true, typed_config: { "@type": a/b.v3.BasicAuth } } ]`, "", "", ""), "access=open"},
			{"a server is asked", filter("b.v3.ExtAuthz"), "access=?"},
			{"RBAC", filter("b.v3.RBAC, rules: { action: DENY }"), "access=?"},
			{"RBAC that logs", filter("b.v3.RBAC, shadow_rules: { action: DENY }"), "access=open"},
			{"tokens", filter("b.v3.JwtAuthentication"), "access=?"},
			{"a script", filter("b.v3.Lua"), "access=?"},
			{"a program", filter("golang.v3alpha.Config"), "access=?"},
			{"health", filter("b.v3.HealthCheck, headers: [ { name: ':path', exact_match: /health } ]"), "access=open"},
			{"health of all", filter("b.v3.HealthCheck"), "access=?"},
			{"of the connection", strings.Replace(envoyYAML("", "", "", "", ""), "      - name: hcm", `      - { name: rbac, typed_config: { "@type": a/b.v3.RBAC } }`+"\n      - name: hcm", 1), "access=?"},
			{"of the listener", envoyYAML(`listener_filters: [ { typed_config: { "@type": a/b.v3.LocalRateLimit } } ]`, "", "", "", ""), "access=?"},
			{"TLS", envoyYAML(`listener_filters: [ { typed_config: { "@type": a/b.v3.TlsInspector } } ]`, "", "", "", ""), "access=open"},
			{"certificates", chain(strings.Replace(client, "%s", "true", 1)), "access=shut"},
			{"no certificates", chain(strings.Replace(client, "%s", "false", 1)), "access=open"},
			{"another socket", chain(`transport_socket: { typed_config: { "@type": a/b.v3.Alts } }`), "access=?"},
			{"networks", chain("filter_chain_match: { source_prefix_ranges: [ { address_prefix: 10.0.0.0, prefix_len: 8 } ] }"), "access=?"},
			{"an answer", routes(`{ match: { path: /register_worker }, direct_response: { status: 403 } }, { match: { prefix: "/" }, route: { cluster: app } }`), "access=shut"},
			{"an answer below a path", routes(`{ match: { path: /fl/register_worker }, direct_response: { status: 403 } }, { match: { prefix: "/" }, route: { cluster: app } }`), "access=?"},
			{"an answer to some", routes(`{ match: { prefix: "/", headers: [ { name: x } ] }, direct_response: { status: 403 } }, { match: { prefix: "/" }, route: { cluster: app } }`), "access=?"},
			{"an answer to others", routes(`{ match: { path: /health }, direct_response: { status: 200 } }, { match: { prefix: "/" }, route: { cluster: app } }`), "access=open"},
			{"a redirect", routes(`{ match: { path: /register_worker }, redirect: { https_redirect: true } }, { match: { prefix: "/" }, route: { cluster: app } }`), "access=?"},
			{"some alone", routes(`{ match: { prefix: "/", headers: [ { name: x } ] }, route: { cluster: app } }`), "access=?"},
			{"the rest", routes(`{ match: { prefix: "/" }, route: { cluster: app } }, { match: { prefix: "/" }, direct_response: { status: 404 } }`), "access=open"},
			{"TLS is asked for", envoyYAML("", "", "require_tls: ALL\n              routes: [ { match: { prefix: \"/\" }, route: { cluster: app } } ]", "", ""), "access=?"},
		}},
	} {
		for _, c := range k.cases {
			c.name = k.kind.Kind + ": " + c.name
			h, d := proxyHop(t, k.kind, k.line, map[string]string{k.file: c.config, "srv/deny.conf": "Require all denied\n"})
			c.check(t, h)
			if len(d.Passes.V) == 0 {
				t.Errorf("%s: no way is read: %s", c.name, d.Passes.Why())
				continue
			}
			if text := d.Passes.V[0].Settings["access"]; strings.Contains(text.V+text.Err, "secret") {
				t.Errorf("%s: %q keeps a secret", c.name, text.V+text.Err)
			}
		}
	}
}

// What passes bytes on asks for nothing; of what is not known the probe tells.
func TestAccessOfOthers(t *testing.T) {
	for k, want := range map[*Kind]string{Pasta: "n/a", Nginx: "n/a", Uvicorn: "n/a", Other: "n/a", Named("squid"): "n/a", Caddy: "?", Traefik: "?", Envoy: "?"} {
		if got := said(Hop{Kind: k}, Access); got != want {
			t.Errorf("%s: %s, want %s", k.Kind, got, want)
		}
	}
}

// Who states that workers get in is believed, and nothing else may be stated.
func TestAccessStated(t *testing.T) {
	h := Hop{Kind: HAProxy, Stated: map[Question]string{Access: "open"}}
	if got := said(h, Access); got != "open" {
		t.Errorf("stated: %s", got)
	}
	if _, _, err := ParseHop("haproxy access=some"); err == nil {
		t.Error("access=some is taken")
	}
}
