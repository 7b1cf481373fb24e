package checks

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

// tunedConfig carries the tables' demand.
const tunedConfig = `# configuration file /etc/nginx/nginx.conf:
worker_processes 2;
worker_rlimit_nofile 65536;
worker_shutdown_timeout 1h;
events { worker_connections 16384; }
http {
    limit_conn_zone $binary_remote_addr zone=conn:10m;
    limit_req_zone $binary_remote_addr zone=req:10m rate=1000r/s;
    upstream fl {
        server 127.0.0.1:5000 max_conns=20000;
        keepalive 64;
        keepalive_timeout 60s;
    }
    server {
        listen 80 default_server;
        return 301 https://$host$request_uri;
    }
    server {
        listen 443 ssl http2 backlog=1024 so_keepalive=60s:30s:4;
        server_name fl.example.org;
        ssl_certificate /etc/ssl/fl.pem;
        ssl_certificate_key /etc/ssl/fl.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        http2_max_concurrent_streams 1024;
        client_max_body_size 32m;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_read_timeout 2h;
        proxy_max_temp_file_size 0;
        location /workers { allow 10.0.0.0/8; deny all; proxy_pass http://fl; }
        error_page 502 503 504 =200 @none;
        location @none { return 200 x^k000101; }
        location / {
            limit_conn conn 4000;
            limit_req zone=req burst=20000 nodelay;
            proxy_pass http://fl;
        }
    }
}
`

// tunedNginx is the fact that a config is, with a certificate and a disk.
func tunedNginx(config string) facts.Value[*facts.Nginx] {
	n, err := facts.ReadNginx(facts.NewRoot("/"), nil, facts.Asked{Port: port},
		facts.NginxOptions{Dump: strings.NewReader(config), Version: "1.22.1", Local: true})
	if err != nil {
		panic(fmt.Sprintf("%v in %s", err, config))
	}
	n.BodyDisk = is(facts.Disk{Path: "/var/lib/nginx", FreeBytes: 100 << 30})
	for i := range n.Sites {
		n.Sites[i].Certificates = []facts.Value[facts.Certificate]{is(facts.Certificate{
			Path: "/etc/ssl/fl.pem", Subject: "CN=fl.example.org", Names: []string{"fl.example.org"}, Others: 1,
			NotBefore: "2026-12-01T00:00:00Z", NotAfter: "2027-06-01T00:00:00Z", KeyMatches: is(true),
		})}
	}
	return is(n)
}

// edit changes the tuned config by pairs of old and new text.
func edit(pairs ...string) change {
	return func(f *facts.Facts) {
		config := tunedConfig
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(config, pairs[i]) {
				panic("the tuned config has no " + pairs[i])
			}
			config = strings.Replace(config, pairs[i], pairs[i+1], 1)
		}
		f.Nginx = tunedNginx(config)
	}
}

// upstreamSocket has polls go to a socket of which that is known.
func upstreamSocket(v facts.Value[facts.UpstreamSocket]) change {
	return func(f *facts.Facts) {
		edit("127.0.0.1:5000 max_conns=20000", "unix:/run/fl.sock")(f)
		f.Nginx.V.UpstreamSockets = map[string]facts.Value[facts.UpstreamSocket]{"/run/fl.sock": v}
	}
}

// certificate changes the site's.
func certificate(change func(*facts.Certificate)) change {
	return func(f *facts.Facts) { change(&f.Nginx.V.Sites[0].Certificates[0].V) }
}

func noConfig(f *facts.Facts) { f.Nginx = no[*facts.Nginx]() }

func init() {
	inVariable := func(setting, value string) change { return edit(setting+" "+value, setting+" $x") }
	for id, c := range map[string]struct {
		pass, fail, unknown, na change
		never                   string
		workers                 int
	}{
		"nginx/config": {
			fail: edit("worker_processes 2", "worker_process 2", "listen 443", "listen nowhere:0"), unknown: noConfig, na: noNginx, workers: -1,
		},
		"nginx/route": {
			fail: edit("server 127.0.0.1:5000", "server 127.0.0.1:5001"), unknown: edit("location / {", "location ~ (?<=x)y { proxy_pass http://fl; } location / {"), na: noNginx, workers: -1,
		},
		"nginx/misplaced-files": {
			fail: func(f *facts.Facts) {
				f.Nginx.V.Strays = []facts.Stray{{Path: "/etc/var/nginx", Why: "no nginx reads it"}}
			},
			unknown: noConfig, na: noNginx, workers: -1,
		},
		"nginx/worker-connections": {
			fail: edit("worker_connections 16384", "worker_connections 1024"), unknown: edit("worker_connections 16384", "worker_connections $x"), na: noNginx, workers: 478,
		},
		"nginx/worker-rlimit-nofile": {
			fail: edit("worker_rlimit_nofile 65536", "worker_rlimit_nofile 2000"), unknown: inVariable("worker_rlimit_nofile", "65536"), na: edit("worker_rlimit_nofile 65536;", ""), workers: 994,
		},
		"nginx/rlimit-pending": {
			fail: func(f *facts.Facts) { nofile(f, facts.KindNginx, 1024, 524288) }, unknown: unseen, na: edit("worker_rlimit_nofile 65536;", ""), workers: -1,
		},
		"nginx/rlimit-slots": {
			fail: edit("worker_connections 16384", "worker_connections 65536"), unknown: inVariable("worker_rlimit_nofile", "65536"), na: edit("worker_rlimit_nofile 65536;", ""), workers: -1,
		},
		"nginx/accept-mutex": {
			fail: edit("events {", "events { accept_mutex on;"), unknown: edit("events {", "events { accept_mutex $x;"), na: edit("worker_processes 2", "worker_processes 1"), workers: -1,
		},
		"nginx/listen-backlog": {
			fail: edit(" backlog=1024", ""), unknown: func(f *facts.Facts) { f.Sysctls.SoMaxConn = no[int64]() }, na: noNginx, workers: -1,
		},
		"nginx/shutdown-timeout": {
			fail: edit("worker_shutdown_timeout 1h;", ""), unknown: inVariable("worker_shutdown_timeout", "1h"), na: noNginx, workers: -1,
		},
		"nginx/proxy-read-timeout": {
			fail: edit("proxy_read_timeout 2h;", ""), unknown: inVariable("proxy_read_timeout", "2h"), na: noNginx, workers: -1,
		},
		"lb/idle-timeout": {
			pass:    func(f *facts.Facts) { f.Asked.Balancers = []string{"2h"} },
			fail:    func(f *facts.Facts) { f.Asked.Balancers = []string{"aws-alb"} },
			unknown: func(f *facts.Facts) { f.Asked.Balancers = []string{"soon"} }, na: func(*facts.Facts) {}, workers: -1,
		},
		"nginx/timeout-chain": {
			fail: func(f *facts.Facts) { f.Asked.Balancers = []string{"aws-nlb"} }, unknown: inVariable("proxy_read_timeout", "2h"), na: noNginx, workers: -1,
		},
		"nginx/proxy-connect-timeout": {
			fail: edit("proxy_read_timeout", "proxy_connect_timeout 1d; proxy_read_timeout"), unknown: edit("proxy_read_timeout", "proxy_connect_timeout $x; proxy_read_timeout"), na: noNginx, workers: -1,
		},
		"nginx/send-timeout": {
			fail: edit("proxy_read_timeout", "send_timeout 1d; proxy_read_timeout"), unknown: edit("proxy_read_timeout", "proxy_send_timeout $x; proxy_read_timeout"), na: noNginx, workers: -1,
		},
		"nginx/client-timeouts": {
			fail: edit("proxy_read_timeout", "client_body_timeout 2s; proxy_read_timeout"), unknown: edit("proxy_read_timeout", "client_header_timeout $x; proxy_read_timeout"), na: noNginx, workers: -1,
		},
		"nginx/keepalive-timeout": {
			fail: edit("proxy_read_timeout", "keepalive_timeout 0; proxy_read_timeout"), unknown: edit("proxy_read_timeout", "keepalive_timeout $x; proxy_read_timeout"), na: noNginx, workers: -1,
		},
		"nginx/socket-keepalive": {
			fail: edit(" so_keepalive=60s:30s:4", ""), unknown: func(f *facts.Facts) { f.Nginx.V.Sites[0].Sockets = nil }, na: noNginx, workers: -1,
		},
		"nginx/client-max-body-size": {
			fail: edit("client_max_body_size 32m", "client_max_body_size 19m"), unknown: inVariable("client_max_body_size", "32m"), na: noNginx, workers: -1,
		},
		"nginx/body-disk": {
			fail:    func(f *facts.Facts) { f.Nginx.V.BodyDisk.V.FreeBytes = 1 << 30 },
			unknown: func(f *facts.Facts) { f.Nginx.V.BodyDisk = no[facts.Disk]() },
			na:      edit("proxy_read_timeout", "proxy_request_buffering off; proxy_read_timeout"), workers: -1,
		},
		"nginx/model-fallback": {
			fail:    edit("502 503 504 =200", "502 503 504"),
			unknown: edit("=200 @none", "=200 /none.bin"), na: noNginx, workers: -1,
		},
		"nginx/response-spool": {
			fail: edit("proxy_max_temp_file_size 0;", ""), unknown: inVariable("proxy_max_temp_file_size", "0"), na: noNginx, workers: -1,
		},
		"nginx/gzip": {
			fail: edit("http {", "http { gzip on;"), unknown: edit("http {", "http { gzip $x;"), na: noNginx, workers: -1,
		},
		"nginx/upstream-http": {
			fail: edit("proxy_http_version 1.1;", ""), unknown: inVariable("proxy_http_version", "1.1"), na: noNginx, workers: -1,
		},
		"nginx/upstream-keepalive": {
			fail:    func(f *facts.Facts) { set(f, "keepalive", "2") },
			unknown: func(f *facts.Facts) { hide(f, "keepalive") },
			na:      edit("keepalive 64;", ""), workers: -1,
		},
		"nginx/upstream-peers": {
			fail: edit("keepalive 64;", "server 127.0.0.1:5002;"), unknown: edit("proxy_pass http://fl;\n        }", "proxy_pass http://$x;\n        }"), na: noNginx, workers: -1,
		},
		"nginx/protocol": {
			fail:    edit("location / {", "location /challenge_phrase/ { return 404; } location / {"),
			unknown: edit("location / {", "location /challenge_phrase/ { rewrite ^/c /x last; } location / {"), na: noNginx, workers: -1,
		},
		"nginx/access": {
			fail:    edit("location / {", "auth_basic staging; location / {"),
			unknown: edit("location / {", "location / { auth_request /auth;"), na: noNginx, workers: -1,
		},
		"nginx/socket-access": {
			pass:    upstreamSocket(is(facts.UpstreamSocket{Path: "/run/fl.sock", User: "www-data", Mode: "srw-rw---- fl:www-data"})),
			fail:    upstreamSocket(is(facts.UpstreamSocket{Path: "/run/fl.sock", User: "www-data", Mode: "srw------- fl:fl", Refused: "/run/fl.sock is closed to www-data"})),
			unknown: upstreamSocket(no[facts.UpstreamSocket]()), na: func(*facts.Facts) {}, workers: -1,
		},
		"nginx/upstream-name": {
			fail:    edit("127.0.0.1:5000 max_conns=20000", "app.example.org:5000"),
			unknown: noConfig, na: noNginx, workers: -1,
		},
		"nginx/max-conns": {
			fail: edit("max_conns=20000", "max_conns=900"), unknown: edit("proxy_pass http://fl;\n        }", "proxy_pass http://$x;\n        }"), na: edit(" max_conns=20000", ""), workers: 900,
		},
		"nginx/next-upstream": {
			fail: edit("proxy_read_timeout", "proxy_next_upstream error non_idempotent; proxy_read_timeout"), unknown: noConfig, na: noNginx, workers: -1,
		},
		"nginx/client-abort": {
			fail: edit("proxy_read_timeout", "proxy_ignore_client_abort on; proxy_read_timeout"), unknown: edit("proxy_read_timeout", "proxy_ignore_client_abort $x; proxy_read_timeout"), na: noNginx, workers: -1,
		},
		"nginx/http2-streams": {
			fail: edit("http2_max_concurrent_streams 1024;", ""), unknown: inVariable("http2_max_concurrent_streams", "1024"), na: edit(" http2 ", " "), workers: -1,
		},
		"nginx/limit-conn": {
			fail: edit("limit_conn conn 4000", "limit_conn conn 20"), unknown: edit("limit_conn conn 4000", "limit_conn other 20"), na: edit("limit_conn conn 4000;", ""), workers: 20,
		},
		"nginx/limit-req": {
			fail: edit("burst=20000", "burst=20"), unknown: edit("limit_req zone=req", "limit_req zone=other"), na: edit("limit_req zone=req burst=20000 nodelay;", ""), workers: 21,
		},
		"nginx/unlimited": {
			fail: edit("limit_conn conn 4000;", ""), unknown: noConfig, na: noNginx, workers: -1,
		},
		"nginx/admin-exposed": {
			fail: edit("deny all;", ""), unknown: noConfig, na: edit("allow 10.0.0.0/8; deny all; proxy_pass http://fl;", "return 403;"), workers: -1,
		},
		"nginx/plain-http": {
			fail: edit("listen 443 ssl http2", "listen 80"), unknown: func(f *facts.Facts) { f.Nginx.V.Sites[0].Sockets = nil }, na: func(f *facts.Facts) { f.Asked.Balancers = []string{"aws-alb"} }, workers: -1,
		},
		"nginx/upstream-exposed": {
			fail: func(f *facts.Facts) {
				processes(f, gunicorn)[0].Listen.V = []facts.Listener{listener("0.0.0.0:5000", 3)}
			},
			unknown: func(f *facts.Facts) { processes(f, gunicorn)[0].Listen = no[[]facts.Listener]() },
			na:      func(f *facts.Facts) { without(f, gunicorn) }, workers: -1,
		},
		"tls/protocols": {
			fail: edit("ssl_protocols TLSv1.2", "ssl_protocols TLSv1 TLSv1.2"), unknown: noConfig, na: edit("443 ssl", "443"), workers: -1,
		},
		"tls/valid": {
			fail:    certificate(func(c *facts.Certificate) { c.NotAfter = "2027-01-30T00:00:00Z" }),
			unknown: func(f *facts.Facts) { f.Nginx.V.Sites[0].Certificates = nil }, na: edit("443 ssl", "443"), workers: -1,
		},
		"tls/expiry": {
			fail:    certificate(func(c *facts.Certificate) { c.NotAfter = "2027-02-20T00:00:00Z" }),
			unknown: certificate(func(c *facts.Certificate) { c.NotAfter = "" }), na: edit("443 ssl", "443"), workers: -1,
		},
		"tls/chain": {
			fail:    certificate(func(c *facts.Certificate) { c.SelfSigned = true }),
			unknown: func(f *facts.Facts) { f.Nginx.V.Sites[0].Certificates[0] = no[facts.Certificate]() }, na: edit("443 ssl", "443"), workers: -1,
		},
		"tls/key": {
			fail:    certificate(func(c *facts.Certificate) { c.KeyMatches.V = false }),
			unknown: certificate(func(c *facts.Certificate) { c.KeyMatches = no[bool]() }), na: edit("443 ssl", "443"), workers: -1,
		},
		"tls/names": {
			fail:    certificate(func(c *facts.Certificate) { c.Names = []string{"other.example.org", "*.fl.example.org"} }),
			unknown: func(f *facts.Facts) { f.Nginx.V.Sites[0].Certificates = nil }, na: edit("server_name fl.example.org", "server_name _"), workers: -1,
		},
	} {
		cases[id] = c
	}
	// What stands in the config decides over what the application listens at.
	c := cases["host/port-range"]
	c.na = edit("server 127.0.0.1:5000 max_conns=20000", "server unix:/run/fl.sock")
	cases["host/port-range"] = c
}

// Whenever a hold ends a worker asks twice, so a rate carries half of its hold's
// requests, whatever burst lets in at first.
func TestSteadyRate(t *testing.T) {
	for _, tt := range []struct {
		rate float64
		hold time.Duration
		asks int
		want int64
	}{
		{1, 2 * time.Second, 2, 1}, {30, 2 * time.Second, 2, 30}, {0.5, time.Hour, 2, 900}, {1, time.Hour, 1, 3600}, {1, 0, 2, maxWorkers}, {1, time.Second, 0, maxWorkers}, {math.MaxFloat64, time.Hour, 1, maxWorkers},
	} {
		if got := bySteadyRate(tt.rate, tt.hold, tt.asks); got != tt.want {
			t.Errorf("%g r/s of holds of %s: %d workers, want %d", tt.rate, tt.hold, got, tt.want)
		}
	}
	for _, n := range []int{1, 30, 5000} {
		if rate := steadyRateFor(n, 3*time.Second); bySteadyRate(float64(rate), 3*time.Second, requestsPerHold) < int64(n) {
			t.Errorf("%d r/s is not enough for %d workers", rate, n)
		}
	}
	f := tuned()
	edit("rate=1000r/s", "rate=6r/m")(&f)
	if o := askOne(t, "nginx/limit-req", f); o.Status != reports.StatusFail || o.Capacity.Safe != 180 || !strings.Contains(o.Remedy.Text, "rate=") {
		t.Errorf("a rate of 0.1 a second and holds of an hour: %+v", o)
	}
}

// By the rate a limit_req lets more through, and never more at once than its burst.
func TestByRequests(t *testing.T) {
	for _, c := range []struct {
		burst int64
		rate  float64
		want  int64
	}{
		{0, 1, 0}, {60, 1. / 60, 7}, {7999, 1, 1000}, {999, 7000, 1000}, {999, 1e9, 1000}, {math.MaxInt64, math.MaxFloat64, (2*maxWorkers + 1) / 8},
	} {
		if got := byRequests(nginx.LimitReq{Burst: c.burst, Rate: c.rate, Nodelay: true}); got != c.want {
			t.Errorf("burst %d, rate %g: %d workers, want %d", c.burst, c.rate, got, c.want)
		}
	}
}

// The chain shows every hop, and marks one that waits for no time at all.
func TestChain(t *testing.T) {
	for _, c := range []struct {
		change change
		want   string
	}{
		{func(*facts.Facts) {}, "worker no timeout → nginx 2h (weakest) → gunicorn heartbeat only → hold 1h"},
		{edit("proxy_read_timeout 2h", "proxy_read_timeout 0"), "worker no timeout → nginx 0s (weakest) → gunicorn heartbeat only → hold 1h"},
		{func(f *facts.Facts) { set(f, "worker_class", "sync"); f.Asked.Balancers = []string{"aws-nlb"} }, "worker no timeout → aws-nlb 5m50s → nginx 2h → gunicorn 30s (weakest) → hold 1h"},
		{func(f *facts.Facts) { set(f, "worker_class", "sync"); set(f, "timeout", "0") }, "worker no timeout → nginx 2h (weakest) → gunicorn no timeout → hold 1h"},
		{func(f *facts.Facts) { set(f, "worker_class", "gthread") }, "worker no timeout → nginx 2h (weakest) → gunicorn heartbeat only → hold 1h"},
	} {
		f := tuned()
		c.change(&f)
		check, _ := ByID("nginx/timeout-chain")
		if o := check.Eval(Case{Facts: f, Deployment: OneHost(f), Demand: demand}); o.Got != c.want {
			t.Errorf("%s %s, want %s", o.Got, o.Reason, c.want)
		}
	}
}

// What nginx answers itself reaches no application, and where a rewrite leads
// nobody can say.
func TestReturnsAndRewrites(t *testing.T) {
	for line, want := range map[string][2]reports.Status{ // of nginx/route and nginx/proxy-read-timeout
		"return 503;":              {reports.StatusFail, reports.StatusNA},
		"rewrite ^/n /x last;":     {reports.StatusUnknown, reports.StatusUnknown},
		"rewrite ^/n /x;":          {reports.StatusUnknown, reports.StatusUnknown},
		"rewrite ^/n /x break;":    {reports.StatusPass, reports.StatusPass},
		"rewrite ^/none$ /x last;": {reports.StatusPass, reports.StatusPass},
	} {
		f := tuned()
		edit("limit_conn conn 4000;", line)(&f)
		for i, id := range []string{"nginx/route", "nginx/proxy-read-timeout"} {
			if o := askOne(t, id, f); o.Status != want[i] {
				t.Errorf("%s in the location: %s is %s (%s%s), want %s", line, id, o.Status, o.Got, o.Reason, want[i])
			}
		}
	}
	f := tuned()
	edit("client_max_body_size 32m;", "rewrite ^/n /x break;")(&f)
	if o := askOne(t, "nginx/route", f); o.Status != reports.StatusUnknown {
		t.Errorf("a rewrite in the server: %s", o.Status)
	}
	edit("limit_conn conn 4000;", "include /nonexistent;")(&f)
	if o := askOne(t, "nginx/route", f); o.Status != reports.StatusUnknown || !strings.Contains(o.Reason, "answers polls itself") {
		t.Errorf("a location that was not read in full: %s %s", o.Status, o.Reason)
	}
	// Named by its URL, the server is judged, whatever it does.
	n, err := facts.ReadNginx(facts.NewRoot("/"), nil, facts.Asked{Port: port, URL: "http://fl.example.org/"},
		facts.NginxOptions{Dump: strings.NewReader(tunedConfig), Version: "1.22.1", Local: true})
	if err != nil {
		t.Fatal(err)
	}
	f.Nginx = is(n)
	if o := askOne(t, "nginx/route", f); o.Status != reports.StatusFail || !strings.Contains(o.Got, "answers polls itself") {
		t.Errorf("a server that returns: %s %s", o.Status, o.Got)
	}
}

// Without nodelay what is above delay waits, and so may what is asked at once.
func TestLimitReqThatWaits(t *testing.T) {
	for parameters, want := range map[string]int{
		"burst=7999 nodelay":        1125, // (8000 + 1000) / 8
		"burst=7999":                1,
		"burst=7999 delay=79":       80,
		"burst=79 delay=7999":       80,
		"burst=100000 delay=100000": 12625, // as nodelay
	} {
		f := tuned()
		edit("burst=20000 nodelay", parameters)(&f)
		if o := askOne(t, "nginx/limit-req", f); workersOf(o) != want {
			t.Errorf("%s: %d workers, want %d (%s)", parameters, workersOf(o), want, o.Got)
		}
	}
}

// Before nginx knows which server is meant its socket's default server rules.
func TestDefaultServers(t *testing.T) {
	other := func(settings string) change {
		return edit("listen 80 default_server;", "listen 80 default_server; listen 443 ssl default_server; "+settings)
	}
	for _, tt := range []struct {
		settings, check string
		want            reports.Status
	}{
		{"client_header_timeout 1s;", "nginx/client-timeouts", reports.StatusFail},
		{"client_header_timeout 30s;", "nginx/client-timeouts", reports.StatusPass},
		{"ssl_protocols TLSv1 TLSv1.2;", "tls/protocols", reports.StatusFail},
		{"ssl_protocols $x;", "tls/protocols", reports.StatusUnknown},
		{"ssl_protocols TLSv1.3;", "tls/protocols", reports.StatusPass},
	} {
		f := tuned()
		other(tt.settings)(&f)
		if o := askOne(t, tt.check, f); o.Status != tt.want {
			t.Errorf("%s of the default server: %s is %s (%s%s), want %s", tt.settings, tt.check, o.Status, o.Got, o.Reason, tt.want)
		}
	}
	f := tuned()
	edit("listen 80 default_server;", "listen 80 default_server; client_header_timeout 1s; ssl_protocols TLSv1;")(&f)
	for _, id := range []string{"nginx/client-timeouts", "tls/protocols"} {
		if o := askOne(t, id, f); o.Status != reports.StatusPass {
			t.Errorf("the default server of another socket: %s is %s", id, o.Status)
		}
	}
}

// Behind a balancer that speaks HTTP all workers have its address, unless nginx
// takes its word for theirs.
func TestLimitsBehindABalancer(t *testing.T) {
	const zone, at = "limit_conn_zone $binary_remote_addr", "client_max_body_size 32m;"
	for _, tt := range []struct {
		balancer string
		edits    []string
		apart    bool
	}{
		{"", nil, true}, {"aws-nlb", nil, true}, {"90s", nil, true}, {"aws-alb", nil, false},
		{"aws-alb", []string{at, at + " set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;"}, true},
		{"aws-alb", []string{at, at + " set_real_ip_from 10.0.0.0/8;"}, false}, // it sends no X-Real-IP
		{"aws-alb", []string{at, at + " real_ip_header X-Forwarded-For;"}, false},
		{"aws-alb", []string{zone, "limit_conn_zone $http_x_forwarded_for"}, true},
		{"aws-alb", []string{zone, "limit_conn_zone $realip_remote_addr", at, at + " set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;"}, false},
		{"cloudflare", []string{at, at + " set_real_ip_from 10.0.0.0/8; real_ip_header cf-connecting-ip;"}, true},
		{"", []string{zone, "limit_conn_zone $server_name"}, false},
	} {
		f := tuned()
		edit(tt.edits...)(&f)
		f.Asked.Balancers = slices.DeleteFunc([]string{tt.balancer}, func(s string) bool { return s == "" })
		o := askOne(t, "nginx/limit-conn", f)
		if o.Capacity == nil || o.Capacity.Safe != 4000 || (o.Capacity.Hard == maxWorkers) != tt.apart {
			t.Errorf("%q %q: %+v", tt.balancer, tt.edits, o.Capacity)
		}
	}
}

// An upstream that was not read in full may have more servers.
func TestIncompleteUpstream(t *testing.T) {
	for _, id := range []string{"nginx/upstream-peers", "nginx/max-conns", "host/time-wait"} {
		f := tuned()
		edit("max_conns=20000;", "max_conns=20000; include /nonexistent;")(&f)
		f.Ports.V.Lo = 60000
		if o := askOne(t, id, f); o.Status != reports.StatusUnknown {
			t.Errorf("%s: %s (%s)", id, o.Status, o.Got)
		}
	}
}
