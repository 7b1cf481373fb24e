package nginx

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The pieces that configs are made of, as nginx takes them each by itself.
var (
	httpPieces = strings.Split(`sendfile on;|tcp_nopush on;|keepalive_timeout 65 60;|keepalive_timeout 0;|types_hash_max_size 2048;|server_tokens off;|gzip on;|gzip_types text/plain application/json;|gzip_comp_level 9;|gzip_static always;|gzip_proxied any;
log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $request_time $upstream_response_time $http_x_a $cookie_b $arg_c $sent_http_d';
map $http_upgrade $connection_upgrade { default upgrade; '' close; }
map $host $backend { hostnames; default 127.0.0.1:1; *.example.org 127.0.0.1:2; ~^a(?<rest>.*)$ 127.0.0.1:3; }
geo $inside { default 0; 10.0.0.0/8 1; ::1 2; }
geo $http_x_forwarded_for $range { ranges; 10.0.0.0-10.0.0.255 a; default b; }
split_clients "$remote_addr$uri" $variant { 0.5% a; 2.0% b; * c; }
limit_req_zone $binary_remote_addr zone=req:10m rate=10r/s;
limit_req_zone $server_name zone=req2:32k rate=30r/m;
limit_conn_zone $binary_remote_addr zone=conn:10m;
client_body_buffer_size 16k;|client_max_body_size 1g;|client_header_timeout 1m30s;|large_client_header_buffers 4 16k;|proxy_buffers 16 32k;|proxy_buffer_size 8k;|proxy_read_timeout 1d12h;|proxy_connect_timeout 500ms;
proxy_http_version 1.1;|proxy_set_header Connection "";|proxy_set_header Host $host;|proxy_next_upstream error timeout http_502 non_idempotent;|proxy_cache_valid 200 302 10m;|proxy_cache_valid 404 1m;
real_ip_header X-Forwarded-For;|set_real_ip_from 10.0.0.0/8;|set_real_ip_from unix:;|error_page 500 502 503 504 =200 /50x.html;|error_page 404 @fallback;|charset utf-8;|index index.html index.htm;|ssl_protocols TLSv1.2 TLSv1.3;|ssl_session_cache shared:SSL:10m;|ssl_session_timeout 1d;|ssl_ciphers HIGH:!aNULL:!MD5;
open_file_cache max=1000 inactive=20s;|open_file_cache_errors off;|access_log off;|directio 4m;|directio off;|userid_mark off;|expires -1;|expires max;|add_header X-A b always;|add_header X-A $host;|allow 127.0.0.1;|deny all;|auth_basic off;|satisfy any;|resolver 127.0.0.1 valid=30s ipv6=off;|resolver_timeout 5s;|proxy_limit_rate 100k;|limit_rate 10k;|limit_rate_after 1m;|lingering_close always;|if_modified_since before;|proxy_redirect off;|proxy_redirect http://a/ /;|proxy_cookie_path / "/; secure";|proxy_bind 127.0.0.1;|proxy_bind off;|proxy_ignore_headers Set-Cookie Expires;|proxy_ssl_verify off;|proxy_temp_file_write_size 64k;|underscores_in_headers on;|merge_slashes off;|types { text/html html; }|proxy_headers_hash_max_size 1024;|variables_hash_max_size 2048;|server_names_hash_bucket_size 128;|reset_timedout_connection on;|recursive_error_pages on;|limit_req_dry_run on;|aio threads;|keepalive_disable msie6;|proxy_method POST;|scgi_param A b;|uwsgi_param A $uri;|fastcgi_param A $uri if_not_empty;|uwsgi_read_timeout 5m;|grpc_read_timeout 5m;|fastcgi_buffers 8 8k;`, "\n")
	serverPieces = strings.Split(`server_name example.org www.example.org *.example.net ~^(?<name>.+)\.x$ "";|server_name _;|server_name .example.com;
client_max_body_size 20m;|error_page 404 /404.html;|if ($request_method = POST) { return 405; }|if ($http_user_agent ~* "bot|crawl") { return 403; }|if ($scheme = http) { rewrite ^ https://$host$request_uri? permanent; }|if (-f $document_root/off) { return 503; }|if (!-e $request_filename) { rewrite ^/(.*)$ /index.php?q=$1 last; }|if ($host !~ "^a{2,3}$") { set $x 1; }|if ($a) { break; }|if ($http_authorization != "Bearer a b") { return 401; }|if ( $a = "" ) { return 402; }|if ($a = b c) { break; }
set $a "";|set $x 0;|rewrite ^/old/(.*)$ /new/$1 last;|rewrite "^/y{1,2}$" /z break;|return 301 https://$host$request_uri;|return 444;|root /var/www/html;|ssl_verify_client off;|http2_max_concurrent_streams 256;|ignore_invalid_headers off;|try_files $uri $uri/ =404;|listen unix:/tmp/fltool-differential.sock;
location = /a { return 200 "ok $remote_addr\n"; default_type text/plain; }
location /b { proxy_pass http://127.0.0.1:5000; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }
location /c/ { proxy_pass http://127.0.0.1:5000/; proxy_read_timeout 6h; proxy_buffering off; proxy_request_buffering off; }
location ^~ /d { alias /srv/d/; autoindex on; autoindex_format json; }
location ~ \.php$ { fastcgi_pass unix:/run/php.sock; fastcgi_index index.php; fastcgi_split_path_info ^(.+\.php)(/.+)$; }
location ~* ^/e/(?<id>[0-9]{1,3})$ { return 200 $id; }
location @fallback { proxy_pass http://127.0.0.1:5001; }
location /f { internal; }|location /g { limit_except GET HEAD { deny all; } proxy_pass http://127.0.0.1:1; }
location /h { auth_request /auth; auth_request_set $user $upstream_http_x_user; proxy_set_header X-User $user; proxy_pass http://127.0.0.1:2; }
location /i { uwsgi_pass unix:/run/u.sock; }|location /j { grpc_pass grpc://127.0.0.1:50051; }|location /k { scgi_pass 127.0.0.1:9000; }|location /l { stub_status; }|location /l2 { stub_status on; }
location /m { set $up http://127.0.0.1:3; proxy_pass $up; }|location /n { proxy_pass http://$host:80; resolver 127.0.0.1; }|location /o { location /o/p { return 204; } location ~ q { return 205; } }
location /r { if ($request_method !~ ^(GET|HEAD)$) { return 405; } return 200; }|location /s { expires 30d; access_log off; log_not_found off; }|location /t { dav_methods PUT DELETE; client_body_in_file_only clean; }|location /v { gzip off; sub_filter a b; sub_filter_once off; mp4; }|location /w { empty_gif; }`, "\n")
	upstreamPieces = strings.Split(`server 127.0.0.1:5000;|server 127.0.0.1:5001 weight=5 max_fails=3 fail_timeout=30s max_conns=100;|server unix:/run/a.sock backup;|server [::1]:5000 down;|keepalive 16;|keepalive_timeout 60s;|keepalive_requests 1000;|keepalive_time 1h;|zone z 64k;`, "\n")
)

func pieces(rows []string) (all []string) {
	for _, row := range rows {
		all = append(all, strings.Split(row, "|")...)
	}
	// An alternative within an expression is no border between pieces.
	for i := len(all) - 1; i > 0; i-- {
		if strings.Count(all[i-1], "{") != strings.Count(all[i-1], "}") || strings.Count(all[i-1], `"`)%2 == 1 {
			all[i-1] += "|" + all[i]
			all = append(all[:i], all[i+1:]...)
		}
	}
	return all
}

// made puts a config together of a few pieces, and now and then breaks it.
func made(r *rand.Rand, dir string) string {
	some := func(rows []string, n int) string {
		all := pieces(rows)
		var b strings.Builder
		for range r.IntN(n) {
			b.WriteString(all[r.IntN(len(all))] + "\n")
		}
		return b.String()
	}
	var b strings.Builder
	b.WriteString(realMain(dir) + some(httpPieces, 8))
	if r.IntN(2) == 0 {
		b.WriteString("upstream u { server 127.0.0.1:4999;\n" + some(upstreamPieces, 4) + "}\n")
	}
	for i := range r.IntN(3) {
		fmt.Fprintf(&b, "server { listen 127.0.0.1:%d;\n%s}\n", 8081+r.IntN(2)+i, some(serverPieces, 6))
	}
	text := b.String() + "}\n"
	const fixed = 28                                                         // words that each config begins with
	if words := strings.Fields(text); r.IntN(3) == 0 && len(words) > fixed { // a slip of the pen
		w := words[fixed+r.IntN(len(words)-fixed)]
		if i := r.IntN(len(w)); len(w) > 3 {
			text = strings.Replace(text, w, w[:i]+w[i+1:], 1)
		}
	}
	return text
}

// TestDifferential makes small configs and asks nginx -t and the tables about each:
// the tables refuse none that nginx takes, and miss few that it refuses.
func TestDifferential(t *testing.T) {
	binary, build := realNginx(t), realBuild(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	r := rand.New(rand.NewPCG(1, 2))
	taken, refused, missed := 0, 0, 0
	for range 300 {
		text := made(r, dir)
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(binary, "-t", "-p", dir, "-c", conf, "-e", "stderr").CombinedOutput()
		c, readErr := Read(Reading{Path: conf, Build: build})
		if readErr != nil {
			t.Fatal(readErr)
		}
		var why []Problem
		for _, p := range c.Problems {
			if p.Refused {
				why = append(why, p)
			}
		}
		switch {
		case err == nil:
			taken++
			if len(why) > 0 {
				t.Errorf("nginx %s takes it, yet: %+v\n%s", build.Version, why, text)
			}
		default:
			refused++
			if len(why) == 0 {
				missed++
				t.Logf("only nginx refuses: %s", out)
			}
		}
	}
	t.Logf("%d taken, %d refused, of which %d by nginx alone", taken, refused, missed)
	if taken < 60 || refused < 60 || missed*10 > refused {
		t.Errorf("of 300 configs nginx takes %d and refuses %d, %d of these by itself", taken, refused, missed)
	}
}

// realBuild is the real nginx's.
func realBuild(t testing.TB) Build {
	t.Helper()
	out, err := exec.Command(realNginx(t), "-V").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBuild(string(out))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestForms asks the real nginx about each line of forms.txt: it takes the directive
// once, and refuses a word that is no such value.
func TestForms(t *testing.T) {
	binary, build := realNginx(t), realBuild(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	ask := func(text string) string {
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(binary, "-t", "-p", dir, "-c", conf, "-e", "stderr").CombinedOutput()
		if err == nil {
			return ""
		}
		return string(out)
	}
	wraps := []struct {
		in          place
		front, back string
	}{
		{"main", "", " events {}"}, {"events", "events {", "}"}, {"http", "events {} http {", "}"}, {"http/server", "events {} http { server {", "} }"},
		{"http/location", "events {} http { server { location / {", "} } }"}, {"http/upstream", "events {} http { upstream u { server 127.0.0.1;", "} }"},
	}
	asked := 0
	for name, kind := range forms {
		for _, w := range wraps {
			if !slices.ContainsFunc(build.masks(name), func(m uint) bool { return m&placeBits[w.in] != 0 && m&bitBlock == 0 }) {
				continue
			}
			value := map[string]string{"flag": "on", "number": "5", "size": "64k", "offset": "1g", "time": "5ms", "seconds": "5M"}[kind]
			if value == "" {
				break
			}
			asked++
			if said := ask(w.front + name + " " + value + "; " + name + " " + value + ";" + w.back); !strings.Contains(said, "is duplicate") && !strings.Contains(said, "unknown directive") {
				t.Errorf("%s %s twice: nginx says %q", name, value, said)
			}
			if said := ask(w.front + name + " 5xyzzy;" + w.back); said == "" {
				t.Errorf("%s takes any word", name)
			}
			break
		}
	}
	if asked < 200 {
		t.Errorf("only %d directives were asked about", asked)
	}
}
