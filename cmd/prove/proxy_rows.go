package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/server/wire"
)

// The rows of proxies other than nginx, each before gunicorn and at nginx's address.

var proxyRows = []row{
	{
		id: "haproxy-maxconn", check: "proxy/connections", formula: "holds", limit: "maxconn of HAProxy's frontend, hard bound", set: "60", unit: "workers",
		run: func(r *room) (Measurement, error) {
			if err := r.haproxy(haproxy{global: "maxconn 2000", frontend: "maxconn 60"}); err != nil {
				return Measurement{}, err
			}
			return r.waiting(hard, 80)
		},
		clients: []string{"timed out", "reset"}, // no log tells of it
	},
	{
		id: "haproxy-server-maxconn", check: "proxy/holds", formula: "holds", limit: "maxconn of HAProxy's server", set: "60", unit: "workers",
		run: func(r *room) (Measurement, error) {
			if err := r.haproxy(haproxy{global: "maxconn 2000", server: "maxconn 60"}); err != nil {
				return Measurement{}, err
			}
			return r.waiting(both, 80)
		},
	},
	{
		id: "haproxy-descriptors", check: "proxy/nofile", formula: "proxy-descriptors", limit: "NOFILE of HAProxy, which makes its maxconn of it", set: "1000", unit: "workers",
		run: func(r *room) (Measurement, error) {
			stats := "stats socket " + filepath.Join(r.dir, "stats.sock") // it sets ten descriptors aside for one
			if err := r.haproxy(haproxy{global: stats, nofile: 1000}); err != nil {
				return Measurement{}, err
			}
			return r.waiting(both, 530)
		},
		clients: []string{"timed out", "reset"},
	},
	{
		id: "haproxy-timeout", check: "proxy/timeout", limit: "timeout server of HAProxy", set: seconds(patience), unit: "ms",
		run: func(r *room) (Measurement, error) {
			if err := r.haproxy(haproxy{global: "maxconn 2000", timeout: seconds(patience)}); err != nil {
				return Measurement{}, err
			}
			return r.cutPolls("haproxy")
		},
	},
	{
		id: "apache-workers", check: "proxy/holds", formula: "holds", limit: "Apache's MaxRequestWorkers", set: "2 × 20", unit: "workers",
		run: func(r *room) (Measurement, error) {
			if err := r.apache(86400); err != nil {
				return Measurement{}, err
			}
			return r.waiting(both, 60)
		},
	},
	{
		id: "apache-timeout", check: "proxy/timeout", limit: "Apache's ProxyTimeout", set: seconds(patience), unit: "ms",
		run: func(r *room) (Measurement, error) {
			if err := r.apache(patience); err != nil {
				return Measurement{}, err
			}
			return r.cutPolls("access log")
		},
	},
	{
		id: "caddy-connections", check: "proxy/holds", formula: "holds", limit: "max_conns_per_host of Caddy", set: "60", unit: "workers",
		run: func(r *room) (Measurement, error) {
			if err := r.caddy("max_conns_per_host 60"); err != nil {
				return Measurement{}, err
			}
			return r.waiting(both, 80)
		},
		clients: []string{"timed out", "reset"}, // no log tells of it
	},
	{
		id: "caddy-timeout", check: "proxy/timeout", limit: "response_header_timeout of Caddy", set: seconds(patience), unit: "ms",
		run: func(r *room) (Measurement, error) {
			if err := r.caddy("response_header_timeout " + seconds(patience)); err != nil {
				return Measurement{}, err
			}
			return r.cutPolls("access log")
		},
	},
}

// waiting is overload of a proxy that lets those above its bound wait: workers come
// one by one, or polls that wait would look held.
func (r *room) waiting(b bound, workers int) (Measurement, error) {
	return r.overload(b, nginxURL, workers, "--ramp", "10s", "--hold", "6s", "--round-timeout", "20s")
}

// before starts gunicorn, and a proxy by its config before it.
func (r *room) before(config, text string, nofile int, name string, args ...string) error {
	if err := os.WriteFile(filepath.Join(r.dir, config), []byte(text), 0o600); err != nil {
		return err
	}
	if _, err := r.gunicorn(nil, 0, "--worker-connections", "2000"); err != nil {
		return err
	}
	p, err := r.start(nil, nofile, name, args...)
	if err != nil {
		return err
	}
	return r.listening(nginxAddr, p)
}

// A haproxy is what the rows vary of its config.
type haproxy struct {
	global, frontend string // a line more
	server           string // parameters of the server: "maxconn 60"
	timeout          string // timeout server, default 1d
	nofile           int    // its descriptors; 0: as they are
}

// haproxy starts the real one.
func (r *room) haproxy(h haproxy) error {
	timeout := h.timeout
	if timeout == "" {
		timeout = "1d"
	}
	return r.before("haproxy.cfg", fmt.Sprintf(`global
    log stdout format raw local0
    %s
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout queue 3s
    timeout client 1d
    timeout server %s
frontend fl
    bind %s
    %s
    default_backend app
backend app
    server app %s %s
`, h.global, timeout, nginxAddr, h.frontend, appAddr, h.server), h.nofile, "/usr/sbin/haproxy", "-db", "-f", filepath.Join(r.dir, "haproxy.cfg"))
}

// apache starts the real one with two processes of 20 threads, and its ProxyTimeout in
// seconds.
func (r *room) apache(timeout int) error {
	var modules strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "proxy", "proxy_http"} {
		fmt.Fprintf(&modules, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", m, m)
	}
	return r.before("apache.conf", modules.String()+fmt.Sprintf(`ServerName fl
ServerRoot %[1]s
PidFile apache.pid
Listen %[2]s
ErrorLog /dev/stderr
LogFormat "\"%%r\" %%>s %%b %%{ms}Tms" times
CustomLog %[1]s/access.log times
StartServers 1
ServerLimit 2
ThreadsPerChild 20
ThreadLimit 20
MinSpareThreads 1
MaxSpareThreads 40
MaxRequestWorkers 40
ProxyTimeout %[3]d
ProxyPass / %[4]s/
`, r.dir, nginxAddr, timeout, appURL), 0, "/usr/sbin/apache2", "-DFOREGROUND", "-f", filepath.Join(r.dir, "apache.conf"))
}

// caddy starts the real one with one more line in the transport of its reverse proxy.
func (r *room) caddy(transport string) error {
	return r.before("Caddyfile", fmt.Sprintf(`{
	admin off
	auto_https off
	storage file_system %s
}
http://:%d {
	bind 127.0.0.1
	log
	reverse_proxy %s {
		transport http {
			%s
		}
	}
}
`, r.dir, nginxPort, appAddr, transport), 0, "/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", filepath.Join(r.dir, "Caddyfile"))
}

// cutPolls predicts by the longest hold that the check passes, lets the proxy cut
// polls, and reads from the log of a source after how long it did.
func (r *room) cutPolls(source string) (Measurement, error) {
	if _, err := r.largest(24*3600*1000, inHold); err != nil {
		return Measurement{}, err
	}
	if _, err := untilClosed(nginxAddr, func(c net.Conn) error {
		if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: fl\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", wire.PathPoll); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, c)
		return err
	}); err != nil {
		return Measurement{}, err
	}
	return r.soonest(source)
}

// soonest is the shortest time in ms of a request that ended by a symptom of a source
// that the row's check may cause, and the line that tells of it.
func (r *room) soonest(source string) (Measurement, error) {
	logs, err := filepath.Glob(filepath.Join(r.dir, "*.log"))
	if err != nil {
		return Measurement{}, err
	}
	m := Measurement{Value: math.Inf(1)}
	for _, name := range logs {
		f, err := os.Open(name)
		if err != nil {
			return Measurement{}, err
		}
		for sc := bufio.NewScanner(f); sc.Scan(); {
			log, err := symptoms.Scan(strings.NewReader(sc.Text()))
			if err != nil {
				return Measurement{}, errors.Join(err, f.Close())
			}
			for _, s := range log.Found {
				if s.Source != source || s.Took == nil || !s.MayBe(r.row.check) {
					continue
				}
				if took, ok := s.Took(sc.Bytes()); ok && took*1000 < m.Value {
					m = Measurement{took * 1000, sc.Text()}
				}
			}
		}
		if err := f.Close(); err != nil {
			return Measurement{}, err
		}
	}
	if math.IsInf(m.Value, 1) {
		return Measurement{}, fmt.Errorf("no log of %s tells when a poll was cut", source)
	}
	return m, nil
}
