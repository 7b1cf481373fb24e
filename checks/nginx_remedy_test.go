package checks

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

var (
	writeAt   = regexp.MustCompile(`at /n\.conf:(\d+) write: ([^;]+;)`)
	addTo     = regexp.MustCompile(`(?:add to|in) (the top|the events block|the server|location \S+|the server of(?: stream of)?|the upstream of) (?:of )?/n\.conf(?::(\d+))?:? (?:add: )?(.*[;}])`)
	ofListen  = regexp.MustCompile(`add to the listen of /n\.conf:(\d+): (\S+)`)
	before    = regexp.MustCompile(`at /n\.conf:(\d+) write before it: allow NETWORK;`)
	inBlock   = regexp.MustCompile(`in location \S+ of /n\.conf:(\d+) write: (\S+) ([^;]+;)`)
	inHTTP    = regexp.MustCompile(`in http write: ([^;]+;)`)
	aWord     = regexp.MustCompile(`at /n\.conf:(\d+) write: (backlog|limit_except)([= ][^;]+)$`)
	remove    = regexp.MustCompile(`(?:remove (\S+) at /n\.conf:(\d+)|at /n\.conf:(\d+) remove (\S+) )`)
	besides   = regexp.MustCompile(`and at /n\.conf:(\d+) (rate=\S+);`)
	maxConns  = regexp.MustCompile(` max_conns=\d+`)
	twoPeers  = regexp.MustCompile(`(server [^;]+;) server [^;]+;`)
	onTop     = regexp.MustCompile(`write at the top of nginx\.conf: ([^;]+;)`)
	counted   = regexp.MustCompile(`remove it at /n\.conf:(\d+), since nginx counts`)
	arriving  = regexp.MustCompile(`at /n\.conf:(\d+) write what stands behind the address so that the path arrives whole`)
	bytesMap  = regexp.MustCompile(`(?s)charset_map .*?\}`)
	fallbacks = regexp.MustCompile(`(?s)location = /return_global_model \{.*?\}\s*location @fl_fallback \{.*?\}`)
	ofRender  = regexp.MustCompile(`(?m)^\s*(#|limit_).*\n`)
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
	for _, m := range onTop.FindAllStringSubmatch(remedy, -1) {
		top += m[1] + "\n"
	}
	for _, m := range counted.FindAllStringSubmatch(remedy, -1) {
		*at(m[1]) = regexp.MustCompile(`limit_conn\s[^;]*;`).ReplaceAllString(*at(m[1]), "")
	}
	for _, m := range arriving.FindAllStringSubmatch(remedy, -1) {
		*at(m[1]) = regexp.MustCompile(`http://fl[^;]*;`).ReplaceAllString(*at(m[1]), "http://fl/;")
	}
	for _, m := range besides.FindAllStringSubmatch(remedy, -1) {
		*at(m[1]) = regexp.MustCompile(`rate=[^;\s]+`).ReplaceAllString(*at(m[1]), m[2])
	}
	for _, m := range before.FindAllStringSubmatch(remedy, -1) {
		*at(m[1]) = strings.Replace(*at(m[1]), "deny ", "allow 127.0.0.1; deny ", 1)
	}
	for _, m := range inBlock.FindAllStringSubmatch(remedy, -1) {
		n, _ := strconv.Atoi(m[1])
		has := regexp.MustCompile(m[2] + `\s[^;]*;`)
		if i := slices.IndexFunc(lines[n-1:], has.MatchString); i >= 0 {
			lines[n-1+i] = has.ReplaceAllString(lines[n-1+i], m[2]+" "+m[3])
		} else {
			within(&lines[n-1], "location", m[2]+" "+m[3])
		}
	}
	for _, m := range inHTTP.FindAllStringSubmatch(remedy, -1) {
		for i := range lines {
			within(&lines[i], "http", m[1])
		}
	}
	for _, m := range aWord.FindAllStringSubmatch(remedy, -1) {
		until := map[string]string{"backlog": `=\d+`, "limit_except": `\s[^{]*`}[m[2]]
		*at(m[1]) = regexp.MustCompile(m[2]+until).ReplaceAllLiteralString(*at(m[1]), m[2]+m[3]+" ")
	}
	for _, m := range remove.FindAllStringSubmatch(remedy, -1) {
		n, _ := strconv.Atoi(m[2] + m[3])
		what := regexp.MustCompile(`\b` + m[1] + m[4] + `\b( \([^{]*\{[^}]*\}|\s*;| )`)
		if i := slices.IndexFunc(lines[n-1:], what.MatchString); i >= 0 {
			lines[n-1+i] = what.ReplaceAllLiteralString(lines[n-1+i], "")
		}
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
	const server = "in the server of "
	for _, part := range strings.Split(inBlock.ReplaceAllString(remedy, ""), "; "+server) {
		m := addTo.FindStringSubmatch(part)
		if m == nil {
			m = addTo.FindStringSubmatch(server + part)
		}
		if m == nil {
			continue
		}
		switch m[1] {
		case "the top":
			top += m[3] + "\n"
		case "the events block":
			for i := range lines {
				within(&lines[i], "events", m[3])
			}
		case "the upstream of":
			within(at(m[2]), "upstream", m[3])
		case "the server", "the server of", "the server of stream of":
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
	case strings.Contains(remedy, "fltool nginx render writes a config"):
		text = rendered(t)
	case strings.Contains(remedy, "add a location with proxy_pass"):
		text = strings.Replace(text, "return 404;", "proxy_pass http://fl;", 1)
	case strings.Contains(remedy, "the location that fltool nginx render writes"):
		text = strings.Replace(text, "    server {", bytesMap.FindString(rendered(t))+"\n    server {", 1)
		own := ofRender.ReplaceAllString(fallbacks.FindString(rendered(t)), "")
		if strings.Contains(text, "uwsgi_pass") {
			own = strings.NewReplacer("proxy_pass http://", "uwsgi_pass ", "proxy_", "uwsgi_").Replace(own)
		}
		text = strings.Replace(text, "        location / {", own+"\n        location / {", 1)
	case strings.Contains(remedy, "let the server listen 443 ssl"):
		text = strings.NewReplacer("0.0.0.0:80 ", "0.0.0.0:80 ssl ", "        client_max", "        ssl_certificate /TMP/fl.pem; ssl_certificate_key /TMP/fl.key; ssl_protocols TLSv1.2 TLSv1.3;\n        client_max",
			"    server {", "    server { listen 127.0.0.1:81 ; return 301 https://$host$request_uri; }\n    server {").Replace(text)
	case strings.Contains(remedy, "a variable in proxy_pass and resolver"):
		text = strings.NewReplacer("upstream fl { server app.invalid:5000; }", "resolver 127.0.0.1:53;", "proxy_pass http://fl;", "set $app app.invalid; proxy_pass http://$app:5000;").Replace(text)
	}
	return text
}

// rendered is the config that fltool nginx render writes.
func rendered(t *testing.T) string {
	t.Helper()
	settings, err := Recommend(Proxy{Listen: []string{"127.0.0.1:80"}, Upstream: []string{"127.0.0.1:5000"}}, crowd)
	if err != nil {
		t.Fatal(err)
	}
	text, err := nginx.Render(settings)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// fix does what a check says until the check passes: one remedy may bring out the
// next, as more slots want more descriptors. It gives the config and the remedies.
func fix(t *testing.T, fault fault, text, id string) (fixed string, remedies []string) {
	t.Helper()
	for range 6 {
		f := fault.judge(t, text)[id]
		if f.Status == reports.StatusPass || f.Status == reports.StatusNA {
			if remedies == nil {
				t.Fatalf("%s finds nothing: %s%s", id, f.Got, f.Reason)
			}
			return text, remedies
		}
		if f.Remedy.Text == "" {
			t.Fatalf("%s has no remedy: %+v", id, f)
		}
		after := apply(t, text, f.Remedy.Text)
		if after == text {
			t.Fatalf("the remedy of %s changes nothing: %s", id, f.Remedy.Text)
		}
		text, remedies = after, append(remedies, f.Remedy.Text)
	}
	f := fault.judge(t, text)[id]
	t.Fatalf("after its remedies %s is %s: %s%s\n%s\n%s", id, f.Status, f.Got, f.Reason, f.Remedy.Text, text)
	return "", nil
}
