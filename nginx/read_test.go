package nginx

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bigDump is what `nginx -T` prints on a host of many sites.
func bigDump(sites int) string {
	var b strings.Builder
	b.WriteString("nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\nnginx: configuration file /etc/nginx/nginx.conf test is successful\n")
	file := func(name, content string) { fmt.Fprintf(&b, "# configuration file %s:\n%s\n\n", name, content) }
	file("/etc/nginx/nginx.conf", `user www-data;
worker_processes 4;
events { worker_connections 4096; }
http {
    include mime.types;
    proxy_read_timeout 90s;
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}`)
	file("/etc/nginx/mime.types", "types {\n"+strings.Repeat("    text/html html htm;\n", 90)+"}")
	file("/etc/nginx/conf.d/zones.conf", "limit_req_zone $binary_remote_addr zone=all:10m rate=90r/m;")
	for i := range sites {
		file(fmt.Sprintf("/etc/nginx/sites-enabled/site%03d", i), fmt.Sprintf(`# the site of customer %[1]d
upstream app%[1]d {
    server 127.0.0.1:%[2]d;
    server 127.0.0.1:%[3]d backup;
    keepalive 8;
}

server {
    listen 80;
    listen [::]:80;
    server_name site%[1]d.example.org www.site%[1]d.example.org;
    return 301 https://site%[1]d.example.org$request_uri;
}

server {
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name site%[1]d.example.org www.site%[1]d.example.org;
    ssl_certificate /etc/ssl/site%[1]d.pem;
    ssl_certificate_key /etc/ssl/site%[1]d.key;
    root /var/www/site%[1]d;
    client_max_body_size %[4]dm;

    location / {
        try_files $uri @app;
    }

    location @app {
        include /etc/nginx/proxy_params;
        proxy_pass http://app%[1]d;
    }

    location /api/ {
        include /etc/nginx/proxy_params;
        proxy_read_timeout %[4]dm;
        limit_req zone=all burst=20 nodelay;
        proxy_pass http://app%[1]d/v1/;
    }

    location ~* \.(css|js|png)$ {
        expires 1d;
    }
}`, i, 5000+2*i, 5001+2*i, i+1))
	}
	file("/etc/nginx/proxy_params", "proxy_set_header Host $http_host;\nproxy_set_header X-Real-IP $remote_addr;")
	return b.String()
}

func TestDump(t *testing.T) {
	c, err := ReadDump(strings.NewReader(bigDump(200)), Reading{Build: debianBuild})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Problems) != 0 || len(c.Foreign) != 0 || len(c.Servers) != 400 || len(c.Upstreams) != 200 || len(c.Sockets) != 4 || len(c.Files) != 204 {
		t.Fatalf("%d servers, %d upstreams, %d sockets, %d files, problems %+v, foreign %+v", len(c.Servers), len(c.Upstreams), len(c.Sockets), len(c.Files), c.Problems, c.Foreign)
	}
	// All that a check asks is answered by the saved form as well.
	saved, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Config
	if err := json.Unmarshal(saved, &back); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Config{"read": c, "saved": &back} {
		t.Run(name, func(t *testing.T) {
			q, err := RequestFor("https://www.site77.example.org/api/poll?x=1")
			if err != nil {
				t.Fatal(err)
			}
			r := c.Route(q)
			if r.Err != "" || r.Location == nil {
				t.Fatal(r.Err)
			}
			e := r.Effective()
			want := Value[time.Duration]{V: 78 * time.Minute, Raw: "78m", Source: "/etc/nginx/sites-enabled/site077:35"}
			if diff := cmp.Diff(want, e.ProxyReadTimeout); diff != "" {
				t.Error(diff)
			}
			if e.ClientMaxBodySize.V != 78<<20 || e.LimitReq.V[0].Rate != 1.5 || e.LimitReq.V[0].Burst != 20 || !e.LimitReq.V[0].Nodelay {
				t.Errorf("%+v %+v", e.ClientMaxBodySize, e.LimitReq)
			}
			if h, _ := e.UpstreamHeader("host"); h.Source != "/etc/nginx/proxy_params:1" {
				t.Errorf("Host comes from %+v", h)
			}
			if r.Location.Pass.URI != "/v1/" || c.Upstream(r.Location.Pass.Upstream).Peers[1].Address != "127.0.0.1:5155" {
				t.Errorf("%+v", r.Location.Pass)
			}
			r = c.Route(Request{Address: ":443", Host: "site3.example.org", Path: "/poll", TLS: true})
			if r.Location == nil || r.Location.Name() != "/" || r.Final.Name() != "@app" || r.Effective().ProxyReadTimeout.V != 90*time.Second {
				t.Errorf("try_files is not followed: %+v", r.Final)
			}
			r = c.Route(Request{Address: ":80", Host: "site3.example.org", Path: "/poll"})
			if r.Server == nil || r.Server.Return == nil || r.Server.Return.Code != 301 {
				t.Errorf("no redirect: %+v", r)
			}
			if got := c.ProxiesTo("127.0.0.1:5154"); len(got) != 2 || got[0].Location.Name() != "@app" || got[1].Err != "" {
				t.Errorf("%+v", got)
			}
		})
	}
	if t.Failed() {
		return
	}
	t.Logf("saved: %d KB", len(saved)>>10)
}

func TestDumpErrors(t *testing.T) {
	if _, err := ReadDump(strings.NewReader("user root;\n"), Reading{}); !errors.Is(err, errNoDump) {
		t.Errorf("a config is no dump: %v", err)
	}
	c, err := ReadDump(strings.NewReader("nginx: [emerg] unknown directive \"x\" in /etc/nginx/nginx.conf:3\nnginx: configuration file /etc/nginx/nginx.conf test failed\n"), Reading{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Problem{{Source: "/etc/nginx/nginx.conf:3", Text: `unknown directive "x"`, Refused: true}}
	if diff := cmp.Diff(want, c.Problems); diff != "" {
		t.Error(diff)
	}
	if c.Events.WorkerConnections.Known() || c.Main.WorkerProcesses.Known() || c.Main.Daemon.Known() {
		t.Errorf("known, though nothing was read: %+v", c.Events)
	}
	// A dump that was cut off lacks files.
	whole := bigDump(3)
	c, err = ReadDump(strings.NewReader(whole[:strings.Index(whole, "# configuration file /etc/nginx/proxy_params")]), Reading{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Problems) == 0 || !strings.Contains(c.Problems[0].Text, `open() "/etc/nginx/proxy_params" failed (2: No such file or directory)`) {
		t.Errorf("%+v", c.Problems)
	}
	for _, p := range c.Proxies() {
		if v := p.Effective().ProxyConnectTimeout; v.Known() {
			t.Errorf("%s: known, though a file of the location is missing: %+v", p.Pass.Source, v)
		}
	}
}

func TestRoot(t *testing.T) {
	root := tree(t, txtar.Parse([]byte(`
-- etc/nginx -> /opt/conf --
-- opt/conf/nginx.conf --
events {}
include /etc/nginx/../conf/a[!x]?.conf;
include up/../b.conf;
-- opt/conf/ab1.conf --
worker_processes 3;
-- opt/conf/ax1.conf --
worker_processes 4;
-- opt/conf/.ab.conf --
worker_processes 5;
-- opt/conf/up -> ../../../../../../opt/other/dir --
-- opt/other/dir/x --
-- opt/other/b.conf -> /etc/b.conf --
-- etc/b.conf --
pid /here;
-- loop -> loop --
`)))
	c, err := Read(Reading{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Problems) != 0 || c.Main.WorkerProcesses.V != 3 || c.Main.PID.Source != "/etc/nginx/up/../b.conf:1" {
		t.Errorf("%+v %+v %+v", c.Problems, c.Main.WorkerProcesses, c.Main.PID)
	}
	if _, err := (disk{root}).read("/loop"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop of links: %v", err)
	}
	if _, err := Read(Reading{Root: root, Path: "/none"}); !errors.Is(err, os.ErrNotExist) || err.Error() != `open() "/none" failed (2: No such file or directory)` {
		t.Errorf("no main file: %v", err)
	}
	// Nothing outside of root is read, whatever a link says.
	if err := os.Symlink("../../../../../../../../../../../etc/passwd", root+"/out"); err != nil {
		t.Fatal(err)
	}
	if b, err := (disk{root}).read("/out"); err == nil {
		t.Errorf("read %d bytes from outside", len(b))
	}
}

// memory is files in memory, some of them closed to this user.
type memory struct{ *dump }

func (m memory) read(name string) ([]byte, error) {
	b, err := m.dump.read(name)
	if string(b) == "closed" {
		return nil, fileError("open", name, syscall.EACCES)
	}
	return b, err
}

func TestUnreadable(t *testing.T) {
	f := memory{&dump{content: map[string][]byte{
		"/n/nginx.conf": []byte("events { include e; } http { include h; server { proxy_read_timeout 5s; location / { proxy_pass http://x; } } }"),
		"/n/e":          []byte("closed"), "/n/h": []byte("closed"),
	}}}
	c, err := read(f, "/n/nginx.conf", Reading{Build: debianBuild}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Problems {
		if p.Refused {
			t.Errorf("nginx may well read what we may not: %+v", p)
		}
	}
	if len(c.Problems) != 2 || c.Events.WorkerConnections.Known() || c.Main.PID.Source != Default {
		t.Errorf("%+v %+v", c.Problems, c.Events)
	}
	l := c.Servers[0].Locations[0]
	if !l.ProxyReadTimeout.Known() || l.ProxySendTimeout.Known() || l.Access.Known() {
		t.Errorf("%+v", l)
	}
	if c.Incomplete == "" || c.Route(Request{Address: ":80", Path: "/"}).Err == "" {
		t.Error("there may be more servers")
	}
	if l.Pass.Err == "" {
		t.Error("x may be an upstream block of the file that can't be read")
	}
}

// What may stand several times is unknown where its level was not read in full:
// there may be another.
func TestUnreadableLists(t *testing.T) {
	const own = "limit_req zone=r burst=5; limit_conn c 9; allow 10.0.0.0/8; deny all; proxy_set_header Connection ''; proxy_next_upstream off; proxy_read_timeout 5s;"
	known := func(e Effective) (n int) {
		for _, known := range []bool{e.LimitReq.Known(), e.LimitConn.Known(), e.Access.Known(), e.ProxySetHeader.Known(), e.ProxyNextUpstream.Known()} {
			if known {
				n++
			}
		}
		return n
	}
	for place, want := range map[string]struct {
		server, location string
		known            int
	}{
		"where they are":  {"", own + " include closed;", 0},
		"above them":      {"include closed;", own, 5},
		"where others do": {own + " include closed;", "", 0},
		"nowhere":         {own, "", 5},
	} {
		f := memory{&dump{content: map[string][]byte{
			"/n/nginx.conf": []byte("events {} http { limit_req_zone $x zone=r:1m rate=1r/s; limit_conn_zone $x zone=c:1m; server { " + want.server + " location / { " + want.location + " proxy_pass http://127.0.0.1:1; } } }"),
			"/n/closed":     []byte("closed"),
		}}}
		c, err := read(f, "/n/nginx.conf", Reading{Build: debianBuild}, nil)
		if err != nil {
			t.Fatal(err)
		}
		l := c.Servers[0].Locations[0]
		if n := known(l.Effective); n != want.known || !l.ProxyReadTimeout.Known() {
			t.Errorf("%s: %d lists are known, want %d; limit_req %+v, timeout %+v", place, n, want.known, l.LimitReq, l.ProxyReadTimeout)
		}
		if (l.Incomplete == "") != (place != "where they are") {
			t.Errorf("%s: the location is incomplete: %q", place, l.Incomplete)
		}
	}
}

// Where a file of the http block alone is given, what could not be read of that
// file is unknown nevertheless.
func TestUnreadablePartOfHTTP(t *testing.T) {
	f := memory{&dump{content: map[string][]byte{
		"/n/site": []byte("include closed; server { listen 80; location / { limit_conn z 5; proxy_pass http://x; } }"), "/n/closed": []byte("closed"),
	}}}
	c, err := read(f, "/n/site", Reading{Build: debianBuild, Context: "http", Defaults: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := c.Servers[0].Locations[0]
	if l.ProxyReadTimeout.Known() || c.Outside || l.Pass.Outside || l.LimitConn.V[0].Outside {
		t.Errorf("the file may set it itself: %+v %+v %+v", l.ProxyReadTimeout, l.Pass, l.LimitConn.V)
	}
}

func TestContexts(t *testing.T) {
	// A snippet that is right in one place and wrong in another.
	root := tree(t, txtar.Parse([]byte(`
-- nginx.conf --
events { include snippet; }
http { include snippet; server { location / { include snippet; } } }
-- snippet --
proxy_send_timeout 7s;
proxy_read_timeout 8s 9s;
`)))
	c, err := Read(Reading{Root: root, Path: "/nginx.conf"})
	if err != nil {
		t.Fatal(err)
	}
	l := c.Servers[0].Locations[0]
	if l.ProxySendTimeout.V != 7*time.Second || l.ProxyReadTimeout.Known() {
		t.Errorf("%+v %+v", l.ProxySendTimeout, l.ProxyReadTimeout)
	}
	var got []string
	for _, p := range c.Problems {
		got = append(got, p.Source+" "+p.Text)
	}
	want := []string{
		`/snippet:1 "proxy_send_timeout" directive is not allowed here`,
		`/snippet:2 "proxy_read_timeout" directive is not allowed here`,
		`/snippet:2 invalid number of arguments in "proxy_read_timeout" directive`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// A site's file alone.
	root = tree(t, txtar.Parse([]byte("-- site --\nserver { listen 81; location / { proxy_read_timeout 5s; proxy_pass http://127.0.0.1:5000; } }\n")))
	c, err = Read(Reading{Root: root, Path: "/site", Context: "http"})
	if err != nil {
		t.Fatal(err)
	}
	l = c.Servers[0].Locations[0]
	if len(c.Problems) != 0 || c.Events.WorkerConnections.Known() || l.ProxySendTimeout.Known() || l.ProxyReadTimeout.V != 5*time.Second || l.Pass.Upstream != "127.0.0.1:5000" {
		t.Errorf("%+v %+v", c.Problems, l)
	}
	if _, err := Read(Reading{Root: root, Path: "/site", Context: "server"}); err == nil {
		t.Error("context server is taken")
	}
}

func TestHostileFiles(t *testing.T) {
	var all strings.Builder // each of which includes all the others: 14! ways
	for i := range 14 {
		fmt.Fprintf(&all, "-- all%d --\ninclude all*;\n", i)
	}
	for name, text := range map[string]string{
		"loop":  "-- nginx.conf --\nevents {}\ninclude nginx.conf;\n",
		"pair":  "-- nginx.conf --\nevents {}\ninclude a;\n-- a --\ninclude b;\n-- b --\ninclude a;\n",
		"bomb":  "-- nginx.conf --\nevents {}\n" + strings.Repeat("include a;\n", 100) + "-- a --\n" + strings.Repeat("include b;\n", 100) + "-- b --\n" + strings.Repeat("include c;\n", 100) + "-- c --\n" + strings.Repeat("include d;\n", 100) + "-- d --\nx;\n",
		"deep":  "-- nginx.conf --\n" + strings.Repeat("a{", 1_000_000) + "\n",
		"all":   "-- nginx.conf --\nevents {}\ninclude all*;\n" + all.String(),
		"if":    "-- nginx.conf --\nevents {} x { if () {} } if () {}\n",
		"quote": "-- nginx.conf --\nevents {} '",
	} {
		c, err := Read(Reading{Root: tree(t, txtar.Parse([]byte(text))), Path: "/nginx.conf"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(c.Problems) == 0 {
			t.Errorf("%s: no problem", name)
		}
		if bounded := strings.Contains(fmt.Sprint(c.Problems), "more than"); bounded != (name == "all" || name == "bomb") {
			t.Errorf("%s: the reading was bounded: %v", name, bounded)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, test := range []struct {
		version          string
		requests         string
		http, connection string
		keepalive, tls   string
	}{
		{"1.18.0", "100", "1.0", "close", "0", "TLSv1 TLSv1.1 TLSv1.2"},
		{"1.19.9", "100", "1.0", "close", "0", "TLSv1 TLSv1.1 TLSv1.2"},
		{"1.19.10", "1000", "1.0", "close", "0", "TLSv1 TLSv1.1 TLSv1.2"},
		{"1.23.4", "1000", "1.0", "close", "0", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"},
		{"1.27.3", "1000", "1.0", "close", "0", "TLSv1.2 TLSv1.3"},
		{"1.29.6", "1000", "1.0", "close", "0", "TLSv1.2 TLSv1.3"},
		{"1.29.7", "1000", "1.1", "", "32", "TLSv1.2 TLSv1.3"},
		{"1.30.0", "1000", "1.1", "", "32", "TLSv1.2 TLSv1.3"},
		{"", "?", "?", "?", "?", "?"},
		{"nightly", "?", "?", "?", "?", "?"},
	} {
		c := parse(t, "events {} http { upstream u { server 127.0.0.1:1; } server { location / { proxy_pass http://u; } location /direct { proxy_pass http://127.0.0.1:2; } } }", Reading{Build: Build{Version: test.version}})
		e, u := c.Servers[0].Locations[0].Effective, c.Upstream("u")
		text := func(raw, err string) string {
			if err != "" {
				if !strings.Contains(err, "version") {
					t.Errorf("%q: unknown, but not for the version: %s", test.version, err)
				}
				return "?"
			}
			return raw
		}
		h, _ := e.UpstreamHeader("Connection")
		got := []string{text(e.KeepaliveRequests.Raw, e.KeepaliveRequests.Err), text(e.ProxyHTTPVersion.Raw, e.ProxyHTTPVersion.Err), text(h.Value, h.Err),
			text(u.Keepalive.Raw, u.Keepalive.Err), text(c.Servers[0].SSLProtocols.Raw, c.Servers[0].SSLProtocols.Err)}
		if want := []string{test.requests, test.http, test.connection, test.keepalive, test.tls}; !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", test.version, got, want)
		}
		if v := c.Upstream("127.0.0.1:2").Keepalive; v.V != 0 || !v.Known() {
			t.Errorf("%q: nginx keeps no connection to an address without an upstream block: %+v", test.version, v)
		}
	}
}

func TestSince(t *testing.T) {
	for have, want := range map[string][2]bool{
		"1.29.7": {true, true}, "1.29.10": {true, true}, "2.0.0": {true, true}, "1.29.6": {false, true}, "1.9.7": {false, true},
		"1.29.7-R36": {true, true}, "1.18.0+dfsg": {false, true}, "": {false, false}, "1.29": {false, false}, "a.b.c": {false, false},
	} {
		since, known := Build{Version: have}.Since("1.29.7")
		if got := [2]bool{since, known}; got != want {
			t.Errorf("%q since 1.29.7: %v, want %v", have, got, want)
		}
	}
}

func TestParseBuild(t *testing.T) {
	b, err := ParseBuild(`nginx version: nginx/1.22.1
built with OpenSSL 3.0.8 7 Feb 2023
TLS SNI support enabled
configure arguments: --with-cc-opt='-g -O2 -ffile-prefix-map=/build=. --with-no-module' --with-ld-opt='-Wl,-z,now -fPIC' --prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf --http-log-path=/var/log/nginx/access.log --error-log-path=stderr --pid-path=/run/nginx.pid --http-client-body-temp-path=/var/lib/nginx/body --http-proxy-temp-path=proxy --with-debug --with-http_ssl_module --with-stream=dynamic
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Build{Version: "1.22.1", Prefix: "/usr/share/nginx", ConfPath: "/etc/nginx/nginx.conf", ErrorLogPath: "stderr", AccessLogPath: "/var/log/nginx/access.log",
		PIDPath: "/run/nginx.pid", User: "nobody", ClientBodyTempPath: "/var/lib/nginx/body", ProxyTempPath: "/usr/share/nginx/proxy",
		Modules: []string{"debug", "http_ssl_module", "stream=dynamic"}}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Error(diff)
	}
	if b, err := ParseBuild("nginx version: openresty/1.25.3.1 (x)\n"); err != nil || b.Version != "1.25.3.1" {
		t.Errorf("%+v %v", b, err)
	}
	if _, err := ParseBuild("bash: nginx: command not found"); err == nil {
		t.Error("no version is an error")
	}
}

// The masks are crossplane's private numbers: directives that are known well
// hold them in place.
func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		place place
		n     node
		wrong bool
	}{
		{"main", node{name: "worker_processes", args: []string{"1"}}, false},
		{"main", node{name: "worker_processes"}, true},
		{"main", node{name: "events", isBlock: true}, false},
		{"main", node{name: "events"}, true},
		{"main", node{name: "worker_connections", args: []string{"1"}}, true},
		{"events", node{name: "worker_connections", args: []string{"1"}}, false},
		{"mail", node{name: "server", isBlock: true}, false},
		{"mail/server", node{name: "listen", args: []string{"1"}}, false},
		{"stream", node{name: "upstream", args: []string{"1"}, isBlock: true}, false},
		{"stream/upstream", node{name: "server", args: []string{"1"}}, false},
		{"stream/server", node{name: "proxy_pass", args: []string{"1"}}, false},
		{"http", node{name: "listen", args: []string{"1"}}, true},
		{"http/server", node{name: "listen", args: []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}}, false},
		{"http/location", node{name: "proxy_pass", args: []string{"1"}}, false},
		{"http/server", node{name: "proxy_pass", args: []string{"1"}}, true},
		{"http/upstream", node{name: "keepalive", args: []string{"1"}}, false},
		{"http/server/if", node{name: "return", args: []string{"1"}}, false},
		{"http/location/if", node{name: "proxy_pass", args: []string{"1"}}, false},
		{"http/server/if", node{name: "proxy_pass", args: []string{"1"}}, true},
		{"http/limit_except", node{name: "deny", args: []string{"all"}}, false},
		{"http/limit_except", node{name: "root", args: []string{"all"}}, true},
		{"http/location", node{name: "proxy_buffering", args: []string{"oN"}}, false},
		{"http/location", node{name: "proxy_buffering", args: []string{"yes"}}, true},
		{"http/location", node{name: "some_modules", args: []string{"yes"}, isBlock: true}, true},
		{"", node{name: "worker_processes"}, false},
	} {
		if what := test.place.check(&test.n, Build{}); (what != "") != test.wrong {
			t.Errorf("%s in %q: %q", test.n.text(), test.place, what)
		}
	}
}

func TestMainValues(t *testing.T) {
	c := parse(t, "worker_processes 0; worker_shutdown_timeout 1m; events { accept_mutex on; accept_mutex_delay 20ms; use epoll; }", Reading{})
	if c.Main.WorkerProcesses.Known() || len(c.Problems) != 0 {
		t.Errorf("0 is taken by nginx, and is not auto: %+v %+v", c.Main.WorkerProcesses, c.Problems)
	}
	if c.Main.WorkerShutdownTimeout.V != time.Minute || !c.Events.AcceptMutex.V || c.Events.AcceptMutexDelay.V != 20*time.Millisecond || c.Events.Use.V != "epoll" {
		t.Errorf("%+v %+v", c.Main, c.Events)
	}
	for version, want := range map[string]bool{"1.11.2": true, "1.11.3": false} {
		c := parse(t, "events {}", Reading{Build: Build{Version: version}})
		if v := c.Events.AcceptMutex; !v.Known() || v.V != want || !v.IsDefault() {
			t.Errorf("accept_mutex of %s: %+v", version, v)
		}
	}
}

func TestProxiesTo(t *testing.T) {
	c := parse(t, `events {} http {
upstream both { server 127.0.0.1:5000; server app.example:5001; }
upstream sock { server unix:/run/app.sock; }
server {
location /direct { proxy_pass http://127.0.0.1:5000; }
location /block { proxy_pass http://both/x; location /block/in { proxy_pass https://Both; } }
location /name { proxy_pass http://localhost:5000/; }
location /variable { proxy_pass http://$backend; }
location /sock { proxy_pass http://sock; }
location /sockdirect { proxy_pass http://unix:/run/app.sock:/uri; }
location /other { proxy_pass http://127.0.0.1:5002; }
location /443 { proxy_pass https://[::1]; }
location /grpc { grpc_pass 127.0.0.1:5000; }
location /if { if ($request_method = POST) { proxy_pass http://127.0.0.1:5000; } }
if ($host) { return 200; }
} }`, Reading{})
	for address, want := range map[string]string{
		"127.0.0.1:5000":     "/direct /block /block/in /name /variable? /grpc /if",
		"localhost:5000":     "/direct /block /block/in /name /variable? /grpc /if",
		"10.0.0.1:5001":      "/block? /block/in? /variable?",
		"unix:/run/app.sock": "/variable? /sock /sockdirect",
		"[::1]:443":          "/variable? /443",
		"127.0.0.1:9":        "/variable?",
	} {
		var got []string
		for _, p := range c.ProxiesTo(address) {
			name := p.Location.Name()
			if p.Err != "" {
				name += "?"
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	if all := len(c.Proxies()); all != 11 {
		t.Errorf("%d places", all)
	}
	if p := c.Servers[0].Locations[4].Pass; p.Upstream != "sock" {
		t.Errorf("%+v", p)
	}
	if p := c.Servers[0].Locations[5].Pass; p.Upstream != "unix:/run/app.sock" || p.URI != "/uri" {
		t.Errorf("%+v", p)
	}
}

func TestSockets(t *testing.T) {
	c := parse(t, `events {} http {
server { listen 80; listen 10.0.0.1:80; listen 10.0.0.2:80 backlog=9; listen unix:/run/n.sock; listen [::1]:80; }
server { listen 443 ssl http2 reuseport; listen 443 quic reuseport; http2 on; listen 8001-8003; }
server { listen [::]:80 ipv6only=off; }
server { }
} stream { server { listen 5432 udp; proxy_pass db:5432; } } mail { server { listen 25; protocol smtp; } }`, Reading{})
	var got []string
	for _, s := range c.Sockets {
		got = append(got, fmt.Sprintf("%s %s via=%s ssl=%v h2=%v quic=%v udp=%v dual=%v reuseport=%v backlog=%d %v", s.Kind, s.Address, s.Via, s.SSL, s.HTTP2, s.QUIC, s.UDP, s.DualStack, s.Reuseport.V, s.Backlog.V, s.Servers))
	}
	want := []string{
		"http 0.0.0.0:80 via= ssl=false h2=false quic=false udp=false dual=false reuseport=false backlog=511 [0 3]",
		"http 10.0.0.1:80 via=0.0.0.0:80 ssl=false h2=false quic=false udp=false dual=false reuseport=false backlog=511 [0]",
		"http 10.0.0.2:80 via= ssl=false h2=false quic=false udp=false dual=false reuseport=false backlog=9 [0]",
		"http unix:/run/n.sock via= ssl=false h2=false quic=false udp=false dual=false reuseport=false backlog=511 [0]",
		"http [::1]:80 via=[::]:80 ssl=false h2=false quic=false udp=false dual=false reuseport=false backlog=511 [0]",
		"http 0.0.0.0:443 via= ssl=true h2=true quic=false udp=false dual=false reuseport=true backlog=511 [1]",
		"http 0.0.0.0:443 via= ssl=true h2=true quic=true udp=true dual=false reuseport=true backlog=511 [1]",
		"http 0.0.0.0:8001 via= ssl=false h2=true quic=false udp=false dual=false reuseport=false backlog=511 [1]",
		"http 0.0.0.0:8002 via= ssl=false h2=true quic=false udp=false dual=false reuseport=false backlog=511 [1]",
		"http 0.0.0.0:8003 via= ssl=false h2=true quic=false udp=false dual=false reuseport=false backlog=511 [1]",
		"http [::]:80 via= ssl=false h2=false quic=false udp=false dual=true reuseport=false backlog=511 [2]",
		"stream 0.0.0.0:5432 via= ssl=false h2=false quic=false udp=true dual=false reuseport=false backlog=511 [0]",
		"mail 0.0.0.0:25 via= ssl=false h2=false quic=false udp=false dual=false reuseport=false backlog=511 [1]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(c.Others) != 2 || c.Others[0].Pass != "db:5432" {
		t.Errorf("%+v", c.Others)
	}
}

func TestRouteUnknown(t *testing.T) {
	c := parse(t, `events {} http {
server { listen 80; location ~ "/a(?=b)" { return 200; } location ^~ /ok { return 200; } location = / { return 200; } }
server { listen 81; server_name $hostname; location / { return 200; } }
server { listen 443 ssl; location / { return 200; } }
server { listen localhost:82; location / { return 200; } }
}`, Reading{})
	for _, test := range []struct {
		q    Request
		want string
	}{
		{Request{Address: ":80", Host: "x", Path: "/ab"}, "can't be tried"},
		{Request{Address: ":80", Host: "x", Path: "/ok"}, ""},
		{Request{Address: ":80", Host: "x", Path: "/"}, ""},
		{Request{Address: ":81", Host: "x", Path: "/"}, "$hostname"},
		{Request{Address: ":443", Host: "x", Path: "/"}, "port 443 speaks TLS, not plain HTTP"},
		{Request{Address: ":80", Host: "x", Path: "/", TLS: true}, "port 80 speaks plain HTTP, not TLS"},
		{Request{Address: ":9", Host: "x", Path: "/"}, "no server of http listens at port 9"},
		{Request{Address: "127.0.0.1:82", Host: "x", Path: "/"}, "names a host"},
		{Request{Address: "80", Host: "x", Path: "/"}, "want IP:PORT"},
		{Request{Address: ":80", Host: "x", Path: "x"}, "400"},
	} {
		r := c.Route(test.q)
		if test.want == "" && (r.Err != "" || r.Location == nil) || !strings.Contains(r.Err, test.want) {
			t.Errorf("%+v: got %q, want %q", test.q, r.Err, test.want)
		}
	}
}

func TestRequestFor(t *testing.T) {
	for in, want := range map[string]Request{
		"http://fl.example.org":             {Address: ":80", Host: "fl.example.org", Path: "/"},
		"https://fl.example.org:8443/a%20b": {Address: ":8443", Host: "fl.example.org", Path: "/a%20b", TLS: true},
		"http://192.0.2.1:81/x?y=1":         {Address: "192.0.2.1:81", Host: "192.0.2.1", Path: "/x"},
		"https://[2001:db8::1]/":            {Address: "[2001:db8::1]:443", Host: "2001:db8::1", Path: "/", TLS: true},
	} {
		got, err := RequestFor(in)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "fl.example.org", "ftp://x", "http://", "http://%zz"} {
		if q, err := RequestFor(in); err == nil {
			t.Errorf("%q: %+v", in, q)
		}
	}
}

// Every Value of the document has a source or a reason, and one that is
// unknown says why.
func TestNothingIsSilent(t *testing.T) {
	for _, build := range []Build{{}, debianBuild} {
		c := parse(t, "events {} http { server { location / { proxy_pass http://127.0.0.1:5000; } } }", Reading{Build: build})
		var walk func(path string, v reflect.Value)
		seen := 0
		walk = func(path string, v reflect.Value) {
			switch v.Kind() {
			case reflect.Pointer:
				if !v.IsNil() {
					walk(path, v.Elem())
				}
			case reflect.Slice:
				for i := range v.Len() {
					walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
				}
			case reflect.Struct:
				if strings.HasPrefix(v.Type().Name(), "Value[") {
					seen++
					if v.FieldByName("Source").String() == "" && v.FieldByName("Err").String() == "" {
						t.Errorf("%s: neither source nor reason", path)
					}
					return
				}
				for i := range v.NumField() {
					walk(path+"."+v.Type().Field(i).Name, v.Field(i))
				}
			}
		}
		walk("Config", reflect.ValueOf(c))
		if seen < 130 {
			t.Errorf("only %d values seen", seen)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	// 250 sites are 10,000 lines and more.
	text := bigDump(250)
	if lines := strings.Count(text, "\n"); lines < 10_000 {
		b.Fatalf("only %d lines", lines)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := ReadDump(strings.NewReader(text), Reading{Build: debianBuild}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestExpressions(t *testing.T) {
	for _, test := range []struct {
		text, s string
		want    bool
		unknown bool
	}{
		{`^/a`, "/ab", true, false},
		{`/\.(?!well-known)`, "/poll", false, false},
		{`/\.(?!well-known)`, "/.git", false, true},
		{`/\.(?!well-known).*`, "/.well-known", false, true},
		{`^(?=.*(x|[)]\))y)z`, "/z", false, false},
		{`^(?=.*(x|[)]\))y)/z`, "/z", false, true},
		{`(?<!a)b(?<=[]()])c`, "bc", false, true},
		{`(?<!a)b(?<=[]()])c`, "b", false, false},
		{`^(?>a+)b`, "aab", false, true},
		{`^(?>a+)b`, "c", false, false},
		{`(a)\1`, "b", false, true},
		{`(?!`, "b", false, true},
		{`(?![`, "b", false, true},
		{`(?!\`, "b", false, true},
	} {
		got, err := matches("", test.text, test.s)
		if got != test.want || (err != nil) != test.unknown {
			t.Errorf("%q on %q: %v %v", test.text, test.s, got, err)
		}
	}
}

// The generated config guards dot files by an expression with a look-ahead:
// requests for anything else are still told.
func TestGeneratedRoutes(t *testing.T) {
	c, err := Read(Reading{Root: archive(t, "generated"), Build: debianBuild})
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"https://fl.example.org/challenge_phrase/x":             "/",
		"https://fl.example.org/workers/03a1":                   "/workers",
		"https://fl.example.org/favicon.ico":                    "= /favicon.ico",
		"http://fl.example.org/.well-known/acme-challenge/x":    "^~ /.well-known/acme-challenge/",
		"http://sub.fl.example.org/poll":                        "/",
		"https://fl.example.org/.git":                           "unknown",
		"https://sub.fl.example.org/poll":                       "return 301",
		"https://nowhere.example.org/return_global_model":       "/",
		"https://192.0.2.7/notify_me_if_gm_version_updated?x=1": "/",
	} {
		q, err := RequestFor(url)
		if err != nil {
			t.Fatal(err)
		}
		r := c.Route(q)
		got := "none"
		switch {
		case r.Err != "":
			got = "unknown"
		case r.Server.Return != nil:
			got = fmt.Sprintf("return %d", r.Server.Return.Code)
		case r.Location != nil:
			got = r.Location.Name()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s (%s)", url, got, want, r.Err)
		}
	}
}

// A file of the http block by itself: unknown is what others may set, or, asked
// for, nginx's default.
func TestPartOfHTTP(t *testing.T) {
	file := filepath.Join(t.TempDir(), "site.conf")
	if err := os.WriteFile(file, []byte("server { listen 80; location / { limit_conn z 5; proxy_pass http://elsewhere; } }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, defaults := range []bool{false, true} {
		c, err := Read(Reading{Path: file, Context: "http", Defaults: defaults, Build: debianBuild})
		if err != nil || len(c.Servers) != 1 {
			t.Fatalf("%v, %d servers", err, len(c.Servers))
		}
		l := c.Servers[0].Locations[0]
		if v := l.ProxyReadTimeout; v.Known() != defaults || defaults && v.V != time.Minute {
			t.Errorf("defaults %v: proxy_read_timeout %+v", defaults, v)
		}
		if v := l.Access; v.Known() != defaults {
			t.Errorf("defaults %v: access %+v", defaults, v)
		}
		if c.Events.WorkerConnections.Known() || l.Pass.Err == "" || l.LimitConn.V[0].Err == "" {
			t.Errorf("defaults %v: slots, the upstream block or the zone are taken for known", defaults)
		}
		if !c.Outside || !l.Pass.Outside || !l.LimitConn.V[0].Outside {
			t.Errorf("defaults %v: that they may stand outside of the file is not told", defaults)
		}
	}
}

// Log files are counted once each, whatever block names them.
func TestLogs(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{"events {} http { server { } }", "default access_log, default error_log"},
		{"error_log /e; events {} http { access_log off; }", "/e"},
		{"error_log stderr; events {} http { access_log /a; error_log /e; server { access_log /a; access_log /b gzip; location / { access_log /c; error_log /e info; if ($x) { access_log /d; } } } }", "/a, /e, /b, /c, /d"},
		{"error_log syslog:server=unix:/dev/log; error_log memory:32m debug; events {} http { access_log syslog:server=[::1]; access_log /v/$host.log; }", ""},
		{"error_log off; events {} stream { access_log /s; server { error_log /t; } }", "off, /s, /t"},
	} {
		cfg, err := ReadDump(strings.NewReader("# configuration file /n:\n"+c.config), Reading{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(cfg.Logs, ", "); got != c.want {
			t.Errorf("%s: logs %q, want %q", c.config, got, c.want)
		}
	}
}
