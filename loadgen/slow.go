package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// slowClients keep so many connections of each kind busy at so many bytes a second,
// until they are stopped: request heads and updates that dribble, and models that are
// read slowly. A client whose connection has ended begins another.
type slowClients struct {
	address string
	tls     *tls.Config
	from    []net.IP // addresses of this host that they come from, in turn; none: any
	clients int      // of each kind
	rate    float64  // bytes a second of each
	workers []string // ids that they know; at least one
	update  slowUpdate
	lent    chan lentKey // who may ask for a model just now

	mu     sync.Mutex
	counts map[string]reports.SlowKind
}

// slowUpdate is an update's form as workers send it, but for the signature, which is
// nobody's.
type slowUpdate struct {
	contentType string
	body        []byte
}

func newSlowUpdate(form *wire.UpdateForm) slowUpdate {
	signed := strings.Repeat("0", 2*(ed25519.SignatureSize+len(wire.Digest{})))
	return slowUpdate{form.ContentType, bytes.Join(form.Segments(signed), nil)}
}

// lentKey is a worker whose key a slow download is signed by.
type lentKey struct {
	id  string
	key ed25519.PrivateKey
}

const (
	slowHeads     = "head"
	slowUploads   = "upload"
	slowDownloads = "download"
)

// slowKinds are what each kind does with a connection. It gives nil where all came to
// its end, and else how the server ended it.
var slowKinds = map[string]func(s *slowClients, c *slowConn, i int, as lentKey) error{
	slowHeads: (*slowClients).head, slowUploads: (*slowClients).upload, slowDownloads: (*slowClients).download,
}

// slowPause is before a client that was ended comes again.
const slowPause = time.Second

// slowBuffer is a slow client's receive buffer, in bytes: what it has not read, the server
// keeps.
const slowBuffer = 4096

// run ends with ctx. Its error is this process's: it had no room for its connections.
func (s *slowClients) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.mu.Lock()
	s.counts = map[string]reports.SlowKind{}
	s.mu.Unlock()
	var all sync.WaitGroup
	for kind := range slowKinds {
		for i := range s.clients {
			all.Go(func() {
				for ctx.Err() == nil {
					if err := s.one(ctx, kind, i); err != nil {
						cancel(err)
						return
					}
					select {
					case <-ctx.Done():
					case <-time.After(slowPause):
					}
				}
			})
		}
	}
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// one keeps one connection as long as it lasts, and counts it.
func (s *slowClients) one(ctx context.Context, kind string, i int) error {
	var as lentKey
	if kind == slowDownloads {
		select {
		case <-ctx.Done():
			return nil
		case as = <-s.lent:
		}
	}
	conn, err := s.dial(ctx, i)
	if err == nil {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
		err = slowKinds[kind](s, newSlowConn(conn, s.tls, s.rate), i, as)
	} else if ctx.Err() != nil {
		return nil
	}
	var f *failure
	if err != nil {
		if f = judgeConn(err); f.class == classGenerator && ctx.Err() == nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.counts[kind]
	switch {
	case err == nil:
		n.Finished++
	case ctx.Err() != nil:
		n.Open++
	default:
		n.Ended++
		if n.Example == "" {
			n.Example = f.detail
		}
	}
	n.Name = kind
	s.counts[kind] = n
	return nil
}

func (s *slowClients) dial(ctx context.Context, i int) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, slowBuffer) })
		return errors.Join(cerr, err)
	}}
	if len(s.from) > 0 {
		d.LocalAddr = &net.TCPAddr{IP: s.from[i%len(s.from)]}
	}
	c, err := d.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	_ = c.(*net.TCPConn).SetLinger(0) // none waits for its port
	return c, nil
}

// head is a request's that never ends.
func (s *slowClients) head(c *slowConn, _ int, _ lentKey) error {
	line := "POST " + wire.PathPoll + " HTTP/1.1\r\nHost: fltool\r\n"
	for n := 0; ; n++ {
		if err := c.dribble([]byte(line)); err != nil {
			return err
		}
		line = fmt.Sprintf("X-%d: y\r\n", n)
	}
}

// upload is an update that the server must read to the end to refuse it.
func (s *slowClients) upload(c *slowConn, i int, _ lentKey) error {
	body := s.update.body
	_, err := fmt.Fprintf(c.Conn, "POST %s/%s HTTP/1.1\r\nHost: fltool\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		wire.PathUpdate, s.workers[i%len(s.workers)], s.update.contentType, len(body))
	if err != nil {
		return err
	}
	last := len(body) - 1 // before it any answer is early
	if err := c.dribble(body[:last]); err != nil {
		return err
	}
	_, err = c.Conn.Write(body[last:])
	return err
}

// download is of a model, by a worker's key.
func (s *slowClients) download(c *slowConn, _ int, as lentKey) error {
	if _, err := fmt.Fprintf(c.Conn, "GET %s/%s HTTP/1.1\r\nHost: fltool\r\n\r\n", wire.PathChallenge, as.id); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(c.Conn), nil)
	if err != nil {
		return err
	}
	phrase, err := io.ReadAll(io.LimitReader(res.Body, longestText))
	if err != nil {
		return err
	}
	if _, err := c.Conn.Write(message(wire.PathModel, wire.ModelRequest{WorkerID: as.id, SignedPhrase: wire.Sign(as.key, phrase)})); err != nil {
		return err
	}
	c.below.slow = true
	res, err = http.ReadResponse(bufio.NewReader(c.Conn), nil)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New("answered " + res.Status)
	}
	_, err = wire.DecodeModel(io.Discard, res.Body, wire.MaxModel)
	return err
}

// slowConn is a connection over which little passes at a time.
type slowConn struct {
	net.Conn // the socket, or TLS on top of it
	below    *slowSocket
}

func newSlowConn(c net.Conn, t *tls.Config, rate float64) *slowConn {
	below := &slowSocket{Conn: c, chunk: max(1, int(rate/10)), rate: rate}
	if t != nil {
		return &slowConn{tls.Client(below, t), below}
	}
	return &slowConn{below, below}
}

// slowSocket is read slowly once it is told so: below TLS, which takes a record as a whole.
type slowSocket struct {
	net.Conn
	chunk int     // bytes at a time
	rate  float64 // and a second
	slow  bool
}

// takes is how long so many bytes take.
func (s *slowSocket) takes(n int) time.Duration { return seconds(float64(n) / s.rate) }

// Read gives a chunk, after its while.
func (s *slowSocket) Read(p []byte) (int, error) {
	if !s.slow {
		return s.Conn.Read(p)
	}
	n, err := s.Conn.Read(p[:min(len(p), s.chunk)])
	time.Sleep(s.takes(n))
	return n, err
}

// dribble writes p by chunks, and listens between them. Its error is the server's end of
// it: whatever it says before all is sent ends the client.
func (c *slowConn) dribble(p []byte) error {
	answer := make([]byte, 64)
	for len(p) > 0 {
		n, err := c.Conn.Write(p[:min(len(p), c.below.chunk)])
		if err != nil {
			return err
		}
		p = p[n:]
		if err := c.SetReadDeadline(time.Now().Add(c.below.takes(n))); err != nil {
			return err
		}
		switch n, err := c.Conn.Read(answer); {
		case n > 0:
			line, _, _ := strings.Cut(string(answer[:n]), "\r\n")
			return errors.New("answered " + line)
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
	}
	return nil
}
