package nginx

import (
	"strings"
)

// known are the variables whose value is known of a worker's request before it is
// made; others make a condition unknown.
func (q Request) known(method string) map[string]string {
	scheme, https := "http", ""
	if q.TLS {
		scheme, https = "https", "on"
	}
	path, args, _ := strings.Cut(q.Path, "?")
	v := map[string]string{
		"request_method": method, "scheme": scheme, "https": https, "uri": path, "document_uri": path, "request_uri": q.Path,
		"args": args, "query_string": args, "is_args": "", "http_cookie": "", "http_authorization": "", "http_referer": "",
		"http_upgrade": "", "http_origin": "", "http_x_requested_with": "", "ssl_client_verify": "NONE", "http_user_agent": "python-requests/2.31.0",
		"http_accept": "*/*", "remote_user": "", "server_protocol": "HTTP/1.1",
	}
	if q.Host != "" {
		v["host"], v["http_host"] = q.Host, q.Host
	}
	return v
}

// verdict is a condition's answer for one request.
type verdict int

const (
	isFalse verdict = iota
	isTrue
	isUnknown
)

// holds tells whether an if is taken: "($request_method = POST)".
func holds(args string, known map[string]string) verdict {
	text := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(args), "("), ")"))
	words := strings.SplitN(text, " ", 3)
	name, isVariable := strings.CutPrefix(words[0], "$")
	if !isVariable {
		return isUnknown // of files
	}
	name = strings.ToLower(strings.Trim(name, "{}"))
	value, ok := known[name]
	if !ok {
		if !strings.HasPrefix(name, "cookie_") && !strings.HasPrefix(name, "arg_") && !strings.HasPrefix(name, "http_") {
			return isUnknown
		}
		// A header of the application's own, or a proxy's before nginx: workers send
		// none, and who knows the proxy?
		if strings.HasPrefix(name, "http_x_forwarded") || name == "http_via" || strings.HasPrefix(name, "http_cf_") {
			return isUnknown
		}
	}
	answer := func(is bool) verdict {
		if is {
			return isTrue
		}
		return isFalse
	}
	if len(words) == 1 {
		return answer(value != "" && value != "0")
	}
	operand := "" // "($x = '')"
	if len(words) == 3 {
		operand = strings.TrimSpace(words[2])
	}
	if HasVariables(operand) && !strings.Contains(words[1], "~") {
		return isUnknown
	}
	switch words[1] {
	case "=":
		return answer(value == operand)
	case "!=":
		return answer(value != operand)
	case "~", "!~", "~*", "!~*":
		flags := ""
		if strings.HasSuffix(words[1], "*") {
			flags = "(?i)"
		}
		matched, err := matches(flags, operand, value)
		if err != nil {
			return isUnknown
		}
		return answer(matched != strings.HasPrefix(words[1], "!"))
	}
	return isUnknown
}
