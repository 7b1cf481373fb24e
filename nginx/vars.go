package nginx

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// nginxVariables are those of http that nginx and its own modules have (the index of
// variables on nginx.org); variablePrefixes are the families.
var nginxVariables = strings.Fields(`
ancient_browser args binary_remote_addr body_bytes_sent bytes_sent connection connection_requests connection_time
connections_active connections_reading connections_waiting connections_writing content_length content_type date_gmt
date_local document_root document_uri fastcgi_path_info fastcgi_script_name gzip_ratio host hostname http2 http3 https
invalid_referer is_args is_request_port limit_conn_status limit_rate limit_req_status memcached_key modern_browser msec msie nginx_version
otel_parent_id otel_parent_sampled otel_span_id otel_trace_id pid pipe proxy_add_x_forwarded_for proxy_host
proxy_internal_body_length proxy_internal_chunked proxy_port query_string quic realip_remote_addr realip_remote_port
realpath_root remote_addr remote_port remote_user request request_body request_body_file request_completion
request_filename request_id request_length request_method request_port request_time request_uri scheme secure_link
secure_link_expires server_addr server_name server_port server_protocol slice_range status tcpinfo_rcv_space
tcpinfo_rtt tcpinfo_rttvar tcpinfo_snd_cwnd time_iso8601 time_local uid_got uid_reset uid_set uri`)

var variablePrefixes = []string{"arg_", "cookie_", "http_", "sent_http_", "sent_trailer_", "trailer_", "upstream_", "ssl_", "geoip_", "geoip2_", "jwt_", "proxy_protocol_", "session_log_", "grpc_"}

// worksOut are directives of http whose arguments nginx compiles for their variables
// when it starts; from says at which argument that begins.
var worksOut = map[string]struct{ from int }{
	"access_log": {0}, "add_header": {1}, "add_trailer": {1}, "alias": {0}, "auth_basic": {0}, "client_body_in_file_only": {9},
	"error_page": {0}, "grpc_pass": {0}, "grpc_set_header": {1}, "hash": {0}, "limit_conn_zone": {0},
	"limit_rate": {0}, "limit_req_zone": {0}, "log_format": {1}, "map": {0}, "proxy_bind": {0}, "proxy_cache_bypass": {0}, "proxy_cache_key": {0},
	"proxy_no_cache": {0}, "proxy_pass": {0}, "proxy_set_body": {0}, "proxy_set_header": {1}, "proxy_ssl_name": {0},
	"return": {0}, "rewrite": {1}, "root": {0}, "set": {1}, "split_clients": {0}, "sub_filter": {1},
	"try_files": {0}, "uwsgi_pass": {0}, "fastcgi_pass": {0}, "scgi_pass": {0}, "if": {0},
}

var namedCapture = regexp.MustCompile(`\(\?P?<([A-Za-z_]\w*)>`)

// undefinedVariables finds what nginx refuses when all is read: variables that
// nobody sets. A module that is not known here may set any.
func (d *decoder) undefinedVariables(http *node) {
	if len(d.cfg.Build.Added) > 0 || d.defaults || http.broken != "" {
		return
	}
	defined := map[string]bool{}
	for _, name := range nginxVariables {
		defined[name] = true
	}
	type use struct {
		name string
		at   *node
	}
	var uses []use
	var walk func(n *node)
	walk = func(n *node) {
		for _, s := range n.block {
			if s.broken != "" {
				return
			}
			for _, a := range s.args {
				for _, m := range namedCapture.FindAllStringSubmatch(a, -1) {
					defined[strings.ToLower(m[1])] = true
				}
			}
			w, known := worksOut[s.name]
			if s.name == "proxy_set_header" && len(d.cfg.Servers) == 0 { // worked out for places alone
				continue
			}
			for i, a := range s.args {
				switch {
				case known && i >= w.from:
					if s.name == "if" && strings.ContainsAny(a, "~") {
						break
					}
					if s.name == "if" && i > 1 { // an expression, or a value of no variables
						continue
					}
					if s.name == "map" && i > 0 || s.name == "split_clients" && i > 0 {
						continue
					}
					for _, v := range variables(a) {
						uses = append(uses, use{strings.ToLower(v[1:]), s})
					}
				}
			}
			switch {
			case s.name == "map" || s.name == "geo" || s.name == "split_clients" || s.name == "geoip2":
				for _, a := range s.args[min(len(s.args), 1):] {
					defined[strings.ToLower(strings.TrimPrefix(a, "$"))] = true
				}
				if s.name == "geo" && len(s.args) == 1 {
					defined[strings.ToLower(strings.TrimPrefix(s.args[0], "$"))] = true
				}
			case !known || s.name == "set":
				for _, a := range s.args { // "auth_request_set $x …", "js_set $x …"
					if strings.HasPrefix(a, "$") {
						defined[strings.ToLower(a[1:])] = true
						break
					}
				}
			}
			walk(s)
		}
	}
	walk(http)
	for _, u := range uses {
		if defined[u.name] || strings.Trim(u.name, "0123456789") == "" || slices.ContainsFunc(variablePrefixes, func(p string) bool { return strings.HasPrefix(u.name, p) }) {
			continue
		}
		d.problems.hint("nothing sets it", u.at.file+":"+strconv.Itoa(u.at.end), "%s", fmt.Sprintf("unknown %q variable", u.name))
	}
}
