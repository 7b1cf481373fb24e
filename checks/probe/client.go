package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/server/wire"
)

// maxMessage bounds the JSON bodies that are sent and the texts that are read.
const maxMessage = 4 << 10

// prober asks one deployment, one question after another.
type prober struct {
	o      Questions
	left   Cost     // of what was announced
	sent   Cost     // so far
	routes []string // addresses that took a connection, the best first
}

func newProber(o Questions) *prober {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Lookup == nil {
		o.Lookup = lookup
	}
	if o.Dial == nil {
		// Without keep-alive, as the workers' connections are: it would keep open
		// what a firewall on the way forgets.
		d := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: false}, KeepAlive: -1}
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
	}
	return &prober{o: o, left: o.Cost()}
}

func (p *prober) tell(s string) {
	if p.o.Tell != nil {
		p.o.Tell(s)
	}
}

// errSpent is a request beyond what was announced. It is a fault of this package;
// the request is not sent.
var errSpent = errors.New("more than was announced")

// spend is the one place that all that is sent passes, before it is sent.
func (p *prober) spend(what Cost) error {
	if what.Requests > p.left.Requests || what.Connections > p.left.Connections || what.Bytes > p.left.Bytes {
		return errSpent
	}
	for of, sign := range map[*Cost]int{&p.left: -1, &p.sent: 1} {
		of.Requests += sign * what.Requests
		of.Connections += sign * what.Connections
		of.Bytes += int64(sign) * what.Bytes
	}
	return nil
}

// dialTimeout bounds a connection: two lost SYNs and some.
const dialTimeout = 10 * time.Second

// dial connects to an address.
func (p *prober) dial(ctx context.Context, address string) (net.Conn, error) {
	if err := p.spend(Cost{Connections: 1}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return p.o.Dial(ctx, address)
}

// conn is one HTTP/1.1 connection, as a worker has it. A client of net/http would
// send some requests twice where the first got no answer, and talk HTTP/2.
type conn struct {
	net.Conn // TLS, where the URL says so
	tcp      net.Conn
	br       *bufio.Reader
	head     wire.Head
}

func newConn(nc, tcp net.Conn) *conn {
	c := &conn{Conn: nc, tcp: tcp}
	c.br = bufio.NewReader(c)
	return c
}

func (c *conn) Read(p []byte) (int, error) { return c.head.Read(c.Conn, p) }

// open connects to the deployment as workers do.
func (p *prober) open(ctx context.Context) (*conn, error) {
	tcp, err := p.dial(ctx, p.routes[0])
	if err != nil {
		return nil, fmt.Errorf("connect: %s", cause(err))
	}
	if p.o.URL.Scheme == "http" {
		return newConn(tcp, tcp), nil
	}
	c, _, err := p.handshake(ctx, tcp, "http/1.1")
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("TLS: %s", cause(err))
	}
	return newConn(c, tcp), nil
}

// request makes one of the deployment's.
func (p *prober) request(method, path, contentType string, body io.Reader, size int64) (*http.Request, error) {
	req, err := http.NewRequest(method, p.o.URL.String()+path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header.Set("User-Agent", "fltool-probe")
	req.Header.Set("Accept", "*/*")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req, nil
}

// errEarly is an answer that came before the request was sent whole.
var errEarly = errors.New("the answer came before the whole of it was sent")

// exchange sends a request and reads its answer by read, all within timeout. An
// answer may come before the request is sent whole; then the connection is closed
// and the error, unless read gives another, is errEarly.
func (p *prober) exchange(ctx context.Context, c *conn, req *http.Request, timeout time.Duration, read func(*http.Response) error) error {
	if err := p.spend(Cost{Requests: 1, Bytes: req.ContentLength}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// Closing ends reads and writes alike, whatever hangs.
	defer context.AfterFunc(ctx, func() { c.tcp.Close() })()
	wrote := make(chan error, 1)
	go func() { wrote <- req.Write(c) }()
	err := c.answer(req, read)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	// What the other end's kernel still takes will have been written by then.
	const moment = time.Second
	timer := time.AfterFunc(moment, func() { c.tcp.Close() })
	if err != nil {
		c.tcp.Close()
	}
	werr := <-wrote
	timer.Stop()
	if err == nil && werr != nil {
		return errEarly
	}
	return err
}

// answer reads one answer.
func (c *conn) answer(req *http.Request, read func(*http.Response) error) error {
	for {
		resp, err := c.head.Response(c.br, req)
		if err != nil {
			return err
		}
		if resp.StatusCode >= 200 {
			defer resp.Body.Close()
			return read(resp)
		}
	}
}

// text asks over a connection and gives the whole text of the answer, or its
// start where it is long. With errEarly there is an answer, too.
func (p *prober) text(ctx context.Context, c *conn, req *http.Request, timeout time.Duration) (facts.Answer, string, *http.Response, error) {
	start := p.o.Now()
	var a facts.Answer
	var text []byte
	var resp *http.Response
	err := p.exchange(ctx, c, req, timeout, func(r *http.Response) error {
		resp = r
		var err error
		text, err = io.ReadAll(io.LimitReader(r.Body, maxMessage))
		if err == nil && len(text) == maxMessage {
			r.Close = true // the rest is not read
		}
		return err
	})
	if err != nil && !errors.Is(err, errEarly) {
		return a, "", nil, err
	}
	a = facts.Answer{
		Status: resp.StatusCode, Text: clip(string(text)), Server: clip(resp.Header.Get("Server")), Via: via(resp.Header),
		Location: clip(resp.Header.Get("Location")), Seconds: p.o.Now().Sub(start).Seconds(),
	}
	return a, string(text), resp, err
}

// via is the header Via, which each proxy may add a line to.
func via(h http.Header) string { return clip(strings.Join(h.Values("Via"), ", ")) }

// once asks over a connection of its own.
func (p *prober) once(ctx context.Context, method, path, contentType string, body []byte) (facts.Answer, string, error) {
	req, err := p.request(method, path, contentType, strings.NewReader(string(body)), int64(len(body)))
	if err != nil {
		return facts.Answer{}, "", err
	}
	c, err := p.open(ctx)
	if err != nil {
		return facts.Answer{}, "", err
	}
	defer c.tcp.Close()
	a, text, _, err := p.text(ctx, c, req, p.o.Timeout)
	if err != nil {
		return a, "", errors.New(cause(err))
	}
	return a, text, nil
}

// cause says why a connection failed in a few words, without addresses.
func cause(err error) string {
	var sys *os.SyscallError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed without an answer"
	case errors.As(err, &sys):
		return sys.Err.Error()
	}
	return clip(err.Error())
}

// clip makes a foreign text fit for a line on a terminal.
func clip(s string) string {
	const most = 120
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, s)), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most-1]) + "…"
	}
	return s
}
