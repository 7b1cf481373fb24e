package checks

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

// What stands in http before a server that listens for workers; what the real nginx
// makes of it is asked, and lint is not to contradict it.
const ways = `
auth_basic x; auth_basic_user_file /dev/null; ~ location / { auth_basic off; PASS }
~ auth_basic x; auth_basic_user_file /dev/null; location / { PASS } location /notify_me_if_gm_version_updated { auth_basic off; PASS }
~ location / { satisfy any; auth_basic x; auth_basic_user_file /dev/null; allow 127.0.0.0/8; deny all; PASS }
~ location / { satisfy any; auth_basic x; auth_basic_user_file /dev/null; deny all; PASS }
~ location / { satisfy all; auth_basic x; auth_basic_user_file /dev/null; allow all; PASS }
~ location / { allow all; deny all; PASS }
~ location / { deny all; allow all; PASS }
deny all; ~ location / { PASS }
deny all; ~ location / { allow all; PASS }
~ deny all; location / { PASS } location /challenge_phrase { allow all; PASS }
~ location / { limit_except POST { deny all; } PASS }
~ location / { limit_except GET POST { deny all; } PASS }
~ location / { limit_except GET { deny all; } PASS }
~ location / { limit_except GET { allow all; deny all; } PASS }
~ location / { if ($request_method !~ ^(GET|POST)$) { return 405; } PASS }
~ location / { if ($request_method ~ ^(GET|HEAD)$) { return 405; } PASS }
~ location / { if ($http_x_token != secret) { return 403; } PASS }
~ location / { if ($http_authorization = "") { return 401; } PASS }
~ location / { if ($args) { return 400; } PASS }
~ location / { if ($cookie_session) { return 400; } PASS }
~ if ($request_uri ~ "^/notify") { return 404; } location / { PASS }
~ if ($uri ~ "^/nothing") { return 404; } location / { PASS }
~ set $ok 0; if ($request_method = POST) { set $ok 1; } if ($ok = 0) { return 403; } location / { PASS }
~ set $ok 0; if ($request_method ~ "GET|POST") { set $ok 1; } if ($ok = 0) { return 403; } location / { PASS }
~ set $no 1; if ($no) { return 403; } location / { PASS }
~ set $no 0; if ($no) { return 403; } location / { PASS }
map $request_method $bad { default 0; POST 1; } ~ location / { if ($bad) { return 405; } PASS }
map $http_x $bad { default 0; yes 1; } ~ location / { if ($bad) { return 405; } PASS }
geo $in { default 1; 127.0.0.0/8 0; } ~ location / { if ($in) { return 403; } PASS }
geo $in { default 0; 127.0.0.0/8 1; } ~ location / { if ($in) { return 403; } PASS }
~ if ($scheme = http) { return 301 https://$host$request_uri; } location / { PASS }
~ if ($scheme = https) { return 301 http://$host$request_uri; } location / { PASS }
~ location / { internal; PASS }
~ error_page 404 = @app; location / { return 404; } location @app { PASS }
~ error_page 404 = /app; location / { return 404; } location /app { PASS }
~ error_page 418 = @app; location / { return 418; } location @app { PASS }
~ error_page 405 =200 @app; location / { if ($request_method = POST) { return 405; } PASS } location @app { PASS }
~ location / { try_files $uri @app; } location @app { PASS }
~ location / { try_files $uri /fallback; } location /fallback { PASS }
~ location / { try_files $uri $uri/ =404; PASS }
~ location / { try_files /none @app; } location @app { internal; PASS }
~ location / { rewrite ^/(.*)$ /app/$1 break; PASS }
~ location / { rewrite ^/app/(.*)$ /$1 break; PASS }
~ rewrite ^/old/(.*)$ /$1 last; location / { PASS }
~ location / { proxy_pass http://fl/; }
~ location / { proxy_pass http://fl/api/; }
~ location / { proxy_pass http://fl$request_uri; }
~ location / { proxy_pass http://127.0.0.1:5000$uri; }
~ location / { proxy_pass http://127.0.0.1:5000/api$request_uri; }
~ location / { rewrite ^/(.*)$ /$1 break; PASS }
~ location / { set $to 127.0.0.1:5000; proxy_pass http://$to; }
~ location / { set $to http://127.0.0.1:5000; proxy_pass $to$request_uri; }
~ set $to 127.0.0.1:5000; location / { proxy_pass http://$to; }
~ set $to fl; location / { proxy_pass http://$to; }
~ set $to 127.0.0.1:5001; location / { set $to 127.0.0.1:5000; proxy_pass http://$to; }
~ location / { set $to 127.0.0.1:5000; if ($request_method = POST) { set $to 127.0.0.1:5001; } proxy_pass http://$to; }
~ location / { break; set $to 127.0.0.1:5000; proxy_pass http://$to; }
~ location / { proxy_pass http://$to; set $to 127.0.0.1:5000; }
~ location / { set $to app.invalid; proxy_pass http://$to:5000; }
~ location / { resolver 127.0.0.1:53; set $to app.invalid; proxy_pass http://$to:5000; }
~ location /x { set $to 127.0.0.1:5000; } location / { proxy_pass http://$to; }
~ set $to 127.0.0.1; location / { proxy_pass http://$to:5000/$request_uri; }
~ set $to 127.0.0.1; location / { proxy_pass http://${to}:5000/api; }
~ location ~ ^/(register_worker|challenge_phrase|notify_me|return_global|receive_worker) { PASS }
~ location ~* ^/NOTIFY { return 404; } location / { PASS }
~ location ^~ /n { PASS } location ~ notify { return 404; } location / { PASS }
~ location = /challenge_phrase { PASS } location /challenge { return 404; } location / { PASS }
~ location /receive_worker_update { return 204; } location / { PASS }
~ location /register_worker { return 200 registered; } location / { PASS }
~ location / { proxy_method GET; PASS }
~ location / { proxy_pass_request_body off; PASS }
~ location / { proxy_set_body x; PASS }
~ client_max_body_size 50k; location / { client_max_body_size 1m; PASS }
~ location /receive_worker_update { client_max_body_size 50k; PASS } location / { PASS }
~ client_max_body_size 0; location / { PASS }
proxy_read_timeout 100ms; ~ location / { proxy_read_timeout 1h; PASS }
proxy_read_timeout 1h; ~ location / { proxy_read_timeout 100ms; PASS }
~ location / { PASS location /notify { proxy_read_timeout 100ms; PASS } }
~ location / { PASS return 403; }
~ return 200 held; location / { PASS }
~ location / { auth_request /auth; PASS } location = /auth { return 204; }
~ location / { auth_request /auth; PASS } location = /auth { return 403; }
~ location / { auth_request /auth; PASS } location = /auth { internal; return 401; }
~ auth_request /auth; location / { auth_request off; PASS } location = /auth { return 403; }
~ location / { if ($request_method = POST) { PASS } return 404; }
upstream two { server 127.0.0.1:5000; server 127.0.0.1:5001; } ~ location / { proxy_pass http://two; }
upstream two { server 127.0.0.1:5000; server 127.0.0.1:5001 backup; } ~ location / { proxy_pass http://two; }
upstream two { server 127.0.0.1:5000; server 127.0.0.1:5001 down; } ~ location / { proxy_pass http://two; }
upstream two { ip_hash; server 127.0.0.1:5000; server 127.0.0.1:5001; } ~ location / { proxy_pass http://two; }
upstream two { hash $remote_addr; server 127.0.0.1:5000; server 127.0.0.1:5001; } ~ location / { proxy_pass http://two; }
upstream two { hash $request_uri; server 127.0.0.1:5000; server 127.0.0.1:5001; } ~ location / { proxy_pass http://two; }
upstream two { hash $host; server 127.0.0.1:5000; server 127.0.0.1:5001; } ~ location / { proxy_pass http://two; }
upstream two { least_conn; server 127.0.0.1:5000; server 127.0.0.1:5001; } ~ location / { proxy_pass http://two; }
upstream two { random; server 127.0.0.1:5000; server 127.0.0.1:5001; } ~ location / { proxy_pass http://two; }
upstream two { server 127.0.0.1:5000; server 127.0.0.1:5000; } ~ location / { proxy_pass http://two; }
~ location /notify_me_if_gm_version_updated { proxy_pass http://127.0.0.1:5001; } location / { PASS }
~ location /notify_me_if_gm_version_updated { proxy_pass http://127.0.0.1:5000; } location / { PASS }
split_clients $request_id $to { 50% 5000; * 5001; } ~ location / { proxy_pass http://127.0.0.1:$to; }
server { listen 127.0.0.1:80 ; location / { return 404; } } ~ location / { PASS }
limit_conn_zone $server_addr zone=all:1m; ~ location / { limit_conn all 10; PASS }
limit_conn_zone $server_addr zone=all:1m; ~ location / { limit_conn all 10; limit_conn_dry_run on; PASS }
limit_conn_zone $http_x zone=none:1m; ~ location / { limit_conn none 1; PASS }
limit_conn_zone $request_uri zone=uri:1m; ~ location / { limit_conn uri 1; PASS }
limit_req_zone $binary_remote_addr zone=r:1m rate=1r/s; ~ location /notify_me_if_gm_version_updated { limit_req zone=r; PASS } location / { PASS }
limit_req_zone $http_x zone=r:1m rate=1r/s; ~ location / { limit_req zone=r; PASS }
`

// TestTruth has real workers' requests come through the real nginx: lint passes no
// config that keeps them out, and fails none that holds the demand.
func TestTruth(t *testing.T) {
	n := realNginx(t)
	configs, unknown := 0, 0
	results := make(chan reports.Verdict, strings.Count(ways, "\n"))
	t.Run("configs", func(t *testing.T) {
		for way := range strings.Lines(ways) {
			before, inside, ok := strings.Cut(strings.TrimSpace(way), "~ ")
			if !ok {
				continue
			}
			text := "worker_processes 1;\nevents { worker_connections 512; }\nhttp {\n client_max_body_size 1m;\n upstream fl { server 127.0.0.1:5000; }\n " +
				before + "\n server {\n  listen 127.0.0.1:80 ;\n  " + strings.ReplaceAll(inside, "PASS", "proxy_pass http://fl;") + "\n }\n}\n"
			configs++
			t.Run("", func(t *testing.T) {
				t.Parallel()
				var list []reports.Finding
				for _, f := range lintText(t, text, "", crowd) {
					list = append(list, f)
				}
				verdict, why := Verdict(list, reports.SeverityError)
				err := n.holds(t.Context(), t, text)
				if err == nil && verdict == reports.VerdictFail || err != nil && (verdict == reports.VerdictPass || verdict == reports.VerdictWarn) {
					t.Errorf("%s\nlint says %s (%q), and nginx: %v", way, verdict, why, err)
				}
				if verdict == reports.VerdictRefused {
					t.Logf("unknown: %s %q; nginx: %v", way, why, err)
				}
				results <- verdict
			})
		}
	})
	close(results)
	for v := range results {
		if v == reports.VerdictRefused {
			unknown++
		}
	}
	t.Logf("%d configs, of %d lint can't tell", configs, unknown)
	if unknown*6 > configs {
		t.Errorf("of %d configs lint can't tell %d", configs, unknown)
	}
}
