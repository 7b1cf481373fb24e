package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	nginxAddr = "127.0.0.1:8080"
	nginxURL  = "http://" + nginxAddr
)

// A proxy is what the rows vary of nginx's config; the rest is as operators
// write it. Zero values leave a directive out.
type proxy struct {
	processes   int
	connections int
	nofile      int
	events      string // more directives of the events block
	listen      string // more parameters of listen
	http        string // more directives of the http block
	upstream    string // parameters of the upstream's server: "max_conns=50"
	idle        int    // keepalive of the upstream, for a minute: connections
	location    string // more directives of the location
	readTimeout string // default 1d
	noApp       bool   // what listens for the application is the row's own
}

// config writes nginx.conf; nothing of it leaves dir.
func (p proxy) config(dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon off;\nuser root;\npid %s/nginx.pid;\nerror_log %s/error.log info;\nworker_processes %d;\n", dir, dir, max(p.processes, 1))
	if p.nofile > 0 {
		fmt.Fprintf(&b, "worker_rlimit_nofile %d;\n", p.nofile)
	}
	fmt.Fprintf(&b, "events {\n    worker_connections %d;\n%s}\nhttp {\n", p.connections, p.events)
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "    %s_temp_path %s/%s;\n", kind, dir, kind)
	}
	timeout := p.readTimeout
	if timeout == "" {
		timeout = "1d"
	}
	fmt.Fprintf(&b, "    log_format times '\"$request\" $status $body_bytes_sent $request_time $upstream_response_time';\n    access_log %s/access.log times;\n", dir)
	b.WriteString(p.http)
	fmt.Fprintf(&b, "    upstream app {\n        server %s %s;\n", appAddr, p.upstream)
	location := p.location
	if p.idle > 0 {
		fmt.Fprintf(&b, "        keepalive %d;\n        keepalive_timeout 60s;\n", p.idle)
		location += "            proxy_http_version 1.1;\n            proxy_set_header Connection '';\n"
	}
	b.WriteString("    }\n")
	fmt.Fprintf(&b, "    server {\n        listen %s%s;\n        location / {\n            proxy_pass http://app;\n            proxy_read_timeout %s;\n%s        }\n    }\n}\n",
		nginxAddr, p.listen, timeout, location)
	return b.String()
}

// nginx starts the real one in front of a server of our own.
func (r *room) nginx(p proxy) (*process, error) {
	if !p.noApp {
		if _, err := r.serve(0); err != nil {
			return nil, err
		}
	}
	conf := filepath.Join(r.dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(p.config(r.dir)), 0o644); err != nil {
		return nil, err
	}
	n, err := r.start(nil, 0, "/usr/sbin/nginx", "-p", r.dir, "-c", conf)
	if err != nil {
		return nil, err
	}
	return n, r.listening(nginxAddr, n)
}
