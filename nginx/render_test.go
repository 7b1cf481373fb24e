package nginx

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func set(why, name string, args ...string) Setting { return Setting{Name: name, Args: args, Why: why} }

// example is what a demand of 1000 workers might come to.
func example() Settings {
	return Settings{
		Title: "Made by fltool nginx render for 1000 workers that poll for up to 2 minutes, with a model of 13 MB.",
		Main: []Setting{
			set("One a CPU.", "worker_processes", "auto"),
			set("Each of 2134 connections of a process is a descriptor; 64 more for logs, listeners and bodies on disk.", "worker_rlimit_nofile", "2198"),
			set("After a reload an old process ends at the latest when a poll would.", "worker_shutdown_timeout", "2m"),
		},
		Events: []Setting{set("1000 workers × 2 connections each, 16/15 of that so that nginx does not cut idle ones.", "worker_connections", "2134")},
		HTTP: []Setting{
			set("", "limit_conn_zone", "$binary_remote_addr", "zone=fl_conn:10m"),
			set("", "log_format", "fl", `$remote_addr "$request" $status $request_time`),
		},
		Peers:       []string{"127.0.0.1:5000"},
		Upstream:    []Setting{set("Idle connections that a process keeps.", "keepalive", "64"), set("The server closes idle ones after 2 s: shorter, so that none is used as it closes.", "keepalive_timeout", "1s")},
		ServerNames: []string{"fl.example.org"},
		Server: []Setting{
			set("13 MB compressed, and 64 KB for the form around it.", "client_max_body_size", "13697024"),
			set("The longest hold, 120 s, and a minute.", "proxy_read_timeout", "180s"),
			set("Keep-alive towards the server needs both.", "proxy_http_version", "1.1"),
			set("", "proxy_set_header", "Connection", ""),
			set("", "proxy_set_header", "Host", "$host"),
		},
		Location:   []Setting{set("All 1000 workers may come from one address.", "limit_conn", "fl_conn", "2000")},
		Fallback:   &Fallback{Path: "/return_global_model", Body: "x^k\x00\x00\x00\x81\x00\x81", Why: "502 would end workers that were just notified of a model."},
		AdminAllow: []string{"10.0.0.0/8", "::1"},
	}
}

func TestRender(t *testing.T) {
	withTLS := example()
	withTLS.TLS = &TLS{Certificate: "/etc/letsencrypt/live/fl.example.org/fullchain.pem", Key: "/etc/letsencrypt/live/fl.example.org/privkey.pem",
		RedirectListen: []Setting{set("", "listen", "80"), set("", "listen", "[::]:80")},
		Settings:       []Setting{set("Older ones are broken.", "ssl_protocols", "TLSv1.2", "TLSv1.3")}}
	withTLS.ACMERoot = "/var/www/acme"
	closed := Settings{Peers: []string{"unix:/run/fl.sock", "127.0.0.1:5001"}}
	for name, s := range map[string]Settings{"http": example(), "https": withTLS, "least": closed} {
		t.Run(name, func(t *testing.T) {
			text, err := Render(s)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", "render-"+name+".conf"), text)
			for i, line := range strings.Split(text, "\n") {
				if len([]rune(line)) > 80 && strings.HasPrefix(strings.TrimSpace(line), "#") {
					t.Errorf("line %d is longer than 80 columns: %s", i+1, line)
				}
			}
		})
	}

	// What was given is what is in force.
	text, err := Render(example())
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, text, Reading{Build: debianBuild})
	r := c.Route(Request{Address: ":80", Host: "fl.example.org", Path: "/challenge_phrase/x"})
	e := r.Effective()
	if r.Err != "" || e == nil {
		t.Fatal(r.Err)
	}
	if e.ProxyReadTimeout.V != 3*time.Minute || e.ClientMaxBodySize.V != 13697024 || c.Events.WorkerConnections.V != 2134 ||
		len(e.LimitConn.V) != 1 || e.LimitConn.V[0].Limit != 2000 || e.LimitConn.V[0].Key != "$binary_remote_addr" {
		t.Errorf("not what was given: %+v", e)
	}
	if h, ok := e.UpstreamHeader("connection"); !ok || h.Value != "" {
		t.Errorf("Connection: %+v %v", h, ok)
	}
	for _, path := range []string{"/workers", "/workers/03a1"} {
		r := c.Route(Request{Address: ":80", Host: "fl.example.org", Path: path})
		if a := r.Effective().Access.V; len(a) != 3 || a[2].Allow || a[2].Who != "all" {
			t.Errorf("%s is open: %+v", path, a)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	for want, change := range map[string]func(*Settings){
		"no upstream address":                           func(s *Settings) { s.Peers = nil },
		"needs a certificate":                           func(s *Settings) { s.TLS = &TLS{Certificate: "x"} },
		"no name of a directiv":                         func(s *Settings) { s.Main = []Setting{set("", "user root; #", "x")} },
		`"worker_connections" directive invalid number`: func(s *Settings) { s.Events = []Setting{set("", "worker_connections", "many")} },
		`"events" directive is not allowed here`:        func(s *Settings) { s.Server = []Setting{set("", "events")} },
		"zero size shared memory zone":                  func(s *Settings) { s.HTTP = nil },
	} {
		s := example()
		change(&s)
		if _, err := Render(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestRenderQuotes(t *testing.T) {
	for _, value := range []string{"", "a b", `"`, `\`, `\"`, `\\n`, "a\nb\t", "x;}{#", "'", "$host", "${host}", "a#b", "#", `\d+`, "é"} {
		s := example()
		s.Server = []Setting{set("", "proxy_set_header", "X", value)}
		text, err := Render(s)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		c := parse(t, text, Reading{})
		if h := c.Servers[0].Effective.ProxySetHeader.V[0]; h.Value != value {
			t.Errorf("%q is read back as %q", value, h.Value)
		}
	}
}

// TestRealRender lets nginx check and run what is rendered.
func TestRealRender(t *testing.T) {
	binary := realNginx(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %q %q", r.Proto, r.Host, r.Header.Get("Connection"), r.URL.Path)
	}))
	defer backend.Close()
	address := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	dir := t.TempDir()
	s := example()
	s.AdminAllow = nil
	s.ACMERoot = dir
	s.Listen = []Setting{{Args: []string{address, "so_keepalive=5m"}, Why: "A worker that vanished frees its slot."}}
	s.Peers = []string{strings.TrimPrefix(backend.URL, "http://")}
	s.Main = append(s.Main, set("", "pid", dir+"/pid"), set("", "error_log", "stderr", "crit"), set("", "daemon", "off"), set("", "master_process", "off"))
	s.HTTP = append(s.HTTP, set("", "access_log", "off"))
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		s.HTTP = append(s.HTTP, set("", kind+"_temp_path", dir+"/"+kind))
	}
	text, err := Render(s)
	if err != nil {
		t.Fatal(err)
	}
	startConfig(t, dir, text, address)
	out, err := exec.Command(binary, "-t", "-q", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Join(dir, ".well-known/acme-challenge"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".well-known/acme-challenge/token"), []byte("proof"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path, extra string
		status              int
		body                string
	}{
		{"GET", "/challenge_phrase/x", "", 200, `HTTP/1.1 fl.example.org "" "/challenge_phrase/x"`},
		{"GET", "/workers", "", 403, ""},
		{"DELETE", "/workers/03a1", "", 403, ""},
		{"GET", "/.well-known/acme-challenge/token", "", 200, "proof"},
		{"POST", "/receive_worker_update/x", "Content-Length: 13697025\r\n", 413, ""},
	} {
		res, body := ask(t, address, "fl.example.org", test.method, test.path, test.extra)
		if res.StatusCode != test.status || test.body != "" && body != test.body {
			t.Errorf("%s %s: got %d %s, want %d %s", test.method, test.path, res.StatusCode, body, test.status, test.body)
		}
	}
}
