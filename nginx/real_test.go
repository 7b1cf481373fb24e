package nginx

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The tests of this file ask the real nginx what it makes of a config.

func realNginx(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("FLTOOL_NGINX"); path != "" { // of another version
		return path
	}
	path, err := exec.LookPath("nginx")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("nginx is needed and not installed: apt-get install nginx-light")
		}
		t.Skip("nginx is not installed: apt-get install nginx-light")
	}
	return path
}

// realMain is what each config begins with: nothing of it leaves dir.
func realMain(dir string) string {
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s; ", kind, dir, kind)
	}
	return "daemon off; master_process off; pid " + dir + "/pid; error_log stderr crit; events { worker_connections 128; }\n" +
		"http { access_log off; " + temp
}

// startNginx runs it in the foreground until the test ends. http is the inside
// of the http block; it must listen at the address, which is waited for.
func startNginx(t *testing.T, http, address string) *Config {
	t.Helper()
	c, _ := startNginxPID(t, http, address)
	return c
}

func startNginxPID(t *testing.T, http, address string) (*Config, int) {
	t.Helper()
	dir := t.TempDir()
	return startConfig(t, dir, realMain(dir)+http+"\n}\n", address)
}

func startConfig(t *testing.T, dir, text, address string) (*Config, int) {
	t.Helper()
	binary := realNginx(t)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "-p", dir, "-c", conf, "-e", "stderr")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cancel(); <-ended })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v\n%s", err, stderr.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen at %s\n%s", address, stderr.String())
		}
	}
	c, err := Read(Reading{Path: conf, Build: realBuild(t)})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Problems) != 0 {
		t.Fatalf("nginx runs, yet: %+v", c.Problems)
	}
	return c, cmd.Process.Pid
}

// listening is what a process listens at over IPv4.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	mine := map[string]bool{}
	for _, l := range links {
		target, _ := os.Readlink(l) // one that is gone by now is no listener
		mine[strings.Trim(strings.TrimPrefix(target, "socket:"), "[]")] = true
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, line := range strings.Split(string(table), "\n") {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" || !mine[f[9]] {
			continue
		}
		var a [4]byte
		var port int
		if _, err := fmt.Sscanf(f[1], "%02X%02X%02X%02X:%04X", &a[3], &a[2], &a[1], &a[0], &port); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d.%d.%d.%d:%d", a[0], a[1], a[2], a[3], port))
	}
	slices.Sort(all)
	return all
}

func freePorts(t *testing.T, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// ask sends one request as it is written and returns the answer.
func ask(t *testing.T, address, host, method, path string, extra ...string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", method, path, host, strings.Join(extra, ""))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s %s%s: %v", method, host, path, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// locationMaker writes random locations, one a line, each answering with its
// line's number.
type locationMaker struct {
	rand   *rand.Rand
	out    *strings.Builder
	line   int
	target string // of those that proxy
}

var segments = []string{"a", "b", "ab", "A", "a.b", "aa"}

func (m *locationMaker) path() string {
	p := ""
	for range m.rand.IntN(4) {
		p += "/" + segments[m.rand.IntN(len(segments))]
	}
	if p == "" || m.rand.IntN(2) == 0 {
		p += "/"
	}
	return p
}

func (m *locationMaker) write(depth int, under string, inRegex bool) {
	expressions := []string{"^/a", "b$", `\.b$`, "/a/.*b", "^/(a|b)/", "A", `"^/[ab]{2}"`, "/$", "a/b"}
	seen := map[string]bool{}
	for range 1 + m.rand.IntN(6) {
		kind := []string{"", "", "", "^~ ", "= ", "~ ", "~* "}[m.rand.IntN(7)]
		pattern := expressions[m.rand.IntN(len(expressions))]
		isRegex := strings.HasPrefix(kind, "~")
		if !isRegex {
			if inRegex {
				continue
			}
			pattern = m.path()
			if under != "" {
				pattern = under + strings.TrimPrefix(pattern, "/")
			}
		}
		key := kind + pattern
		if kind == "^~ " {
			key = pattern
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		m.line++
		fmt.Fprintf(m.out, "location %s%s {", kind, pattern)
		if m.rand.IntN(3) == 0 {
			fmt.Fprintf(m.out, " proxy_set_header X-Line %d; proxy_pass http://%s;", m.line, m.target)
		} else {
			fmt.Fprintf(m.out, " return 200 %d;", m.line)
		}
		m.out.WriteString("\n")
		if depth > 0 && kind != "= " && m.rand.IntN(3) == 0 {
			m.write(depth-1, pattern, isRegex)
		}
		m.line++
		m.out.WriteString("}\n")
	}
}

func TestRealLocations(t *testing.T) {
	ports := freePorts(t, 2)
	address, target := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	var conf strings.Builder
	m := &locationMaker{rand: rand.New(rand.NewPCG(1, 2)), out: &conf, line: 2, target: target}
	fmt.Fprintf(&conf, "server { listen %s; location / { return 200 $http_x_line; } }\n", target)
	const servers = 60
	for i := range servers {
		m.line++
		fmt.Fprintf(&conf, "server { listen %s; server_name s%d; merge_slashes %s;\n", address, i, []string{"on", "off"}[i%2])
		m.write(2, "", false)
		m.line++
		conf.WriteString("}\n")
	}
	c := startNginx(t, conf.String(), address)
	kinds := map[string]int{}
	for i := range servers {
		for range 40 {
			path := m.path()
			switch m.rand.IntN(6) {
			case 0:
				path = strings.Replace(path, "/", "//", 1)
			case 1:
				path = strings.Replace(path, "a", "%61", 1) + "?q=/b"
			case 2:
				path = "/b/.." + path
			case 3:
				path += "../b/./"
			}
			host := fmt.Sprintf("s%d", i)
			r := c.Route(Request{Address: address, Host: host, Path: path})
			want := "404"
			switch {
			case r.Err == errBadPath.Error():
				want = "400"
				kinds["refused"]++
			case r.Err != "":
				t.Fatalf("%s%s: %s", host, path, r.Err)
			case r.Redirect != "":
				want = "301 " + r.Redirect
				kinds["redirect"]++
			case r.Location != nil:
				want = r.Location.Source[strings.LastIndexByte(r.Location.Source, ':')+1:]
				kinds[string(r.Location.Kind)]++
			default:
				kinds["none"]++
			}
			res, got := ask(t, address, host, "GET", path)
			switch res.StatusCode {
			case 400:
				got = "400"
			case 404, 403, 500: // no location: a file that isn't there
				got = "404"
			case 301:
				got = "301 " + regexp.MustCompile(`^https?://[^/]*`).ReplaceAllString(res.Header.Get("Location"), "")
				got, _, _ = strings.Cut(got, "?")
			}
			if got != want {
				t.Errorf("%s%s: nginx answers from line %s, Route says %s", host, path, got, want)
			}
		}
	}
	for _, kind := range []string{"redirect", "none", "refused", "", "^~", "=", "~", "~*"} {
		if kinds[kind] == 0 {
			t.Errorf("no request led to a location of kind %q: %v", kind, kinds)
		}
	}
}

// A return comes before anything is passed on, and so does what a rewrite leads
// to, unless it ends in break.
func TestRealRewrites(t *testing.T) {
	ports := freePorts(t, 2)
	address, target := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	c := startNginx(t, fmt.Sprintf(`server { listen %[2]s; location / { return 200 passed; } }
server { listen %[1]s; server_name plain;
  location /pass { proxy_pass http://%[2]s; }
  location /return { return 503 x; proxy_pass http://%[2]s; }
  location /break { rewrite ^/break /y break; proxy_pass http://%[2]s; }
  location /other { rewrite ^/none /y last; proxy_pass http://%[2]s; }
  location /last { rewrite ^/last /return last; proxy_pass http://%[2]s; }
  location /bare { rewrite ^/bare /return; proxy_pass http://%[2]s; }
  location /moved { rewrite ^/moved /y permanent; proxy_pass http://%[2]s; }
  location /try { try_files /none @app; }
  location @app { return 418; proxy_pass http://%[2]s; }
}
server { listen %[1]s; server_name rewrites; rewrite ^/break /return break;
  location /return { return 503; }
  location / { proxy_pass http://%[2]s; }
}
server { listen %[1]s; server_name returns; return 410; location / { proxy_pass http://%[2]s; } }
`, address, target), address)
	for _, tt := range []struct {
		host, path, want string // "" where Route can't tell
		status           int
	}{
		{"plain", "/pass", "passed", 200}, {"plain", "/return", "503", 503}, {"plain", "/break", "passed", 200},
		{"plain", "/other", "passed", 200}, {"plain", "/last", "", 503}, {"plain", "/bare", "", 503},
		{"plain", "/moved", "", 301}, {"plain", "/try", "418", 418},
		{"rewrites", "/break", "", 503}, {"rewrites", "/pass", "passed", 200}, {"returns", "/pass", "410", 410},
	} {
		r := c.Route(Request{Address: address, Host: tt.host, Path: tt.path})
		got := "passed"
		switch {
		case r.Err != "":
			got = ""
		case r.Return != nil:
			got = fmt.Sprint(r.Return.Code)
		case r.Final == nil || r.Final.Pass == nil:
			got = "nowhere"
		}
		if res, _ := ask(t, address, tt.host, "GET", tt.path); got != tt.want || res.StatusCode != tt.status {
			t.Errorf("%s%s: Route says %q (%s), want %q; nginx answers %d, want %d", tt.host, tt.path, got, r.Err, tt.want, res.StatusCode, tt.status)
		}
	}
}

func TestRealServers(t *testing.T) {
	p := freePorts(t, 3)
	lines := strings.NewReplacer("P0", fmt.Sprint(p[0]), "P1", fmt.Sprint(p[1]), "P2", fmt.Sprint(p[2])).Replace(
		`listen 127.0.0.1:P0; server_name first;
listen 127.0.0.1:P0; server_name exact.example.org www.exact.example.org;
listen 127.0.0.1:P0; server_name *.example.org;
listen 127.0.0.1:P0; server_name *.sub.example.org;
listen 127.0.0.1:P0; server_name .dot.org;
listen 127.0.0.1:P0; server_name www.*;
listen 127.0.0.1:P0; server_name www.example.*;
listen 127.0.0.1:P0 default_server; server_name _;
listen 127.0.0.1:P0; server_name ~^(?<who>.+)\.users\.net$;
listen 127.0.0.1:P0; server_name "~^a{2}" second;
listen 127.0.0.1:P0; server_name ~.net$;
listen 127.0.0.1:P0; server_name ~^Case;
listen P1; server_name any;
listen 127.0.0.1:P1; server_name here;
listen 127.0.0.2:P1; server_name there any;
listen 127.0.0.3:P2 bind; server_name bound;
listen 127.0.0.1:P2; server_name "" named;
listen 127.0.0.1:P2; server_name other.named;
`)
	conf := ""
	for i, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		conf += fmt.Sprintf("server { %s location / { return 200 %d; } }\n", line, i)
	}
	c, pid := startNginxPID(t, conf, fmt.Sprintf("127.0.0.1:%d", p[0]))
	var opened []string
	for _, s := range c.Sockets {
		if s.Via == "" {
			opened = append(opened, s.Address)
		}
	}
	slices.Sort(opened)
	if got := listening(t, pid); !slices.Equal(got, opened) {
		t.Errorf("nginx listens at %q, Sockets say %q", got, opened)
	}
	hosts := []string{
		"first", "FIRST", "first.", "exact.example.org", "www.exact.example.org", "x.example.org", "a.b.example.org", "example.org",
		"x.sub.example.org", "sub.example.org", "dot.org", "x.dot.org", "xdot.org", "www.example.org", "www.example.com", "www.x",
		"joe.users.net", "case.x", "CASE.x", "aab", "users.net", "second", "_", "nothing", "any", "here", "there", "bound", "named", "other.named", "127.0.0.1",
	}
	for _, to := range []string{
		fmt.Sprintf("127.0.0.1:%d", p[0]),
		fmt.Sprintf("127.0.0.1:%d", p[1]), fmt.Sprintf("127.0.0.2:%d", p[1]), fmt.Sprintf("127.0.0.4:%d", p[1]), fmt.Sprintf("127.0.0.3:%d", p[2]),
		fmt.Sprintf("127.0.0.1:%d", p[2]),
	} {
		for _, host := range hosts {
			r := c.Route(Request{Address: to, Host: host, Path: "/"})
			if r.Err != "" || r.Location == nil {
				t.Fatalf("%s at %s: %+v", host, to, r)
			}
			if _, got := ask(t, to, host, "GET", "/"); got != r.Location.Return.Text {
				t.Errorf("%s at %s: nginx takes server %s, Route %s", host, to, got, r.Location.Return.Text)
			}
		}
	}
	r := c.Route(Request{Address: fmt.Sprintf(":%d", p[1]), Host: "any", Path: "/"})
	if !strings.Contains(r.Err, "hangs on the address") {
		t.Errorf("an unknown address where it matters: %+v", r)
	}
}

// TestRealInheritance compares what is in force with what nginx does, for the
// settings that show in an answer.
func TestRealInheritance(t *testing.T) {
	ports := freePorts(t, 2)
	address, target := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	c := startNginx(t, strings.NewReplacer("ADDRESS", address, "TARGET", target).Replace(`
client_max_body_size 100;
proxy_set_header X-A http; proxy_set_header X-B http;
limit_req_zone $http_x_none zone=none:1m rate=1r/s;
server { listen TARGET; client_max_body_size 0; location / { return 200 "$http_x_a|$http_x_b|$http_connection|$http_host|$server_protocol"; } }
upstream up { server TARGET; }
server { listen ADDRESS; client_max_body_size 200; deny 127.0.0.9;
  location /inherit { proxy_pass http://up; 
    location /inherit/own { proxy_pass http://TARGET; client_max_body_size 50; 
      location /inherit/own/more { proxy_set_header X-B more; proxy_pass http://up; deny all; } }
    location /inherit/nopass { client_max_body_size 1; }
  }
  location /closed { deny all; proxy_pass http://up; location /closed/open { allow all; proxy_pass http://up; } }
  location /11 { proxy_http_version 1.1; proxy_set_header connection ""; proxy_set_header Host fixed; proxy_pass http://up; client_max_body_size 0; }
  location /secret { auth_basic realm; auth_basic_user_file /nonexistent; proxy_pass http://up; location /secret/free { auth_basic off; proxy_pass http://up; } }
}`), address)
	pass := map[string]string{}
	for _, path := range []string{"/inherit", "/inherit/own", "/inherit/own/more", "/inherit/nopass", "/closed", "/closed/open", "/11", "/secret", "/secret/free"} {
		r := c.Route(Request{Address: address, Host: "x", Path: path})
		if r.Err != "" || r.Location == nil || r.Location.Pattern != path {
			t.Fatalf("%s: %+v", path, r)
		}
		e := r.Effective()

		denied := len(e.Access.V) > 0 && e.Access.V[0].Who == "all" && !e.Access.V[0].Allow
		status := 200
		switch {
		case denied:
			status = 403
		case e.AuthBasic.V != "off":
			status = 401
		case r.Location.Pass == nil:
			status = 404
		}
		res, body := ask(t, address, "x", "GET", path)
		if res.StatusCode != status {
			t.Errorf("%s: nginx answers %d, the settings say %d", path, res.StatusCode, status)
		}
		if status != 200 {
			continue
		}
		pass[path] = body
		var want []string
		for _, name := range []string{"X-A", "X-B", "Connection", "Host"} {
			h, _ := e.UpstreamHeader(name)
			value := h.Value
			if value == "$proxy_host" {
				value = r.Location.Pass.Upstream
			}
			want = append(want, value)
		}
		want = append(want, "HTTP/"+e.ProxyHTTPVersion.V)
		if body != strings.Join(want, "|") {
			t.Errorf("%s: nginx sends %q upstream, the settings say %q", path, body, strings.Join(want, "|"))
		}
		limit := e.ClientMaxBodySize.V
		for _, size := range []int64{49, 50, 51, 99, 100, 101, 199, 200, 201, 2000} {
			status := 200
			if limit > 0 && size > limit {
				status = 413
			}
			res, _ := ask(t, address, "x", "POST", path, fmt.Sprintf("Content-Length: %d\r\n", size), "\r\n"+strings.Repeat("x", int(size))+"")
			if res.StatusCode != status {
				t.Errorf("%s: nginx answers %d to a body of %d bytes, client_max_body_size %d says %d", path, res.StatusCode, size, limit, status)
			}
		}
	}
	if len(pass) != 5 {
		t.Errorf("too few places were compared: %v", pass)
	}
}

// TestRealRefusals runs nginx -t on one statement at a time: what it refuses is
// a Problem with its words at its line, what it takes is none.
func TestRealRefusals(t *testing.T) {
	binary, build := realNginx(t), realBuild(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	try := func(t *testing.T, text string) {
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(binary, "-t", "-p", dir, "-c", conf, "-e", "stderr").CombinedOutput()
		c, readErr := Read(Reading{Path: conf, Build: build})
		if readErr != nil {
			t.Fatal(readErr)
		}
		if err == nil {
			if len(c.Problems) != 0 {
				t.Errorf("nginx takes it, yet: %+v", c.Problems)
			}
			return
		}
		m := regexp.MustCompile(`(?m)\[(?:emerg|crit)\] (?:\d+#\d+: )?(.*?)(?: in (\S+:\d+))?$`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("no reason in %q", out)
		}
		want := Problem{Source: string(m[2]), Text: string(m[1]), Refused: true}
		for _, p := range c.Problems {
			p.Hint = ""
			if p == want || want.Source == "" && p.Text == want.Text {
				return
			}
		}
		t.Errorf("nginx says %+v\nProblems say %+v", want, c.Problems)
	}

	for _, text := range []string{
		"", "events", "events {", "events {}", "events { ; }", "events {}}", "events { worker_connections 1", "events { worker_connections 1 }", "events {} }{",
		"events {} events {}", "events {}\nhttp {} http {}", "events {};", "{", "}", ";", "events { \"a", "events { 'worker_connections' \"10\"; }",
		"http {}", "worker_processes\n2\nevents {}", "events\n{\nworker_connections\n\n1 2\n;}", "server {}", "events { include nothing.conf; }",
		"events { include nothing*.conf; }", "events { include " + dir + "; }", "include nginx.conf.none;\nevents {}", "events{}#x",
		"events {} # {\n# }", "\xef\xbb\xbfevents {}", "worker_processes 0; events {}", "worker_processes -1; events {}", "worker_rlimit_nofile 1k; events {}",
		"worker_processes auto 1 2; events {}", "user; events {}", "daemon maybe; events {}", "daemon On; events {}", "worker_shutdown_timeout 1M; events {}",
		"events { multi_accept; }", "events { worker_connections 10; worker_connections 10; }", "events { accept_mutex_delay 1x; }",
	} {
		t.Run(text, func(t *testing.T) { try(t, text) })
	}
	inHTTP := []string{
		"proxy_pass http://127.0.0.1;", "keepalive_timeout 5s 5s;", "keepalive_timeout;", "keepalive_timeout 1 2 3;", "client_max_body_size 1g;", "client_max_body_size 1t;",
		"client_body_buffer_size 1g;", "client_max_body_size -1;", "proxy_buffering maybe;", "proxy_buffering ON;", "proxy_http_version 3;", "proxy_buffers 8;",
		"proxy_buffers 8 4x;", "keepalive_requests 1k;", "proxy_read_timeout 5min;", "proxy_read_timeout 5s; proxy_read_timeout 6s;", "limit_rate $arg_x;",
		"lingering_close maybe;", "satisfy none;", "limit_req zone=x;", "limit_conn x 1;", "limit_req_zone $uri zone=x:1m rate=1r/s; limit_req zone=x burst=5 delay=2;",
		"limit_req_zone $uri zone=x:1m rate=5;", "limit_req_zone $uri zone=x:1m rate=1r/s; limit_req zone=x burst=0;", "limit_conn_zone $uri zone=x:1m; limit_conn x 0;",
		"upstream a { server 127.0.0.1; } upstream a { server 127.0.0.1; }", "upstream a { }", "upstream a { server 127.0.0.1 weight=x; }",
		"upstream a { server 127.0.0.1:1 weight=2 max_conns=3 max_fails=0 fail_timeout=1M backup; server unix:/x down; keepalive 3; keepalive_timeout 3s; }",
		"server { listen 0; }", "server { listen 127.0.0.1:99999; }", "server { listen 127.0.0.1:8081; listen 127.0.0.1:8081; }",
		"server { listen 127.0.0.1:8081 default_server; } server { listen 127.0.0.1:8081 default_server; }", "server { listen 127.0.0.1:8081 backlog=0; }",
		"server { listen 8081-8083; listen [::1]:8084; listen unix:" + dir + "/s; }", "server { listen [::1; }", "server { listen 127.0.0.1:8081 so_keepalive=30m::10 reuseport deferred; }",
		"location / {}", "server { location {} }", "server { location / ; }", "server { location / {} location / {} }", "server { location / {} location ^~ / {} }",
		"server { location / {} location = / {} location ~ / {} location ~ / {} }", "server { location !~ x {} }", "server { location =/x {} location ~x {} location ~*x {} location ^~/y {} }",
		"server { location /a { location /b {} } }", "server { location ~ a { location /b {} } }", "server { location = /a { location /a/b {} } }", "server { location @a { location /a {} } }",
		"server { location /a { location @b {} } }", "server { location ~ a { location ~ b {} } }",
		"server { location / { proxy_pass 127.0.0.1; } }", "server { location / { proxy_pass http://127.0.0.1/a; proxy_pass http://127.0.0.1; } }",
		"server { location ~ / { proxy_pass http://127.0.0.1/a; } }", "server { location @x { proxy_pass http://127.0.0.1/; } }", "server { location / { if ($uri) { proxy_pass http://127.0.0.1/a; } } }",
		"server { location / { limit_except GET { proxy_pass http://127.0.0.1/a; } } }", "server { location / { proxy_pass http://unix:/x:/a; } }", "server { location ~ / { proxy_pass http://$uri/a; } }",
		"server { location / { proxy_pass http://a:80; } } upstream a { server 127.0.0.1; }",
		"server { location / { return abc; } }", "server { location / { return 1000; } }", "server { return 200 a; return 201; location / { return https://x; } }", "server { return; }",
		"server { if $uri { } }", "server { if ($uri) { return 200; } }", "server { worker_processes 1; }", "types { include nothing; }", "map $uri $x { a b; include nothing*; }",
		"server { server_name a; server_name b; }", "server { client_header_timeout 1s; large_client_header_buffers 4 0; }", "add_header a b c d;", "add_header a;", "add_header a b always;",
		"access_log off; error_log /dev/null; error_page 404 /x; allow 127.0.0.1; deny all;", "proxy_set_header a;", "auth_basic;", "proxy_next_upstream error error;",
		"server { location / { allow all; deny all; internal; try_files /a =404; } }",
		"limit_conn_zone $uri zone=x:1m; limit_conn x 65535;", "limit_conn_zone $uri zone=x:1m; limit_conn x 65536;",
		"upstream a { server :5000; }", "upstream a { server 127.0.0.1:0; }", "upstream a { server 127.0.0.1:99999; }", "upstream a { server 127.0.0.1:x; }", "upstream a { server [::1]:70000; }",
		"upstream a { server [::1]:7000; }", "upstream a { server [::1]; }",
		"server { location / { proxy_pass http://127.0.0.1:99999; } }", "server { location / { proxy_pass http://:80; } }", "server { location / { proxy_pass http://127.0.0.1:80x/; } }",
	}
	for _, s := range []string{"", "0", "1", "90", "1s", "1ms", "1m", "1h", "1d", "1w", "1M", "1y", "1h30", "1h30m", "30m1h", "1h 30m", "1 h", "90 ", " 90", "90 30", "1s5", "1s5s", "1s5 ", "1m5 ", "5 1 ",
		"5ms1", "1sms", "1s1ms", "1m5ms", "1hm", "h1", "h", "ms", "-1", "1.5s", "1S", "99999999999999999999", "9223372036854775", "9223372036854776", "106751991167d", "1w1d1h1m1s1ms"} {
		inHTTP = append(inHTTP, fmt.Sprintf("proxy_read_timeout %q;", s))
	}
	for _, s := range []string{"1y", "1M", "1ms", "1y1M", "1M1y", "1s 5", "5 1"} {
		inHTTP = append(inHTTP, fmt.Sprintf("upstream u { server 127.0.0.1 \"fail_timeout=%s\"; }", s))
	}
	for _, s := range []string{"0", "1", "1k", "1K", "1m", "1M", "1g", "1G", "k", "", "1kb", "1 k", "0x10", "-1", "+1", "9223372036854775807", "9223372036854775808", "9007199254740992k", "8796093022207m", "8796093022208m", "8589934592g"} {
		inHTTP = append(inHTTP, fmt.Sprintf("client_max_body_size %q;", s), fmt.Sprintf("limit_rate %q;", s))
	}
	for _, text := range inHTTP {
		t.Run(text, func(t *testing.T) { try(t, realMain(dir)+text+"\n}\n") })
	}
}

// TestRealDump reads a config from its files and from nginx -T: the same.
func TestRealDump(t *testing.T) {
	binary := realNginx(t)
	build, err := exec.Command(binary, "-V").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBuild(string(build))
	if err != nil || b.ConfPath == "" || b.PIDPath == "" {
		t.Fatalf("%+v %v", b, err)
	}
	if _, known := b.Since("1.0.0"); !known {
		t.Errorf("version %q", b.Version)
	}

	dir := t.TempDir()
	for name, text := range map[string]string{
		"nginx.conf":     realMain(dir) + "include mime.types; include sites/*; include none/*.conf; include proxy.conf; }\n",
		"mime.types":     "types { text/html html; }",
		"proxy.conf":     "proxy_read_timeout 5m;\r\nproxy_send_timeout 6m;\r\n",
		"sites/b":        "server { listen 127.0.0.1:8081; location / { include proxy.conf; proxy_pass http://a; } }\n# the last line has no end",
		"sites/a":        "upstream a { server 127.0.0.1:5000; }",
		"sites/.ignored": "nothing of nginx's",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(dir, "nginx.conf")
	out, err := exec.Command(binary, "-T", "-p", dir, "-c", conf, "-e", "stderr").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := Read(Reading{Path: conf, Build: b})
	if err != nil {
		t.Fatal(err)
	}
	dump, err := ReadDump(bytes.NewReader(out), Reading{Build: b})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(summary(files), summary(dump)); diff != "" || len(files.Problems) > 0 || len(files.Files) != 5 {
		t.Errorf("%+v %q\n-files +dump:\n%s", files.Problems, files.Files, diff)
	}
	for i, name := range files.Files {
		if !bytes.Contains(out, []byte("# configuration file "+name+":")) {
			t.Errorf("file %d: nginx does not read %s", i, name)
		}
	}
}
