package nginx

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// refusedInHTTP are configs that nginx refuses, a kind each; what stands in http.
// Those after "# beyond" are refused by the real nginx alone.
const refusedInHTTP = `
server { listen 127.0.0.1:8081; location / { proxy_read_timout 6h; } }
proxy_red_timeout 5s;
client_max_body 20m;
server { lisen 80; }
server { location / { proxypass http://127.0.0.1; } }
server { listen 127.0.0.1:8081; http2 on; }
server { listen 127.0.0.1:8081 quic; }
server { listen 127.0.0.1:8081 http3; }
upstream u { zone z 64k; server a.example resolve; }
upstream u { server 127.0.0.1 slow_start=30s; }
upstream u { server 127.0.0.1; least_time header; }
upstream u { server 127.0.0.1; sticky cookie x; }
upstream u { server 127.0.0.1; queue 10; }
server { location / { health_check; } }
server { location / { status; } }
server { location / { auth_jwt x; } }
keyval_zone zone=x:1m;
server { location / { add_header_inherit merge; } }
server { location / { early_hints 1; } }
keepalive_min_timeout 5s;
server { location / { brotli on; } }
server { location / { echo hi; } }
worker_connections 100;
worker_processes 2;
user www-data;
server { upstream u { server 127.0.0.1; } }
server { server { } }
location / { }
server { location / { server_name x; } }
server { location / { listen 80; } }
server { location / { ssl_certificate x; } }
server { location / { keepalive 5; } }
server { keepalive 5; }
upstream u { server 127.0.0.1; proxy_read_timeout 5s; }
upstream u { server 127.0.0.1; location / { } }
proxy_pass http://127.0.0.1;
server { proxy_pass http://127.0.0.1; }
return 200;
rewrite a b;
try_files a b;
internal;
server { internal; }
server { location / { if ($uri) { proxy_read_timeout 5s; } } }
server { location / { if ($uri) { location /a { } } } }
server { if ($uri) { proxy_pass http://127.0.0.1; } }
server { location / { limit_except GET { proxy_read_timeout 5s; } } }
server { limit_except GET { deny all; } }
server { location / { map $uri $x { } } }
server { log_format x y; }
server { limit_req_zone $uri zone=x:1m rate=1r/s; }
proxy_read_timeout;
proxy_read_timeout 5s 6s;
proxy_set_header X;
proxy_set_header X Y Z;
client_max_body_size;
server { location / { proxy_pass; } }
server { location / { proxy_pass http://127.0.0.1 http://127.0.0.2; } }
server { location / { proxy_pass http://127.0.0.1 ; } ; }
server { location / { return; } }
server { location { } }
server { location a b c { } }
server { location / { proxy_pass http://127.0.0.1 } }
server { listen; }
upstream { server 127.0.0.1; }
upstream a b { server 127.0.0.1; }
upstream u { server; }
log_format x;
add_header X;
map $uri { a b; }
limit_req_zone $uri zone=x:1m;
server { location / { limit_req; } }
server { location / { limit_conn; } }
gzip maybe;
proxy_buffering yes;
sendfile 1;
tcp_nodelay true;
proxy_read_timeout 5min;
proxy_read_timeout 5x;
proxy_read_timeout -1;
keepalive_timeout 5q;
client_body_timeout forever;
client_max_body_size 20mb;
client_max_body_size -1;
client_body_buffer_size 1g;
proxy_buffers 8;
proxy_buffers 8 x;
proxy_buffer_size 4kb;
keepalive_requests many;
gzip_comp_level 10;
limit_req_status 200;
limit_conn_status 9;
proxy_http_version 1.2;
satisfy both;
server { ssl_verify_client maybe; }
ssl_protocols TLSv1.4;
proxy_next_upstream never;
lingering_close sometimes;
if_modified_since never;
limit_req_log_level debug;
proxy_read_timeout 5s; proxy_read_timeout 6s;
gzip on; gzip on;
server { client_max_body_size 1m; client_max_body_size 2m; }
server { location / { proxy_pass http://127.0.0.1; proxy_pass http://127.0.0.2; } }
server { location / { root /a; root /b; } }
server { location / { root /a; alias /b; } }
server { location / { } location / { } }
server { location = / { } location = / { } }
upstream u { server 127.0.0.1; } upstream u { server 127.0.0.2; }
limit_req_zone $uri zone=x:1m rate=1r/s; limit_req_zone $host zone=x:1m rate=1r/s;
limit_req_zone $uri zone=x:1m rate=1r/s; limit_req zone=x; limit_req zone=x;
limit_conn_zone $uri zone=x:1m; limit_conn x 1; limit_conn x 2;
log_format x a; log_format x b;
server { listen 127.0.0.1:8081; listen 127.0.0.1:8081; }
server { listen 127.0.0.1:8081 default_server; } server { listen 127.0.0.1:8081 default_server; }
server { listen 127.0.0.1:8081 backlog=5; } server { listen 127.0.0.1:8081 backlog=6; }
server { listen 127.0.0.1:8081 reuseport; } server { listen 127.0.0.1:8081 so_keepalive=on; }
server { listen 127.0.0.1:8081 sssl; }
server { listen 127.0.0.1:8081 backlog=x; }
server { listen 127.0.0.1:8081 so_keepalive=maybe; }
server { listen [::]:8081 ipv6only=maybe; }
server { listen 127.0.0.1:8081 rcvbuf=x; }
server { listen 127.0.0.1:0; }
server { listen 127.0.0.1:70000; }
server { listen 127.0.0.1:80x; }
server { listen [::1:8081; }
server { listen 127.0.0.1:8081 ssl; }
server { listen 127.0.0.1:8081 ssl; ssl_certificate /x.crt; }
server { location / { proxy_pass http://$upstrem; } }
server { location / { proxy_set_header X $my_header; proxy_pass http://127.0.0.1; } }
server { location / { return 200 $nothing; } }
log_format x "$remote_adr";
limit_req_zone $client zone=x:1m rate=1r/s;
server { set $a $b; }
server { if ($nope = 1) { return 200; } }
map $nope $x { default 1; }
server { set a 1; }
server { location / { proxy_pass 127.0.0.1:5000; } }
server { location / { proxy_pass htp://127.0.0.1; } }
server { location ~ \.x$ { proxy_pass http://127.0.0.1/a; } }
server { location @a { proxy_pass http://127.0.0.1/a; } }
server { location / { proxy_pass http://127.0.0.1:99999; } }
server { location / { proxy_pass http://:5000; } }
upstream u { server 127.0.0.1; } server { location / { proxy_pass http://u:80; } }
upstream u { }
upstream u { server 127.0.0.1 weight=0.5; }
upstream u { server 127.0.0.1 max_fails=x; }
upstream u { server 127.0.0.1 fail_timeout=5ms; }
upstream u { server 127.0.0.1 wait=5; }
upstream u { server 127.0.0.1:0; }
upstream u { server :5000; }
upstream u { server 127.0.0.1; keepalive x; }
upstream u { server 127.0.0.1; keepalive 0; }
server { rewrite a b maybe; }
server { rewrite "(" b; }
server { rewrite ^/a( /b; }
server { location ~ "(" { } }
server { location ~ "[a" { } }
server { location ~ * { } }
server { location !~ x { } }
server { location = /a { location /a/b { } } }
server { location /a { location /b { } } }
server { location @a { location /b { } } }
server { location /a { location @b { } } }
server { location ~ a { location /b { } } }
server { if $uri { return 200; } }
server { if ($uri { return 200; } }
server { if () { return 200; } }
server { if (uri = a) { return 200; } }
server { if ($uri == a) { return 200; } }
server { if ($uri = ) { return 200; } }
server { if ($uri ~ "(") { return 200; } }
server { if (-f ) { return 200; } }
server { return abc; }
server { return 1000; }
server { return -1; }
error_page 200 /x;
error_page abc /x;
error_page 499 /x;
error_page /x;
allow 10.0.0.0/33;
deny everybody;
deny 10.0.0.1 10.0.0.2;
allow 300.0.0.1;
add_header X Y sometimes;
server { server_name "~("; }
access_log off off off nope;
access_log /dev/null fancy;
limit_req zone=none;
limit_conn none 5;
limit_req_zone $uri rate=1r/s;
limit_req_zone $uri zone=x:1m rate=0r/s;
limit_req_zone $uri zone=x:1k rate=1r/s;
limit_req_zone $uri zone=x rate=1r/s;
limit_req_zone $uri zone=x:1m rate=1r/s; limit_req zone=x burst=x;
limit_req_zone $uri zone=x:1m rate=1r/s; limit_req zone=x burst=0;
limit_req_zone $uri zone=x:1m rate=1r/s; limit_req zone=x nodely;
limit_req_zone $uri zone=x:1m rate=1r/s; limit_req burst=5;
limit_conn_zone $uri zone=x:1m; limit_conn x 0;
limit_conn_zone $uri zone=x:1m; limit_conn x many;
limit_conn_zone $uri zone=x:1m; limit_conn x 65536;
limit_conn_zone $uri;
proxy_cache_path /tmp/c;
map $uri $x { a b c; }
map $uri $x { a 1; a 2; }
map $uri $x { "~(" 1; }
map $uri $x { a; }
geo $x { nonsense 1; }
geo $x { 10.0.0.0/8; }
geo $x { 10.0.0.0/40 1; }
split_clients $uri $x { half a; }
include /nonexistent/file.conf;
include mime.typ;
server { listen 127.0.0.1:8081;
server { location / { return 200 "hello; } }
server { location / { return 200 "a"b; } }
}
server { ; }
server { location / { { } } }
proxy_read_timeout "5s;
'proxy_read_timeout 5s;
resolver_timeout 5s; resolver;
uninitialized_variable_warn;
# beyond
server { server_name a*b.example; } server { server_name c; }
upstream u { server 127.0.0.1 backup; ip_hash; }
proxy_cache nowhere;
server { location / { proxy_redirect default; } }
proxy_bind nowhere;
charset_map a b { zz; }
split_clients $uri $x { 60% a; 60% b; }
server { location / { proxy_pass http://unix:; } }
server { location / { proxy_pass http://$host; proxy_redirect default; } }
server { location / { limit_except SOMETHING { deny all; } } }
`

// TestRefused holds the tables to the real nginx: it refuses each, and so do they.
func TestRefused(t *testing.T) {
	binary, build := realNginx(t), realBuild(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	kinds, missed, beyond := 0, 0, false
	for line := range strings.Lines(refusedInHTTP) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			beyond = beyond || line == "# beyond"
			continue
		}
		text := realMain(dir) + line + "\n}\n"
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(binary, "-t", "-p", dir, "-c", conf, "-e", "stderr").CombinedOutput()
		taken := err == nil
		c, err := Read(Reading{Path: conf, Build: build})
		if err != nil {
			t.Fatal(err)
		}
		refused := false
		for _, p := range c.Problems {
			refused = refused || p.Refused
		}
		if taken {
			// What a newer nginx takes is refused by an older one.
			if refused || build.Version == "1.22.1" {
				t.Errorf("nginx %s takes %s\n%+v", build.Version, line, c.Problems)
			}
			continue
		}
		kinds++
		switch {
		case !refused && !beyond:
			t.Errorf("nginx refuses %s\n%s%+v", line, out, c.Problems)
		case refused && beyond:
			t.Errorf("is refused, too: %s", line)
		}
		if !refused {
			missed++
		}
	}
	t.Logf("%d kinds, of which %d are refused by the real nginx alone", kinds, missed)
}
