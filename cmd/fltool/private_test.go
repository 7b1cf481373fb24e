package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
)

// TestNginxTest asks the host's own nginx, where that can be had: by root, with
// namespaces. Its word decides, and it writes nothing.
func TestNginxTest(t *testing.T) {
	if _, err := os.Stat("/usr/sbin/nginx"); err != nil || os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("root and nginx-light are needed")
		}
		t.Skip("root and nginx-light are needed")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	ask := func(text string) []nginx.Problem {
		t.Helper()
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		n, err := facts.ReadNginx(facts.NewRoot("/"), nil, facts.Asked{Port: 5000}, facts.NginxOptions{Conf: conf, Run: runPrivately})
		if err != nil {
			t.Fatal(err)
		}
		return n.Problems
	}
	logs := filepath.Join(dir, "logs")
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	const head = "pid logs/nginx.pid; error_log logs/error.log; events {}\nhttp { access_log logs/access.log; client_body_temp_path logs/body; "
	c := ask(head + "server { listen unix:logs/s; listen 192.0.2.1:80; location / { return 200; } } }")
	if len(c) != 0 {
		t.Errorf("a good config: %+v", c)
	}
	// A refusal that no table of ours knows.
	c = ask(head + "proxy_cache nowhere; server { listen 8081; } }")
	if len(c) != 1 || !strings.Contains(c[0].Text, "nowhere") || !strings.Contains(c[0].Hint, "nginx -t") {
		t.Errorf("an unknown zone: %+v", c)
	}
	// What the host lacks says nothing of a config that was named.
	if c = ask(head + "server { listen 8081 ssl; ssl_certificate /nonexistent.pem; ssl_certificate_key /nonexistent.key; } }"); len(c) != 0 {
		t.Errorf("a certificate of another host: %+v", c)
	}
	// A name can't be looked up without a network, which says nothing.
	if c = ask(head + "server { location / { proxy_pass http://app.example.org; } } }"); len(c) != 0 {
		t.Errorf("a name: %+v", c)
	}
	if c = ask(head + "server { location / { content_by_lua_block { x() } } } }"); len(c) != 0 {
		t.Errorf("a module that is not loaded: %+v", c)
	}
	if c = ask("pid run/nginx.pid; error_log none/error.log; events {}\nhttp { proxy_cache nowhere; server { listen 8081; } }"); len(c) != 1 {
		t.Errorf("directories that are another host's: %+v", c)
	}
	left, err := filepath.Glob(logs + "/*")
	if err != nil || len(left) != 0 {
		t.Errorf("nginx -t wrote %v %v", left, err)
	}
}
