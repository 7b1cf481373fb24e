package symptoms

// Servers and libraries in Python: waitress's task.py, uvicorn's http protocols,
// asyncio, the interpreter's own exceptions. "[Errno N]" is how it writes errno.
var python = []Symptom{
	{
		Source: "python", Title: "the application ran out of file descriptors",
		Literals: []string{`[Errno 24] Too many open files`, `socket.accept() out of system resource`},
		Causes:   only("the process has as many descriptors open as its limit allows: one a held poll, two an upload above 100 KiB", "app/nofile"),
		Do:       "raise LimitNOFILE= of its unit, and restart it",
	},
	{
		Source: "python", Title: "the application could not start a thread or a process",
		Literals: []string{`can't start new thread`, `fork: Resource temporarily unavailable`, `fork: retry`},
		Causes:   only("pids.max of its control group or RLIMIT_NPROC of its user is reached", "app/pids"),
		Do:       "raise TasksMax= of its unit or the container's pids limit, or use workers that need no thread a poll",
	},
	{
		Source: "python", Title: "the application's disk was full",
		Literals: []string{`[Errno 28] No space left on device`},
		Causes: []Cause{
			{"its temporary folder is full of uploads: bottle spools each above 100 KiB", nil},
			{"the disk of its logs or models is full, in bytes or in inodes (df -i)", nil},
		},
		Do: "df -h and df -i for the path, TMPDIR for another; a tmpfs counts as memory",
	},
	{
		Source: "waitress", Title: "more requests waited in waitress than it has threads",
		Literals: []string{`Task queue depth is `},
		Causes:   only("each held poll keeps a thread, and there are 4 unless threads= says more", "app/worker-class"),
		Do:       "set threads to the workers, or serve long polls by a server that needs no thread a poll",
	},
	{
		Source: "waitress", Title: "waitress had as many connections as it accepts",
		Literals: []string{`total open connections reached the connection limit`},
		Causes:   only("connection_limit, 100 unless set, less two of its own; idle connections count", "app/worker-connections"),
		Do:       "set connection_limit to twice the workers",
	},
	{
		Source: "uvicorn", Title: "uvicorn refused requests above its limit",
		Literals: []string{`Exceeded concurrency limit.`},
		Causes:   only("--limit-concurrency: from as many connections as that on, idle ones counted, requests are answered 503", "app/worker-class"),
		Do:       "raise --limit-concurrency above all connections that workers and proxies keep",
	},
	{
		Source: "python", Title: "a worker does not trust the server's certificate",
		Literals: []string{`CERTIFICATE_VERIFY_FAILED`},
		Causes:   only("the certificate is expired, of another name, or its chain is not sent whole", "probe/tls", "tls/chain"),
		Do:       "see what the server sends with fltool preflight --url",
	},
}
