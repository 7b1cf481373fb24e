package symptoms

// The error log of nginx: ngx_process.c, ngx_event_accept.c, ngx_connection.c and
// ngx_http_upstream.c, whose errors end in "(NUMBER: TEXT)" of errno.
var nginx = []Symptom{
	{
		Source: "nginx", Title: "nginx ran out of file descriptors",
		Literals: []string{`failed (24: Too many open files)`},
		Causes:   only("a worker process has as many descriptors open as its limit allows; a proxied poll takes two", "nginx/nofile"),
		Do:       "raise worker_rlimit_nofile, or LimitNOFILE= of nginx's unit",
	},
	{
		Source: "nginx", Title: "nginx could not set the limit of descriptors that its config asks for",
		Literals: []string{`setrlimit(RLIMIT_NOFILE, `},
		Causes: []Cause{
			{"worker_rlimit_nofile is above the hard limit, and nginx's master may not raise it (1: Operation not permitted)", []string{"nginx/worker-rlimit-nofile", "nginx/nofile"}},
			{"SELinux forbids it (13: Permission denied)", nil},
		},
		Do: "raise the hard limit where nginx is started (LimitNOFILE= of its unit, the container's ulimit); under SELinux setsebool -P httpd_setrlimit on",
	},
	{
		Source: "nginx", Title: "nginx ran out of connection slots",
		Literals: []string{`worker_connections are not enough`},
		Causes:   only("a worker process has as many connections as worker_connections allows; a proxied poll takes two", "nginx/worker-connections"),
		Do:       "raise worker_connections, and the descriptors with it",
	},
	{
		Source: "nginx", Title: "no local port was left for a connection to the upstream",
		Literals: []string{`failed (99: Cannot assign requested address)`, `failed (99: Address not available)`},
		Causes:   only("all ports towards that address are held by polls or wait in TIME_WAIT", "host/port-range", "host/time-wait"),
		Do:       "use a unix socket, more upstream addresses or proxy_bind, or widen net.ipv4.ip_local_port_range",
	},
	{
		Source: "nginx", Title: "nobody listened where nginx passes requests to",
		Literals: []string{`failed (111: Connection refused) while connecting to upstream`, `failed (2: No such file or directory) while connecting to upstream`},
		Causes:   only("the application does not run, is being restarted, or listens elsewhere; or a container behind a name was made anew with another address: nginx looks a name up once, when it starts", "app/found"),
		Do:       "see why the application ended (its own log, systemctl status), or fix the address in proxy_pass; after a container was made anew reload nginx",
	},
	{
		Source: "nginx", Title: "the accept queue of the application's unix socket was full",
		Literals: []string{`failed (11: Resource temporarily unavailable)`},
		Line:     `connect\(\) to unix:`,
		Causes:   only("more workers came at once than the listen backlog holds, or the application accepts none", "app/accept-queue"),
		Do:       "raise the application's backlog and net.core.somaxconn, or see why it does not accept",
	},
	{
		Source: "nginx", Title: "the application's host could not be reached",
		Literals: []string{`failed (113: No route to host)`, `failed (113: Host is unreachable)`},
		Causes: []Cause{
			{"a firewall rejects it: firewalld and Oracle's and Red Hat's images answer closed ports so", nil},
			{"the host is down, or a container behind a name was made anew with another address: nginx looks a name up once, when it starts", nil},
		},
		Do: "open the port on the application's host; after a container was made anew reload nginx",
	},
	{
		Source: "nginx", Title: "nginx may not connect to the application",
		Literals: []string{`failed (13: Permission denied) while connecting to upstream`},
		Causes: []Cause{
			{"SELinux forbids it: its own log has an AVC of name_connect", nil},
			{"nginx's user has no write permission on the unix socket, or can't enter its folder", nil},
		},
		Do: "setsebool -P httpd_can_network_connect on; or give nginx's user the socket (mode or group)",
	},
	{
		Source: "nginx", Title: "the application was silent for longer than nginx waits",
		Literals: []string{`upstream timed out (110: Connection timed out) while reading`, `upstream timed out (110: Operation timed out) while reading`},
		Causes: []Cause{
			{"the poll was held for longer than proxy_read_timeout", []string{"nginx/proxy-read-timeout"}},
			{"the application hangs: all of its threads hold polls, or it is stuck", []string{"app/worker-class", "app/worker-connections"}},
		},
		Do: "set proxy_read_timeout above the longest hold, or have the server end holds earlier; where requests other than polls hang too, see the application",
	},
	{
		Source: "nginx", Title: "the application did not accept a connection in time",
		Literals: []string{`upstream timed out (110: Connection timed out) while connecting`, `upstream timed out (110: Operation timed out) while connecting`},
		Causes: []Cause{
			{"its host is down, or a firewall drops the packets", []string{"nginx/proxy-connect-timeout"}},
			{"its accept queue is full: too small a backlog, or it accepts no more (worker_connections, threads)", []string{"app/accept-queue", "app/worker-connections"}},
		},
		Do: "see whether the application accepts (ss -ltn: Recv-Q at Send-Q is a full queue), and whether a packet reaches it",
	},
	{
		Source: "nginx", Title: "an upgraded connection (WebSocket) was silent for longer than nginx waits",
		Literals: []string{`while proxying upgraded connection`},
		Line:     `timed out \(110:`,
		Causes:   only("neither side sent anything for proxy_read_timeout", "nginx/proxy-read-timeout"),
		Do:       "set proxy_read_timeout above the longest silence, or send pings",
	},
	{
		Source: "nginx", Title: "a client or the application took no data for longer than nginx waits",
		Literals: []string{`timed out (110: Connection timed out) while sending`, `timed out (110: Operation timed out) while sending`},
		Causes:   only("a slow link during a model's download or upload, and send_timeout or proxy_send_timeout", "nginx/send-timeout"),
		Do:       "raise send_timeout (to clients) and proxy_send_timeout (to the application)",
	},
	{
		Source: "nginx", Title: "a client's request did not come in time",
		Literals: []string{
			`client timed out (110: Connection timed out) while reading client request`, `client timed out (110: Operation timed out) while reading client request`,
			`client timed out (110: Connection timed out) while waiting for request`, `client timed out (110: Operation timed out) while waiting for request`,
		},
		Causes: only("a slow upload, and client_body_timeout or client_header_timeout", "nginx/client-timeouts"),
		Do:     "raise client_body_timeout where uploads are slow",
	},
	{
		Source: "nginx", Title: "the application closed a connection before it had answered",
		Literals: []string{`upstream prematurely closed connection`},
		Causes: []Cause{
			{"it closed an idle connection just as nginx used it again: its keep-alive is shorter than nginx's", []string{"app/keepalive", "nginx/upstream-keepalive"}},
			{"its process was killed, by gunicorn (WORKER TIMEOUT) or by the kernel (OOM)", []string{"app/timeout", "host/memory", "host/cgroup-memory"}},
			{"it was restarted or reloaded, or recycled its process (max_requests)", []string{"app/graceful-timeout"}},
		},
		Do: "look into the application's and the kernel's log at the same second; where they are silent it was keep-alive",
	},
	{
		Source: "nginx", Title: "the application reset a connection while a request was under way",
		Literals: []string{`recv() failed (104: Connection reset by peer)`},
		Line:     `while (reading (response header from )?upstream|proxying upgraded connection)`,
		Causes: []Cause{
			{"it had closed an idle connection (keep-alive) that nginx used again", []string{"app/keepalive", "nginx/upstream-keepalive"}},
			{"its process was killed or crashed", []string{"app/timeout", "host/memory", "host/cgroup-memory"}},
			{"it closed without reading all of an upload, as servers do that refuse a large body", nil},
			{"a firewall or balancer on the way forgot the idle connection", []string{"lb/idle-timeout"}},
		},
		Do: "look into the application's and the kernel's log at the same second",
	},
	{
		Source: "nginx", Title: "a client went away before it had its answer",
		Literals: []string{`client prematurely closed connection`},
		Causes: []Cause{
			{"a hop in front of nginx gave up: its idle timeout is shorter than the hold", []string{"lb/idle-timeout"}},
			{"the worker gave up or was stopped", nil},
		},
		Do: "compare the times: all after the same number of seconds is a timeout in front of nginx (log $request_time to see it)",
	},
	{
		Source: "nginx", Title: "the application's answer had a larger header than nginx takes",
		Literals: []string{`upstream sent too big header while reading response header from upstream`},
		Causes:   only("a header (cookies, tokens) above proxy_buffer_size, 4k or 8k"),
		Do:       "raise proxy_buffer_size, and proxy_buffers with it",
	},
	{
		Source: "nginx", Title: "nginx had no upstream left to pass a request to",
		Literals: []string{`no live upstreams while connecting to upstream`},
		Causes: []Cause{
			{"max_conns of each server is reached by held polls", []string{"nginx/max-conns"}},
			{"all servers failed (max_fails) and are left out for fail_timeout: an earlier error tells why", []string{"nginx/upstream-peers"}},
		},
		Do: "raise max_conns; with a single server set max_fails=0, so that one error does not shut it out",
	},
	{
		Source: "nginx", Title: "a name in nginx's config has no address",
		Literals: []string{`host not found in upstream`},
		Causes: []Cause{
			{"the name is wrong, or known only in another network (a container's name)", []string{"nginx/config"}},
			{"nginx starts before the name service or the other container does", nil},
		},
		Do: "fix the name, or order the start (After=network-online.target, depends_on)",
	},
	{
		Source: "nginx", Title: "a worker process of nginx was killed",
		Literals: []string{`exited on signal 9`},
		Causes: []Cause{
			{"the kernel killed it when memory ran out", []string{"host/memory", "host/cgroup-memory"}},
			{"somebody or a container's runtime killed it", nil},
		},
		Do: "look for an OOM kill in the kernel's log (journalctl -k): all polls of that process were cut",
	},
	{
		Source: "nginx", Title: "a worker process of nginx crashed",
		Literals: []string{`exited on signal 11`, `exited on signal 7`, `exited on signal 6`},
		Line:     `worker process`,
		Causes:   only("a fault in nginx or in one of its modules"),
		Do:       "update nginx and its modules, and leave out modules one by one",
	},
	{
		Source: "nginx", Title: "nginx could not start a process",
		Literals: []string{`fork() failed while spawning`},
		Causes: []Cause{
			{"pids.max of the control group or RLIMIT_NPROC of the user is reached (11: Resource temporarily unavailable)", nil},
			{"no memory is left (12: Cannot allocate memory)", []string{"host/memory", "host/cgroup-memory"}},
		},
		Do: "raise TasksMax= of the unit or the container's pids limit; set worker_processes to the CPUs that it may use",
	},
	{
		Source: "nginx", Title: "nginx could not start a thread",
		Literals: []string{`pthread_create() failed (11: Resource temporarily unavailable)`},
		Causes:   only("pids.max of the control group or RLIMIT_NPROC of the user is reached; in a container worker_processes auto counts the host's CPUs"),
		Do:       "raise TasksMax= of the unit or the container's pids limit, or set worker_processes",
	},
	{
		Source: "nginx", Title: "a request was larger than nginx takes",
		Literals: []string{`client intended to send too large`},
		Causes:   only("an update above client_max_body_size", "nginx/client-max-body-size"),
		Do:       "raise client_max_body_size in the location of updates",
	},
	{
		Source: "nginx", Title: "the disk of nginx's temporary files was full",
		Literals: []string{`failed (28: No space left on device)`},
		Causes:   only("bodies of uploads or spooled downloads filled it", "nginx/body-disk"),
		Do:       "give client_body_temp_path a larger disk, or spool less",
	},
	{
		Source: "nginx", Title: "nginx wrote a download to its disk",
		Literals: []string{`an upstream response is buffered to a temporary file`},
		Causes:   only("a model larger than proxy_buffers, and clients slower than the application", "nginx/response-spool"),
		Do:       "see that the disk holds a copy for every download at once, or set proxy_max_temp_file_size 0",
	},
	{
		Source: "nginx", Title: "nginx refused workers above limit_conn",
		Literals: []string{`limiting connections by zone`},
		Causes:   only("more polls are held from one address than limit_conn allows: workers behind one NAT share an address", "nginx/limit-conn"),
		Do:       "raise limit_conn to the workers that come from one address",
	},
	{
		Source: "nginx", Title: "nginx refused requests above limit_req",
		Literals: []string{`limiting requests, excess`},
		Causes:   only("all workers come back at once after a round, and the burst is smaller", "nginx/limit-req"),
		Do:       "raise the burst to the number of workers, with nodelay",
	},
	{
		Source: "nginx", Title: "nginx's private key is not that of its certificate",
		Literals: []string{`key values mismatch`},
		Causes:   only("ssl_certificate and ssl_certificate_key are of different pairs", "tls/key", "nginx/config"),
		Do:       "put the pair together again, and see that both were renewed",
	},
	{
		Source: "nginx", Title: "nginx could not start or reload",
		Literals: []string{`[emerg]`},
		Causes:   only("an error in its config, which the line names; a reload leaves the old config at work", "nginx/config"),
		Do:       "nginx -t, and fix what it names",
	},
}
