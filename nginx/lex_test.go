package nginx

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// A relative name of the main file finds what it includes by patterns, as an
// absolute one does.
func TestRelativeGlobs(t *testing.T) {
	root := tree(t, txtar.Parse([]byte(`
-- deploy/nginx.conf --
events {}
http { include conf.d/*/*.conf; include ./one?.conf; server { location / { include locations.d/*.conf; proxy_pass http://127.0.0.1:5000; } } }
-- deploy/conf.d/a/x.conf --
proxy_send_timeout 7s;
-- deploy/one1.conf --
send_timeout 8s;
-- deploy/locations.d/10.conf --
proxy_read_timeout 3s;
`)))
	for dir, name := range map[string]string{"deploy": "nginx.conf", ".": "deploy/nginx.conf", "deploy/conf.d": "../nginx.conf"} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(filepath.Join(root, dir))
			c, err := Read(Reading{Path: name})
			if err != nil {
				t.Fatal(err)
			}
			l := c.Servers[0].Locations[0]
			want := strings.TrimSuffix(name, "nginx.conf") + "locations.d/10.conf:1"
			if l.ProxyReadTimeout.Source != want || l.ProxySendTimeout.Raw != "7s" || l.SendTimeout.Raw != "8s" {
				t.Errorf("%+v %+v %+v", l.ProxyReadTimeout, l.ProxySendTimeout, l.SendTimeout)
			}
		})
	}
}

// What is no file is refused, not waited for.
func TestNoFiles(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(Reading{Path: fifo}); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Error(err)
	}
	main := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(main, []byte("events {} http { include fifo; }"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Read(Reading{Path: main})
	if err != nil || len(c.Problems) != 1 || !strings.Contains(c.Problems[0].Text, "no regular file") {
		t.Error(c.Problems, err)
	}
}

// What nginx -T says of a config that it refuses, by itself and through an error_log
// that goes to the terminal.
func TestRefusedDump(t *testing.T) {
	for _, text := range []string{
		"nginx: [emerg] unknown directive \"x\" in /etc/nginx/nginx.conf:7\nnginx: configuration file /etc/nginx/nginx.conf test failed\n",
		"2026/11/28 15:37:11 [emerg] 16698#16698: unknown directive \"x\" in /etc/nginx/nginx.conf:7\nnginx: configuration file /etc/nginx/nginx.conf test failed\n",
	} {
		c, err := ReadDump(strings.NewReader(text), Reading{})
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Problems) != 1 || c.Problems[0] != (Problem{Source: "/etc/nginx/nginx.conf:7", Text: `unknown directive "x"`, Refused: true}) {
			t.Errorf("%+v", c.Problems)
		}
	}
}

func TestLua(t *testing.T) {
	for body, good := range map[string]bool{
		`-- don't stop here }`:                  true,
		`--[[ a long } comment " ]] local x=1`:  true,
		`--[==[ } ]] } ]==] x()`:                true,
		`local p = "^/(\"x\"|y)}"`:              true,
		`local t = [[ <a href="{"> ]]`:          true,
		`local t = [=[ ]] } ]=]`:                true,
		`local a = b[c[1]] local s = '}'`:       true,
		`if a then local t = { 1, { 2 } } end`:  true,
		`local s = 'it\'s } fine'`:              true,
		`local s = "two \` + "\n" + ` lines }"`: true,
		`local t = {`:                           false,
		`local s = [[ }`:                        false,
	} {
		for _, directive := range []string{"access_by_lua_block", "content_by_lua_block", "set_by_lua_block $x"} {
			text := "events {}\nhttp { server { location / {\n" + directive + " {\n" + body + "\n}\nproxy_read_timeout 5s;\n} } }\n"
			c := parse(t, text, Reading{})
			if !good {
				if len(c.Problems) == 0 {
					t.Errorf("%s is taken", body)
				}
				continue
			}
			if len(c.Problems) > 0 || len(c.Servers) != 1 || c.Servers[0].Locations[0].ProxyReadTimeout.Raw != "5s" {
				t.Errorf("%s: %+v", body, c.Problems)
				continue
			}
			if _, line, _ := strings.Cut(c.Servers[0].Locations[0].ProxyReadTimeout.Source, ":"); line != map[bool]string{true: "7", false: "6"}[strings.Contains(body, "\n")] {
				t.Errorf("%s: the next statement stands at line %s", body, line)
			}
		}
	}
}

// A brace that is missing is told where it is missing, not at the end of the file.
func TestMissingBrace(t *testing.T) {
	for text, want := range map[string]string{
		"events {}\nhttp {\n    server {\n        location / {\n            return 200;\n    }\n}\n":                      "/nginx.conf:6",
		"events {}\nhttp {\n    server {\n        listen 80;\n\n    server {\n        listen 81;\n    }\n}\n":             "/nginx.conf:6",
		"events {\n    worker_connections 5;\n\nhttp {\n    server {\n        listen 80;\n    }\n}\n":                     "/nginx.conf:4",
		"events {}\nhttp {\n\tserver {\n\t\tlocation /a {\n\t\t\treturn 200;\n\t\tlocation /b {\n\t\t}\n\t}\n}\n":         "/nginx.conf:6",
		"events {}\nhttp {\nserver {\nlocation / {\nreturn 200;\n}\n}\n":                                                  "/nginx.conf:8",
		"events {}\nhttp { server { location / {\n        proxy_pass http://127.0.0.1;\n    }\n}\n# the end is missing\n": "/nginx.conf:7",
	} {
		c := parse(t, text, Reading{})
		found := false
		for _, p := range c.Problems {
			found = found || p.Source == want && strings.HasPrefix(p.Text, "unexpected end of file") && p.Hint != ""
		}
		if !found {
			t.Errorf("%s\nwant it at %s: %+v", text, want, c.Problems)
		}
	}
}

func TestByteOrderMark(t *testing.T) {
	c := parse(t, "\ufeffuser x;\nevents {}", Reading{})
	if len(c.Problems) == 0 || !strings.Contains(c.Problems[0].Hint, "byte order mark") || c.Problems[0].Source != "/nginx.conf:1" {
		t.Errorf("%+v", c.Problems)
	}
}
