package symptoms

import "regexp"

// HAProxy's own messages, and the termination states of its logs (configuration.txt,
// "Session state at disconnection"): who ended the session, in small letters a timeout
// of his, and what was waited for.
var haproxy = []Symptom{
	{
		Source: "haproxy", Title: "HAProxy ran out of file descriptors",
		Literals: []string{`reached process FD limit`, `reached system FD limit`},
		Causes:   only("as many descriptors are open as its limit allows: two a proxied poll"),
		Do:       "raise ulimit-n and LimitNOFILE= of its unit, or leave ulimit-n out so that it follows maxconn",
	},
	{
		Source: "haproxy", Title: "HAProxy may open fewer descriptors than its maxconn needs",
		Literals: []string{`Please raise 'ulimit-n' to`, `Cannot raise FD limit to`},
		Causes:   only("the hard limit of descriptors where it is started is below 2 × maxconn"),
		Do:       "raise LimitNOFILE= of its unit, or the container's ulimit",
	},
	{
		Source: "haproxy", Title: "HAProxy held as many connections as it may",
		Literals: []string{`reached the configured maximum connection limit`},
		Causes:   only("the global maxconn; further clients wait in the kernel's queue", "proxy/connections"),
		Do:       "raise the global maxconn above the workers",
	},
	{
		Source: "haproxy", Title: "HAProxy had no server left to pass a request to",
		Literals: []string{`has no server available!`},
		Causes: []Cause{
			{"the health checks fail, since all threads of the application hold polls and none answers", nil},
			{"the application does not run", []string{"app/found"}},
		},
		Do: "see why the checks fail (the line \"is DOWN\" before it says it)",
	},
	ended("sH", "HAProxy waited for the answer for longer than timeout server", []Cause{
		{"the poll was held for longer than timeout server", []string{"proxy/timeout"}},
		{"the application hangs: all of its threads hold polls", []string{"app/worker-class"}},
	}, "set timeout server above the longest hold, or have the server end holds earlier"),
	ended("sD", "the application fell silent in the middle of an answer for longer than timeout server", []Cause{
		{"an event stream or a tunnel was silent for longer than timeout server or timeout tunnel", []string{"proxy/timeout"}},
		{"a hop behind HAProxy forgot the connection", nil},
	}, "set timeout server and timeout tunnel above the longest silence"),
	ended("sQ", "a request waited in HAProxy's queue for longer than timeout queue", only(
		"maxconn of the server is reached by held polls, so all others wait", "proxy/holds"),
		"raise maxconn of the server line above the workers"),
	ended("sC", "HAProxy could not connect to the application within timeout connect", []Cause{
		{"its host is down, or a firewall drops the packets", nil},
		{"its accept queue is full", []string{"app/accept-queue"}},
	}, "see whether the application accepts (ss -ltn), and whether a packet reaches it"),
	ended("SC", "the application refused HAProxy's connection", []Cause{
		{"it does not run, is being restarted, or listens elsewhere", []string{"app/found"}},
		{"SELinux or a firewall rejects it", nil},
	}, "see why the application does not listen"),
	ended("SH", "the application closed the connection before it had answered", []Cause{
		{"its process was killed or crashed", []string{"app/timeout", "host/memory", "host/cgroup-memory"}},
		{"it was restarted, or recycled its process", []string{"app/graceful-timeout"}},
		{"it closed an idle connection just as HAProxy used it again (keep-alive)", []string{"app/keepalive"}},
	}, "look into the application's and the kernel's log at the same second"),
	ended("SD", "the connection to the application broke in the middle of an answer", []Cause{
		{"its process was killed, crashed or was restarted", []string{"app/timeout", "host/memory", "host/cgroup-memory"}},
		{"a device behind HAProxy reset it", nil},
	}, "look into the application's and the kernel's log at the same second"),
	ended("c[HD]", "a client was silent for longer than HAProxy's timeout client", []Cause{
		{"in mode tcp, or on an upgraded connection, a held poll: the client rightly waits", []string{"proxy/timeout"}},
		{"a slow or dead link during an upload or a download", nil},
	}, "set timeout client (in mode tcp), timeout tunnel (upgraded) above the longest hold, as timeout server", " cH", " cD"),
	ended("C[HDQC]", "a client went away before it had its answer", []Cause{
		{"a hop in front of HAProxy gave up: its idle timeout is shorter than the hold", []string{"lb/idle-timeout"}},
		{"the worker gave up or was stopped", nil},
	}, "compare the times: all after the same number of seconds is a timeout in front of HAProxy", " CH", " CD", " CQ", " CC"),
	ended("P[CRDH]", "HAProxy itself ended a request", []Cause{
		{"a limit of its own: connections, descriptors, memory", nil},
		{"a rule denied it, or the request or answer was not valid", nil},
	}, "see the messages of HAProxy itself, and show errors on its socket", " PC", " PR", " PD", " PH"),
}

// ended is the symptom of a termination state. Literals are " STATE" unless given.
func ended(state, title string, causes []Cause, do string, literals ...string) Symptom {
	if len(literals) == 0 {
		literals = []string{" " + state}
	}
	return Symptom{
		Source: "haproxy", Title: title, Literals: literals,
		// The state of HTTP has two more letters, of cookies; counts of connections and queues follow.
		Line:   ` ` + state + `(?:[A-Z-]{2})? \d+/\d+/\d+/\d+/\+?\d+ \d+/\d+`,
		Causes: causes, Do: do, Took: haproxyTook,
	}
}

// haproxyTimers are Tq/Tw/Tc/Tr/Tt, or Tw/Tc/Tt, in milliseconds; the last is the whole.
var haproxyTimers = regexp.MustCompile(` (?:-?\d+/){2,4}\+?(\d+) `)

func haproxyTook(line []byte) (float64, bool) { return number(haproxyTimers, line, 1000) }
