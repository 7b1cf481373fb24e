package checks

import (
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// lintText judges a config by itself.
func lintText(t *testing.T, text, url string, d reports.Demand) map[string]reports.Finding {
	t.Helper()
	asked := facts.Asked{Port: 5000, URL: url}
	list, _ := Lint(readText(t, text, asked), asked, d, nil, time.Time{})
	return byCheck(list)
}

// readText reads a config as the file /n.conf.
func readText(t *testing.T, text string, asked facts.Asked) *facts.Nginx {
	t.Helper()
	n, err := facts.ReadNginx(facts.NewRoot("/"), nil, asked, facts.NginxOptions{
		Dump: strings.NewReader("# configuration file /n.conf:\n" + text), Version: "1.22.1", Local: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func byCheck(list []reports.Finding) map[string]reports.Finding {
	found := map[string]reports.Finding{}
	for _, f := range list {
		found[f.Check] = f
	}
	return found
}

// A poll that nginx passes to itself takes four slots and meets both timeouts; so it
// is with stream before http. Other protocols have settings of their own.
func TestHopsOfNginx(t *testing.T) {
	const itself = `events { worker_connections 60; }
http {
 server { listen 127.0.0.1:8088; client_max_body_size 20m; location / { proxy_pass http://127.0.0.1:8081; proxy_read_timeout 6h; } }
 server { listen 127.0.0.1:8081; client_max_body_size 20m; location / { proxy_pass http://127.0.0.1:5000; proxy_read_timeout 6h; } }
}`
	const stream = `events { worker_connections 60; }
stream { upstream web { server 127.0.0.1:8081; } server { listen 8088; proxy_pass web; proxy_timeout 6h; } }
http { server { listen 127.0.0.1:8081; client_max_body_size 20m; location / { proxy_pass http://127.0.0.1:5000; proxy_read_timeout 6h; } } }`
	const uwsgi = `events { worker_connections 60; }
http { server { listen 127.0.0.1:8088; client_max_body_size 20m; location / { uwsgi_pass 127.0.0.1:5000; proxy_read_timeout 6h; uwsgi_read_timeout 6h; } } }`
	d := reports.Demand{Workers: 10, HoldSeconds: 10, ModelBytes: 100000}
	for _, tt := range []struct {
		name, text, old, new string
		check                string
		status               reports.Status
		source               string
		workers              int
	}{
		{"both hold", itself, "", "", "nginx/proxy-read-timeout", reports.StatusPass, "/n.conf", 0},
		{"the inner one gives up", itself, "5000; proxy_read_timeout 6h", "5000; proxy_read_timeout 3s", "nginx/proxy-read-timeout", reports.StatusFail, "/n.conf:4", 0},
		{"the outer one gives up", itself, "8081; proxy_read_timeout 6h", "8081; proxy_read_timeout 3s", "nginx/proxy-read-timeout", reports.StatusFail, "/n.conf:3", 0},
		{"four slots", itself, "", "", "nginx/worker-connections", reports.StatusPass, "/n.conf:1", 13},
		{"two slots", itself, "http://127.0.0.1:8081", "http://127.0.0.1:5000", "nginx/worker-connections", reports.StatusPass, "/n.conf:1", 27},
		{"a body of the inner one", itself, "8081; client_max_body_size 20m", "8081; client_max_body_size 1k", "nginx/client-max-body-size", reports.StatusFail, "/n.conf:4", 0},
		{"a gate of the inner one", itself, "8081; client_max_body_size", "8081; auth_basic x; client_max_body_size", "nginx/access", reports.StatusFail, "/n.conf:4", 0},
		{"by the inner one's name", strings.Replace(itself, "listen 127.0.0.1:8081", "listen unix:/run/in.sock", 1), "http://127.0.0.1:8081", "http://unix:/run/in.sock", "nginx/worker-connections", reports.StatusPass, "/n.conf:1", 13},
		{"to itself for ever", itself, "http://127.0.0.1:5000", "http://127.0.0.1:8088", "nginx/route", reports.StatusUnknown, "", 0},
		{"stream", stream, "", "", "nginx/worker-connections", reports.StatusPass, "/n.conf:1", 13},
		{"stream gives up", stream, "proxy_timeout 6h", "proxy_timeout 3s", "nginx/proxy-read-timeout", reports.StatusFail, "/n.conf:2", 0},
		{"stream by default", stream, " proxy_timeout 6h;", "", "nginx/proxy-read-timeout", reports.StatusPass, "", 0},
		{"uwsgi", uwsgi, "", "", "nginx/proxy-read-timeout", reports.StatusPass, "/n.conf:2", 0},
		{"uwsgi by default", uwsgi, " uwsgi_read_timeout 6h;", " uwsgi_read_timeout 3s;", "nginx/proxy-read-timeout", reports.StatusFail, "/n.conf:2", 0},
		{"uwsgi is passed on to", uwsgi, "", "", "nginx/route", reports.StatusPass, "/n.conf:2", 0},
		{"one name twice", strings.Replace(itself, "listen 127.0.0.1:8081", "listen 127.0.0.1:8088", 1), "http://127.0.0.1:8081", "http://127.0.0.1:4000", "nginx/route", reports.StatusFail, "/n.conf", 0},
	} {
		for _, url := range []string{"", "http://127.0.0.1:8088"} {
			if url != "" && tt.name == "one name twice" {
				continue // by its URL the first server is judged, wherever it passes to
			}
			if url == "" && tt.name == "to itself for ever" {
				continue // nothing passes polls to the application then
			}
			f := lintText(t, strings.Replace(tt.text, tt.old, tt.new, 1), url, d)[tt.check]
			if f.Status != tt.status || !strings.Contains(f.Source, tt.source) || tt.workers > 0 && (f.Workers == nil || *f.Workers != tt.workers) {
				t.Errorf("%s, by %q: %+v", tt.name, url, f)
			}
			if strings.HasPrefix(tt.name, "uwsgi by default") && !strings.Contains(f.Remedy.Text, "uwsgi_read_timeout") {
				t.Errorf("%s: %s", tt.name, f.Remedy.Text)
			}
		}
	}
}

// Every place that fails is told, beside one that can't be told, too.
func TestSeveralFindings(t *testing.T) {
	const text = `events { worker_connections 4096; }
http {
 limit_conn_zone $binary_remote_addr zone=conn:1m;
 upstream fl { server 127.0.0.1:5000; }
 server { listen 127.0.0.1:8081; server_name a; proxy_read_timeout 1m; limit_conn conn 10; location / { proxy_pass http://fl; } }
 server { listen 127.0.0.1:8081; server_name b; proxy_read_timeout 2m; limit_conn conn 20; location / { proxy_pass http://fl; } }
 server { listen 127.0.0.1:8081; server_name c; location / { proxy_pass http://fl; } }
}
`
	d := reports.Demand{Workers: 50, HoldSeconds: 3600}
	found := lintText(t, text, "", d)
	for id, want := range map[string][]string{
		"nginx/proxy-read-timeout": {"1m", "2m"},
		"nginx/limit-conn":         {"10", "20"},
	} {
		f := found[id]
		for _, w := range append(want, "/n.conf:6") {
			if f.Status != reports.StatusFail || !strings.Contains(f.Got+f.Source, w) {
				t.Errorf("%s does not tell of %s: %+v", id, w, f)
			}
		}
	}
	all := []Judgement{fail("10", "50", "/a:1", reports.Remedy{}), unknownFor("a variable"), fail("20", "50", "/b:2", reports.Remedy{})}
	for i := range all {
		all[i].Capacity = &Capacity{}
	}
	all[1].Capacity = nil
	if o := worst(all); o.Status != reports.StatusUnknown || !strings.Contains(o.Reason, "/a:1: 10") || !strings.Contains(o.Reason, "/b:2: 20") {
		t.Errorf("%+v", o)
	}
}
