// Package probe asks a running deployment, through the URL that its workers use,
// what no file on its hosts can tell: which hop cuts a held poll and when, how
// large a body comes through, what stands open. Its answers are facts.
//
// It says beforehand how much it will send and never sends more. It judges
// nothing.
package probe

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Defaults of Questions.
const (
	DefaultHold    = 10 * time.Minute
	DefaultBodyMax = 64e6             // bytes
	DefaultTimeout = 90 * time.Second // longer than the 60 s after which most proxies give up on a server
)

// Questions say what to ask. The zero value asks for neither body nor hold.
type Questions struct {
	URL *url.URL // http or https, without path and user info

	Key      ed25519.PrivateKey // of a worker that nobody else is: its poll would end another's; nil: none
	Register bool               // without a key: a worker may be registered, which stays
	Hold     time.Duration      // longest that the poll is held; 0: none is sent

	BodyWant int64 // bytes of a body that should come through: tried first; 0: nothing in particular
	BodyMax  int64 // bytes of the largest body; 0: none is sent

	UpstreamPort int // of the server itself, to be tried past the proxy; 0: not tried

	TLS     *tls.Config   // for https; InsecureSkipVerify asks not to care for trust
	Timeout time.Duration // of every request but the poll, the model and updates; 0: DefaultTimeout

	Now    func() time.Time                                             // nil: time.Now
	Tell   func(string)                                                 // what is being done, for people; may be nil
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error) // nil: the resolver
	Dial   func(ctx context.Context, address string) (net.Conn, error)  // nil: TCP
}

// ErrURL is a URL that can't be probed.
var ErrURL = errors.New("want the URL of a server such as https://fl.example.org, without a path or a password")

// ParseURL reads the URL of a deployment. The error is ErrURL, and says nothing
// of the URL, which may hold a password.
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || u.Scheme != "http" && u.Scheme != "https" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, ErrURL
	}
	if _, err := portOf(u); err != nil {
		return nil, ErrURL
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// Cost is the most that a probe sends.
type Cost struct {
	Requests    int
	Connections int
	Bytes       int64 // of request bodies
}

// Cost tells how much these questions lead to at most.
func (o Questions) Cost() Cost {
	p := Cost{Requests: 4, Connections: 2*maxRoutes + 3} // alive, keep-alive, buffering, /workers
	p.Bytes += collected
	if o.asksPlain() {
		p.Requests++
		p.Connections++
	}
	if o.UpstreamPort > 0 {
		p.Requests++
		p.Connections++
	}
	if o.BodyMax > 0 {
		p.Requests += bodyTries
		p.Connections += bodyTries
		p.Bytes += worstBytes(o.BodyWant, o.BodyMax)
	}
	if o.holds() {
		p.Requests += enlistRequests + holdRequests
		p.Connections += 4
		p.Bytes += (enlistRequests + holdRequests) * maxMessage
	}
	return p
}

// holds says whether a poll is to be sent and there is a worker for it.
func (o Questions) holds() bool { return o.Hold > 0 && (o.Key != nil || o.Register) }

// asksPlain says whether port 80 is asked, too: where https has its own port.
func (o Questions) asksPlain() bool {
	port, _ := portOf(o.URL)
	return o.URL.Scheme == "https" && port == "443"
}

// Run asks. What could not be asked or was not answered is unknown in the facts;
// the error is that of a ctx that ended.
func Run(ctx context.Context, o Questions) (facts.Probe, error) {
	p := newProber(o)
	at := p.o.Now()
	out := facts.Probe{URL: o.URL.String(), At: at.UTC().Format(time.RFC3339)}
	p.tell("looking up and connecting to " + o.URL.Host)
	p.reach(ctx, &out)
	err := p.why(ctx, out)
	p.tell("asking the server")
	// alive comes first: what follows is known by its answer.
	out.Alive, out.KeepAlive = ask2(err, func() (facts.Value[facts.Answer], facts.Value[facts.KeepAlive]) { return p.alive(ctx) })
	out.Buffering = ask(err, func() facts.Value[bool] { return p.buffering(ctx) })
	out.Admin = ask(err, func() facts.Value[facts.Answer] { return p.admin(ctx) })
	out.Plain = ask(err, func() facts.Value[*facts.PortAnswer] { return p.plain(ctx) })
	out.Upstream = ask(err, func() facts.Value[*facts.PortAnswer] { return p.upstream(ctx) })
	switch speaks := err == nil && isServer(out.Alive.V); {
	case !speaks && err == nil:
		err = errors.New("what answers is no server of the protocol")
		fallthrough
	case !speaks:
		out.Body, out.Hold = unknown[*facts.BodyLimit](err), unknown[*facts.Hold](err)
	default:
		id, enlistErr := p.enlist(ctx)
		out.Body = p.body(ctx, id)
		out.Hold = p.hold(ctx, id, enlistErr)
	}
	if o.BodyMax == 0 {
		out.Body = facts.Value[*facts.BodyLimit]{Source: "not asked"}
	}
	if o.Hold == 0 {
		out.Hold = facts.Value[*facts.Hold]{Source: "not asked"}
	}
	out.Held = facts.Value[*facts.HeldWorkers]{Source: "not asked"}
	out.Requests, out.Bytes = p.sent.Requests, p.sent.Bytes
	facts.Redact(&out) // a redirect may carry a token
	if err := ctx.Err(); err != nil {
		return out, fmt.Errorf("probe %s: %w", o.URL, context.Cause(ctx))
	}
	return out, nil
}

// why is why nothing more can be asked, or nil.
func (p *prober) why(ctx context.Context, out facts.Probe) error {
	switch {
	case len(p.routes) == 0:
		return errors.New("nothing takes a connection at " + p.o.URL.Host)
	case p.o.URL.Scheme == "http":
		return nil
	case !out.TLS.Known():
		return errors.New("no TLS: " + out.TLS.Why())
	case !out.TLS.V.Trusted && !out.TLS.V.Waived:
		return errors.New("the certificate is not trusted")
	}
	return nil
}

// ask asks, unless it is known why that is no use.
func ask[T any](err error, f func() facts.Value[T]) facts.Value[T] {
	if err != nil {
		return unknown[T](err)
	}
	return f()
}

func ask2[T, U any](err error, f func() (facts.Value[T], facts.Value[U])) (facts.Value[T], facts.Value[U]) {
	if err != nil {
		return unknown[T](err), unknown[U](err)
	}
	return f()
}

func unknown[T any](err error) facts.Value[T] { return facts.Value[T]{Err: err.Error()} }
