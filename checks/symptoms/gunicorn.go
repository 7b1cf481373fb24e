package symptoms

// gunicorn: arbiter.py and workers/*.py; 20.1 says "was terminated due to signal 9"
// where later versions say "was sent SIGKILL! Perhaps out of memory?".
var gunicorn = []Symptom{
	{
		Source: "gunicorn", Title: "gunicorn killed a worker process that did not report in time",
		Literals: []string{`WORKER TIMEOUT (pid:`},
		Causes: []Cause{
			{"with sync and gthread workers a held poll lasts longer than timeout", []string{"app/timeout"}},
			{"with any other worker class the process was stuck: in a computation, in a blocking call, or for want of CPU or memory", nil},
		},
		Do: "use gevent workers for long polls, or set timeout 0; all polls of that process were cut",
	},
	{
		Source: "gunicorn", Title: "a worker process of gunicorn was killed",
		Literals: []string{`was sent SIGKILL!`, `was terminated due to signal 9`},
		Causes: []Cause{
			{"the kernel killed it when memory ran out", []string{"host/memory", "host/cgroup-memory"}},
			{"gunicorn did after timeout, and WORKER TIMEOUT stands before it", []string{"app/timeout"}},
			{"gunicorn did at a stop or reload, after graceful_timeout", []string{"app/graceful-timeout"}},
		},
		Do: "look at the lines before it, and for an OOM kill in the kernel's log (journalctl -k)",
	},
	{
		Source: "gunicorn", Title: "gunicorn recycled a worker process",
		Literals: []string{`Autorestarting worker after current request`},
		Causes:   []Cause{{"max_requests: after so many requests the process ends, with all polls that it holds and what it keeps in memory", []string{"app/recycling"}}},
		Do:       "leave max_requests at 0 for a server that holds polls and state",
	},
	{
		Source: "gunicorn", Title: "a worker process of gunicorn did not end in time, and its polls were cut",
		Literals: []string{`Worker graceful timeout (pid:`},
		Causes:   only("max_requests, a reload or a stop ended it, and held polls outlived graceful_timeout, 30 s unless set", "app/graceful-timeout"),
		Do:       "leave max_requests at 0; reload between rounds, or set graceful_timeout above the longest hold",
	},
}
