package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/server/wire"
)

// nobody is a worker that no server knows.
const nobody = "fltool-probe"

// question is what every server of the protocol answers in the same way, at no
// cost and without a change: it knows no worker of that name.
const question = wire.PathChallenge + "/" + nobody

// isServer says whether an answer to question is that of a server.
func isServer(a facts.Answer) bool {
	return a.Status == http.StatusOK && a.Text == wire.TextInvalid
}

func (p *prober) source(method, path string) string { return method + " " + p.o.URL.String() + path }

// alive asks twice over one connection: whether a server of the protocol answers,
// and whether the connection stays.
func (p *prober) alive(ctx context.Context) (facts.Value[facts.Answer], facts.Value[facts.KeepAlive]) {
	lost := func(err error) (facts.Value[facts.Answer], facts.Value[facts.KeepAlive]) {
		err = errors.New(cause(err))
		return unknown[facts.Answer](err), unknown[facts.KeepAlive](err)
	}
	req, err := p.request(http.MethodGet, question, "", nil, 0)
	if err != nil {
		return lost(err)
	}
	c, err := p.open(ctx)
	if err != nil {
		return lost(err)
	}
	defer c.tcp.Close()
	a, _, resp, err := p.text(ctx, c, req, p.o.Timeout)
	if err != nil {
		return lost(err)
	}
	source := p.source("GET", question)
	alive := facts.Value[facts.Answer]{V: a, Source: source}
	keep := facts.Value[facts.KeepAlive]{V: facts.KeepAlive{Proto: resp.Proto}, Source: source + ", twice"}
	if resp.Close {
		keep.V.Why = "the answer says Connection: close"
		if resp.ProtoMinor == 0 {
			keep.V.Why = "the answer is " + resp.Proto
		}
		return alive, keep
	}
	if _, _, _, err := p.text(ctx, c, req, p.o.Timeout); err != nil {
		keep.V.Why = cause(err)
		if ctx.Err() != nil {
			keep = unknown[facts.KeepAlive](err)
		}
		return alive, keep
	}
	keep.V.Reused = true
	return alive, keep
}

const (
	// collected is how much of a body is announced to see whether it is awaited
	// whole, in bytes: less than nginx lets through by default, and more than Go's
	// server would wait for itself before it sends an answer.
	collected = 320 << 10
	// collectWait is how long an answer may take that does not wait for the body.
	collectWait = 2 * time.Second
)

// buffering sends the question with a body that stops after its first byte. The
// server answers without it; where the answer comes only once the body is there,
// something before the server collects requests.
func (p *prober) buffering(ctx context.Context) facts.Value[bool] {
	fail := func(err error) facts.Value[bool] { return unknown[bool](errors.New(cause(err))) }
	if err := p.spend(Cost{Requests: 1, Bytes: collected}); err != nil {
		return fail(err)
	}
	req, err := p.request(http.MethodGet, question, "application/octet-stream", nil, 0)
	if err != nil {
		return fail(err)
	}
	c, err := p.open(ctx)
	if err != nil {
		return fail(err)
	}
	defer c.tcp.Close()
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.tcp.Close() })()

	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n ",
		question, p.o.URL.Host, req.UserAgent(), req.Header.Get("Content-Type"), collected); err != nil {
		return fail(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(collectWait)); err != nil {
		return fail(err)
	}
	_, err = c.br.Peek(1)
	waited := false
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		waited = true
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			return fail(err)
		}
		if _, err := io.WriteString(c, strings.Repeat(" ", collected-1)); err != nil {
			return fail(err)
		}
	} else if err != nil {
		return fail(err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return fail(err)
	}
	var status int
	var text []byte
	err = c.answer(req, func(r *http.Response) error {
		status = r.StatusCode
		var err error
		text, err = io.ReadAll(io.LimitReader(r.Body, maxMessage))
		return err
	})
	if err != nil {
		return fail(err)
	}
	// Go's server answers without the body and drops the connection, which nginx,
	// in the middle of sending what it had collected, turns into a 502.
	dropped := waited && status == http.StatusBadGateway
	if !dropped && (status != http.StatusOK || string(text) != wire.TextInvalid) {
		return unknown[bool](fmt.Errorf("a GET with a body of %d bytes got HTTP %d, not the server's answer", collected, status))
	}
	return facts.Value[bool]{V: waited, Source: p.source("GET", question) + " with a body that comes late"}
}

// admin asks for the list of workers without a password.
func (p *prober) admin(ctx context.Context) facts.Value[facts.Answer] {
	a, _, err := p.once(ctx, http.MethodGet, wire.PathWorkers, "", nil)
	if err != nil {
		return unknown[facts.Answer](err)
	}
	if a.Status == http.StatusOK {
		a.Text = "" // keys of others, perhaps: not ours to keep
	}
	return facts.Value[facts.Answer]{V: a, Source: p.source("GET", wire.PathWorkers)}
}

// plain asks port 80 of a host that has https.
func (p *prober) plain(ctx context.Context) facts.Value[*facts.PortAnswer] {
	if !p.o.asksPlain() {
		return facts.Value[*facts.PortAnswer]{Source: "not asked"}
	}
	return p.port(ctx, 80)
}

// upstream asks the server's own port past the proxy.
func (p *prober) upstream(ctx context.Context) facts.Value[*facts.PortAnswer] {
	if p.o.UpstreamPort == 0 {
		return facts.Value[*facts.PortAnswer]{Source: "not asked"}
	}
	return p.port(ctx, p.o.UpstreamPort)
}

// port asks another port of the host, by plain http.
func (p *prober) port(ctx context.Context, port int) facts.Value[*facts.PortAnswer] {
	host, _, err := net.SplitHostPort(p.routes[0])
	if err != nil {
		return unknown[*facts.PortAnswer](err)
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	out := facts.PortAnswer{Address: address}
	known := facts.Value[*facts.PortAnswer]{V: &out, Source: "http://" + address + question}
	tcp, err := p.dial(ctx, address)
	if err != nil {
		if ctx.Err() != nil {
			return unknown[*facts.PortAnswer](errors.New(cause(err)))
		}
		out.Err = cause(err)
		return known
	}
	defer tcp.Close()
	out.Open = true
	req, err := p.request(http.MethodGet, question, "", nil, 0)
	if err != nil {
		return unknown[*facts.PortAnswer](err)
	}
	const patience = 10 * time.Second // what is open is known; only its name is missing
	a, _, _, err := p.text(ctx, newConn(tcp, tcp), req, min(patience, p.o.Timeout))
	if err != nil {
		out.Err = cause(err)
		return known
	}
	out.Answer = &a
	return known
}
