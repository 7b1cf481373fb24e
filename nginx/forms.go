package nginx

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed forms.txt
var formsText string

// forms tells what kind of value a directive takes, once a block: "flag", "number",
// "size", "offset", "time", "seconds" or "any". formNames are its keys in order.
var forms, formNames = func() (map[string]string, []string) {
	all, names := map[string]string{}, []string{}
	for line := range strings.Lines(formsText) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		for _, name := range words[1:] {
			all[name] = words[0]
			names = append(names, name)
		}
	}
	for name := range enums {
		names = append(names, name)
	}
	slices.Sort(names)
	return all, names
}()

// enums are directives whose words are of a closed list. With many several of them
// may be given.
var enums = map[string]struct {
	words string
	many  bool
}{
	"autoindex_format":         {words: "html json jsonp xml"},
	"client_body_in_file_only": {words: "off on clean"},
	"dav_methods":              {words: "off put delete mkcol copy move PUT DELETE MKCOL COPY MOVE", many: true},
	"debug_points":             {words: "stop abort"},
	"disable_symlinks":         {words: "", many: true},
	"fastcgi_cache_methods":    {words: "GET HEAD POST", many: true},
	"fastcgi_next_upstream":    {words: "error timeout invalid_header non_idempotent http_500 http_503 http_403 http_404 http_429 updating off", many: true},
	"grpc_next_upstream":       {words: "error timeout invalid_header non_idempotent http_500 http_502 http_503 http_504 http_403 http_404 http_429 off", many: true},
	"gzip_http_version":        {words: "1.0 1.1"},
	"gzip_proxied":             {words: "off expired no-cache no-store private no_last_modified no_etag auth any", many: true},
	"if_modified_since":        {words: "off exact before"},
	"keepalive_disable":        {words: "none msie6 safari", many: true},
	"limit_conn_log_level":     {words: "info notice warn error"},
	"limit_req_log_level":      {words: "info notice warn error"},
	"lingering_close":          {words: "off on always"},
	"proxy_cache_methods":      {words: "GET HEAD POST", many: true},
	"proxy_cache_use_stale":    {words: "error timeout invalid_header non_idempotent http_500 http_502 http_503 http_504 http_403 http_404 http_429 updating off", many: true},
	"proxy_http_version":       {words: "1.0 1.1 2"},
	"proxy_ignore_headers":     {words: "X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset Expires Cache-Control Set-Cookie Vary", many: true},
	"proxy_next_upstream":      {words: "error timeout denied invalid_header non_idempotent http_500 http_502 http_503 http_504 http_403 http_404 http_429 updating off", many: true},
	"satisfy":                  {words: "all any"},
	"scgi_next_upstream":       {words: "error timeout invalid_header non_idempotent http_500 http_503 http_403 http_404 http_429 updating off", many: true},
	"server_tokens":            {words: "off on build"},
	"ssl_protocols":            {words: "SSLv2 SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", many: true},
	"ssl_verify_client":        {words: "off on optional optional_no_ca"},
	"use":                      {words: "select poll epoll kqueue eventport /dev/poll"},
	"uwsgi_next_upstream":      {words: "error timeout invalid_header non_idempotent http_500 http_503 http_403 http_404 http_429 updating off", many: true},
}

// bounds are numbers that nginx takes within a range alone.
var bounds = map[string][2]int64{
	"gzip_comp_level": {1, 9}, "limit_req_status": {400, 599}, "limit_conn_status": {400, 599},
}

// wrongValue says in nginx's words why it refuses a directive's value; "" where it
// does not, and where nothing is known of the directive.
func wrongValue(n *node) string {
	kind := forms[n.name]
	if len(n.args) == 0 {
		return ""
	}
	first := n.args[0]
	if takesVariables[n.name] && len(variables(first)) > 0 {
		return ""
	}
	invalid := fmt.Sprintf("%q directive invalid value", n.name)
	switch kind {
	case "flag":
		if v := strings.ToLower(first); v != "on" && v != "off" {
			return fmt.Sprintf("invalid value %q in %q directive, it must be \"on\" or \"off\"", first, n.name)
		}
	case "number":
		if _, err := parseInt(first); err != nil {
			return fmt.Sprintf("%q directive invalid number", n.name)
		}
	case "size":
		if _, err := ParseSize(first); err != nil {
			return invalid
		}
	case "offset":
		if _, err := ParseOffset(first); err != nil {
			return invalid
		}
	case "time":
		if _, err := ParseTime(first); err != nil {
			return invalid
		}
	case "seconds":
		if _, err := ParseSeconds(first); err != nil {
			return invalid
		}
	}
	if r, ok := bounds[n.name]; ok {
		v, err := parseInt(first)
		switch {
		case err != nil:
			return fmt.Sprintf("%q directive invalid number", n.name)
		case v < r[0] || v > r[1]:
			return fmt.Sprintf("value must be between %d and %d", r[0], r[1])
		}
	}
	if e, ok := enums[n.name]; ok && e.words != "" {
		words := strings.Fields(e.words)
		args := n.args
		if !e.many {
			args = args[:1]
		}
		for _, a := range args {
			if !slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, a) }) {
				if n.name == "use" {
					return fmt.Sprintf("invalid event type %q", a)
				}
				return fmt.Sprintf("invalid value %q", a)
			}
		}
	}
	return ""
}

// onceOnly tells directives that nginx refuses a second time in one block.
func onceOnly(name string) bool { return forms[name] != "" }
