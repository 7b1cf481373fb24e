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
	} {
		for _, c := range k.cases {
			c.name = k.kind.Kind + ": " + c.name
			h, d := proxyHop(t, k.kind, k.line, map[string]string{k.file: c.config, "srv/deny.conf": "Require all denied\n"})
			c.check(t, h)
			if text := d.Passes.V[0].Settings["access"]; strings.Contains(text.V+text.Err, "secret") {
				t.Errorf("%s: %q keeps a secret", c.name, text.V+text.Err)
			}
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
