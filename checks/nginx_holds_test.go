package checks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fltool/fltool/reports"
)

// The small demand that each config is to hold.
var crowd = reports.Demand{Workers: 40, HoldSeconds: 0.3, ModelBytes: 100_000}

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

// remedied are faults, the checks that tell of them, and whether the demand is then
// not held: it may be, where a check warns of more than a small demand shows.
var remedied = []struct {
	old, new string
	checks   string
	breaks   bool
}{
	{"worker_connections 512", "worker_connections 60", "nginx/worker-connections", true},
	{"events { worker_connections 512; }", "events { worker_connections 70; accept_mutex on; }", "nginx/worker-connections", true},
	{"worker_rlimit_nofile 1024", "worker_rlimit_nofile 60", "nginx/worker-rlimit-nofile nginx/rlimit-slots", true},
	{"worker_rlimit_nofile 1024", "worker_rlimit_nofile 512", "nginx/rlimit-slots", false},
	{"worker_shutdown_timeout 1h;\n", "", "nginx/shutdown-timeout", false},
	{"worker_processes 1;\nworker_rlimit_nofile 1024;\nworker_shutdown_timeout 1h;\nevents {", "worker_processes 2;\nworker_rlimit_nofile 1024;\nworker_shutdown_timeout 1h;\nevents { accept_mutex on;", "nginx/accept-mutex", false},
	{"proxy_read_timeout 2h", "proxy_read_timeout 100ms", "nginx/proxy-read-timeout", true},
	{"proxy_pass http://fl;\n        }\n    }", "proxy_pass http://fl;\n        }\n        location = /notify_me_if_gm_version_updated { proxy_read_timeout 100ms; proxy_pass http://fl; }\n    }", "nginx/proxy-read-timeout", true},
	{"proxy_read_timeout 2h", "proxy_read_timeout 2h; proxy_connect_timeout 1d", "nginx/proxy-connect-timeout", false},
	{"client_max_body_size 1m", "client_max_body_size 50k", "nginx/client-max-body-size", true},
	{"limit_conn conn 200", "limit_conn conn 10", "nginx/limit-conn", true},
	{"limit_conn conn 200", "limit_conn conn 200; limit_req zone=req burst=20", "nginx/limit-req", true},
	{"limit_conn conn 200", "limit_conn conn 200; limit_req zone=req burst=20 nodelay", "nginx/limit-req", true},
	{"limit_conn conn 200;", "", "nginx/unlimited", false},
	{"deny all", "allow all", "nginx/admin-exposed", false},
	{"        location /workers { deny all; proxy_pass http://fl; }\n", "", "nginx/admin-exposed", false},
	{"http {\n", "http {\n    gzip on;\n", "nginx/gzip", false},
	{"        proxy_max_temp_file_size 0;\n", "proxy_buffers 8 4k;", "nginx/response-spool", false},
	{"server 127.0.0.1:5000;", "server 127.0.0.1:5000; server 127.0.0.1:5001;", "nginx/upstream-peers", true},
	{"server 127.0.0.1:5000;", "server 127.0.0.1:5000 max_conns=10;", "nginx/max-conns", true},
	{"server 127.0.0.1:5000;", "server localhost:5000;", "nginx/upstream-name", false},
	{"backlog=1024 ", "backlog=8 ", "nginx/listen-backlog", false},
	{"limit_conn conn 200", "limit_conn conn 200; send_timeout 1d", "nginx/send-timeout", false},
	{"limit_conn conn 200", "limit_conn conn 200; client_body_timeout 1d", "nginx/client-timeouts", false},
	{"limit_conn conn 200", "limit_conn conn 200; keepalive_timeout 5s", "nginx/keepalive-timeout", false},
	{"limit_conn conn 200", "limit_conn conn 200; proxy_ignore_client_abort on", "nginx/client-abort", false},
	{"limit_conn conn 200", "limit_conn conn 200; proxy_set_header Connection keep-alive", "nginx/upstream-http", false},
	{"limit_conn conn 200", "limit_conn conn 200; proxy_next_upstream error non_idempotent", "nginx/next-upstream", false},
	{"limit_conn conn 200", "limit_conn conn 200; auth_basic fl; auth_basic_user_file /dev/null", "nginx/access", true},
	{"limit_conn conn 200", "limit_conn conn 200; deny all", "nginx/access", true},
	{"limit_conn conn 200;", "limit_conn conn 200; limit_except GET { deny all; }", "nginx/access", true},
	{"limit_conn conn 200;", "limit_conn conn 200; if ($request_method = POST) { return 405; }", "nginx/access", true},
	{"limit_conn conn 200", "limit_conn conn 200; internal", "nginx/access", true},
	{"127.0.0.1:80 ", "127.0.0.1:80 http2 ", "nginx/access", true},
	{"location / {", "location / { return 404; }\n        location = /notify_me_if_gm_version_updated {", "nginx/protocol", true},
	{"proxy_pass http://fl;\n        }\n    }", "proxy_pass http://fl;\n        }\n        location /challenge_phrase/ { proxy_pass http://127.0.0.1:5001; }\n    }", "nginx/protocol", true},
}

// TestRemedies does what each finding says to the config that earned it: the check
// then passes, and the real nginx takes the config and holds the demand.
func TestRemedies(t *testing.T) {
	n := realNginx(t)
	if err := n.holds(t, enough); err != nil {
		t.Fatalf("the config without a fault: %v", err)
	}
	for _, fault := range remedied {
		t.Run(strings.TrimPrefix(fault.checks, "nginx/"), func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(enough, fault.old, fault.new, 1)
			if text == enough {
				t.Fatalf("nothing is %q", fault.old)
			}
			if err := n.holds(t, text); (err != nil) != fault.breaks {
				t.Errorf("the demand breaks the faulty config: %v", err)
			}
			for id := range strings.FieldsSeq(fault.checks) {
				text := fix(t, text, id)
				for _, f := range lintText(t, text, "", crowd) {
					if f.Status == reports.StatusFail || f.Status == reports.StatusUnknown && f.Severity == reports.SeverityError {
						t.Errorf("fixed, and %s is %s: %s%s", f.Check, f.Status, f.Got, f.Reason)
					}
				}
				if err := n.holds(t, text); err != nil {
					t.Errorf("the demand is not held by what %s fixed: %v\n%s", id, err, text)
				}
			}
		})
	}
}

// httpNginx is the real nginx.
type httpNginx struct{ binary string }

func realNginx(t *testing.T) httpNginx {
	t.Helper()
	binary, err := exec.LookPath("/usr/sbin/nginx")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("nginx is needed and not installed: apt-get install nginx-light")
		}
		t.Skip("nginx is not installed: apt-get install nginx-light")
	}
	return httpNginx{binary}
}

// holds runs a config, with ports of its own, before an application of the protocol,
// and has the demand come; the error is what failed first.
func (n httpNginx) holds(t *testing.T, text string) error {
	t.Helper()
	app, other := newParking(t), newParking(t)
	address := unused(t)
	dir := t.TempDir()
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s; ", kind, dir, kind)
	}
	text = strings.NewReplacer("127.0.0.1:80 ", address+" ", ":5000", app, ":5001", other, "/TMP", dir, "http {", "http { access_log off; "+temp).Replace(text)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte("daemon off; user root; pid "+dir+"/pid; error_log stderr crit;\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-p", dir, "-c", conf, "-e", "stderr"}
	if out, err := exec.Command(n.binary, append(args, "-t")...).CombinedOutput(); err != nil {
		return fmt.Errorf("nginx -t: %s", out)
	}
	cmd := exec.Command(n.binary, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // how it ends on a signal tells nothing
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
	g, ctx := errgroup.WithContext(t.Context())
	for i := range crowd.Workers {
		g.Go(func() error { return round(ctx, "http://"+address, fmt.Sprint("w", i)) })
	}
	return g.Wait()
}

// round is what a worker asks for, over a connection each: it registers, polls until
// all do, takes the model and sends its update. Bodies tell whether it was served.
func round(ctx context.Context, base, id string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, ask := range []struct{ method, path, body, want string }{
		{"POST", "/register_worker", id, "registered"},
		{"GET", "/challenge_phrase/" + id, "", "challenge"},
		{"POST", "/notify_me_if_gm_version_updated", id, "held"},
		{"POST", "/return_global_model", id, strings.Repeat("m", int(crowd.ModelBytes))},
		{"POST", "/receive_worker_update/" + id, strings.Repeat("u", int(crowd.ModelBytes)), "taken"},
	} {
		req, err := http.NewRequestWithContext(ctx, ask.method, base+ask.path, strings.NewReader(ask.body))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", ask.path, err)
		}
		if string(body) != ask.want {
			return fmt.Errorf("%s: %s: %.60q", ask.path, resp.Status, body)
		}
	}
	return nil
}

// parking is an application that knows those who registered with it, and holds polls
// until all workers' are held and then for as long as the demand says.
type parking struct {
	mu     sync.Mutex
	known  map[string]bool
	parked int
	all    chan struct{}
}

// newParking starts one and gives its port, as ":5000".
func newParking(t *testing.T) string {
	p := &parking{known: map[string]bool{}, all: make(chan struct{})}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return s.URL[strings.LastIndexByte(s.URL, ':'):]
}

// bodyTimeout is how long a body of some bytes may take over loopback.
const bodyTimeout = 10 * time.Second

func (p *parking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A proxy that promises a body and sends none would be waited for until its own timeout.
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if err := rc.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	id, answer := string(body), "unknown worker"
	if i := strings.LastIndexByte(r.URL.Path, '/'); i > 0 {
		id = r.URL.Path[i+1:]
	}
	p.mu.Lock()
	known := p.known[id]
	p.mu.Unlock()
	switch path := r.URL.Path; {
	case (r.Method == http.MethodGet) != strings.HasPrefix(path, "/challenge_phrase/"):
		answer = "another method is wanted"
	case path == "/register_worker":
		p.mu.Lock()
		p.known[id] = true
		p.mu.Unlock()
		answer = "registered"
	case !known:
	case path == "/notify_me_if_gm_version_updated":
		p.mu.Lock()
		if p.parked++; p.parked == crowd.Workers {
			close(p.all)
		}
		p.mu.Unlock()
		select {
		case <-p.all:
			time.Sleep(duration(crowd.HoldSeconds)) // as long as the demand has it
		case <-r.Context().Done():
		}
		answer = "held"
	case path == "/return_global_model":
		answer = strings.Repeat("m", int(crowd.ModelBytes))
	case strings.HasPrefix(path, "/challenge_phrase/"):
		answer = "challenge"
	case strings.HasPrefix(path, "/receive_worker_update/"):
		answer = "taken"
	}
	_, _ = io.WriteString(w, answer) // a client that is gone tells by itself
}

// unused is an address that nothing listens at.
func unused(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
