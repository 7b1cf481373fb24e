package checks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// Proxy is what a recommended nginx config is to be, the demand apart.
type Proxy struct {
	User        string // that worker processes run as; "": the build's own
	ServerNames []string
	Listen      []string      // "127.0.0.1:8080"; none: the scheme's port, IPv4 and IPv6
	Upstream    []string      // "127.0.0.1:5000", "unix:/run/fl.sock"
	Keepalive   time.Duration // after which the application closes idle connections; 0: none are kept
	TLSCert     string
	TLSKey      string
	ACMERoot    string
	AdminAllow  []string
	Site        bool        // only what stands in http, for an nginx that has other sites
	Build       nginx.Build // "1.22.1"; zero: unknown
}

// Ports is net.ipv4.ip_local_port_range as kernels come: how many connections
// one address makes to another.
const Ports = 60999 - 32768 + 1

// Nginxes is how many nginx a demand takes: one has a local port for each poll and
// upstream address, but for unix sockets, and twice as many descriptors as polls.
func Nginxes(p Proxy, d reports.Demand) int {
	const descriptors = 1 << 20 // fs.nr_open as kernels come
	one := (descriptors - nginxSpareFDs) / nginxFDsPerPoll * 15 / 16
	if !slices.ContainsFunc(p.Upstream, func(u string) bool { return strings.HasPrefix(u, "unix:") }) {
		one = min(one, Ports*max(len(p.Upstream), 1))
	}
	return (d.Workers + one - 1) / one
}

// Recommend works out the settings of an nginx that holds the demand, by the
// formulas that judge one.
func Recommend(p Proxy, d reports.Demand) (nginx.Settings, error) {
	if d.Workers < 1 || d.HoldSeconds < 0 {
		return nginx.Settings{}, errors.New("no demand: want at least one worker")
	}
	hold := duration(d.HoldSeconds)
	update := max(d.UpdateBytes, d.ModelBytes)
	sockets := len(p.Listen)
	if sockets == 0 {
		sockets = 2
	}
	if redirects := p.TLSCert != "" && len(p.Listen) == 0; redirects {
		sockets += 2
	}
	slots := slotsFor(d.Workers, 1, sockets, 1)
	rate := max(int64(requestsPerRound*d.Workers), steadyRateFor(d.Workers, hold))
	number := func(n int64) []string { return []string{fmt.Sprint(n)} }
	s := nginx.Settings{
		Site: p.Site,
		Title: fmt.Sprintf("Made by fltool nginx render for %d workers that poll for up to %s, with a model of %s.\n"+
			"Prove it by: nginx -t, fltool preflight, fltool simulate --hold.", d.Workers, short(hold), facts.Bytes(update)),
		Main: []nginx.Setting{
			{Name: "worker_processes", Args: []string{"auto"}, Why: "One a CPU."},
			{Name: "worker_rlimit_nofile", Args: number(rlimitFor(slots, nginxFewFDs)), Why: fmt.Sprintf("A descriptor for each connection of a process, and %d for logs, listeners, channels to the other processes and bodies on disk.", nginxSpareFDs)},
		},
		Events: []nginx.Setting{{Name: "worker_connections", Args: number(slots),
			Why: fmt.Sprintf("A process: %d workers × 2 connections, %d for listeners, and 1/16 left free, since nginx cuts idle clients below that. Each process gets as many, for connections may all go to one.", d.Workers, sockets+1)}},
		HTTP: []nginx.Setting{
			{Name: "limit_conn_zone", Args: []string{"$binary_remote_addr", "zone=fl_conn:10m"}, Why: "Connections and requests are counted by address."},
			{Name: "limit_req_zone", Args: []string{"$binary_remote_addr", "zone=fl_req:10m", fmt.Sprintf("rate=%dr/s", rate)},
				Why: fmt.Sprintf("A round of all %d workers each second, and what they ask for whenever a hold ends.", d.Workers)},
		},
		Peers:       p.Upstream,
		ServerNames: p.ServerNames,
		Server: []nginx.Setting{
			{Name: "client_max_body_size", Args: []string{megabytes(BodyBytes(update))}, Why: fmt.Sprintf("An update of %s that does not compress, the form around it, and a little room.", facts.Bytes(update))},
			{Name: "proxy_request_buffering", Args: []string{"off"}, Why: "Updates go to the application as they come, not to the disk first."},
			{Name: "proxy_max_temp_file_size", Args: []string{"0"}, Why: "Nor do models that a slow worker downloads."},
			{Name: "gzip", Args: []string{"off"}, Why: "Models are compressed already."},
		},
		Location: []nginx.Setting{
			{Name: "proxy_read_timeout", Args: []string{nginxTime(readTimeoutFor(hold))}, Why: fmt.Sprintf("The longest hold, %s, and a minute. Other timeouts keep their defaults: none of them counts while a poll is held.", short(hold))},
			limitReq(p.Build, d.Workers),
		},
		ACMERoot: p.ACMERoot, AdminAllow: p.AdminAllow,
		Fallback: &nginx.Fallback{Path: wire.PathModel, Body: wire.NoModel,
			Why: "While the application is away, or restarts, the answer is 200 and an empty map: dc_federated's workers take it and poll again, and 502 would end each of them that was just notified of a model."},
	}
	if d.Workers <= maxLimitConn {
		s.Location = append(s.Location, nginx.Setting{Name: "limit_conn", Args: []string{"fl_conn", fmt.Sprint(limitConnFor(d.Workers))},
			Why: fmt.Sprintf("All %d workers may come from one address: a poll each, and one more.", d.Workers)})
	}
	if p.User != "" {
		s.Main = append([]nginx.Setting{{Name: "user", Args: []string{p.User}, Why: "It reads no secrets, and writes to the socket of the application where that is one."}}, s.Main...)
	}
	if old, known := p.Build.Since("1.11.11"); old || !known {
		s.Main = append(s.Main, nginx.Setting{Name: "worker_shutdown_timeout", Args: []string{nginxTime(max(hold, minuteAtLeast))},
			Why: "After a reload an old process ends at the latest when a poll would. Reload between rounds all the same."})
	}
	headers := []nginx.Setting{
		{Name: "proxy_set_header", Args: []string{"Host", "$host"}},
		{Name: "proxy_set_header", Args: []string{"X-Forwarded-For", "$proxy_add_x_forwarded_for"}},
		{Name: "proxy_set_header", Args: []string{"X-Forwarded-Proto", "$scheme"}},
	}
	keeps, known := p.Build.Since("1.15.3") // of keepalive_timeout in an upstream block
	if p.Keepalive >= 2*time.Second && (keeps || !known) {
		s.Upstream = []nginx.Setting{
			{Name: "keepalive", Args: []string{"64"}, Why: "Idle connections that a process keeps to the application."},
			{Name: "keepalive_timeout", Args: []string{nginxTime((p.Keepalive / 2).Truncate(time.Second))}, Why: fmt.Sprintf("The application closes idle ones after %s: less, so that none is used as it closes.", short(p.Keepalive))},
		}
		headers = append([]nginx.Setting{
			{Name: "proxy_http_version", Args: []string{"1.1"}, Why: "Keep-alive towards the application needs both."},
			{Name: "proxy_set_header", Args: []string{"Connection", ""}},
		}, headers...)
	} else {
		headers = append([]nginx.Setting{{Name: "proxy_set_header", Args: []string{"Connection", "close"}, Why: "A connection a request: the application keeps none open for long."}}, headers...)
	}
	s.Server = append(s.Server, headers...)
	backlog := fmt.Sprintf("backlog=%d", powerOfTwo(max(int64(d.Workers), 511)))
	listen := func(port string, options ...string) (out []nginx.Setting) {
		at := []string{port, "[::]:" + port}
		if len(p.Listen) > 0 {
			at = p.Listen
		}
		for i, a := range at {
			one := nginx.Setting{Name: "listen", Args: append([]string{a}, options...)}
			if i == 0 && len(options) > 0 {
				one.Why = "A queue for all workers at once (net.core.somaxconn cuts it), and probes that find those that went away."
			}
			out = append(out, one)
		}
		return out
	}
	probes := []string{backlog}
	if hold > longHold {
		probes = append(probes, "so_keepalive=60s:30s:4")
	}
	if p.TLSCert == "" {
		s.Listen = listen("80", probes...)
		return s, nil
	}
	s.Listen = listen("443", append([]string{"ssl"}, probes...)...)
	s.TLS = &nginx.TLS{Certificate: p.TLSCert, Key: p.TLSKey, Settings: []nginx.Setting{
		{Name: "ssl_protocols", Args: []string{"TLSv1.2", "TLSv1.3"}, Why: "Older ones are broken."},
		{Name: "ssl_session_cache", Args: []string{"shared:fl_tls:10m"}, Why: "A worker that comes again needs no full handshake."},
	}}
	if len(p.Listen) == 0 { // who says where to listen gets nothing else
		s.TLS.RedirectListen = listen("80")
	}
	return s, nil
}

// limitReq bounds requests such that n workers come to rest again that ask at once for
// whatever they are refused, as dc_federated's do: above a burst they are slowed, and not
// refused. Else a restart would leave most of them spinning for ever, each in want of
// two requests in a row that get through.
func limitReq(b nginx.Build, n int) nginx.Setting {
	at := limitReqFor(n)
	s := nginx.Setting{Name: "limit_req", Args: []string{"zone=fl_req", fmt.Sprintf("burst=%d", at+2*n), fmt.Sprintf("delay=%d", at)},
		Why: fmt.Sprintf("Each asks for %d things a round: room for four rounds at once. What comes above that waits its turn; it is not refused, since workers ask again at once.", requestsPerRound)}
	if has, known := b.Since("1.15.7"); known && !has {
		s.Args[2] = "nodelay"
	}
	return s
}
