package main

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
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

// overTLS fills the slots of nginx by workers that speak TLS and trust its
// certificate.
func (r *room) overTLS() (Measurement, error) {
	cert, key := filepath.Join(r.dir, "cert.pem"), filepath.Join(r.dir, "key.pem")
	if err := factstest.WriteCertificate(cert, key); err != nil {
		return Measurement{}, fmt.Errorf("make a certificate: %w", err)
	}
	if _, err := r.nginx(proxy{
		connections: 512, listen: " ssl",
		http: fmt.Sprintf("    ssl_certificate %s;\n    ssl_certificate_key %s;\n", cert, key),
	}); err != nil {
		return Measurement{}, err
	}
	return r.overload(both, "https://"+nginxAddr, 350, "--ca", cert)
}

// reuse measures the polls held when nginx begins to cut idle clients to make
// room, while workers arrive one by one. It says so only if there is one to cut.
func (r *room) reuse() (Measurement, error) {
	if _, err := r.nginx(proxy{connections: 512}); err != nil {
		return Measurement{}, err
	}
	if _, err := r.predict(safe, 1); err != nil {
		return Measurement{}, err
	}
	idle, err := idleClient()
	if err != nil {
		return Measurement{}, err
	}
	defer idle.Close()
	var held int
	var line string
	err = r.during(func() error {
		if line != "" {
			return nil
		}
		n, err := r.held()
		if err != nil {
			return err
		}
		held = n
		line, err = r.logged(r.row.check)
		return err
	}, func() error {
		_, err := r.simulate(nginxURL, 350, "--ramp", "10s", "--hold", "1s")
		return err
	})
	return Measurement{float64(held), line}, err
}

// reuseport lets as many workers come as the safe bound of processes that share
// evenly promises, while an idle client is there to cut, and only then too many.
func (r *room) reuseport() (Measurement, error) {
	if _, err := r.nginx(proxy{connections: 512, processes: 4, listen: " reuseport"}); err != nil {
		return Measurement{}, err
	}
	p, err := r.predict(safe, 1)
	if err != nil {
		return Measurement{}, err
	}
	idle, err := idleClient()
	if err != nil {
		return Measurement{}, err
	}
	defer idle.Close()
	rep, err := r.simulate(nginxURL, int(p.Safe), "--ramp", "5s")
	if err != nil {
		return Measurement{}, err
	}
	if line, err := r.logged(r.row.check); line != "" || err != nil {
		return Measurement{}, errors.Join(err, fmt.Errorf("at %.0f workers already: %s", p.Safe, line))
	}
	if _, err := r.simulate(nginxURL, 1300); err != nil {
		return Measurement{}, err
	}
	line, err := r.logged(r.row.check)
	return Measurement{float64(rep.Held.Steady), line}, err
}

// idleClient is a connection to nginx on which a request has been answered.
func idleClient() (net.Conn, error) {
	c, err := net.Dial("tcp", nginxAddr)
	if err != nil {
		return nil, err
	}
	if err = c.SetDeadline(time.Now().Add(10 * time.Second)); err == nil {
		_, err = fmt.Fprintf(c, "GET %s/nobody HTTP/1.1\r\nHost: %s\r\n\r\n", wire.PathChallenge, nginxAddr)
	}
	if err == nil {
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("an idle client: %w", err), c.Close())
	}
	return c, nil
}

// held counts the polls that the application holds now: connections to its port.
func (r *room) held() (int, error) {
	to := fmt.Sprintf(":%04X", appPort)
	return established(func(f []string) bool { return strings.HasSuffix(f[2], to) })
}

// accepted counts the connections to a port that its server has taken from the
// accept queue: those in it have no inode yet.
func accepted(port int) (int, error) {
	at := fmt.Sprintf(":%04X", port)
	return established(func(f []string) bool { return strings.HasSuffix(f[1], at) && f[9] != "0" })
}

// established counts the room's established connections that match by the fields
// of /proc/net/tcp: "sl local remote state tx:rx timer retransmits uid timeout
// inode …", where state 01 is established.
func established(match func([]string) bool) (int, error) {
	table, err := os.Open("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	defer table.Close()
	n := 0
	sc := bufio.NewScanner(table)
	for sc.Scan() {
		if f := strings.Fields(sc.Text()); len(f) > 9 && f[3] == "01" && match(f) {
			n++
		}
	}
	return n, sc.Err()
}

// limitReq counts what nginx lets through at once.
func (r *room) limitReq() (Measurement, error) {
	if _, err := r.nginx(proxy{
		connections: 1024, http: "    limit_req_zone $binary_remote_addr zone=address:1m rate=1r/m;\n",
		location: "            limit_req zone=address burst=63 nodelay;\n",
	}); err != nil {
		return Measurement{}, err
	}
	const requestsPerWorker = 8
	if _, err := r.predict(safe, requestsPerWorker); err != nil {
		return Measurement{}, err
	}
	if _, err := r.simulate(nginxURL, 150); err != nil {
		return Measurement{}, err
	}
	through := 0
	if err := r.answers(func(a answer) {
		if a.status != http.StatusServiceUnavailable {
			through++
		}
	}); err != nil {
		return Measurement{}, err
	}
	line, err := r.logged(r.row.check)
	return Measurement{float64(through), line}, err
}

// body finds the largest update that comes through.
func (r *room) body() (Measurement, error) {
	if _, err := r.nginx(proxy{connections: 512, location: "            client_max_body_size " + strconv.Itoa(bodyLimit) + ";\n"}); err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(10*bodyLimit, func(n int64) reports.Demand {
		return reports.Demand{Workers: 1, HoldSeconds: 60, ModelBytes: n}
	}); err != nil {
		return Measurement{}, err
	}
	lo, hi := 0, 2*bodyLimit // accepted, refused
	for hi-lo > bodyLimit/500 {
		size := (lo + hi) / 2
		rep, err := r.run("simulate", "--target", nginxURL, "--unsafe", "--workers", "1", "--rounds", "1", "--first", "update",
			"--update-size", strconv.Itoa(size), "--round-timeout", "500ms", "--max-lag", "1m", "--format", "json")
		if err != nil {
			return Measurement{}, err
		}
		accepted := slices.ContainsFunc(rep.Series, func(s reports.Series) bool { return s.Name == "update" && s.Count > 0 })
		if accepted {
			lo = size
		} else {
			hi = size
		}
	}
	line, err := r.logged(r.row.check)
	return Measurement{float64(lo), line}, err
}

// readTimeout lets nginx cut held polls and reads from its own log after how
// long it did: the shortest, since a busy machine is only ever late.
func (r *room) readTimeout() (Measurement, error) {
	if _, err := r.nginx(proxy{connections: 512, readTimeout: strconv.Itoa(readSecond) + "s"}); err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(24*3600*1000, inHold); err != nil {
		return Measurement{}, err
	}
	rep, err := r.simulate(nginxURL, 20, "--ramp", "2s", "--hold", strconv.Itoa(readSecond+2)+"s", "--round-timeout", "30s")
	if err != nil {
		return Measurement{}, err
	}
	if rep.Held.LostWhile != 20 {
		return Measurement{}, fmt.Errorf("%d of 20 held polls were cut", rep.Held.LostWhile)
	}
	return r.shortest(http.StatusGatewayTimeout, func(a answer) float64 { return a.waited })
}

// shortest is the least time in nginx's access log of answers of a status, in
// ms: nginx's own clock, which a busy machine only ever makes late.
func (r *room) shortest(status int, seconds func(answer) float64) (Measurement, error) {
	least := math.Inf(1)
	if err := r.answers(func(a answer) {
		if a.status == status {
			least = min(least, seconds(a))
		}
	}); err != nil {
		return Measurement{}, err
	}
	if math.IsInf(least, 1) {
		return Measurement{}, fmt.Errorf("nginx's access log has no answer %d", status)
	}
	line, err := r.logged(r.row.check)
	return Measurement{least * 1000, line}, err
}

// An answer is a line of nginx's access log; times are in seconds.
type answer struct {
	status int
	took   float64 // in all
	waited float64 // for the upstream; 0 where it was not asked
}

// answers reads nginx's access log.
func (r *room) answers(each func(answer)) error {
	b, err := os.ReadFile(filepath.Join(r.dir, "access.log"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		var a answer
		var bytes int
		var waited string
		rest := line[strings.LastIndexByte(line, '"')+1:]
		if _, err := fmt.Sscan(rest, &a.status, &bytes, &a.took, &waited); err != nil {
			return fmt.Errorf("access.log: %q: %w", line, err)
		}
		if waited != "-" {
			if a.waited, err = strconv.ParseFloat(waited, 64); err != nil {
				return fmt.Errorf("access.log: %q: %w", line, err)
			}
		}
		each(a)
	}
	return nil
}

// nginxBacklog stops nginx's worker process once the first worker has come, and
// looks how long the queue of the rest gets.
func (r *room) nginxBacklog() (Measurement, error) {
	n, err := r.nginx(proxy{connections: 2048, listen: " backlog=64"})
	if err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(1<<20, inWorkers); err != nil {
		return Measurement{}, err
	}
	workers, err := children(n.cmd.Process.Pid)
	if err != nil {
		return Measurement{}, err
	}
	if len(workers) != 1 {
		return Measurement{}, fmt.Errorf("nginx has %d worker processes", len(workers))
	}
	var longest int
	var stopped time.Time
	err = r.during(func() error {
		switch {
		case stopped.IsZero():
			if held, err := r.held(); err != nil || held == 0 {
				return err
			}
			stopped = time.Now()
			return syscall.Kill(workers[0], syscall.SIGSTOP)
		case longest > 0 && time.Since(stopped) > 4*time.Second:
			return syscall.Kill(workers[0], syscall.SIGCONT)
		}
		return r.queue(nginxPort, &longest)
	}, func() error {
		_, err := r.simulate(nginxURL, 300, "--ramp", "3s")
		return err
	})
	if err != nil {
		return Measurement{}, err
	}
	s, err := r.found("host/listen-overflows")
	return Measurement{float64(longest), s}, err
}

// children are the processes that a process has started.
func children(pid int) ([]int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	var out []int
	for f := range strings.FieldsSeq(string(b)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// reload fills nginx, reloads it, and fills the processes that come beside the
// old ones.
func (r *room) reload() (Measurement, error) {
	n, err := r.nginx(proxy{connections: 200})
	if err != nil {
		return Measurement{}, err
	}
	if _, err := r.predict(hard, 2); err != nil {
		return Measurement{}, err
	}
	old := make(chan error, 1)
	var before, after reports.Report
	go func() {
		var err error
		before, err = r.simulate(nginxURL, 120, "--hold", "25s")
		old <- err
	}()
	// The first have settled when those in excess have given up.
	var symptom string
	err = func() error {
		if err := r.settled(); err != nil {
			return err
		}
		if err := n.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			return err
		}
		if err := r.until("the old worker process to drain", 10*time.Second, func() (bool, error) {
			s, err := r.found("nginx/draining")
			symptom = s
			return s != "", err
		}); err != nil {
			return err
		}
		var err error
		after, err = r.simulate(nginxURL, 120)
		return err
	}()
	if err = errors.Join(err, <-old); err != nil {
		return Measurement{}, err
	}
	return Measurement{float64(before.Held.Steady + after.Held.Steady), symptom}, nil
}

// settled waits until the number of held polls has not changed for a while.
func (r *room) settled() error {
	last, since := -1, time.Now()
	return r.until("polls to settle", time.Minute, func() (bool, error) {
		n, err := r.held()
		if n != last || n == 0 {
			last, since = n, time.Now()
		}
		return time.Since(since) > 8*time.Second, err
	})
}

// restart ends nginx under held polls of workers that behave as real ones: what
// preflight sees in use towards the application is what is lost.
func (r *room) restart() (Measurement, error) {
	const workers = 60
	n, err := r.nginx(proxy{connections: 512})
	if err != nil {
		return Measurement{}, err
	}
	var full time.Time // since when all are held
	var ended bool
	var rep reports.Report
	err = r.during(func() error {
		held, err := r.held()
		switch {
		case err != nil || held < workers || ended:
			return err
		case full.IsZero():
			full = time.Now()
		}
		if time.Since(full) < time.Second {
			return nil
		}
		ended = true
		if err := r.inUse(); err != nil {
			return err
		}
		return n.cmd.Process.Signal(syscall.SIGTERM)
	}, func() error {
		var err error
		rep, err = r.simulate(nginxURL, workers, "--hold", "20s", "--worker-behaviour", "upstream")
		return err
	})
	if err != nil {
		return Measurement{}, err
	}
	s, err := r.symptom(rep)
	return Measurement{float64(len(rep.Lost)), s}, err
}

// inUse predicts by what preflight sees in use.
func (r *room) inUse() error {
	rep, err := r.preflight()
	if err != nil {
		return err
	}
	for _, l := range rep.Capacity.Ledger {
		if l.Limit == r.row.check && l.InUse != nil {
			return r.tell(Prediction{float64(*l.InUse), float64(*l.InUse)})
		}
	}
	return fmt.Errorf("preflight does not tell what is in use of %s: %s", r.row.check, reason(rep, r.row.check))
}
