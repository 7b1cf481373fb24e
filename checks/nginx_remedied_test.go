package checks

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// enough is a config that holds it; each fault changes some of it.
const enough = `worker_processes 1;
worker_rlimit_nofile 1024;
worker_shutdown_timeout 1h;
events { worker_connections 512; }
http {
    limit_conn_zone $binary_remote_addr zone=conn:1m;
    limit_req_zone $binary_remote_addr zone=req:1m rate=200r/s;
    upstream fl { server 127.0.0.1:5000; }
    server {
        listen 127.0.0.1:80 backlog=1024 so_keepalive=on;
        client_max_body_size 1m;
        proxy_max_temp_file_size 0;
        location /workers { deny all; proxy_pass http://fl; }
        location / {
            limit_conn conn 200;
            proxy_read_timeout 2h;
            proxy_pass http://fl;
        }
    }
}
`

// The same by TLS; twice through this nginx; behind stream; and by uwsgi.
var (
	byTLS = strings.NewReplacer("127.0.0.1:80 ", "127.0.0.1:80 ssl http2 ", "        client_max", "        ssl_certificate /TMP/fl.pem; ssl_certificate_key /TMP/fl.key;\n        ssl_protocols TLSv1.2 TLSv1.3;\n        http2_max_concurrent_streams 128;\n        client_max").Replace(enough)
	twice = strings.Replace(enough, "    server {\n        listen 127.0.0.1:80 ", `    server {
        listen 127.0.0.1:80 backlog=1024 so_keepalive=on;
        client_max_body_size 2m;
        proxy_max_temp_file_size 0;
        location /workers { deny all; proxy_pass http://unix:/TMP/in.sock; }
        location / {
            limit_conn conn 300;
            proxy_read_timeout 3h;
            proxy_pass http://unix:/TMP/in.sock;
        }
    }
    server {
        listen unix:/TMP/in.sock `, 1)
	streamed = strings.NewReplacer("worker_processes 1;", "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nworker_processes 1;",
		"http {", "stream {\n    server {\n        listen 127.0.0.1:80 backlog=1024 so_keepalive=on;\n        proxy_timeout 3h;\n        proxy_pass unix:/TMP/in.sock;\n    }\n}\nhttp {",
		"127.0.0.1:80 ", "unix:/TMP/in.sock ").Replace(enough)
	byUWSGI = strings.NewReplacer("server 127.0.0.1:5000;", "server 127.0.0.1:3031;", "proxy_pass http://fl;", "uwsgi_pass fl;", "proxy_", "uwsgi_",
		"    server {", "    uwsgi_param REQUEST_METHOD $request_method; uwsgi_param REQUEST_URI $request_uri; uwsgi_param SERVER_PROTOCOL $server_protocol;\n    uwsgi_param CONTENT_LENGTH $content_length; uwsgi_param HTTP_HOST $host;\n    server {").Replace(enough)
)

// A fault is a change of a config, and the checks that tell of it.
type fault struct {
	old, new string
	checks   string
	breaks   bool                  // the demand is then not held, for certain; else it may be, since a check warns of more than a small demand shows
	waits    bool                  // it shows by workers that wait for ever
	demand   func(*reports.Demand) // that it is judged for; nil: the crowd
	url      string                // that it is judged by
	host     func(*facts.Facts)    // what the host is like, where the config alone does not tell
}

// remedied are the faults, by the config that has none.
var remedied = []struct {
	name, config string
	faults       []fault
}{
	{"", enough, []fault{
		{old: "worker_connections 512", new: "worker_connections 30", checks: "nginx/worker-connections", breaks: true},
		{old: "events { worker_connections 512; }", new: "events { worker_connections 40; accept_mutex on; }", checks: "nginx/worker-connections", breaks: true},
		{old: "worker_rlimit_nofile 1024", new: "worker_rlimit_nofile 30", checks: "nginx/worker-rlimit-nofile nginx/rlimit-slots", breaks: true},
		{old: "worker_rlimit_nofile 1024", new: "worker_rlimit_nofile 512", checks: "nginx/rlimit-slots"},
		{old: "worker_shutdown_timeout 1h;\n", new: "", checks: "nginx/shutdown-timeout"},
		{old: "worker_processes 1;\nworker_rlimit_nofile 1024;\nworker_shutdown_timeout 1h;\nevents {", new: "worker_processes 2;\nworker_rlimit_nofile 1024;\nworker_shutdown_timeout 1h;\nevents { accept_mutex on;", checks: "nginx/accept-mutex"},
		{old: "proxy_read_timeout 2h", new: "proxy_read_timeout 100ms", checks: "nginx/proxy-read-timeout", breaks: true},
		{old: "proxy_pass http://fl;\n        }\n    }", new: "proxy_pass http://fl;\n        }\n        location = /notify_me_if_gm_version_updated { proxy_read_timeout 100ms; proxy_pass http://fl; }\n    }", checks: "nginx/proxy-read-timeout", breaks: true},
		{old: "proxy_read_timeout 2h", new: "proxy_read_timeout 2h; proxy_connect_timeout 1d", checks: "nginx/proxy-connect-timeout"},
		{old: "client_max_body_size 1m", new: "client_max_body_size 50k", checks: "nginx/client-max-body-size", breaks: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 10", checks: "nginx/limit-conn", breaks: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; limit_req zone=req burst=10", checks: "nginx/limit-req", breaks: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; limit_req zone=req burst=10 nodelay", checks: "nginx/limit-req", breaks: true},
		{old: "limit_conn conn 200;", new: "", checks: "nginx/unlimited"},
		{old: "deny all", new: "allow all", checks: "nginx/admin-exposed"},
		{old: "        location /workers { deny all; proxy_pass http://fl; }\n", new: "", checks: "nginx/admin-exposed"},
		{old: "http {\n", new: "http {\n    gzip on;\n", checks: "nginx/gzip"},
		{old: "        proxy_max_temp_file_size 0;\n", new: "proxy_buffers 8 4k;", checks: "nginx/response-spool"},
		{old: "server 127.0.0.1:5000;", new: "server 127.0.0.1:5000; server 127.0.0.1:5001;", checks: "nginx/upstream-peers", breaks: true},
		{old: "server 127.0.0.1:5000;", new: "server 127.0.0.1:5000 max_conns=10;", checks: "nginx/max-conns", breaks: true},
		{old: "server 127.0.0.1:5000;", new: "server localhost:5000;", checks: "nginx/upstream-name"},
		{old: "backlog=1024 ", new: "backlog=8 ", checks: "nginx/listen-backlog"},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; send_timeout 1d", checks: "nginx/send-timeout"},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; client_body_timeout 1d", checks: "nginx/client-timeouts"},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; keepalive_timeout 5s", checks: "nginx/keepalive-timeout"},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; proxy_ignore_client_abort on", checks: "nginx/client-abort"},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; proxy_set_header Connection keep-alive", checks: "nginx/upstream-http"},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; proxy_next_upstream error non_idempotent", checks: "nginx/next-upstream"},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; auth_basic fl; auth_basic_user_file /dev/null", checks: "nginx/access", breaks: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; deny all", checks: "nginx/access", breaks: true},
		{old: "limit_conn conn 200;", new: "limit_conn conn 200; limit_except GET { deny all; }", checks: "nginx/access", breaks: true},
		{old: "limit_conn conn 200;", new: "limit_conn conn 200; if ($request_method = POST) { return 405; }", checks: "nginx/access", breaks: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; internal", checks: "nginx/access", breaks: true},
		{old: "127.0.0.1:80 ", new: "127.0.0.1:80 http2 ", checks: "nginx/access", breaks: true},
		{old: "location / {", new: "location / { return 404; }\n        location = /notify_me_if_gm_version_updated {", checks: "nginx/protocol", breaks: true},
		{old: "proxy_pass http://fl;\n        }\n    }", new: "proxy_pass http://fl;\n        }\n        location /challenge_phrase/ { proxy_pass http://127.0.0.1:5001; }\n    }", checks: "nginx/protocol", breaks: true},
		{old: " so_keepalive=on", new: "", checks: "nginx/socket-keepalive", demand: holds(600)},
		{old: " backlog=1024", new: "", checks: "nginx/listen-backlog", demand: comes(600)},
		{old: "limit_conn conn 200", new: "limit_conn conn 10", checks: "nginx/limit-conn", demand: comes(70000), breaks: true},
		{old: "127.0.0.1:80 ", new: "0.0.0.0:80 ", checks: "nginx/plain-http"},
		{old: "", new: "", checks: "nginx/model-fallback"},
		{old: "            proxy_pass http://fl;", new: "            proxy_pass http://fl/api/;", checks: "nginx/protocol", breaks: true},
		{old: "            proxy_pass http://fl;", new: "            return 404;", checks: "nginx/route", breaks: true},
		{old: "server 127.0.0.1:5000;", new: "server app.invalid:5000;", checks: "nginx/upstream-name", breaks: true},
		{old: "            proxy_pass http://fl;", new: "            return 404;", checks: "nginx/route", breaks: true, url: "http://127.0.0.1/"},
		{old: "{ deny all; ", new: "{ ", checks: "nginx/admin-exposed"},
		{old: "worker_rlimit_nofile 1024;\n", new: "", checks: "nginx/nofile", host: given},
		{old: "worker_rlimit_nofile 1024", new: "worker_rlimit_nofile 30", checks: "nginx/nofile", host: given, breaks: true},
		{checks: "nginx/body-disk", host: func(f *facts.Facts) { f.Nginx.V.BodyDisk = is(facts.Disk{FreeBytes: 1000}) }},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; client_body_in_file_only on", checks: "nginx/body-disk"},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; limit_rate 100", checks: "nginx/send-timeout", breaks: true, waits: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; proxy_limit_rate 100", checks: "nginx/send-timeout", breaks: true, waits: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; proxy_connect_timeout 0", checks: "nginx/protocol", breaks: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; client_body_timeout 0", checks: "nginx/protocol nginx/client-timeouts"},
		{old: "limit_conn conn 200", new: "limit_conn conn 200; send_timeout 0; proxy_send_timeout 0", checks: "nginx/protocol"},
		{old: "location / {", new: "location = /m { internal; proxy_pass http://127.0.0.1:5001$request_uri; }\n        location / {\n            mirror /m;", checks: "nginx/protocol"},
		{old: "server 127.0.0.1:5000; }", new: "server 127.0.0.1:5000; keepalive 8; }\n    proxy_http_version 1.1; proxy_set_header Connection \"\";", checks: "nginx/upstream-keepalive",
			host: func(f *facts.Facts) { set(f, "keepalive", "2") }},
	}},
	{"reuseport", strings.NewReplacer("worker_processes 1", "worker_processes 2", "127.0.0.1:80 ", "127.0.0.1:80 reuseport ").Replace(enough), []fault{
		{old: "worker_connections 512", new: "worker_connections 15", checks: "nginx/worker-connections", breaks: true},
	}},
	{"processes", strings.Replace(enough, "worker_processes 1", "worker_processes 8", 1), []fault{
		{old: "worker_connections 512", new: "worker_connections 40", checks: "nginx/worker-connections"},
	}},
	{"TLS", byTLS, []fault{
		{old: "ssl_protocols TLSv1.2 TLSv1.3", new: "ssl_protocols TLSv1 TLSv1.2", checks: "tls/protocols"},
		{old: "        ssl_protocols TLSv1.2 TLSv1.3;\n", new: "", checks: "tls/protocols"},
		{old: "http2_max_concurrent_streams 128", new: "http2_max_concurrent_streams 10", checks: "nginx/http2-streams", breaks: true, waits: true},
		{old: "ssl_protocols", new: "ssl_verify_client on; ssl_client_certificate /TMP/fl.pem; ssl_protocols", checks: "nginx/access", breaks: true},
		{old: "worker_connections 512", new: "worker_connections 20", checks: "nginx/worker-connections", breaks: true},
	}},
	{"twice", twice, []fault{
		{old: "worker_connections 512", new: "worker_connections 60", checks: "nginx/worker-connections", breaks: true},
		{old: "worker_rlimit_nofile 1024", new: "worker_rlimit_nofile 60", checks: "nginx/worker-rlimit-nofile", breaks: true},
		{old: "proxy_read_timeout 3h", new: "proxy_read_timeout 100ms", checks: "nginx/proxy-read-timeout", breaks: true},
		{old: "proxy_read_timeout 2h", new: "proxy_read_timeout 100ms", checks: "nginx/proxy-read-timeout", breaks: true},
		{old: "client_max_body_size 2m", new: "client_max_body_size 50k", checks: "nginx/client-max-body-size", breaks: true},
		{old: "client_max_body_size 1m", new: "client_max_body_size 50k", checks: "nginx/client-max-body-size", breaks: true},
		{old: "limit_conn conn 300", new: "limit_conn conn 10", checks: "nginx/limit-conn", breaks: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 10", checks: "nginx/limit-conn", breaks: true},
		{old: "limit_conn conn 200;", new: "limit_conn conn 200; auth_basic fl; auth_basic_user_file /dev/null;", checks: "nginx/access", breaks: true},
	}},
	{"stream", streamed, []fault{
		{old: "proxy_timeout 3h", new: "proxy_timeout 100ms", checks: "nginx/proxy-read-timeout", breaks: true},
		{old: "        proxy_timeout 3h;\n", new: "", checks: "nginx/proxy-read-timeout", demand: holds(900)},
		{old: "proxy_read_timeout 2h", new: "proxy_read_timeout 100ms", checks: "nginx/proxy-read-timeout", breaks: true},
		{old: "worker_connections 512", new: "worker_connections 60", checks: "nginx/worker-connections", breaks: true},
		{old: "worker_rlimit_nofile 1024", new: "worker_rlimit_nofile 60", checks: "nginx/worker-rlimit-nofile", breaks: true},
		{old: "limit_conn conn 200", new: "limit_conn conn 10", checks: "nginx/limit-conn", breaks: true},
	}},
	{"uwsgi", byUWSGI, []fault{
		{old: "uwsgi_read_timeout 2h", new: "uwsgi_read_timeout 100ms", checks: "nginx/proxy-read-timeout", breaks: true},
		{old: "uwsgi_read_timeout 2h", new: "uwsgi_read_timeout 2h; uwsgi_send_timeout 1d", checks: "nginx/send-timeout"},
		{old: "uwsgi_read_timeout 2h", new: "uwsgi_read_timeout 2h; uwsgi_connect_timeout 1d", checks: "nginx/proxy-connect-timeout"},
		{old: "uwsgi_read_timeout 2h", new: "uwsgi_read_timeout 2h; uwsgi_ignore_client_abort on", checks: "nginx/client-abort"},
		{old: "uwsgi_read_timeout 2h", new: "uwsgi_read_timeout 2h; uwsgi_next_upstream error non_idempotent", checks: "nginx/next-upstream"},
		{old: "        uwsgi_max_temp_file_size 0;\n", new: "uwsgi_buffers 8 4k;", checks: "nginx/response-spool"},
		{old: "client_max_body_size 1m", new: "client_max_body_size 50k", checks: "nginx/client-max-body-size", breaks: true},
		{old: "            uwsgi_pass fl;", new: "            return 404;", checks: "nginx/route", breaks: true},
		{old: "        location /workers { deny all; uwsgi_pass fl; }\n", new: "", checks: "nginx/admin-exposed"},
		{old: "location / {", new: "location / { return 404; }\n        location = /notify_me_if_gm_version_updated {", checks: "nginx/protocol", breaks: true},
		{checks: "nginx/model-fallback"},
		{checks: "nginx/body-disk", host: func(f *facts.Facts) { f.Nginx.V.BodyDisk = is(facts.Disk{FreeBytes: 1000}) }},
	}},
}

func holds(seconds float64) func(*reports.Demand) {
	return func(d *reports.Demand) { d.HoldSeconds = seconds }
}

func comes(workers int) func(*reports.Demand) {
	return func(d *reports.Demand) { d.Workers = workers }
}

// given has nginx's processes run with what its config asks for, else with 60 descriptors.
func given(f *facts.Facts) {
	limit := facts.Limit(60)
	if n := f.Nginx.V.Main.WorkerRlimitNofile.V; n > 0 {
		limit = facts.Limit(n)
	}
	nofile(f, facts.KindNginx, limit, 524288)
	f.NginxUnit.V = nil
}

// judge is what is found of a config with the fault.
func (f fault) judge(t *testing.T, text string) map[string]reports.Finding {
	t.Helper()
	d := crowd
	if f.demand != nil {
		f.demand(&d)
	}
	if f.host == nil {
		return lintText(t, text, f.url, d)
	}
	host := tuned()
	host.Nginx = is(readText(t, text, facts.Asked{Port: 5000}))
	f.host(&host)
	list, _ := Run(OneHost(host), d, nil, time.Time{})
	return byCheck(list)
}

// in is a config with the fault.
func (f fault) in(t *testing.T, config string) string {
	t.Helper()
	text := strings.Replace(config, f.old, f.new, 1)
	if f.old != "" && text == config {
		t.Fatalf("nothing is %q", f.old)
	}
	return text
}

// TestRemedies does what each finding says to the config that earned it: the check
// then passes, and the real nginx takes the config and holds the demand.
func TestRemedies(t *testing.T) {
	n := realNginx(t)
	for _, of := range remedied {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			if err := n.holds(t.Context(), t, of.config); err != nil {
				t.Fatalf("the config without a fault: %v", err)
			}
			for _, fault := range of.faults {
				t.Run(strings.TrimPrefix(fault.checks, "nginx/"), func(t *testing.T) {
					t.Parallel()
					text := fault.in(t, of.config)
					ctx := t.Context()
					if fault.waits {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, 3*time.Second)
						defer cancel()
					}
					if fault.breaks && n.holds(ctx, t, text) == nil {
						t.Error("the faulty config holds the demand")
					}
					for id := range strings.FieldsSeq(fault.checks) {
						text, _ := fix(t, fault, text, id)
						for _, f := range lintText(t, text, "", crowd) {
							if f.Status == reports.StatusFail || f.Status == reports.StatusUnknown && f.Severity == reports.SeverityError {
								t.Errorf("fixed, and %s is %s: %s%s", f.Check, f.Status, f.Got, f.Reason)
							}
						}
						if err := n.holds(t.Context(), t, text); err != nil {
							t.Errorf("the demand is not held by what %s fixed: %v\n%s", id, err, text)
						}
					}
				})
			}
		})
	}
}
