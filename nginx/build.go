package nginx

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Build is what is compiled into an nginx: the output of `nginx -V`. An empty
// field is unknown, and so are the defaults that hang on it.
type Build struct {
	Version            string   `json:"version,omitempty"` // "1.22.1"
	Prefix             string   `json:"prefix,omitempty"`  // "/usr/share/nginx": relative names of logs and roots start here
	ConfPath           string   `json:"confPath,omitempty"`
	ErrorLogPath       string   `json:"errorLogPath,omitempty"`
	AccessLogPath      string   `json:"accessLogPath,omitempty"`
	PIDPath            string   `json:"pidPath,omitempty"`
	User               string   `json:"user,omitempty"`
	ClientBodyTempPath string   `json:"clientBodyTempPath,omitempty"`
	ProxyTempPath      string   `json:"proxyTempPath,omitempty"`
	Modules            []string `json:"modules,omitempty"` // "http_ssl_module", "stream=dynamic": what follows --with-
	Added              []string `json:"added,omitempty"`   // what follows --add-module and --add-dynamic-module, and files of modules that a config loads: directives of these are in no table
	Flavour            string   `json:"flavour,omitempty"` // of Flavours; "" is taken for OSS
}

var (
	buildVersion = regexp.MustCompile(`(?m)^nginx version: [^/\n]+/(\S+)`)
	// A value holds spaces only where it is quoted.
	buildArgument = regexp.MustCompile(`--([a-z0-9_-]+)(?:=('[^']*'|\S*))?`)
)

// ParseBuild reads what `nginx -V` prints (to its standard error).
func ParseBuild(text string) (Build, error) {
	m := buildVersion.FindStringSubmatch(text)
	if m == nil {
		return Build{}, fmt.Errorf(`no "nginx version:" line in the output of nginx -V`)
	}
	b := Build{Version: m[1]}
	switch {
	case strings.Contains(text, "nginx version: openresty/"):
		b.Flavour = OpenResty
	case strings.Contains(text, "(nginx-plus-"):
		b.Flavour = Plus
	}
	_, arguments, ok := strings.Cut(text, "configure arguments:")
	if !ok {
		return b, nil
	}
	// These are configure's own defaults; the paths hang on the prefix.
	b.Prefix = "/usr/local/nginx"
	arg := map[string]string{}
	for _, m := range buildArgument.FindAllStringSubmatch(arguments, -1) {
		value := strings.Trim(m[2], "'")
		arg[m[1]] = value
		if (m[1] == "add-module" || m[1] == "add-dynamic-module") && value != "" {
			b.Added = append(b.Added, value)
		}
		if module, ok := strings.CutPrefix(m[1], "with-"); ok && module != "cc-opt" && module != "ld-opt" {
			if value != "" {
				module += "=" + value
			}
			b.Modules = append(b.Modules, module)
		}
	}
	if v := arg["prefix"]; v != "" {
		b.Prefix = v
	}
	path := func(name, otherwise string) string {
		v := arg[name]
		if v == "" {
			v = otherwise
		}
		if v == "" || strings.HasPrefix(v, "/") || v == "stderr" || strings.HasPrefix(v, "syslog:") {
			return v
		}
		return strings.TrimSuffix(b.Prefix, "/") + "/" + v
	}
	b.ConfPath = path("conf-path", "conf/nginx.conf")
	b.ErrorLogPath = path("error-log-path", "logs/error.log")
	b.AccessLogPath = path("http-log-path", "logs/access.log")
	b.PIDPath = path("pid-path", "logs/nginx.pid")
	b.ClientBodyTempPath = path("http-client-body-temp-path", "client_body_temp")
	b.ProxyTempPath = path("http-proxy-temp-path", "proxy_temp")
	b.User = arg["user"]
	if b.User == "" {
		b.User = "nobody"
	}
	return b, nil
}

// version is major, minor, patch; ok is false for one that can't be read.
func (b Build) version() (v [3]int, ok bool) {
	parts := strings.SplitN(b.Version, ".", 3)
	if len(parts) != 3 {
		return v, false
	}
	for i, p := range parts {
		// "1.25.3-R31", "1.18.0+dfsg": the number decides.
		digits := len(p) - len(strings.TrimLeft(p, "0123456789"))
		n, err := strconv.Atoi(p[:digits])
		if err != nil || i < 2 && digits != len(p) {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

// Since tells whether the version is at least want ("1.29.7"); known is false
// where the version is unknown or can't be read.
func (b Build) Since(want string) (since, known bool) {
	have, ok := b.version()
	need, valid := Build{Version: want}.version()
	if !ok || !valid {
		return false, false
	}
	for i := range have {
		if have[i] != need[i] {
			return have[i] > need[i], true
		}
	}
	return true, true
}
