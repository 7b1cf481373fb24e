package symptoms

// uWSGI: core/master_utils.c, core/async.c, core/utils.c; uwsgi_error() ends in
// "TEXT of errno [FILE line N]".
var uwsgi = []Symptom{
	{
		Source: "uwsgi", Title: "uWSGI's listen queue was full",
		Literals: []string{`listen queue of socket "`},
		Line:     `\(fd: \d+\) full`,
		Causes:   only("all processes and threads hold polls, so nothing is accepted; the queue holds 100 unless listen= says more", "app/worker-class"),
		Do:       "run as many threads or gevent cores as workers; listen and net.core.somaxconn only lengthen the wait",
	},
	{
		Source: "uwsgi", Title: "uWSGI had no async core left",
		Literals: []string{`[DANGER] async queue is full`},
		Causes:   only("as many polls are held as gevent= or async= has cores", "app/worker-class"),
		Do:       "raise gevent= above the workers",
	},
	{
		Source: "uwsgi", Title: "uWSGI killed a process that worked for too long",
		Literals: []string{`*** HARAKIRI ON WORKER`},
		Causes:   only("harakiri= is shorter than a held poll"),
		Do:       "leave harakiri out, or set it above the longest hold",
	},
	{
		Source: "uwsgi", Title: "a process of uWSGI was killed or crashed",
		Literals: []string{`DAMN ! worker `},
		Causes: []Cause{
			{"harakiri: HARAKIRI stands before it", nil},
			{"the kernel killed it when memory ran out (signal 9)", []string{"host/memory", "host/cgroup-memory"}},
			{"a fault in an extension module (signal 11)", nil},
		},
		Do: "look at the lines before it, and into the kernel's log (journalctl -k)",
	},
	{
		Source: "uwsgi", Title: "uWSGI ran out of file descriptors",
		Literals: []string{`Too many open files [`, `No file descriptors available [`},
		Line:     `\[\S+ line \d+\]`,
		Causes:   only("the process has as many descriptors open as its limit allows: each thread takes one beside that of its poll", "app/nofile"),
		Do:       "raise LimitNOFILE= of its unit, or max-fd",
	},
}
