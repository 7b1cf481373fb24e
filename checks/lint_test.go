package checks

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

// wellMade is a config that lint passes; each fault changes one line of it.
const wellMade = `worker_processes auto;
worker_rlimit_nofile 4096;
worker_shutdown_timeout 1h;
events { worker_connections 2400; }
http {
    limit_conn_zone $binary_remote_addr zone=conn:10m;
    limit_req_zone $binary_remote_addr zone=req:10m rate=100r/s;
    upstream fl { server 127.0.0.1:5000; }
    server {
        listen 127.0.0.1:80 backlog=1024 so_keepalive=on;
        client_max_body_size 32m;
        proxy_max_temp_file_size 0;
        location /workers { deny all; proxy_pass http://fl; }
        error_page 502 503 504 =200 @none;
        location @none { return 200 x^k000101; }
        location / {
            limit_conn conn 2000;
            proxy_read_timeout 2h;
            proxy_pass http://fl;
        }
    }
}
`

// One fault each, and the one check that tells of it.
var faults = []struct{ old, new, check string }{
	{"worker_connections 2400", "worker_connections 768", "nginx/worker-connections"},
	{"worker_rlimit_nofile 4096", "worker_rlimit_nofile 2000", "nginx/worker-rlimit-nofile nginx/rlimit-slots"},
	{"worker_rlimit_nofile 4096", "worker_rlimit_nofile 2400", "nginx/rlimit-slots"},
	{"proxy_read_timeout 2h", "proxy_read_timeout 60s", "nginx/proxy-read-timeout"},
	{"502 503 504 =200", "502 504 =200", "nginx/model-fallback"},
	{"502 503 504 =200", "502 503 504", "nginx/model-fallback"},
	{"proxy_read_timeout 2h", "proxy_read_timeout 2h; proxy_connect_timeout 1d", "nginx/proxy-connect-timeout"},
	{"client_max_body_size 32m", "client_max_body_size 10m", "nginx/client-max-body-size"},
	{"limit_conn conn 2000", "limit_conn conn 10", "nginx/limit-conn"},
	{"limit_conn conn 2000", "limit_conn conn 2000; limit_req zone=req burst=20", "nginx/limit-req"},
	{"deny all", "allow all", "nginx/admin-exposed"},
	{"http {\n", "http {\n    gzip on;\n", "nginx/gzip"},
	{"server 127.0.0.1:5000;", "server 127.0.0.1:5000; server 127.0.0.1:5001;", "nginx/upstream-peers"},
	{"server 127.0.0.1:5000;", "server 127.0.0.1:5000 max_conns=100;", "nginx/max-conns"},
	{"events {", "events { accept_mutex on;", "nginx/accept-mutex"},
	{"127.0.0.1:80", "80", "nginx/plain-http"},
	{"backlog=1024 ", "", "nginx/listen-backlog"},
	{"32m;", "32m", "nginx/config"},
}

func lint(t testing.TB, config string, d reports.Demand) []reports.Finding {
	t.Helper()
	asked := facts.Asked{Port: port}
	n, err := facts.ReadNginx(facts.NewRoot("/"), nil, asked, facts.NginxOptions{
		Dump: strings.NewReader("# configuration file /etc/nginx/nginx.conf:\n" + config), Version: "1.22.1", Local: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	findings, _ := Lint(n, asked, d, nil, time.Time{})
	return findings
}

func TestOneFaultEach(t *testing.T) {
	told := func(config string) string {
		var bad []string
		for _, f := range lint(t, config, demand) {
			switch {
			case f.Status == reports.StatusFail || f.Status == reports.StatusWarn:
				bad = append(bad, f.Check)
			case f.Status == reports.StatusUnknown && f.Severity == reports.SeverityError:
				bad = append(bad, f.Check+" is unknown: "+f.Reason)
			}
		}
		return strings.Join(bad, " ")
	}
	if bad := told(wellMade); bad != "" {
		t.Fatalf("the config without a fault: %s", bad)
	}
	for _, fault := range faults {
		config := strings.Replace(wellMade, fault.old, fault.new, 1)
		if config == wellMade {
			t.Fatalf("the config has no %s", fault.old)
		}
		got := told(config)
		for _, want := range strings.Fields(fault.check) {
			if !strings.Contains(" "+got+" ", " "+want+" ") {
				t.Errorf("%s: lint tells of %q, want %s", fault.new, got, want)
			}
		}
		if n := len(strings.Fields(fault.check)); fault.check != "nginx/config" && len(strings.Fields(got)) != n {
			t.Errorf("%s: lint tells of %q, want %q", fault.new, got, fault.check)
		}
	}
}

// The line that is to be changed is the one that has the setting.
func TestBacklogRemedy(t *testing.T) {
	for was, want := range map[string]string{
		"backlog=1024 ": "", "backlog=20 ": "at /etc/nginx/nginx.conf:10 write: backlog=1024", "": "add to the listen of /etc/nginx/nginx.conf:9: backlog=1024",
	} {
		for _, f := range lint(t, strings.Replace(wellMade, "backlog=1024 ", was, 1), demand) {
			if f.Check == "nginx/listen-backlog" && f.Remedy.Text != want {
				t.Errorf("%q: %q, want %q", was, f.Remedy.Text, want)
			}
		}
	}
}

// Of a host with hundreds of servers only the one that matters is judged and saved.
func TestManySites(t *testing.T) {
	config := strings.TrimSuffix(wellMade, "}\n") + manySites(200) + "}\n"
	n, err := facts.ReadNginx(facts.NewRoot("/"), nil, facts.Asked{Port: port}, facts.NginxOptions{
		Dump: strings.NewReader("# configuration file /etc/nginx/nginx.conf:\n" + config), Version: "1.22.1", Local: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Sites) != 1 || n.Sites[0].Source != "/etc/nginx/nginx.conf:9" || n.Guessed {
		t.Errorf("%d sites are kept, guessed: %v", len(n.Sites), n.Guessed)
	}
	var b strings.Builder
	if err := (facts.Facts{Schema: facts.Schema, Nginx: is(n)}).Write(&b); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 100_000 {
		t.Errorf("saved facts of one site take %d bytes", b.Len())
	}
	// By its URL any of them is found.
	n, err = facts.ReadNginx(facts.NewRoot("/"), nil, facts.Asked{Port: port, URL: "http://site77.example.org/"}, facts.NginxOptions{
		Dump: strings.NewReader("# configuration file /etc/nginx/nginx.conf:\n" + config), Version: "1.22.1", Local: true,
	})
	if err != nil || len(n.Sites) != 1 || n.Sites[0].Names[0] != "site77.example.org" {
		t.Errorf("%v, %+v", err, n.Sites)
	}
}

func manySites(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "    server {\n        listen 80;\n        server_name site%d.example.org;\n        root /var/www/%d;\n        location / {\n            try_files $uri $uri/ =404;\n        }\n", i, i)
		for j := range 10 {
			fmt.Fprintf(&b, "        location /api%d/ {\n            proxy_pass http://127.0.0.1:%d;\n            proxy_set_header Host $host;\n            proxy_read_timeout 90s;\n        }\n", j, 6000+i)
		}
		b.WriteString("    }\n")
	}
	return b.String()
}

// BenchmarkLint reads and judges a config of 10,000 lines.
func BenchmarkLint(b *testing.B) {
	config := strings.TrimSuffix(wellMade, "}\n") + manySites(170) + "}\n"
	for b.Loop() {
		lint(b, config, demand)
	}
	b.ReportMetric(float64(strings.Count(config, "\n")), "lines")
}

// Whatever a config holds, the answer is a list of findings in which no check
// is left out, and more workers never pass where fewer fail.
func FuzzLint(f *testing.F) {
	f.Add(wellMade, 1000)
	f.Add(tunedConfig, 10)
	for _, fault := range faults {
		f.Add(strings.Replace(wellMade, fault.old, fault.new, 1), 1000)
	}
	f.Fuzz(func(t *testing.T, config string, n int) {
		d := demand
		d.Workers = 1 + n&0xfffff
		few := lint(t, config, d)
		if len(few) != len(lints) {
			t.Fatalf("%d findings of %d checks", len(few), len(lints))
		}
		d.Workers *= 2
		for i, many := range lint(t, config, d) {
			if few[i].Status == reports.StatusFail && many.Status == reports.StatusPass {
				t.Errorf("%s fails for %d workers and passes for twice as many", many.Check, d.Workers/2)
			}
		}
	})
}

// Of a part of http only what hangs on the rest is n/a; what is unknown in it stays
// unknown.
func TestFragment(t *testing.T) {
	const given = "upstream fl { server 127.0.0.1:5000; keepalive 4; }\n"
	status := func(config, id string) reports.Finding {
		t.Helper()
		file := filepath.Join(t.TempDir(), "site.conf")
		if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		asked := facts.Asked{Port: port}
		n, err := facts.ReadNginx(facts.NewRoot("/"), nil, asked, facts.NginxOptions{Conf: file, Local: true})
		if err != nil || !n.Fragment {
			t.Fatalf("%+v, %v", n, err)
		}
		findings, _ := Lint(n, asked, demand, nil, time.Time{})
		for _, f := range findings {
			if f.Check == id {
				return f
			}
		}
		t.Fatalf("no finding %s", id)
		return reports.Finding{}
	}
	for _, tt := range []struct {
		config, check string
		want          reports.Status
	}{
		{given + "server { listen 80; location / { proxy_pass http://fl; limit_conn elsewhere 5; } }", "nginx/limit-conn", reports.StatusNA},
		{"server { listen 80; location / { proxy_pass http://elsewhere; } }", "nginx/max-conns", reports.StatusNA},
		{given + "server { listen 80; location / { proxy_pass http://fl; } }", "nginx/worker-connections", reports.StatusNA},
		// No upstream block of a file that is not seen can have a name with a port.
		{"server { listen 80; location / { proxy_pass http://api:5000; } }", "nginx/upstream-name", reports.StatusWarn},
		{"server { listen 80; location / { proxy_pass http://api; } }", "nginx/upstream-name", reports.StatusNA},
		{given, "nginx/route", reports.StatusNA},
		{given, "nginx/proxy-read-timeout", reports.StatusNA},
		{given + "server { listen 80; location / { proxy_pass http://fl; } }", "nginx/proxy-read-timeout", reports.StatusFail},
		{given + "server { listen 80; location / { proxy_pass http://$x; } }", "nginx/max-conns", reports.StatusUnknown},
		{given + "server { listen 80; location / { proxy_pass http://fl; } }", "nginx/upstream-http", reports.StatusUnknown}, // the version
		{given + "server { listen 443 ssl; location / { proxy_pass http://fl; } }", "tls/protocols", reports.StatusUnknown},
		{given + "server { listen 80; location ~ (?<=x)y { return 1; } location / { proxy_pass http://fl; } }", "nginx/route", reports.StatusUnknown},
		{"include nonexistent;\n" + given + "server { listen 80; location / { proxy_pass http://fl; } }", "nginx/config", reports.StatusFail},
		{given + "server { listen 80; include nonexistent; location / { proxy_pass http://fl; } }", "nginx/proxy-read-timeout", reports.StatusUnknown},
	} {
		if f := status(tt.config, tt.check); f.Status != tt.want {
			t.Errorf("%s of %s: %s (%s%s), want %s", tt.check, tt.config, f.Status, f.Got, f.Reason, tt.want)
		}
	}
}

// What lint makes of configs as they are found in the field: Debian's and Ubuntu's
// stock, dc_federated's notes verbatim, Docker's image, a generator's, gunicorn's
// manual, and those that nginx refuses.
func TestFoundConfigs(t *testing.T) {
	for _, name := range []string{"debian", "ubuntu", "notes", "docker", "generated", "gunicorn", "openresty", "ingress", "missing", "broken", "syntax"} {
		archive, err := txtar.ParseFile("../nginx/testdata/" + name + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		root := t.TempDir()
		for _, f := range archive.Files {
			file, target, link := strings.Cut(f.Name, " -> ")
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if link {
				err = os.Symlink(target, path)
			} else {
				err = os.WriteFile(path, f.Data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		asked := facts.Asked{Port: port}
		o := facts.NginxOptions{Conf: "/etc/nginx/nginx.conf", Version: "1.22.1", Local: true}
		if slices.Contains(nginx.Flavours(), name) {
			o.Version, o.Flavour = "1.25.5", name
		}
		n, err := facts.ReadNginx(facts.NewRoot(root), nil, asked, o)
		if err != nil {
			t.Fatal(err)
		}
		findings, capacity := Lint(n, asked, demand, nil, time.Time{})
		var b strings.Builder
		fmt.Fprintf(&b, "%d workers, %s\n", capacity.Workers, capacity.Limit)
		for _, f := range findings {
			if f.Status != reports.StatusPass {
				fmt.Fprintf(&b, "%s %s: %s%s (%s)\n", f.Status, f.Check, f.Got, f.Reason, f.Source)
			}
		}
		golden := filepath.Join("testdata", "lint", name+".golden")
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), b.String()); d != "" {
			t.Errorf("%s (-want +got), -update accepts it:\n%s", golden, d)
		}
	}
}
