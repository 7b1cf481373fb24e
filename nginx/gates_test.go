package nginx

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestGatesOfAnswers: what an application gets may not be the worker's, and its answer
// not be meant for that worker.
func TestGatesOfAnswers(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"proxy_set_body secret;": "proxy_set_body",
		"proxy_cache c;":         "proxy_cache of GET",
		"proxy_cache c; proxy_cache_methods POST;":            "proxy_cache of POST proxy_cache of GET",
		"proxy_cache off; proxy_cache_methods POST;":          "",
		"proxy_cache_methods POST; proxy_cache_valid 200 1h;": "",
	} {
		c := parse(t, "events {} http { proxy_cache_path /c keys_zone=c:1m; server { listen 80; location / { "+text+" proxy_pass http://127.0.0.1:5000; } } }", Reading{})
		var got []string
		for _, method := range []string{"POST", "GET"} {
			q := Request{Host: "fl.example.org", Path: "/x", Address: "127.0.0.1:80"}
			for _, g := range c.Gates(c.RouteIn(&c.Servers[0], q.Path), q, method, Client{}) {
				if g.Maybe {
					g.Directive += " of " + method
				}
				got = append(got, g.Directive)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}

// TestRealGates asks the real nginx for the protocol's routes, as a worker does, and
// holds what the config is said to do with them to what it answers.
func TestRealGates(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Method)
	}))
	defer app.Close()
	at := app.Listener.Addr().String()
	for i, tt := range []struct {
		name, http, server string // PASS is a proxy_pass to the application
		maybe              bool   // that hangs on what is not known
	}{
		{name: "open", server: "location / { PASS }"},
		{name: "auth_basic", server: "auth_basic x; auth_basic_user_file /dev/null; location / { PASS }"},
		{name: "auth_basic of the poll", server: "location / { PASS } location /notify_me { auth_basic x; auth_basic_user_file /dev/null; PASS }"},
		{name: "auth_basic off", server: "auth_basic x; auth_basic_user_file /dev/null; location / { auth_basic off; PASS }"},
		{name: "deny", server: "deny all; location / { PASS }"},
		{name: "deny after allow", server: "allow 127.0.0.1; deny all; location / { PASS }"},
		{name: "deny but others", server: "allow 10.0.0.0/8; deny all; location / { PASS }"},
		{name: "satisfy any", server: "satisfy any; allow 127.0.0.0/8; deny all; auth_basic x; auth_basic_user_file /dev/null; location / { PASS }"},
		{name: "satisfy any, none", server: "satisfy any; deny all; auth_basic x; auth_basic_user_file /dev/null; location / { PASS }"},
		{name: "satisfy any, password alone", server: "satisfy any; auth_basic x; auth_basic_user_file /dev/null; location / { PASS }"},
		{name: "satisfy all", server: "satisfy all; allow all; auth_basic x; auth_basic_user_file /dev/null; location / { PASS }"},
		{name: "limit_except", server: "location / { limit_except GET { deny all; } PASS }"},
		{name: "limit_except with POST", server: "location / { limit_except GET POST { deny all; } PASS }"},
		{name: "limit_except with allow", server: "location / { limit_except GET { allow 127.0.0.1; deny all; } PASS }"},
		{name: "auth_request refuses", server: "location / { auth_request /auth; PASS } location = /auth { return 401; }"},
		{name: "auth_request lets in", server: "location / { auth_request /auth; PASS } location = /auth { return 204; }"},
		{name: "auth_request asks", server: "location / { auth_request /auth; PASS } location = /auth { PASS }", maybe: true},
		{name: "if method", server: "location / { if ($request_method !~ ^(GET|HEAD|OPTIONS)$) { return 405; } PASS }"},
		{name: "if other method", server: "if ($request_method = PUT) { return 405; } location / { PASS }"},
		{name: "if header", server: "location / { if ($http_x_api_key = '') { return 403; } PASS }"},
		{name: "if header is wrong", server: "location / { if ($http_x_api_key != sesame) { return 403; } PASS }"},
		{name: "if agent", server: "if ($http_user_agent ~* (python|curl)) { return 403; } location / { PASS }"},
		{name: "if scheme", server: "if ($scheme = http) { return 301 https://$host$request_uri; } location / { PASS }"},
		{name: "if path", server: "if ($uri ~ ^/return_) { return 404; } location / { PASS }"},
		{name: "if redirect", server: "if ($http_cookie = '') { rewrite ^ /login redirect; } location / { PASS }"},
		{name: "if sets", server: "if ($request_method = POST) { set $x 1; } location / { PASS }"},
		{name: "geo", http: "geo $inside { default 0; 10.0.0.0/8 1; }", server: "if ($inside = 0) { return 403; } location / { PASS }", maybe: true},
		{name: "internal", server: "location / { internal; PASS }"},
		{name: "poll alone", server: "location = /notify_me_if_gm_version_updated { PASS } location / { return 404; }"},
		{name: "no location", server: "location /notify_me { PASS } location /challenge { PASS } root /nonexistent;"},
		{name: "try_files", server: "root /nonexistent; location / { try_files $uri @app; } location @app { PASS }"},
		{name: "try_files ends", server: "root /nonexistent; location / { try_files $uri =404; }"},
		{name: "try_files, error_page", server: "root /nonexistent; location / { try_files $uri =404; error_page 404 = @app; } location @app { PASS }"},
		{name: "return, error_page", server: "location / { error_page 418 = @app; return 418; } location @app { PASS }"},
		{name: "error_page of no file", server: "root /nonexistent; error_page 404 405 = @app; location / { } location @app { PASS }"},
		{name: "error_page of no file, GET alone", server: "root /nonexistent; error_page 404 = @app; location / { } location @app { PASS }"},
		{name: "server returns", server: "return 503; location / { PASS }"},
		{name: "http2", server: "listen 127.0.0.1:PORT http2; location / { PASS }"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := fmt.Sprintf("127.0.0.1:%d", 18100+i)
			server := tt.server
			if !strings.Contains(server, "listen") {
				server = "listen " + address + "; " + server
			}
			server = strings.NewReplacer("PASS", "proxy_pass http://"+at+";", "127.0.0.1:PORT", address).Replace(server)
			c := startNginx(t, tt.http+"\nserver { "+server+" }", address)
			for path, method := range map[string]string{
				"/register_worker": "POST", "/challenge_phrase/03a107bf": "GET", "/notify_me_if_gm_version_updated": "POST",
				"/return_global_model": "POST", "/receive_worker_update/03a107bf": "POST",
			} {
				way := c.RouteIn(&c.Servers[0], path)
				if way.Err != "" {
					t.Fatal(way.Err)
				}
				q := Request{Host: "fl.example.org", Path: path, Address: address}
				passed := way.Return == nil && way.Final != nil && way.Final.Pass != nil
				maybe, gates := false, c.Gates(way, q, method, Client{Loopback: true})
				for _, g := range gates {
					if maybe = maybe || g.Maybe; !g.Maybe {
						passed = false
					}
				}
				if maybe != tt.maybe {
					t.Errorf("%s: unknown is %v: %+v", path, maybe, gates)
				}
				if tt.maybe {
					continue
				}
				status, said := status(t, address, method, path)
				if passed != (status == 200 && said == method) {
					t.Errorf("%s %s: nginx answers %d %q, and is said to pass it on: %v; %+v", method, path, status, said, passed, gates)
				}
			}
		})
	}
}

// status asks as Python's requests does; 0: the server speaks no HTTP/1.1.
func status(t *testing.T, address, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(map[string]string{"POST": "{}"}[method]))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "fl.example.org"
	req.Header.Set("User-Agent", "python-requests/2.31.0")
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	var b strings.Builder
	buf := make([]byte, 512)
	n, _ := res.Body.Read(buf) // a body of a word, or an error page of nginx's
	b.Write(buf[:n])
	return res.StatusCode, b.String()
}
