package checks

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

var (
	writeAt   = regexp.MustCompile(`at /n\.conf:(\d+) write: ([^;]+;)`)
	addTo     = regexp.MustCompile(`(?:add to|in) (the top|the events block|the server|location \S+|the server of) (?:of )?/n\.conf(?::(\d+))?:? (?:add: )?(.*[;}])`)
	ofListen  = regexp.MustCompile(`add to the listen of /n\.conf:(\d+): (\S+)`)
	besides   = regexp.MustCompile(`and at /n\.conf:(\d+) (rate=\S+);`)
	maxConns  = regexp.MustCompile(` max_conns=\d+`)
	twoPeers  = regexp.MustCompile(`(server [^;]+;) server [^;]+;`)
	firstWord = regexp.MustCompile(`^\S+`)
)

// apply does to a config what a remedy says, as a person would.
func apply(t *testing.T, config, remedy string) string {
	t.Helper()
	lines := strings.Split(config, "\n")
	at := func(s string) *string {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > len(lines) {
			t.Fatalf("%s: no line %q", remedy, s)
		}
		return &lines[n-1]
	}
	within := func(line *string, block, what string) {
		i := strings.Index(*line, block)
		if j := strings.Index((*line)[max(i, 0):], "{"); i >= 0 && j >= 0 {
			*line = (*line)[:i+j+1] + " " + what + (*line)[i+j+1:]
		}
	}
	// What goes into the top moves all lines: it comes last.
	top := ""
	for _, m := range besides.FindAllStringSubmatch(remedy, -1) {
		*at(m[1]) = regexp.MustCompile(`rate=[^;\s]+`).ReplaceAllString(*at(m[1]), m[2])
	}
	for _, m := range writeAt.FindAllStringSubmatch(remedy, -1) {
		name := firstWord.FindString(m[2])
		if name == "deny" {
			name = "allow"
		}
		*at(m[1]) = regexp.MustCompile(name+`\s[^;]*;`).ReplaceAllLiteralString(*at(m[1]), m[2])
	}
	for _, m := range ofListen.FindAllStringSubmatch(remedy, -1) {
		n, _ := strconv.Atoi(m[1])
		i := slices.IndexFunc(lines[n-1:], func(l string) bool { return strings.Contains(l, "listen ") })
		lines[n-1+i] = strings.Replace(lines[n-1+i], ";", " "+m[2]+";", 1)
	}
	for _, m := range addTo.FindAllStringSubmatch(remedy, -1) {
		switch m[1] {
		case "the top":
			top += m[3] + "\n"
		case "the events block":
			for i := range lines {
				within(&lines[i], "events", m[3])
			}
		case "the server", "the server of":
			within(at(m[2]), "server", m[3])
		default:
			within(at(m[2]), "location", m[3])
		}
	}
	text := top + strings.Join(lines, "\n")
	switch {
	case strings.Contains(remedy, "remove max_conns"):
		text = maxConns.ReplaceAllString(text, "")
	case strings.Contains(remedy, "leave one server"):
		text = twoPeers.ReplaceAllString(text, "$1")
	}
	return text
}

// TestRemedies does what each finding says to the config that earned it: the check
// then passes, and the real nginx takes the config.
func TestRemedies(t *testing.T) {
	binary, err := exec.LookPath("/usr/sbin/nginx")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("nginx is needed and not installed: apt-get install nginx-light")
		}
		t.Skip("nginx is not installed: apt-get install nginx-light")
	}
	more := []struct{ old, new, check string }{
		{"worker_shutdown_timeout 1h;\n", "", "nginx/shutdown-timeout"},
		{"worker_rlimit_nofile 4096;\n", "", "nginx/worker-rlimit-nofile"},
		{"events { worker_connections 2400; }", "events { }", "nginx/worker-connections"},
		{"            proxy_read_timeout 2h;\n", "", "nginx/proxy-read-timeout"},
		{"        client_max_body_size 32m;\n", "", "nginx/client-max-body-size"},
		{"        proxy_max_temp_file_size 0;\n", "", "nginx/response-spool"},
		{"limit_conn conn 2000", "limit_conn conn 2000; send_timeout 1d", "nginx/send-timeout"},
		{"limit_conn conn 2000", "limit_conn conn 2000; client_body_timeout 1d", "nginx/client-timeouts"},
		{"limit_conn conn 2000", "limit_conn conn 2000; keepalive_timeout 5s", "nginx/keepalive-timeout"},
		{"limit_conn conn 2000", "limit_conn conn 2000; proxy_ignore_client_abort on", "nginx/client-abort"},
		{"limit_conn conn 2000", "limit_conn conn 2000; proxy_next_upstream error non_idempotent", "nginx/next-upstream"},
		{"server 127.0.0.1:5000;", "server localhost:5000;", "nginx/upstream-name"},
		{"proxy_pass http://fl;\n        }\n    }", "proxy_pass http://localhost:5000;\n        }\n    }", "nginx/upstream-name"},
		{"location /workers { deny all;", "location /workers {", "nginx/admin-exposed"},
		{"        location /workers { deny all; proxy_pass http://fl; }\n", "", "nginx/admin-exposed"},
		{"proxy_pass http://fl;\n        }\n    }", "uwsgi_pass 127.0.0.1:5000;\n        }\n    }", "nginx/proxy-read-timeout"},
	}
	mended := 0
	for _, fault := range slices.Concat(faults, more) {
		for _, id := range strings.Fields(fault.check) {
			switch id {
			case "nginx/config", "nginx/plain-http": // a person's to mend: there is no line to write
				continue
			}
			text := strings.Replace(wellMade, fault.old, fault.new, 1)
			f := lintText(t, text, "", demand)[id]
			if f.Remedy.Text == "" {
				t.Errorf("%s: %s has no remedy: %+v", fault.new, id, f)
				continue
			}
			for range 2 { // one may bring out the next: more slots want more descriptors
				text = apply(t, text, f.Remedy.Text)
				f = lintText(t, text, "", demand)[id]
				if f.Status == reports.StatusPass || f.Status == reports.StatusNA {
					break
				}
			}
			if f.Status != reports.StatusPass && f.Status != reports.StatusNA {
				t.Errorf("%s: after its remedy %s is %s (%s%s): %s\n%s", fault.new, id, f.Status, f.Got, f.Reason, f.Remedy.Text, text)
				continue
			}
			mended++
			dir := t.TempDir()
			conf := filepath.Join(dir, "n.conf")
			real := "pid " + dir + "/pid; error_log stderr;\n" + strings.Replace(text, "http {", "http { access_log off; client_body_temp_path "+dir+"/b; proxy_temp_path "+dir+"/p; fastcgi_temp_path "+dir+"/f; uwsgi_temp_path "+dir+"/u; scgi_temp_path "+dir+"/s;", 1)
			if err := os.WriteFile(conf, []byte(strings.Replace(real, "127.0.0.1:80 ", "127.0.0.1:8080 ", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(binary, "-t", "-p", dir, "-c", conf, "-e", "stderr").CombinedOutput(); err != nil {
				t.Errorf("%s: nginx refuses the config of its remedy: %s\n%s", fault.new, out, text)
			}
		}
	}
	if mended < 25 {
		t.Errorf("only %d remedies were tried", mended)
	}
}
