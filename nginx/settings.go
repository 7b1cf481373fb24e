package nginx

import (
	"strings"
	"time"
)

// Buffers is a number of buffers of one size.
type Buffers struct {
	Number int64 `json:"number"`
	Size   int64 `json:"size"` // bytes
}

// Header is a header field that nginx sends upstream.
type Header struct {
	Name   string `json:"name"`
	Value  string `json:"value"` // may hold variables; "" removes a request's field
	Source string `json:"source"`
	Err    string `json:"err,omitempty"` // why Value is unknown
}

// Rule is an allow or a deny; the first that matches decides.
type Rule struct {
	Allow  bool   `json:"allow"`
	Who    string `json:"who"` // "all", an address, a network, "unix:"
	Source string `json:"source"`
}

// LimitReq is a limit_req with its zone's rate.
type LimitReq struct {
	Zone    string  `json:"zone"`
	Key     string  `json:"key"`
	Rate    float64 `json:"rate"`    // requests a second per key
	Burst   int64   `json:"burst"`   // requests above it that wait instead of being refused
	Nodelay bool    `json:"nodelay"` // …and need not wait
	Delay   int64   `json:"delay,omitempty"`
	Source  string  `json:"source"`
	RateAt  string  `json:"rateAt,omitempty"`  // the zone's source
	Err     string  `json:"err,omitempty"`     // why rate or burst are unknown
	Outside bool    `json:"outside,omitempty"` // …which is that only a file of the http block was given
}

// LimitConn is a limit_conn.
type LimitConn struct {
	Zone    string `json:"zone"`
	Key     string `json:"key"`
	Limit   int64  `json:"limit"` // requests at once per key, held polls included
	Source  string `json:"source"`
	Err     string `json:"err,omitempty"`     // why key or limit are unknown
	Outside bool   `json:"outside,omitempty"` // …which is that only a file of the http block was given
}

// Effective is every setting that bears on a held poll, a model or an update,
// as in force in one location. The field's name is the directive's.
type Effective struct {
	// Towards the client.
	ClientMaxBodySize       Value[int64]         `json:"clientMaxBodySize"`    // bytes; 0 is no limit
	ClientBodyBufferSize    Value[int64]         `json:"clientBodyBufferSize"` // bytes; a larger body goes to a file
	ClientBodyTimeout       Value[time.Duration] `json:"clientBodyTimeout"`    // between two reads
	ClientBodyTempPath      Value[string]        `json:"clientBodyTempPath"`
	ClientBodyInFileOnly    Value[string]        `json:"clientBodyInFileOnly"` // "off", "clean", "on"
	SendTimeout             Value[time.Duration] `json:"sendTimeout"`          // between two writes
	KeepaliveTimeout        Value[time.Duration] `json:"keepaliveTimeout"`     // of an idle client; 0 closes after each answer
	KeepaliveRequests       Value[int64]         `json:"keepaliveRequests"`    // per connection
	KeepaliveTime           Value[time.Duration] `json:"keepaliveTime"`        // 0 is no limit
	LingeringClose          Value[string]        `json:"lingeringClose"`       // "off", "on", "always"
	LingeringTime           Value[time.Duration] `json:"lingeringTime"`
	LingeringTimeout        Value[time.Duration] `json:"lingeringTimeout"`
	ResetTimedoutConnection Value[bool]          `json:"resetTimedoutConnection"`
	TCPNodelay              Value[bool]          `json:"tcpNodelay"`
	Sendfile                Value[bool]          `json:"sendfile"`
	LimitRate               Value[int64]         `json:"limitRate"` // bytes a second per answer; 0 is no limit
	LimitRateAfter          Value[int64]         `json:"limitRateAfter"`
	Mirror                  Value[string]        `json:"mirror"` // the path that each request is sent to once more; "off"
	Gzip                    Value[bool]          `json:"gzip"`

	// Towards the upstream: of the location's own protocol, uwsgi_read_timeout where
	// it has a uwsgi_pass. What gRPC has no directive for is off.
	ProxyHTTPVersion         Value[string]        `json:"proxyHttpVersion"` // "1.0", "1.1", "2"
	ProxySetHeader           Value[[]Header]      `json:"proxySetHeader"`   // nginx's own Host and Connection included unless replaced
	ProxyConnectTimeout      Value[time.Duration] `json:"proxyConnectTimeout"`
	ProxySendTimeout         Value[time.Duration] `json:"proxySendTimeout"` // between two writes
	ProxyReadTimeout         Value[time.Duration] `json:"proxyReadTimeout"` // between two reads: the longest hold
	ProxyBuffering           Value[bool]          `json:"proxyBuffering"`
	ProxyRequestBuffering    Value[bool]          `json:"proxyRequestBuffering"`
	ProxyBufferSize          Value[int64]         `json:"proxyBufferSize"` // bytes
	ProxyBuffers             Value[Buffers]       `json:"proxyBuffers"`
	ProxyMaxTempFileSize     Value[int64]         `json:"proxyMaxTempFileSize"` // bytes; 0 keeps answers off the disk
	ProxyTempPath            Value[string]        `json:"proxyTempPath"`
	ProxyNextUpstream        Value[[]string]      `json:"proxyNextUpstream"`
	ProxyNextUpstreamTimeout Value[time.Duration] `json:"proxyNextUpstreamTimeout"` // 0 is no limit
	ProxyNextUpstreamTries   Value[int64]         `json:"proxyNextUpstreamTries"`   // 0 is no limit
	ProxyIgnoreClientAbort   Value[bool]          `json:"proxyIgnoreClientAbort"`   // on: a lost client's poll stays held upstream
	ProxySocketKeepalive     Value[bool]          `json:"proxySocketKeepalive"`
	ProxyBind                Value[string]        `json:"proxyBind"` // "" and "off": the system's choice
	ProxyLimitRate           Value[int64]         `json:"proxyLimitRate"`
	ProxyMethod              Value[string]        `json:"proxyMethod"` // "": the worker's own
	ProxyPassRequestBody     Value[bool]          `json:"proxyPassRequestBody"`
	ProxyPassRequestHeaders  Value[bool]          `json:"proxyPassRequestHeaders"`
	ProxySetBody             Value[bool]          `json:"proxySetBody"` // another than the worker's
	ProxyCache               Value[string]        `json:"proxyCache"`   // zone
	ProxyCacheMethods        Value[[]string]      `json:"proxyCacheMethods"`

	// Who may, and how often.
	Access          Value[[]Rule]      `json:"access"`    // allow and deny; empty is everybody
	AuthBasic       Value[string]      `json:"authBasic"` // the realm; "off" is none
	AuthRequest     Value[string]      `json:"authRequest"`
	Satisfy         Value[string]      `json:"satisfy"` // "all" or "any" of access and auth
	LimitReq        Value[[]LimitReq]  `json:"limitReq"`
	LimitReqDryRun  Value[bool]        `json:"limitReqDryRun"` // on: counted, not refused
	LimitReqStatus  Value[int64]       `json:"limitReqStatus"`
	LimitConn       Value[[]LimitConn] `json:"limitConn"`
	LimitConnDryRun Value[bool]        `json:"limitConnDryRun"`
	LimitConnStatus Value[int64]       `json:"limitConnStatus"`

	RealIPFrom   Value[[]string] `json:"realIpFrom"` // whose word for a client's address is taken; empty: $remote_addr is the peer's, of a load balancer too
	RealIPHeader Value[string]   `json:"realIpHeader"`

	// Where it is told, and what is answered instead.
	ErrorPage Value[[]string] `json:"errorPage"` // "404 405 = @app"
	AccessLog Value[[]string] `json:"accessLog"`
	ErrorLog  Value[[]string] `json:"errorLog"`
}

// UpstreamHeader is the value of a header field as nginx sends it upstream,
// and false where the client's own is passed on.
func (e *Effective) UpstreamHeader(name string) (Header, bool) {
	for _, h := range e.ProxySetHeader.V {
		if strings.EqualFold(h.Name, name) {
			return h, true
		}
	}
	return Header{}, false
}
