package probe

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// startNginx runs the real nginx before a server until the test ends, and gives
// its URL.
func startNginx(t *testing.T, settings, upstream string) string {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Fatal("nginx is needed and not installed: apt-get install nginx-light")
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	dir := t.TempDir()
	var conf strings.Builder
	fmt.Fprintf(&conf, "daemon off; master_process off; pid %s/pid; error_log stderr crit; events { worker_connections 64; }\nhttp { access_log off;\n", dir)
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&conf, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	fmt.Fprintf(&conf, "server { listen %s; %s\nlocation / { proxy_pass %s; } location /workers { deny all; } } }\n", address, settings, upstream)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-p", dir, "-c", path, "-e", "stderr")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // ended already, perhaps
		<-ended
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return "http://" + address
		}
		if len(ended) > 0 || time.Now().After(deadline) {
			t.Fatalf("nginx does not listen at %s\n%s", address, stderr.String())
		}
	}
}

// Through the real nginx: its body limit, its read timeout, its buffering, what
// it closes.
func TestThroughNginx(t *testing.T) {
	f := &fake{poll: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
	o := everything(t, startNginx(t, "client_max_body_size 2m; proxy_read_timeout 1s;", start(t, f, f).URL))
	o.Hold, o.BodyMax = time.Minute, 8e6
	p := run(t, o, nil)
	if b := p.Body.V; b == nil || b.Accepted > 2<<20 || b.Refused <= 2<<20 || b.Status != 413 || !strings.HasPrefix(b.Server, "nginx") {
		t.Errorf("body %+v %s", b, p.Body.Why())
	}
	if h := p.Hold.V; h == nil || h.End != facts.EndStatus || h.Status != 504 || h.Seconds < 1 || !strings.HasPrefix(h.Server, "nginx") {
		t.Errorf("hold %+v %s", h, p.Hold.Why())
	}
	if !p.Buffering.V || p.Admin.V.Status != 403 || !p.KeepAlive.V.Reused {
		t.Errorf("buffering %+v, admin %+v, keep-alive %+v", p.Buffering, p.Admin, p.KeepAlive)
	}
	if n := int(f.requests.Load()); n > o.Cost().Requests {
		t.Errorf("%d requests came, announced were %d", n, o.Cost().Requests)
	}
}

// A dead server behind nginx is a 502.
func TestNginxWithoutServer(t *testing.T) {
	p := run(t, everything(t, startNginx(t, "proxy_request_buffering off;", "http://127.0.0.1:1")), nil)
	if p.Alive.V.Status != 502 || p.Hold.Known() || p.Body.Known() {
		t.Errorf("%+v", p)
	}
}

// Without request buffering an answer need not wait for the body.
func TestNginxStreams(t *testing.T) {
	f := &fake{}
	p := run(t, questions(t, startNginx(t, "proxy_request_buffering off; proxy_http_version 1.1; keepalive_timeout 0;", start(t, f, f).URL)), nil)
	if !p.Buffering.Known() || p.Buffering.V || p.KeepAlive.V.Reused {
		t.Errorf("buffering %+v, keep-alive %+v", p.Buffering, p.KeepAlive)
	}
}
