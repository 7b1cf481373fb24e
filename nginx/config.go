package nginx

import "time"

// Default is the Source of a Value that no file sets.
const Default = "built-in default"

// A Value is one setting as in force somewhere. Where it has a Source and no Err V
// holds; otherwise V means nothing and Err says why it is unknown. The zero Value is
// unknown, so that a setting that a file lacks is never taken for 0. In JSON a time
// is in nanoseconds; Raw beside it is what people read.
type Value[T any] struct {
	V      T      `json:"v"`
	Raw    string `json:"raw,omitempty"`    // as written in the file, or as nginx's manual writes the default
	Source string `json:"source,omitempty"` // "/etc/nginx/nginx.conf:7" or Default
	Err    string `json:"err,omitempty"`
}

// Known tells whether V holds.
func (v Value[T]) Known() bool { return v.Err == "" && v.Source != "" }

// Why says why V is unknown, and "" where it is known.
func (v Value[T]) Why() string {
	switch {
	case v.Err != "":
		return v.Err
	case v.Source == "":
		return "not read"
	}
	return ""
}

// IsDefault tells whether no file sets the value.
func (v Value[T]) IsDefault() bool { return v.Source == Default }

// Config is what an nginx is told to do. It is plain data: it survives JSON,
// and its methods read nothing but itself.
type Config struct {
	Path  string   `json:"path"`            // the main file
	Build Build    `json:"build,omitzero"`  // as given to Read; decides the defaults
	Files []string `json:"files,omitempty"` // every file read, in order

	// Problems is why nginx would refuse the config, or what could not be
	// read of it. With a problem that is Refused a running nginx runs on some
	// other, older config.
	Problems []Problem `json:"problems,omitempty"`
	// Incomplete says why there may be servers and upstreams that are not in
	// here: a file that could not be read. A Value is then unknown where such
	// a file could have set it.
	Incomplete string `json:"incomplete,omitempty"`
	Outside    bool   `json:"outside,omitempty"` // …which is that only a file of the http block was given
	// Foreign lists the directives that no table here has and that a module of
	// the build may have, each with the first place.
	Foreign []Line `json:"foreign,omitempty"`
	// Absent lists the files that Reading.Partial excuses: each include, by name.
	Absent []Line `json:"absent,omitempty"`
	// Code lists the directives that have nginx run code of the config's when it
	// reads it, nginx -t too.
	Code []Line `json:"code,omitempty"`
	// Temps are the directories that *_temp_path and *_cache_path name.
	Temps []string `json:"temps,omitempty"`
	// Logs are the files that access_log and error_log of any block name, each
	// once: every process keeps all of them open.
	Logs []string `json:"logs,omitempty"`

	Main      Main       `json:"main"`
	Events    Events     `json:"events"`
	Sockets   []Socket   `json:"sockets,omitempty"`
	Servers   []Server   `json:"servers,omitempty"` // of http
	Upstreams []Upstream `json:"upstreams,omitempty"`
	Zones     []Zone     `json:"zones,omitempty"`
	Others    []Other    `json:"others,omitempty"` // servers of stream and mail
}

// Problem is one thing that is wrong with a config.
type Problem struct {
	Source  string `json:"source,omitempty"` // "file:line"; empty where the whole config is meant
	Text    string `json:"text"`             // in nginx's words where nginx has any
	Refused bool   `json:"refused"`          // nginx would not start with it; false: fltool could not read it
	Hint    string `json:"hint,omitempty"`   // fltool's own word for what may be meant
}

// Line is a statement that is passed on as it is written.
type Line struct {
	Text   string `json:"text"` // "return 301 https://$host$request_uri"
	Source string `json:"source"`
}

// Main is what stands outside of all blocks.
type Main struct {
	User                  Value[string]        `json:"user"`
	PID                   Value[string]        `json:"pid"`
	WorkerProcesses       Value[int64]         `json:"workerProcesses"`       // 0 is auto: one a CPU
	WorkerRlimitNofile    Value[int64]         `json:"workerRlimitNofile"`    // descriptors; 0 is not set: the master's limit
	WorkerShutdownTimeout Value[time.Duration] `json:"workerShutdownTimeout"` // 0 is not set: old processes wait for ever
	ErrorLog              Value[[]string]      `json:"errorLog"`              // each with its level: "/var/log/nginx/error.log warn"
	Daemon                Value[bool]          `json:"daemon"`
	MasterProcess         Value[bool]          `json:"masterProcess"`
	Modules               []Line               `json:"modules,omitempty"` // load_module
}

// Events is the events block.
type Events struct {
	WorkerConnections Value[int64]         `json:"workerConnections"` // per process, towards clients and upstreams together
	AcceptMutex       Value[bool]          `json:"acceptMutex"`
	AcceptMutexDelay  Value[time.Duration] `json:"acceptMutexDelay"`
	MultiAccept       Value[bool]          `json:"multiAccept"`
	Use               Value[string]        `json:"use"` // "" is nginx's choice: epoll on Linux
}

// Socket is one address and port that nginx listens at, with the options of
// all the listen directives that name it.
type Socket struct {
	Kind    string   `json:"kind"`           // "http", "stream" or "mail"
	Address string   `json:"address"`        // "0.0.0.0:80", "[::]:443", "unix:/run/x.sock"; a name that nginx would look up stays a name
	Port    int      `json:"port,omitempty"` // 0 for a unix socket
	UDP     bool     `json:"udp,omitempty"`
	Sources []string `json:"sources"` // the listen directives; Default where a server has none

	// Via is the wildcard socket that takes this one's connections: nginx
	// opens no socket of its own for 10.0.0.1:80 beside 0.0.0.0:80 unless an
	// option asks for it. Empty: it is opened.
	Via string `json:"via,omitempty"`

	SSL           bool          `json:"ssl,omitempty"`
	HTTP2         bool          `json:"http2,omitempty"` // by the parameter or by `http2 on` of a server behind it
	QUIC          bool          `json:"quic,omitempty"`
	ProxyProtocol bool          `json:"proxyProtocol,omitempty"`
	Deferred      bool          `json:"deferred,omitempty"`
	Reuseport     Value[bool]   `json:"reuseport"`
	Backlog       Value[int64]  `json:"backlog"`             // connections; net.core.somaxconn cuts it
	SoKeepalive   Value[string] `json:"soKeepalive"`         // "off", "on" or "idle:interval:count"; off is the system's choice, which is no probes
	DualStack     bool          `json:"dualStack,omitempty"` // an IPv6 wildcard that takes IPv4 too (ipv6only=off)
	Servers       []int         `json:"servers"`             // indices into Config.Servers, or Others for stream and mail; in order of the config
	DefaultServer int           `json:"default"`             // the one that takes a request for no known name
	bind          bool          // an option was given that only a socket of its own can have
	optioned      bool          // …by a directive, and no other may
	ListenDefault bool          `json:"defaultGiven"` // default_server is written, not just the first server
}

// Listen is one listen directive of a server, or the one that nginx adds.
type Listen struct {
	Address       string `json:"address"` // as Socket.Address
	SSL           bool   `json:"ssl,omitempty"`
	DefaultServer bool   `json:"defaultServer,omitempty"`
	Source        string `json:"source"`
}

// Server is a server block of http.
type Server struct {
	Source     string   `json:"source"`
	Names      []string `json:"names"` // as written; "" where there are none
	Listen     []Listen `json:"listen"`
	Incomplete string   `json:"incomplete,omitempty"` // why the block may hold more than is known

	// nginx reads these before it knows the server's name, so a connection
	// gets the default server's of its socket, TLS with SNI excepted.
	ClientHeaderTimeout       Value[time.Duration] `json:"clientHeaderTimeout"`
	ClientHeaderBufferSize    Value[int64]         `json:"clientHeaderBufferSize"`   // bytes
	LargeClientHeaderBuffers  Value[Buffers]       `json:"largeClientHeaderBuffers"` //
	HTTP2                     Value[bool]          `json:"http2"`                    // the directive; the listen parameter is in Socket
	HTTP2MaxConcurrentStreams Value[int64]         `json:"http2MaxConcurrentStreams"`
	MergeSlashes              Value[bool]          `json:"mergeSlashes"`   // "//" in a path is "/"
	SSLCertificate            Value[[]string]      `json:"sslCertificate"` // files; several where there are several key types
	SSLCertificateKey         Value[[]string]      `json:"sslCertificateKey"`
	SSLProtocols              Value[[]string]      `json:"sslProtocols"`
	SSLVerifyClient           Value[string]        `json:"sslVerifyClient"` // "on": workers need a certificate of their own
	SSLRejectHandshake        Value[bool]          `json:"sslRejectHandshake"`

	Return    *Return    `json:"return,omitempty"` // answers every request, before any location
	Rewrites  []Rewrite  `json:"rewrites,omitempty"`
	Blocks    []Block    `json:"blocks,omitempty"` // if
	Locations []Location `json:"locations,omitempty"`
	Effective Effective  `json:"effective"` // in force where no location matches
}

// LocationKind is how a location is compared with a path.
type LocationKind string

// The kinds of location.
const (
	Exact       LocationKind = "="
	Prefix      LocationKind = ""   // the longest wins, unless an expression matches
	PrefixFinal LocationKind = "^~" // as Prefix, and no expression is tried
	Regex       LocationKind = "~"
	RegexNoCase LocationKind = "~*"
	Named       LocationKind = "@" // reached only from inside: try_files, error_page
)

// Location is a location block with everything that is in force in it.
type Location struct {
	Source     string       `json:"source"`
	Kind       LocationKind `json:"kind"`
	Pattern    string       `json:"pattern"`              // "/api", `\.php$`, "@app"
	Incomplete string       `json:"incomplete,omitempty"` // why the block may hold more than is known

	Pass      *Pass      `json:"pass,omitempty"`
	Return    *Return    `json:"return,omitempty"` // answers every request, before it is passed on
	Rewrites  []Rewrite  `json:"rewrites,omitempty"`
	TryFiles  []string   `json:"tryFiles,omitempty"` // not inherited
	Internal  bool       `json:"internal,omitempty"`
	Blocks    []Block    `json:"blocks,omitempty"` // if and limit_except
	Locations []Location `json:"locations,omitempty"`

	Effective
}

// Name is the location as written after the word location: "= /x", "/".
func (l *Location) Name() string {
	if l.Kind == Prefix || l.Kind == Named {
		return l.Pattern
	}
	return string(l.Kind) + " " + l.Pattern
}

// Block is an if or a limit_except: what holds in it depends on the request,
// so it is shown and not worked out.
type Block struct {
	Kind   string `json:"kind"` // "if", "limit_except"
	Args   string `json:"args"` // "($request_method = POST)"
	Source string `json:"source"`
	Lines  []Line `json:"lines,omitempty"`
	Pass   *Pass  `json:"pass,omitempty"`
}

// Rewrite changes the path of the requests whose path Pattern matches.
type Rewrite struct {
	Line
	Pattern string `json:"pattern"`
	Flag    string `json:"flag,omitempty"` // "last", "break", "redirect", "permanent"
}

// Return is an answer that nginx gives itself.
type Return struct {
	Code   int    `json:"code"` // 302 for a lone URL
	Text   string `json:"text,omitempty"`
	Source string `json:"source"`
}

// Pass is where a location's requests go.
type Pass struct {
	Kind     string `json:"kind"`               // "proxy", "grpc", "fastcgi", "uwsgi" or "scgi"; "memcached" and "tunnel" are named, not judged
	Raw      string `json:"raw"`                // "http://127.0.0.1:5000/"
	TLS      bool   `json:"tls,omitempty"`      // https or grpcs
	Upstream string `json:"upstream,omitempty"` // name of one of Config.Upstreams, written or implicit
	URI      string `json:"uri,omitempty"`      // replaces the matched prefix; "" passes the path on as it came
	Source   string `json:"source"`
	Err      string `json:"err,omitempty"`     // why the upstream is unknown
	Outside  bool   `json:"outside,omitempty"` // …which is that only a file of the http block was given
}

// Upstream is an upstream block, or the implicit one of an address that a
// pass names itself.
type Upstream struct {
	Name       string `json:"name"` // an implicit one's is "127.0.0.1:5000", as Peer.Address
	Source     string `json:"source"`
	Implicit   bool   `json:"implicit,omitempty"`
	Incomplete string `json:"incomplete,omitempty"` // why the block may hold more than is known
	Peers      []Peer `json:"peers"`
	Method     string `json:"method"` // "round_robin", "least_conn", "ip_hash", "hash $key"…

	// Keepalive is how many idle connections each process keeps, all peers
	// together; 0 is none. It needs HTTP/1.1 and no "Connection: close".
	Keepalive         Value[int64]         `json:"keepalive"`
	KeepaliveRequests Value[int64]         `json:"keepaliveRequests"` // per connection
	KeepaliveTime     Value[time.Duration] `json:"keepaliveTime"`     // age at which a connection is closed after its request; 0 is no limit
	KeepaliveTimeout  Value[time.Duration] `json:"keepaliveTimeout"`  // how long a connection may be idle
	Zone              Value[string]        `json:"zone"`
}

// Peer is one server of an upstream.
type Peer struct {
	Address     string        `json:"address"` // "127.0.0.1:5000", "app.example:80", "unix:/run/app.sock"
	Weight      int64         `json:"weight"`
	MaxConns    int64         `json:"maxConns"` // 0 is no limit; per process unless the upstream has a zone
	MaxFails    int64         `json:"maxFails"` // 0: never marked as failed
	FailTimeout time.Duration `json:"failTimeout"`
	Backup      bool          `json:"backup,omitempty"`
	Down        bool          `json:"down,omitempty"`
	Resolve     bool          `json:"resolve,omitempty"` // the name is looked up again while nginx runs
	Source      string        `json:"source"`
}

// Zone is shared memory in which requests or connections are counted.
type Zone struct {
	Kind   string  `json:"kind"` // "limit_req" or "limit_conn"
	Name   string  `json:"name"`
	Key    string  `json:"key"`            // "$binary_remote_addr"
	Size   int64   `json:"size"`           // bytes
	Rate   float64 `json:"rate,omitempty"` // of limit_req, requests a second
	Source string  `json:"source"`
}

// Other is a server that doesn't speak HTTP.
type Other struct {
	Kind   string   `json:"kind"` // "stream" or "mail"
	Source string   `json:"source"`
	Pass   string   `json:"pass,omitempty"`  // "backend:5432"
	Peers  []string `json:"peers,omitempty"` // what that is, upstream blocks followed

	ProxyTimeout        Value[time.Duration] `json:"proxyTimeout"` // between two reads or writes of either side
	ProxyConnectTimeout Value[time.Duration] `json:"proxyConnectTimeout"`
}
