package symptoms

import "testing"

// Lines as the programs write them, and the title of the symptom that each tells of;
// "" is none.
var lines = []struct{ line, title string }{
	{`2026/05/01 10:00:00 [crit] 123#123: accept4() failed (24: Too many open files)`, "nginx ran out of file descriptors"},
	{`2026/05/01 10:00:00 [alert] 123#123: *9 socket() failed (24: Too many open files) while connecting to upstream, client: 10.0.0.1, server: _`, "nginx ran out of file descriptors"},
	{`2026/05/01 10:00:00 [crit] 7#7: *3 open() "/var/lib/nginx/body/0000000001" failed (24: Too many open files), client: 10.0.0.1`, "nginx ran out of file descriptors"},
	{`2026/05/01 10:00:00 [alert] 123#123: setrlimit(RLIMIT_NOFILE, 100000) failed (1: Operation not permitted)`, "nginx could not set the limit of descriptors that its config asks for"},
	{`2026/05/01 10:00:00 [warn] 9#9: 1024 worker_connections are not enough, reusing connections`, "nginx ran out of connection slots"},
	{`2026/05/01 10:00:00 [alert] 9#9: *7 1024 worker_connections are not enough while connecting to upstream, client: 10.0.0.1, server: _`, "nginx ran out of connection slots"},
	{`2026/05/01 10:00:00 [crit] 123#123: *9 connect() to 127.0.0.1:5000 failed (99: Cannot assign requested address) while connecting to upstream, client: ::1`, "no local port was left for a connection to the upstream"},
	{`2026/05/01 10:00:00 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.1`, "nobody listened where nginx passes requests to"},
	{`2026/05/01 10:00:00 [error] 7#7: *1 connect() to unix:/run/fl.sock failed (111: Connection refused) while connecting to upstream, client: 10.0.0.1`, "nobody listened where nginx passes requests to"},
	{`2026/05/01 10:00:00 [crit] 7#7: *1 connect() to unix:/run/fl.sock failed (2: No such file or directory) while connecting to upstream, client: 10.0.0.1`, "nobody listened where nginx passes requests to"},
	{`2026/05/01 10:00:00 [error] 7#7: *1 connect() to unix:/run/fl.sock failed (11: Resource temporarily unavailable) while connecting to upstream, client: 10.0.0.1`, "the accept queue of the application's unix socket was full"},
	{`2026/05/01 10:00:00 [error] 7#7: *1 connect() failed (113: No route to host) while connecting to upstream, client: 10.0.0.1`, "the application's host could not be reached"},
	{`2026/05/01 10:00:00 [crit] 7#7: *1 connect() to 127.0.0.1:5000 failed (13: Permission denied) while connecting to upstream, client: 10.0.0.1`, "nginx may not connect to the application"},
	{`2026/05/01 10:00:00 [error] 9#9: *1 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 10.0.0.1`, "the application was silent for longer than nginx waits"},
	{`2026/05/01 10:00:00 [error] 9#9: *1 upstream timed out (110: Connection timed out) while connecting to upstream, client: 10.0.0.1`, "the application did not accept a connection in time"},
	{`2026/05/01 10:00:00 [error] 9#9: *1 upstream timed out (110: Connection timed out) while proxying upgraded connection, client: 10.0.0.1`, "an upgraded connection (WebSocket) was silent for longer than nginx waits"},
	{`2026/05/01 10:00:00 [info] 9#9: *1 client timed out (110: Connection timed out) while sending to client, client: 10.0.0.1`, "a client or the application took no data for longer than nginx waits"},
	{`2026/05/01 10:00:00 [info] 9#9: *1 client timed out (110: Connection timed out) while reading client request headers, client: 10.0.0.1`, "a client's request did not come in time"},
	{`2026/05/01 10:00:00 [error] 1#1: *2 upstream prematurely closed connection while reading response header from upstream`, "the application closed a connection before it had answered"},
	{`2026/05/01 10:00:00 [error] 1#1: *2 recv() failed (104: Connection reset by peer) while reading response header from upstream, client: 10.0.0.1`, "the application reset a connection while a request was under way"},
	{`2026/05/01 10:00:00 [info] 1#1: *2 recv() failed (104: Connection reset by peer) while reading client request line, client: 10.0.0.1`, ""},
	{`2026/05/01 10:00:00 [info] 1#1: *2 epoll_wait() reported that client prematurely closed connection, so upstream connection is closed too while reading response header from upstream, client: 10.0.0.1`, "a client went away before it had its answer"},
	{`2026/05/01 10:00:00 [error] 1#1: *2 upstream sent too big header while reading response header from upstream, client: 10.0.0.1`, "the application's answer had a larger header than nginx takes"},
	{`2026/05/01 10:00:00 [error] 9#9: *1 no live upstreams while connecting to upstream, client: 10.0.0.1`, "nginx had no upstream left to pass a request to"},
	{`2026/05/01 10:00:00 [emerg] 1#1: host not found in upstream "app" in /etc/nginx/nginx.conf:9`, "a name in nginx's config has no address"},
	{`2026/05/01 10:00:00 [alert] 1#1: worker process 9 exited on signal 9`, "a worker process of nginx was killed"},
	{`2026/05/01 10:00:00 [alert] 1#1: worker process 9 exited on signal 11 (core dumped)`, "a worker process of nginx crashed"},
	{`2026/05/01 10:00:00 [alert] 1#1: fork() failed while spawning "worker process" (11: Resource temporarily unavailable)`, "nginx could not start a process"},
	{`2026/05/01 10:00:00 [alert] 1#1: pthread_create() failed (11: Resource temporarily unavailable)`, "nginx could not start a thread"},
	{`2026/05/01 10:00:00 [error] 9#9: *1 client intended to send too large body: 13000524 bytes, client: 10.0.0.1`, "a request was larger than nginx takes"},
	{`2026/05/01 10:00:00 [error] 9#9: *1 client intended to send too large chunked body: 8192+13000524 bytes, client: 10.0.0.1`, "a request was larger than nginx takes"},
	{`2026/05/01 10:00:00 [crit] 9#9: *1 pwrite() "/var/lib/nginx/body/0000000001" failed (28: No space left on device), client: 10.0.0.1`, "the disk of nginx's temporary files was full"},
	{`2026/05/01 10:00:00 [warn] 9#9: *1 an upstream response is buffered to a temporary file /var/lib/nginx/proxy/1/00/0000000001 while reading upstream`, "nginx wrote a download to its disk"},
	{`2026/05/01 10:00:00 [error] 9#9: *1 limiting connections by zone "conn", client: 10.0.0.1`, "nginx refused workers above limit_conn"},
	{`2026/05/01 10:00:00 [error] 9#9: *1 limiting requests, excess: 20.100 by zone "req", client: 10.0.0.1`, "nginx refused requests above limit_req"},
	{`2026/05/01 10:00:00 [emerg] 9#9: SSL_CTX_use_PrivateKey("/k.pem") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)`, "nginx's private key is not that of its certificate"},
	{`2026/05/01 10:00:00 [emerg] 1#1: unknown directive "worker_process" in /etc/nginx/nginx.conf:1`, "nginx could not start or reload"},

	{`[2026-05-01 10:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)`, "gunicorn killed a worker process that did not report in time"},
	{`[2026-05-01 10:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?`, "a worker process of gunicorn was killed"},
	{`[2026-05-01 10:00:00 +0000] [7] [WARNING] Worker with pid 9 was terminated due to signal 9`, "a worker process of gunicorn was killed"},
	{`[2026-05-01 10:00:00 +0000] [9] [INFO] Autorestarting worker after current request.`, "gunicorn recycled a worker process"},
	{`[2026-05-01 10:00:00 +0000] [9] [WARNING] Worker graceful timeout (pid:9)`, "a worker process of gunicorn did not end in time, and its polls were cut"},

	{`Fri May  1 10:00:00 2026 - *** uWSGI listen queue of socket "127.0.0.1:5000" (fd: 3) full !!! (101/100) ***`, "uWSGI's listen queue was full"},
	{`Fri May  1 10:00:00 2026 - [DANGER] async queue is full !!!`, "uWSGI had no async core left"},
	{`Fri May  1 10:00:00 2026 - *** HARAKIRI ON WORKER 1 (pid: 9, try: 1) ***`, "uWSGI killed a process that worked for too long"},
	{`DAMN ! worker 1 (pid: 9) died, killed by signal 9 :( trying respawn ...`, "a process of uWSGI was killed or crashed"},
	{`epoll_create(): Too many open files [core/event.c line 507]`, "uWSGI ran out of file descriptors"},
	{`connect_to_tcp()/socket(): No file descriptors available [core/socket.c line 462]`, "uWSGI ran out of file descriptors"},

	{`OSError: [Errno 24] Too many open files: '/tmp/x'`, "the application ran out of file descriptors"},
	{`RuntimeError: can't start new thread`, "the application could not start a thread or a process"},
	{`/bin/sh: 1: fork: Resource temporarily unavailable`, "the application could not start a thread or a process"},
	{`OSError: [Errno 28] No space left on device`, "the application's disk was full"},
	{`WARNING:waitress.queue:Task queue depth is 12`, "more requests waited in waitress than it has threads"},
	{`WARNING:waitress:total open connections reached the connection limit, no longer accepting new connections`, "waitress had as many connections as it accepts"},
	{`WARNING:  Exceeded concurrency limit.`, "uvicorn refused requests above its limit"},
	{`ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate`, "a worker does not trust the server's certificate"},

	{`E1128 15:39:27.660233871   26594 tcp_server_posix.cc:205]              Failed accept4: Too many open files`, "the gRPC server ran out of file descriptors"},
	{`	details = "Concurrent RPC limit exceeded!"`, "the gRPC server refused a call above its limit"},
	{`E0501 10:00:00.0 9 chttp2_transport.cc:1120] ipv4:10.0.0.1:443: Received a GOAWAY with error code ENHANCE_YOUR_CALM and debug data equal to "too_many_pings"`, "a gRPC client was sent away for pinging too often"},

	{`Error: EMFILE: too many open files, accept`, "Node ran out of file descriptors"},
	{`2026/05/01 10:00:00 http: Accept error: accept tcp [::]:5000: accept4: too many open files; retrying in 5ms`, "a server in Go ran out of file descriptors"},
	{`{"level":"error","ts":1795882721.8,"logger":"http.log.error","msg":"net/http: timeout awaiting response headers","request":{"uri":"/poll"}}`, "a proxy in Go gave up waiting for the application's answer"},
	{`{"level":"error","ts":1,"logger":"http.log.error","msg":"dial tcp 127.0.0.1:5000: connect: connection refused"}`, "a proxy or client in Go found nobody listening"},
	{`{"level":"error","ts":1,"logger":"http.log.error","msg":"dial tcp 127.0.0.1:5000: socket: too many open files"}`, "a client or proxy in Go ran out of file descriptors"},

	{`[ALERT]    (7) : Proxy fl reached process FD limit (maxsock=200). Please check 'ulimit-n' and restart.`, "HAProxy ran out of file descriptors"},
	{`[WARNING]  (7) : [haproxy.main()] FD limit (1024) too low for maxconn=4000/maxsock=8036. Please raise 'ulimit-n' to 8036 or more to avoid any trouble.`, "HAProxy may open fewer descriptors than its maxconn needs"},
	{`[ALERT]    (7) : Proxy fl reached the configured maximum connection limit. Please check the global 'maxconn' value.`, "HAProxy held as many connections as it may"},
	{`backend fl has no server available!`, "HAProxy had no server left to pass a request to"},
	{`127.0.0.1:38936 [28/Nov/2026:15:39:00.723] f b/s 0/0/0/-1/2001 504 198 - - sH-- 5/5/4/2/0 0/0 "GET / HTTP/1.1"`, "HAProxy waited for the answer for longer than timeout server"},
	{`10.0.0.1:38936 [28/Nov/2026:15:39:00.723] f b/s 0/0/60001 212 sD 5/5/4/2/0 0/0`, "the application fell silent in the middle of an answer for longer than timeout server"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/<NOSRV> 0/1010/-1/-1/1010 503 217 - - sQ-- 6/6/5/0/0 0/1 "GET / HTTP/1.1"`, "a request waited in HAProxy's queue for longer than timeout queue"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/s 0/0/-1/-1/4004 503 217 - - sC-- 6/6/5/0/3 0/0 "GET / HTTP/1.1"`, "HAProxy could not connect to the application within timeout connect"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/s 0/0/-1/-1/3004 503 217 - - SC-- 6/6/5/0/3 0/0 "GET / HTTP/1.1"`, "the application refused HAProxy's connection"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/s 0/0/0/-1/9004 502 217 - - SH-- 6/6/5/0/0 0/0 "GET / HTTP/1.1"`, "the application closed the connection before it had answered"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/s 0/0/0/4/9004 200 217 - - SD-- 6/6/5/0/0 0/0 "GET / HTTP/1.1"`, "the connection to the application broke in the middle of an answer"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/s 0/0/0/4/60004 200 217 - - cD-- 6/6/5/0/0 0/0 "GET / HTTP/1.1"`, "a client was silent for longer than HAProxy's timeout client"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/s 0/0/0/-1/60004 408 217 - - cH-- 6/6/5/0/0 0/0 "GET / HTTP/1.1"`, "a client was silent for longer than HAProxy's timeout client"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/s 0/0/0/-1/60004 -1 0 - - CH-- 6/6/5/0/0 0/0 "GET / HTTP/1.1"`, "a client went away before it had its answer"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/s 0/0/0/-1/4 503 0 - - PC-- 6/6/5/0/0 0/0 "GET / HTTP/1.1"`, "HAProxy itself ended a request"},
	{`127.0.0.1:38950 [28/Nov/2026:15:39:00.724] f b/s 0/0/0/4/9004 200 217 - - ---- 6/6/5/0/0 0/0 "GET / HTTP/1.1"`, ""},

	{`[2026-05-01T10:00:00.310Z] "POST /response/x HTTP/1.1" 504 UT 154 24 15002 - "10.0.0.1" "python-requests" "cc21d9b0" "fl" "10.0.0.2:5000"`, "Envoy waited for the answer for longer than the route's timeout"},
	{`[2026-05-01T10:00:00.310Z] "POST /x HTTP/1.1" 504 UT response_timeout - "-" 0 24 15001 - "-" "curl" "cc21" "fl" "10.0.0.2:5000"`, "Envoy waited for the answer for longer than the route's timeout"},
	{`{"response_code":504,"response_flags":"UT","duration":15001,"path":"/x"}`, "Envoy waited for the answer for longer than the route's timeout"},
	{`[2026-05-01T10:00:00.310Z] "POST /x HTTP/1.1" 408 SI 0 24 300001 - "-" "curl" "cc21" "fl" "10.0.0.2:5000"`, "a request was silent for longer than Envoy's stream_idle_timeout"},
	{`[2026-05-01T10:00:00.310Z] "POST /x HTTP/1.1" 503 UO 0 81 0 - "-" "curl" "cc21" "fl" "-"`, "Envoy's circuit breaker refused a request"},
	{`[2026-05-01T10:00:00.310Z] "POST /x HTTP/1.1" 503 UF,URX 0 81 3000 - "-" "curl" "cc21" "fl" "10.0.0.2:5000"`, "Envoy could not connect to the application"},
	{`[2026-05-01T10:00:00.310Z] "POST /x HTTP/1.1" 503 UC 0 81 3000 - "-" "curl" "cc21" "fl" "10.0.0.2:5000"`, "the application closed the connection before it had answered"},
	{`[2026-05-01T10:00:00.310Z] "POST /x HTTP/1.1" 503 UR 0 81 3000 - "-" "curl" "cc21" "fl" "10.0.0.2:5000"`, "the application reset the request"},
	{`[2026-05-01T10:00:00.310Z] "POST /x HTTP/1.1" 503 UH 0 19 0 - "-" "curl" "cc21" "fl" "-"`, "Envoy had no healthy host left to pass a request to"},
	{`[2026-05-01T10:00:00.310Z] "POST /x HTTP/1.1" 0 DC 0 0 60000 - "-" "curl" "cc21" "fl" "10.0.0.2:5000"`, "a client went away before it had its answer"},
	{`[2026-05-01T10:00:00.310Z] "PUT /UT HTTP/1.1" 200 - 0 0 6 - "-" "curl" "cc21" "fl" "10.0.0.2:5000"`, ""},

	{`[Fri May 01 10:00:00.1 2026] [mpm_event:error] [pid 9:tid 1] AH00484: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting`, "Apache had no thread left for a request"},
	{`[Fri May 01 10:00:00.1 2026] [proxy_http:error] [pid 9:tid 1] (70007)The timeout specified has expired: [client 10.0.0.1:1] AH01102: error reading status line from remote server 127.0.0.1:5000`, "Apache gave up on the application's answer"},
	{`[Fri May 01 10:00:00.1 2026] [proxy:error] [pid 9:tid 1] (111)Connection refused: AH00957: http: attempt to connect to 127.0.0.1:5000 (127.0.0.1:5000) failed`, "Apache could not connect to the application"},

	{`May 01 10:00:00 fl (gunicorn)[9]: fl.service: Failed to adjust resource limit RLIMIT_NOFILE: Operation not permitted`, "systemd could not set a limit, so the service does not start"},
	{`May 01 10:00:00 fl systemd[1]: fl.service: Main process exited, code=exited, status=205/LIMITS`, "systemd could not set a limit, so the service does not start"},
	{`May 01 10:00:00 fl systemd[1]: /etc/systemd/system/fl.service:7: Failed to parse resource value, ignoring: 65k5`, "systemd did not understand a limit and left it out"},
	{`May 01 10:00:00 fl systemd[1]: fl.service: A process of this unit has been killed by the OOM killer.`, "a process of the service was killed when memory ran out"},
	{`May 01 10:00:00 fl systemd[1]: fl.service: Main process exited, code=killed, status=9/KILL`, "the service was killed"},
	{`May 01 10:00:00 fl sshd[9]: pam_limits(sshd:session): Could not set limit for 'nofile': Operation not permitted`, "a login did not get the limits of limits.conf"},
	{`May 01 10:00:00 fl sshd[9]: pam_limits(sshd:session): wrong limit value '65k' for limit type 'hard'`, "a line of limits.conf has no valid value"},

	{`[12.3] gunicorn invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0`, ""}, // whose memory ended the next lines tell
	{`[12.3] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,oom_memcg=/a,task=python3`, "memory of a control group ran out, and a process was killed"},
	{`[12.3] Memory cgroup out of memory: Killed process 9 (python3)`, "memory of a control group ran out, and a process was killed"},
	{`[12.3] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,global_oom,task=python3`, "the host's memory ran out, and a process was killed"},
	{`[12.3] Out of memory: Kill process 9 (python3) score 900 or sacrifice child`, "the host's memory ran out, and a process was killed"},
	{`[12.3] Out of memory: Killed process 9 (python3) total-vm:1kB`, "the host's memory ran out, and a process was killed"},
	{`[12.3] nf_conntrack: nf_conntrack: table full, dropping packet`, "the connection-tracking table was full, and packets were dropped"},
	{`[12.3] nf_conntrack: nf_conntrack: table full in netns 4026532249, dropping packet`, "the connection-tracking table was full, and packets were dropped"},
	{`[12.3] VFS: file-max limit 1000 reached`, "the whole host ran out of open files"},
	{`[12.3] TCP: out of memory -- consider tuning tcp_mem`, "memory for sockets ran out"},
	{`[12.3] TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:80. Sending cookies.`, "the accept queue of a port was full when workers came"},
	{`[12.3] cgroup: fork rejected by pids controller in /system.slice/fl.service`, "the control group could not start a thread or a process"},
	{`type=AVC msg=audit(1437731200.211:366): avc:  denied  { setrlimit } for  pid=12066 comm="nginx" scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:system_r:httpd_t:s0 tclass=process`, "SELinux forbade a server to raise its limits"},
	{`type=AVC msg=audit(1472992700.903:5853): avc:  denied  { name_connect } for  pid=18318 comm="nginx" dest=3000 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:ntop_port_t:s0 tclass=tcp_socket`, "SELinux forbade a proxy to connect to the application"},

	{`127.0.0.1 - - [01/May/2026:10:00:00 +0000] "POST /challenge_update/499 HTTP/1.1" 499 0 "-" "python-requests/2.28.1"`, "a client went away before it had its answer (499)"},
	{`127.0.0.1 - - [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 504 167 "-" "-" 60.001 60.001`, "a proxy waited for the application for too long (504)"},
	{`{"level":"error","logger":"http.log.access","request":{"method":"GET"},"duration":60.00041,"size":0,"status":502}`, "a proxy got no answer from the application (502)"},
	{`127.0.0.1 - - [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 503 197 "-" "-"`, "a request was refused for want of room (503)"},
	{`127.0.0.1 - - [01/May/2026:10:00:00 +0000] "POST /receive_worker_update/w HTTP/1.1" 413 183 "-" "-" rt=0.000 urt=-`, "a request was larger than a hop takes (413)"},
	{`127.0.0.1 - - [01/May/2026:10:00:00 +0000] "POST / HTTP/1.1" 408 0 "-" "-"`, "a client's request did not come in time (408)"},
	{`127.0.0.1 - - [01/May/2026:10:00:00 +0000] "GET /504 HTTP/1.1" 200 504 "-" "say 504 please"`, ""},
	{`127.0.0.1 - - [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 2`, ""},
}

func TestLines(t *testing.T) {
	m := newMatcher()
	told := make(map[string]bool)
	for _, l := range lines {
		got := ""
		if i, _ := m.line([]byte(l.line)); i >= 0 {
			got = all[i].Source + ": " + all[i].Title
			told[got] = true
			got = all[i].Title
		}
		if got != l.title {
			t.Errorf("%s\ntells: %s\nwant:  %s", l.line, got, l.title)
		}
	}
	for _, s := range all {
		if !told[s.Source+": "+s.Title] {
			t.Errorf("%s: %s: no line here tells of it", s.Source, s.Title)
		}
	}
}

// What a symptom says of itself is there.
func TestData(t *testing.T) {
	for _, s := range all {
		if s.Source == "" || s.Title == "" || s.Do == "" || len(s.Literals) == 0 || len(s.Causes) == 0 {
			t.Errorf("%q: something is not said of it", s.Title)
		}
		for _, c := range s.Causes {
			if c.Text == "" {
				t.Errorf("%q: a cause says nothing", s.Title)
			}
		}
	}
}

// How long a request took, as each of the formats writes it.
func TestTook(t *testing.T) {
	for _, c := range []struct {
		took Took
		line string
		want float64 // below 0: can't tell
	}{
		{accessTook, `1.1.1.1 - - [d] "GET / HTTP/1.1" 504 167 "-" "curl/7.1" 60.001`, 60.001},
		{accessTook, `1.1.1.1 - - [d] "GET / HTTP/1.1" 504 167 "-" "-" 0.002 60.001 "60.000"`, 60.001},
		{accessTook, `1.1.1.1 - - [d] "GET / HTTP/1.1" 504 167 "-" "-" rt=60.001 uct=61.000`, 60.001},
		{accessTook, `{"status":"499","request_time":"29.970"}`, 29.970},
		{accessTook, `{"status":502,"duration":60.5}`, 60.5},
		{accessTook, `1.1.1.1 - - [d] "GET / HTTP/1.1" 504 15 "-" "-" 7 "fl@docker" "http://10.0.0.2:5000" 60012ms`, 60.012},
		{accessTook, `1.1.1.1 - - [d] "GET / HTTP/1.1" 499 0 "-" "Mozilla/5.0 (1.123)"`, -1},
		{haproxyTook, `1.1.1.1:9 [d] f b/s 0/0/0/-1/60001 504 198 - - sH-- 5/5/4/2/0 0/0 "GET / HTTP/1.1"`, 60.001},
		{haproxyTook, `1.1.1.1:9 [d] f b/s 0/1/50001 212 sD 5/5/4/2/0 0/0`, 50.001},
		{envoyTook, `[d] "POST / HTTP/1.1" 504 UT 154 24 15002 - "10.0.0.1"`, 15.002},
		{envoyTook, `[d] "POST / HTTP/1.1" 504 UT response_timeout - "-" 0 24 15001 - "-"`, 15.001},
		{envoyTook, `{"response_flags":"UT","duration":15001}`, 15.001},
		{envoyTook, `[d] "POST / HTTP/1.1" 504 UT`, -1},
	} {
		got, ok := c.took([]byte(c.line))
		if !ok {
			got = -1
		}
		if got != c.want {
			t.Errorf("%s\ntook %v, want %v", c.line, got, c.want)
		}
	}
}
