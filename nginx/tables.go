package nginx

import (
	"fmt"
	"path"
	"slices"
	"strings"

	crossplane "github.com/nginxinc/nginx-go-crossplane"
)

// The flavours of nginx, which differ in the directives that they know.
const (
	OSS       = "oss"       // nginx.org's and the distributions'
	Plus      = "plus"      // F5's NGINX Plus
	OpenResty = "openresty" // OpenResty, with Lua and its modules
	Ingress   = "ingress"   // the controller image of ingress-nginx
)

// Flavours lists them.
func Flavours() []string { return []string{OSS, Plus, OpenResty, Ingress} }

// modules are well-known third parties' tables: any nginx may have loaded them.
var modules = []crossplane.MatchFunc{
	crossplane.MatchLuaLatest,
	crossplane.MatchHeadersMoreLatest,
	crossplane.MatchNjsLatest,
	crossplane.MatchOtelLatest,
	crossplane.MatchGeoip2Latest,
}

// bundled are beginnings of the names of directives that flavours bring along and
// that no table has.
var bundled = map[string][]string{
	OpenResty: {"echo", "set_", "array_", "memc_", "redis_", "redis2_", "srcache_", "xss_", "encrypted_session_", "rds_", "drizzle_", "postgres_", "iconv_", "lua_", "more_", "form_input"},
	Ingress:   {"set_", "lua_", "more_", "brotli", "modsecurity", "opentracing", "opentelemetry", "cookie_flag", "set_cookie_flag", "subs_filter", "auth_digest", "auth_ldap", "influxdb"},
}

// tables are nginx's own for a build: of an unknown version all that it may be.
func (b Build) tables() []crossplane.MatchFunc {
	all := []crossplane.MatchFunc{crossplane.MatchOss124, crossplane.MatchOss126, crossplane.MatchOssLatest}
	if old, known := b.Since("1.25.1"); known && !old {
		all = all[:1]
	} else if old, known := b.Since("1.27.0"); known && !old {
		all = all[1:2]
	} else if known {
		all = all[2:]
	}
	if b.Flavour == Plus {
		all = append(all, crossplane.MatchNginxPlusLatest)
	}
	return all
}

// masks are where and in which forms a build takes a directive; none: it does not
// know it.
func (b Build) masks(name string) (all []uint) {
	if since := sinceVersion[name]; since != "" {
		if new, known := b.Since(since); known && !new {
			return nil
		}
	}
	for _, table := range append(b.tables(), modules...) {
		masks, _ := table(name)
		all = append(all, masks...)
	}
	return all
}

// Knows tells whether a build, or a module that it may load, has a directive.
func (b Build) Knows(name string) bool { return len(b.masks(name)) > 0 || b.mayKnow(name) }

// mayKnow tells whether a directive of no table may be a module's of that build.
func (b Build) mayKnow(name string) bool {
	return len(b.Added) > 0 || slices.ContainsFunc(bundled[b.Flavour], func(begins string) bool { return strings.HasPrefix(name, begins) })
}

// stockModule tells the files of modules all of whose directives are in a table.
func stockModule(file string) bool {
	name := strings.TrimSuffix(path.Base(file), ".so")
	for _, known := range []string{"stream", "mail", "stream_geoip", "http_geoip", "http_image_filter", "http_perl", "http_xslt_filter",
		"http_lua", "http_headers_more_filter", "http_geoip2", "stream_geoip2", "http_js", "stream_js"} {
		if name == "ngx_"+known+"_module" {
			return true
		}
	}
	return name == "ndk_http_module"
}

// elsewhere tells who knows a directive that a build does not: a hint.
func (b Build) elsewhere(name string) string {
	if since := sinceVersion[name]; since != "" {
		return fmt.Sprintf("it came with nginx %s", since)
	}
	for _, t := range []struct {
		table crossplane.MatchFunc
		whose string
	}{
		{crossplane.MatchOss124, "nginx 1.25.1 took it away"},
		{crossplane.MatchOssLatest, "newer versions of nginx have it"},
		{crossplane.MatchNginxPlusLatest, "NGINX Plus alone has it"},
	} {
		if _, ok := t.table(name); ok {
			return t.whose
		}
	}
	for _, flavour := range []string{OpenResty, Ingress} {
		if (Build{Flavour: flavour}).mayKnow(name) {
			return fmt.Sprintf("a module of %s has directives of such names", flavour)
		}
	}
	if strings.HasPrefix(name, "\ufeff") {
		return "the file begins with a byte order mark: save it without"
	}
	if near := nearest(name); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return ""
}

// sinceVersion is when directives came to open source nginx, by its CHANGES.
var sinceVersion = func() map[string]string {
	all := map[string]string{}
	for version, names := range map[string]string{
		"1.11.11": "worker_shutdown_timeout",
		"1.13.2":  "add_trailer",
		"1.13.10": "grpc_pass subrequest_output_buffer_size",
		"1.15.3":  "ssl_early_data",
		"1.15.6":  "proxy_socket_keepalive fastcgi_socket_keepalive grpc_socket_keepalive memcached_socket_keepalive scgi_socket_keepalive uwsgi_socket_keepalive",
		"1.15.7":  "proxy_requests",
		"1.17.1":  "limit_req_dry_run",
		"1.17.6":  "limit_conn_dry_run",
		"1.17.10": "auth_delay",
		"1.19.3":  "proxy_cookie_flags userid_flags",
		"1.19.4":  "ssl_conf_command proxy_ssl_conf_command grpc_ssl_conf_command uwsgi_ssl_conf_command ssl_reject_handshake proxy_smtp_auth",
		"1.19.10": "keepalive_time",
		"1.21.0":  "max_errors",
		"1.21.4":  "proxy_half_close ssl_alpn mp4_start_key_frame",
		"1.25.0":  "http3 http3_hq http3_max_concurrent_streams http3_stream_buffer_size quic_active_connection_id_limit quic_bpf quic_gso quic_host_key quic_retry",
		"1.25.1":  "http2",
		"1.25.5":  "pass",
		"1.27.2":  "proxy_pass_trailers",
		"1.27.4":  "ssl_object_cache_inheritable ssl_certificate_cache proxy_ssl_certificate_cache grpc_ssl_certificate_cache uwsgi_ssl_certificate_cache keepalive_min_timeout",
		"1.29.0":  "early_hints",
		"1.29.1":  "ssl_certificate_compression",
		"1.29.3":  "add_header_inherit add_trailer_inherit",
		"1.29.4":  "ssl_ech_file",
		"1.29.6":  "sticky",
		"1.29.8":  "max_headers",
		"1.31.0":  "least_time proxy_ssl_alpn tunnel_bind tunnel_buffer_size tunnel_connect_timeout tunnel_next_upstream tunnel_next_upstream_timeout tunnel_next_upstream_tries tunnel_pass tunnel_read_timeout tunnel_send_lowat tunnel_send_timeout tunnel_socket_keepalive",
	} {
		for _, name := range strings.Fields(names) {
			all[name] = version
		}
	}
	return all
}()

// nearest is the directive that a wrong name was perhaps meant for: at most two
// letters off.
func nearest(name string) string {
	best, least := "", 3
	for _, known := range formNames {
		if d := distance(name, known, least); d < least {
			best, least = known, d
		}
	}
	return best
}

// distance is how many letters to change, add or drop make a of b; most where there
// are at least as many.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			row[j+1] = min(above, row[j]) + 1
			if a[i] == b[j] {
				row[j+1] = min(row[j+1], diagonal)
			} else {
				row[j+1] = min(row[j+1], diagonal+1)
			}
			diagonal = above
		}
	}
	return min(row[len(b)], most)
}
