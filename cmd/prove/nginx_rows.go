package main

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	nginxPort  = 8080
	readSecond = 8 // proxy_read_timeout of its row
	patience   = 5 // seconds: the timeouts of other rows
	bodyLimit  = 200 << 10
)

var nginxRows = []row{
	slots("nginx-512-burst", 512, 350, true),
	slots("nginx-512-steady", 512, 350, false, "--ramp", "5s"),
	slots("nginx-1024-burst", 1024, 650, false),
	slots("nginx-1024-steady", 1024, 650, false, "--ramp", "5s"),
	{
		id: "nginx-512-reuse", check: "nginx/worker-connections", formula: "nginx-slots", limit: "worker_connections, safe bound", set: "512", unit: "workers", quick: true,
		run: (*room).reuse,
	},
	{
		id: "nginx-512-upstream-idle", check: "nginx/worker-connections", formula: "nginx-slots", limit: "worker_connections, with upstream keepalive 64", set: "512", unit: "workers",
		run: func(r *room) (Measurement, error) {
			return r.proxied(hard, proxy{connections: 512, idle: 64}, 350)
		},
	},
	{
		id: "nginx-512-tls", check: "nginx/worker-connections", formula: "nginx-slots", limit: "worker_connections, over TLS", set: "512", unit: "workers",
		run: (*room).overTLS,
	},
	{
		id: "nginx-4x512-burst", check: "nginx/worker-connections", formula: "nginx-slots", limit: "worker_connections of 4 processes, hard bound", set: "4 × 512", unit: "workers",
		run: func(r *room) (Measurement, error) {
			return r.proxied(hard, proxy{connections: 512, processes: 4}, 1300)
		},
	},
	{
		id: "nginx-4x512-steady", check: "nginx/worker-connections", formula: "nginx-slots", limit: "worker_connections of 4 processes, hard bound", set: "4 × 512", unit: "workers",
		run: func(r *room) (Measurement, error) {
			return r.proxied(hard, proxy{connections: 512, processes: 4}, 1300, "--ramp", "5s")
		},
	},
	{
		id: "nginx-accept-mutex", check: "nginx/worker-connections", formula: "nginx-slots", limit: "the same with accept_mutex on, hard bound", set: "4 × 512", unit: "workers",
		run: func(r *room) (Measurement, error) {
			return r.proxied(hard, proxy{connections: 512, processes: 4, events: "    accept_mutex on;\n"}, 1300, "--ramp", "5s", "--round-timeout", "25s")
		},
	},
	{
		id: "nginx-reuseport", check: "nginx/worker-connections", formula: "nginx-slots", limit: "the same with reuseport, safe bound", set: "4 × 512", unit: "workers",
		run: (*room).reuseport,
	},
	{
		id: "nginx-descriptors", check: "nginx/nofile", formula: "nginx-descriptors", limit: "worker_rlimit_nofile", set: "200", unit: "workers", quick: true,
		run: func(r *room) (Measurement, error) {
			return r.proxied(both, proxy{connections: 4096, nofile: 200}, 150)
		},
	},
	{
		id: "nginx-descriptors-logs", check: "nginx/nofile", formula: "nginx-descriptors", limit: "worker_rlimit_nofile, with 60 log files and 20 more listeners", set: "200", unit: "workers",
		run: func(r *room) (Measurement, error) {
			return r.proxied(both, proxy{connections: 4096, nofile: 200, http: manyFiles(60, 20)}, 150)
		},
	},
	{
		id: "nginx-ports", check: "host/port-range", formula: "ports", limit: "ports towards the upstream", set: "200", unit: "workers",
		run: func(r *room) (Measurement, error) {
			if err := sysctl("net.ipv4.ip_local_port_range", "20000 20199"); err != nil {
				return Measurement{}, err
			}
			return r.proxied(both, proxy{connections: 4096}, 300, "--source-ip", "127.0.0.2,127.0.0.3,127.0.0.4")
		},
	},
	{
		id: "nginx-max-conns", check: "nginx/max-conns", formula: "nginx-max-conns", limit: "max_conns of the upstream", set: "60", unit: "workers", quick: true,
		run: func(r *room) (Measurement, error) {
			return r.proxied(both, proxy{connections: 512, upstream: "max_conns=60"}, 100)
		},
	},
	{
		id: "nginx-limit-conn", check: "nginx/limit-conn", formula: "nginx-limit-conn", limit: "limit_conn an address", set: "60", unit: "workers",
		run: func(r *room) (Measurement, error) {
			return r.proxied(safe, proxy{
				connections: 512, http: "    limit_conn_zone $binary_remote_addr zone=address:1m;\n",
				location: "            limit_conn address 60;\n",
			}, 100)
		},
	},
	{
		id: "nginx-limit-req", check: "nginx/limit-req", formula: "nginx-limit-req", limit: "burst of limit_req", set: "63", unit: "requests",
		run: (*room).limitReq,
	},
	{
		id: "nginx-body", check: "nginx/client-max-body-size", limit: "client_max_body_size", set: "200k", unit: "bytes", quick: true,
		run: (*room).body,
	},
	{
		id: "nginx-read-timeout", check: "nginx/proxy-read-timeout", limit: "proxy_read_timeout", set: strconv.Itoa(readSecond) + "s", unit: "ms",
		run: (*room).readTimeout,
	},
	{
		id: "nginx-backlog", check: "nginx/listen-backlog", limit: "backlog of nginx's listen", set: "64", unit: "connections",
		run: (*room).nginxBacklog,
	},
	{
		id: "nginx-reload", check: "nginx/worker-connections", formula: "nginx-slots", limit: "worker_connections, reloaded while polls are held", set: "2 × 200", unit: "workers",
		run: (*room).reload,
	},
	{
		id: "nginx-restart", check: "host/port-range", limit: "polls held at a restart of nginx", set: "60", unit: "workers lost",
		run: (*room).restart, clients: []string{"reset", "refused"},
	},
}

// manyFiles makes nginx hold descriptors of its own.
func manyFiles(logs, listeners int) string {
	var b strings.Builder
	b.WriteString("    server {\n")
	for i := range listeners {
		fmt.Fprintf(&b, "        listen 127.0.0.1:%d;\n", 7000+i)
	}
	for i := range logs {
		fmt.Fprintf(&b, "        access_log log-%d.txt;\n", i)
	}
	b.WriteString("    }\n")
	return b.String()
}

// slots is the row of worker_connections in one process.
func slots(id string, connections, workers int, quick bool, args ...string) row {
	return row{
		id: id, check: "nginx/worker-connections", formula: "nginx-slots", limit: "worker_connections", set: strconv.Itoa(connections), unit: "workers", quick: quick,
		run: func(r *room) (Measurement, error) {
			return r.proxied(both, proxy{connections: connections}, workers, args...)
		},
	}
}

// proxied is overload through nginx.
func (r *room) proxied(b bound, p proxy, workers int, args ...string) (Measurement, error) {
	if _, err := r.nginx(p); err != nil {
		return Measurement{}, err
	}
	return r.overload(b, nginxURL, workers, args...)
}
