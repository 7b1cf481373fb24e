package nginx

import (
	"fmt"
	"strconv"
	"strings"
)

// effective works out what is in force at a level; kind is the protocol by which
// its requests are passed on. The defaults are those of nginx's manual, in its own
// notation.
func (l *level) effective(kind string) Effective {
	d := l.d
	up := func(setting string) string { return kind + "_" + setting }
	// gRPC is passed on as it comes, and has no settings for that.
	flag := func(setting, def string) Value[bool] {
		if kind == "grpc" {
			return Value[bool]{Raw: "off", Source: Default}
		}
		return l.flag(up(setting), is(def))
	}
	size := func(setting, def string) Value[int64] {
		if kind == "grpc" {
			return Value[int64]{Raw: "0", Source: Default}
		}
		return l.size(up(setting), is(def))
	}
	page := strconv.Itoa(d.pageSize)
	return Effective{
		ClientMaxBodySize:       scalar(l, "client_max_body_size", is("1m"), one(ParseOffset)),
		ClientBodyBufferSize:    l.size("client_body_buffer_size", is(strconv.Itoa(2*d.pageSize))),
		ClientBodyTimeout:       l.duration("client_body_timeout", is("60s")),
		ClientBodyTempPath:      l.word("client_body_temp_path", d.compiled(d.cfg.Build.ClientBodyTempPath)),
		ClientBodyInFileOnly:    l.enum("client_body_in_file_only", is("off"), "off", "on", "clean"),
		SendTimeout:             l.duration("send_timeout", is("60s")),
		KeepaliveTimeout:        l.duration("keepalive_timeout", is("75s")),
		KeepaliveRequests:       l.number("keepalive_requests", d.since("1.19.10", "1000", "100")),
		KeepaliveTime:           l.duration("keepalive_time", d.since("1.19.10", "1h", "0")),
		LingeringClose:          l.enum("lingering_close", is("on"), "off", "on", "always"),
		LingeringTime:           l.duration("lingering_time", is("30s")),
		LingeringTimeout:        l.duration("lingering_timeout", is("5s")),
		ResetTimedoutConnection: l.flag("reset_timedout_connection", is("off")),
		TCPNodelay:              l.flag("tcp_nodelay", is("on")),
		Sendfile:                l.flag("sendfile", is("off")),
		LimitRate:               l.size("limit_rate", is("0")),
		LimitRateAfter:          l.size("limit_rate_after", is("0")),
		Gzip:                    l.flag("gzip", is("off")),
		Mirror:                  l.word("mirror", is("off")),

		ProxyHTTPVersion:         l.enum("proxy_http_version", d.since("1.29.7", "1.1", "1.0"), "1.0", "1.1", "2"),
		ProxySetHeader:           l.proxySetHeader(),
		ProxyConnectTimeout:      l.duration(up("connect_timeout"), is("60s")),
		ProxySendTimeout:         l.duration(up("send_timeout"), is("60s")),
		ProxyReadTimeout:         l.duration(up("read_timeout"), is("60s")),
		ProxyBuffering:           flag("buffering", "on"),
		ProxyRequestBuffering:    flag("request_buffering", "on"),
		ProxyBufferSize:          l.size(up("buffer_size"), is(page)),
		ProxyBuffers:             l.buffers(up("buffers"), is("8 "+page)),
		ProxyMaxTempFileSize:     size("max_temp_file_size", "1024m"),
		ProxyTempPath:            l.word(up("temp_path"), d.compiled(d.cfg.Build.ProxyTempPath)),
		ProxyNextUpstream:        l.words(up("next_upstream"), is("error timeout")),
		ProxyNextUpstreamTimeout: l.duration(up("next_upstream_timeout"), is("0")),
		ProxyNextUpstreamTries:   l.number(up("next_upstream_tries"), is("0")),
		ProxyIgnoreClientAbort:   flag("ignore_client_abort", "off"),
		ProxySocketKeepalive:     l.flag(up("socket_keepalive"), is("off")),
		ProxyBind:                l.word(up("bind"), is("")),
		ProxyLimitRate:           size("limit_rate", "0"),
		ProxyPassRequestBody:     l.flag(up("pass_request_body"), is("on")),
		ProxyMethod:              l.word("proxy_method", is("")),
		ProxyPassRequestHeaders:  l.flag(up("pass_request_headers"), is("on")),
		ProxySetBody:             l.set("proxy_set_body"),
		ProxyCache:               l.word("proxy_cache", is("off")),
		ProxyCacheMethods:        l.words("proxy_cache_methods", is("GET HEAD")),

		Access:          l.access(),
		AuthBasic:       l.word("auth_basic", is("off")),
		AuthRequest:     l.word("auth_request", is("off")),
		Satisfy:         l.enum("satisfy", is("all"), "all", "any"),
		LimitReq:        list(l, "limit_req", is(""), d.limitReq),
		LimitReqStatus:  l.number("limit_req_status", is("503")),
		LimitConn:       list(l, "limit_conn", is(""), d.limitConn),
		LimitReqDryRun:  l.flag("limit_req_dry_run", is("off")),
		LimitConnDryRun: l.flag("limit_conn_dry_run", is("off")),
		RealIPFrom:      l.lines("set_real_ip_from", is("")),
		RealIPHeader:    l.word("real_ip_header", is("X-Real-IP")),
		LimitConnStatus: l.number("limit_conn_status", is("503")),

		ErrorPage: l.lines("error_page", is("")),
		AccessLog: l.lines("access_log", d.compiled(d.cfg.Build.AccessLogPath)),
		ErrorLog:  l.lines("error_log", d.compiled(d.cfg.Build.ErrorLogPath)),
	}
}

func header(n *node) Header {
	h := Header{Source: n.source()}
	if len(n.args) >= 2 {
		h.Name, h.Value = n.args[0], n.args[1]
	}
	return h
}

// proxySetHeader adds the two fields that nginx itself replaces unless the
// list in force names them.
func (l *level) proxySetHeader() Value[[]Header] {
	v := list(l, "proxy_set_header", is(""), header)
	if v.Err != "" {
		return v
	}
	connection := l.d.since("1.29.7", "", "close")
	for _, h := range []Header{
		{Name: "Host", Value: "$proxy_host", Source: Default},
		{Name: "Connection", Value: connection.text, Source: Default, Err: connection.err},
	} {
		if _, given := (&Effective{ProxySetHeader: v}).UpstreamHeader(h.Name); !given {
			v.V = append(v.V, h)
		}
	}
	return v
}

// access joins allow and deny, which share one list in the order of the file.
func (l *level) access() Value[[]Rule] {
	for at := l; at != nil; at = at.up {
		if why := at.unread(); why != "" {
			return Value[[]Rule]{Err: "what allow and deny are set is unknown: " + why}
		}
		if at.own["allow"] == nil && at.own["deny"] == nil {
			continue
		}
		v := Value[[]Rule]{}
		var raws []string
		for _, n := range at.block {
			if n.name == "allow" || n.name == "deny" {
				raws = append(raws, n.text())
				v.V = append(v.V, Rule{Allow: n.name == "allow", Who: strings.Join(n.args, " "), Source: n.source()})
			}
		}
		v.Source, v.Raw = v.V[0].Source, strings.Join(raws, "; ")
		return v
	}
	return Value[[]Rule]{Source: Default}
}

func (d *decoder) limitReq(n *node) LimitReq {
	r := LimitReq{Source: n.source()}
	fail := func(format string, a ...any) { r.Err = d.refuse(n, format, a...) }
	for _, arg := range n.args {
		name, value, _ := strings.Cut(arg, "=")
		var err error
		switch name {
		case "zone":
			r.Zone = value
		case "burst":
			if r.Burst, err = parseInt(value); err != nil || r.Burst == 0 {
				fail("invalid burst value %q", arg)
			}
		case "delay":
			if r.Delay, err = parseInt(value); err != nil || r.Delay == 0 {
				fail("invalid delay value %q", arg)
			}
		case "nodelay":
			r.Nodelay = true
		default:
			fail("invalid parameter %q", arg)
		}
	}
	if r.Zone == "" {
		fail(`"limit_req" must have "zone" parameter`)
		return r
	}
	z, err := d.zone("limit_req", r.Zone)
	r.Key, r.Rate, r.RateAt = z.Key, z.Rate, z.Source
	if r.Err == "" {
		r.Err, r.Outside = err, d.outside(err)
	}
	return r
}

func (d *decoder) limitConn(n *node) LimitConn {
	c := LimitConn{Source: n.source()}
	if len(n.args) != 2 {
		c.Err = "invalid number of arguments" // told by the table's check
		return c
	}
	c.Zone = n.args[0]
	z, err := d.zone("limit_conn", c.Zone)
	c.Key, c.Err, c.Outside = z.Key, err, d.outside(err)
	var bad error
	if c.Limit, bad = parseInt(n.args[1]); bad != nil || c.Limit == 0 {
		c.Err, c.Outside = d.refuse(n, "invalid number of connections %q", n.args[1]), false
	} else if c.Limit >= 1<<16 {
		c.Err, c.Outside = d.refuse(n, "connection limit must be less 65536"), false
	}
	return c
}

// outside says whether err is for want of what stands outside of the file given.
func (d *decoder) outside(err string) bool {
	return err != "" && d.http != nil && d.http.broken == onlyHTTP
}

// zone finds shared memory by name; err says why nothing is known of it.
func (d *decoder) zone(kind, name string) (z Zone, err string) {
	for _, z := range d.cfg.Zones {
		if z.Kind == kind && z.Name == name {
			return z, ""
		}
	}
	if d.http != nil && d.http.broken != "" {
		return z, fmt.Sprintf("zone %q is unknown: %s", name, d.http.broken)
	}
	text := fmt.Sprintf("zero size shared memory zone %q", name)
	d.problems.add(true, "", "%s", text)
	return z, text
}
