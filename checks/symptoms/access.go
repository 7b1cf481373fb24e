package symptoms

import (
	"fmt"
	"regexp"
	"strconv"
)

// Access logs of nginx, Apache, Caddy, Traefik and gunicorn: the status follows the
// quoted request, or is a field of JSON. The time of a request is in none of their
// default formats but Caddy's and Traefik's; where it is there it names the hop.
var access = []Symptom{
	answered(499, "a client went away before it had its answer (499)", []Cause{
		{"a hop in front gave up: its idle timeout is shorter than the hold", []string{"lb/idle-timeout"}},
		{"the worker gave up or was stopped", nil},
	}, "all after the same time: raise the idle timeout of the hop in front that has it, or have the server end holds earlier"),
	answered(504, "a proxy waited for the application for too long (504)", []Cause{
		{"the poll was held for longer than the proxy waits", []string{"nginx/proxy-read-timeout", "proxy/timeout", "lb/idle-timeout"}},
		{"the application does not accept, or hangs", []string{"nginx/proxy-connect-timeout", "app/accept-queue"}},
	}, "set the read timeout of the hop that writes this log above the longest hold; that hop's error log tells whether it was its own"),
	answered(502, "a proxy got no answer from the application (502)", []Cause{
		{"nobody listened, where it ended at once", []string{"app/found"}},
		{"an Apache waited for longer than ProxyTimeout: it answers 502 then, not 504", []string{"proxy/timeout"}},
		{"the connection was closed while the poll was held: a killed or restarted process", []string{"app/timeout", "host/memory", "app/graceful-timeout"}},
		{"the application closed an idle connection just as it was used again (keep-alive)", []string{"app/keepalive", "nginx/upstream-keepalive"}},
	}, "the proxy's error log tells which"),
	answered(503, "a request was refused for want of room (503)", []Cause{
		{"a limit of the proxy: limit_conn, limit_req, maxconn, a circuit breaker, no server left", []string{"nginx/limit-conn", "nginx/limit-req", "nginx/max-conns", "proxy/holds"}},
		{"a limit of the application, such as uvicorn's --limit-concurrency", nil},
	}, "the proxy's error log tells which; where it is silent it was the application"),
	answered(413, "a request was larger than a hop takes (413)", []Cause{
		{"client_max_body_size of the nginx that writes this log, where it ended at once", []string{"nginx/client-max-body-size"}},
		{"a hop behind it or the application, where it ended after the time of an upload", nil},
	}, "raise the largest body on every hop: each has a limit of its own"),
	answered(408, "a client's request did not come in time (408)", only(
		"a slow upload, or a client that connects and sends nothing", "nginx/client-timeouts"),
		"raise client_body_timeout where uploads are slow"),
}

// answered is the symptom of a status.
func answered(status int, title string, causes []Cause, do string) Symptom {
	n := strconv.Itoa(status)
	return Symptom{
		Source: "access log", Title: title,
		Literals: []string{`" ` + n + ` `, `"status":` + n, `"status": ` + n, `"status":"` + n, `"status": "` + n},
		Line:     fmt.Sprintf(`" %s (?:\d+|-)(?:\s|$)|"status": ?"?%s\b`, n, n),
		Causes:   causes, Do: do, Took: accessTook,
	}
}

var (
	namedTime   = regexp.MustCompile(`(?:\brt|\brequest_time|\breq_time|\bduration)"?[=:] ?"?(\d+(?:\.\d+)?)`)
	traefikTime = regexp.MustCompile(` (\d+)ms\s*$`)
	plainTime   = regexp.MustCompile(`[\s"](\d+\.\d{3}(?:\d{3})?)\b`)
)

// accessTook reads a time that has a name, Traefik's, or the longest of those that
// look like nginx's $request_time or gunicorn's %(L)s: the upstream's times beside it
// are shorter.
func accessTook(line []byte) (float64, bool) {
	if s, ok := number(namedTime, line, 1); ok {
		return s, true
	}
	if s, ok := number(traefikTime, line, 1000); ok {
		return s, true
	}
	longest, ok := 0., false
	for _, m := range plainTime.FindAllSubmatch(line, -1) {
		if s, err := strconv.ParseFloat(string(m[1]), 64); err == nil {
			longest, ok = max(longest, s), true
		}
	}
	return longest, ok
}

// number is the first group that matched, of which so many are a second.
func number(re *regexp.Regexp, line []byte, perSecond float64) (float64, bool) {
	m := re.FindSubmatch(line)
	for i := 1; i < len(m); i++ {
		if len(m[i]) > 0 {
			n, err := strconv.ParseFloat(string(m[i]), 64)
			return n / perSecond, err == nil
		}
	}
	return 0, false
}
