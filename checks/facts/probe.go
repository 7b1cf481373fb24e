package facts

// Probe is what a deployment answered to questions asked from outside, through
// the URL that its workers use. What was not asked is a known nil.
type Probe struct {
	URL      string `json:"url"`      // asked; without path or user info
	At       string `json:"at"`       // RFC 3339, UTC: when the asking began
	Requests int    `json:"requests"` // sent in all
	Bytes    int64  `json:"bytes"`    // of request bodies sent in all
	Loopback bool   `json:"loopback"` // asked over loopback: nothing is told of other networks

	IPv4      Value[[]Endpoint]   `json:"ipv4"` // one an address; none where the name has none
	IPv6      Value[[]Endpoint]   `json:"ipv6"`
	TLS       Value[*TLS]         `json:"tls"` // nil: the URL is plain http
	Alive     Value[Answer]       `json:"alive"`
	KeepAlive Value[KeepAlive]    `json:"keepAlive"`
	Buffering Value[bool]         `json:"buffering"` // whether requests are collected whole before they go to the server
	Admin     Value[Answer]       `json:"admin"`     // of /workers, asked without a password
	Plain     Value[*PortAnswer]  `json:"plain"`     // of port 80 beside https; nil: not asked
	Upstream  Value[*PortAnswer]  `json:"upstream"`  // of the server's own port; nil: not asked
	Body      Value[*BodyLimit]   `json:"body"`      // nil: not asked
	Hold      Value[*Hold]        `json:"hold"`      // nil: not asked
	Held      Value[*HeldWorkers] `json:"held"`      // of a run that followed; nil: none did
}

// Endpoint is one address of the URL's host and whether it took a connection.
type Endpoint struct {
	Address string  `json:"address"` // with the port
	Open    bool    `json:"open"`
	Err     string  `json:"err,omitempty"`     // why not
	NoWay   bool    `json:"noWay,omitempty"`   // the asking host has no route to that family: nothing is told
	Seconds float64 `json:"seconds,omitempty"` // that the connection took
}

// TLS is what a handshake showed.
type TLS struct {
	Version  string `json:"version"`            // "TLS 1.3"
	Cipher   string `json:"cipher"`             // "TLS_AES_128_GCM_SHA256"
	Protocol string `json:"protocol,omitempty"` // by ALPN, of h2 and http/1.1 on offer
	Chain    []Cert `json:"chain"`              // as sent, the leaf first
	Trusted  bool   `json:"trusted"`            // the chain leads to an authority that is trusted here, and the leaf names the host
	Why      string `json:"why,omitempty"`      // not
	Waived   bool   `json:"waived,omitempty"`   // the user asked not to care (--insecure)
}

// Cert is one certificate of a chain.
type Cert struct {
	Subject   string   `json:"subject"`
	Issuer    string   `json:"issuer"`
	Names     []string `json:"names,omitempty"` // host names and addresses of a leaf
	NotBefore string   `json:"notBefore"`       // RFC 3339, UTC
	NotAfter  string   `json:"notAfter"`
}

// Answer is an HTTP answer in short.
type Answer struct {
	Status   int     `json:"status"`
	Text     string  `json:"text,omitempty"`     // its start, printable
	Server   string  `json:"server,omitempty"`   // header: "nginx/1.22.1"
	Via      string  `json:"via,omitempty"`      // header: the proxies that it went through, "1.1 vegur"
	Location string  `json:"location,omitempty"` // header of a redirect
	Seconds  float64 `json:"seconds"`            // until it was there
}

// KeepAlive is whether a second request went over the first one's connection.
type KeepAlive struct {
	Proto  string `json:"proto"` // "HTTP/1.1"
	Reused bool   `json:"reused"`
	Why    string `json:"why,omitempty"` // not
}

// PortAnswer is what another port of the host did.
type PortAnswer struct {
	Address string  `json:"address"`
	Open    bool    `json:"open"`             // it took a connection
	Err     string  `json:"err,omitempty"`    // why it did not, or what came instead of HTTP
	Answer  *Answer `json:"answer,omitempty"` // nil: no HTTP
}

// BodyLimit is how large a body may be, in bytes: one of Accepted came through to
// the server, one of Refused did not.
type BodyLimit struct {
	Accepted int64  `json:"accepted"`          // the largest; 0: none
	Refused  int64  `json:"refused"`           // the smallest; 0: none was, up to the largest tried
	Status   int    `json:"status,omitempty"`  // of the refusal; 0: the connection was cut
	Server   string `json:"server,omitempty"`  // header of the refusal
	Stopped  string `json:"stopped,omitempty"` // why the search ended early
}

// The ways in which a held poll ends.
const (
	EndHeld    = "held"    // not at all: it was still held when the asking ended
	EndAnswer  = "answer"  // the server's own text
	EndStatus  = "status"  // an HTTP status other than 200
	EndReset   = "reset"   // the connection was reset
	EndClosed  = "closed"  // the connection was closed without an answer
	EndSilence = "silence" // the connection was dead when the asking ended, and nothing had told so
)

// Hold is one poll and how it ended.
type Hold struct {
	Asked   float64 `json:"asked"`   // seconds that it was to be held
	Seconds float64 `json:"seconds"` // that it was; with silence: no more than that
	End     string  `json:"end"`     // one of the constants above
	Status  int     `json:"status,omitempty"`
	Text    string  `json:"text,omitempty"`   // start of the answer, printable
	Server  string  `json:"server,omitempty"` // header of the answer
	Via     string  `json:"via,omitempty"`    // header of the answer
}

// HeldWorkers is what a run of many workers through the same URL showed.
type HeldWorkers struct {
	Asked   int     `json:"asked"`
	Peak    int     `json:"peak"`              // most held at one moment
	Steady  int     `json:"steady"`            // fewest held at any moment of the hold
	Seconds float64 `json:"seconds"`           // of the hold
	Cause   string  `json:"cause,omitempty"`   // the commonest error of those not held
	Refused string  `json:"refused,omitempty"` // why the run tells nothing: the generator was the limit
}
