package symptoms

import "regexp"

// Envoy's access log, whose response flags (docs: configuration/observability/access_log)
// say why Envoy itself answered. Istio's sidecars and gateways write the same.
var envoy = []Symptom{
	flagged("UT", "Envoy waited for the answer for longer than the route's timeout", []Cause{
		{"the poll was held for longer than the route's timeout, 15 s unless set", []string{"proxy/timeout"}},
		{"the application hangs: all of its threads hold polls", []string{"app/worker-class"}},
	}, "set timeout: 0s in the route of polls, and idle_timeout above the longest hold"),
	flagged("SI", "a request was silent for longer than Envoy's stream_idle_timeout", only(
		"the poll was held for longer than stream_idle_timeout, 300 s unless set", "proxy/timeout"),
		"set idle_timeout in the route of polls above the longest hold"),
	flagged("UO", "Envoy's circuit breaker refused a request", only(
		"as many connections, requests or waiting requests as the cluster's circuit breaker allows, 1024 each unless set", "proxy/holds"),
		"raise max_connections, max_requests and max_pending_requests of the cluster above the workers"),
	flagged("UF", "Envoy could not connect to the application", []Cause{
		{"it does not run, is being restarted, or listens elsewhere", []string{"app/found"}},
		{"its accept queue is full, or a firewall drops the packets: connect_timeout was over", []string{"app/accept-queue"}},
	}, "see why the application does not accept"),
	flagged("UC", "the application closed the connection before it had answered", []Cause{
		{"it closed an idle connection just as Envoy used it again: its keep-alive is shorter than Envoy's", []string{"app/keepalive"}},
		{"its process was killed, crashed or was restarted", []string{"app/timeout", "host/memory", "host/cgroup-memory"}},
	}, "set idle_timeout of the cluster's connections below the application's keep-alive; look into the application's log at the same second"),
	flagged("UR", "the application reset the request", []Cause{
		{"its process was killed, crashed or was restarted", []string{"app/timeout", "host/memory", "host/cgroup-memory"}},
		{"it refuses more streams or larger bodies", nil},
	}, "look into the application's log at the same second"),
	flagged("UH", "Envoy had no healthy host left to pass a request to", []Cause{
		{"the health checks fail, since all threads of the application hold polls and none answers", nil},
		{"outlier detection shut the hosts out after errors", nil},
	}, "see the cluster's health at Envoy's admin port (/clusters)"),
	flagged("DC", "a client went away before it had its answer", []Cause{
		{"a hop in front of Envoy gave up: its idle timeout is shorter than the hold", []string{"lb/idle-timeout"}},
		{"the worker gave up or was stopped", nil},
	}, "compare the times: all after the same number of seconds is a timeout in front of Envoy"),
}

// flagged is the symptom of a response flag, in Envoy's own format, Istio's or JSON.
func flagged(flag, title string, causes []Cause, do string) Symptom {
	return Symptom{
		Source: "envoy", Title: title,
		Literals: []string{` ` + flag, `,` + flag, `"` + flag},
		Line:     `" \d{1,3} (?:[A-Z]+,)*` + flag + `(?:,[A-Z]+)* |"response_flags": ?"(?:[A-Z]+,)*` + flag + `[,"]`,
		Causes:   causes, Do: do, Took: envoyTook,
	}
}

// envoyDuration is in milliseconds; Istio has three fields before the bytes.
var envoyDuration = regexp.MustCompile(`" \d{1,3} [A-Z,]+ (?:\S+ \S+ "[^"]*" )?\d+ \d+ (\d+) |"duration": ?"?(\d+)`)

func envoyTook(line []byte) (float64, bool) { return number(envoyDuration, line, 1000) }
