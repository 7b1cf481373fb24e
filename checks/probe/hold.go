package probe

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/server/wire"
)

const (
	enlistRequests = 2 // challenge, register
	holdRequests   = 6 // challenge, model, challenge, poll; challenge and poll that end it
	maxModel       = 4 << 30
	modelTimeout   = 15 * time.Minute

	// proofOfLife is how long a connection that said nothing is given to prove that
	// its other end still hears, by TCP keep-alive.
	proofOfLife = 6 * time.Second
)

// The refusals to enlist.
var (
	errNoWorker = errors.New("no worker to ask as: give a key by --probe-key or, where the server has no key list, let one be registered")
	errNoKey    = errors.New("the server has a key list: give one of its keys by --probe-key")
	errUnlisted = errors.New("the server knows no worker of this key: add its public key to the server's list. A server without a key list is asked without --probe-key")
)

// enlist makes the worker that the poll is asked as, and gives its id. With a key
// the server is first asked whether it knows the worker: one that keeps no key
// list would make a new worker of it.
func (p *prober) enlist(ctx context.Context) (string, error) {
	if !p.o.holds() {
		return "", errNoWorker
	}
	if p.o.Key == nil {
		id, err := p.register(ctx, wire.Register{PublicKey: wire.NoPublicKey, SignedPhrase: wire.NoPrivateKey})
		if err == nil && strictID(id) {
			err = fmt.Errorf("register without a key: answered %q", clip(id))
			if id == wire.TextInvalid {
				err = errNoKey
			}
		}
		return id, err
	}
	own := wire.WorkerID(p.o.Key.Public().(ed25519.PublicKey))
	a, text, err := p.once(ctx, http.MethodGet, wire.PathChallenge+"/"+own, "", nil)
	switch {
	case err != nil:
		return "", fmt.Errorf("ask for a challenge: %w", err)
	case text == wire.TextInvalid:
		return "", errUnlisted
	case a.Status != http.StatusOK:
		return "", fmt.Errorf("ask for a challenge: HTTP %d", a.Status)
	}
	id, err := p.register(ctx, wire.Register{PublicKey: own, SignedPhrase: wire.Sign(p.o.Key, []byte(wire.RegisterPhrase))})
	if err == nil && id != own {
		err = fmt.Errorf("register: answered %q", clip(id))
	}
	return own, err
}

func (p *prober) register(ctx context.Context, r wire.Register) (string, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	a, text, err := p.once(ctx, http.MethodPost, wire.PathRegister, "application/json", body)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("HTTP %d", a.Status)
	}
	if err != nil {
		return "", fmt.Errorf("register: %w", err)
	}
	return strings.TrimSpace(text), nil
}

// hold sends one poll and waits for its end.
func (p *prober) hold(ctx context.Context, id string, enlisted error) facts.Value[*facts.Hold] {
	if p.o.Hold == 0 {
		return facts.Value[*facts.Hold]{Source: "not asked"}
	}
	if enlisted != nil {
		return unknown[*facts.Hold](enlisted)
	}
	c, err := p.open(ctx)
	if err != nil {
		return unknown[*facts.Hold](err)
	}
	defer func() { c.tcp.Close() }()
	p.tell("downloading the model, for its version")
	version, err := p.version(ctx, c, id)
	if err != nil {
		return unknown[*facts.Hold](fmt.Errorf("get the model's version: %w", err))
	}
	// A connection of its own: the model's may have to be closed by now.
	c.tcp.Close()
	if c, err = p.open(ctx); err != nil {
		return unknown[*facts.Hold](err)
	}
	signed, err := p.challenge(ctx, c, id)
	if err != nil {
		return unknown[*facts.Hold](err)
	}
	req, err := p.json(wire.PathPoll, wire.Poll{WorkerID: id, LastVersion: version, SignedPhrase: signed})
	if err != nil {
		return unknown[*facts.Hold](err)
	}
	p.tell("holding a poll for up to " + p.o.Hold.String())
	held := p.wait(ctx, c, req)
	if answered := held.Known() && held.V.End == facts.EndAnswer; !answered {
		c.tcp.Close()
		if err := p.free(context.WithoutCancel(ctx), id); err != nil {
			p.tell(fmt.Sprintf("the server may still hold the poll, until its next model: the poll that ends it had no success (%v)", err))
		}
	}
	return held
}

// free has a server that notices no client that went let go of the worker's poll, by
// another one, to which any model is news.
func (p *prober) free(ctx context.Context, id string) error {
	c, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer c.tcp.Close()
	signed, err := p.challenge(ctx, c, id)
	if err != nil {
		return err
	}
	req, err := p.json(wire.PathPoll, wire.Poll{WorkerID: id, SignedPhrase: signed})
	if err != nil {
		return err
	}
	a, _, _, err := p.text(ctx, c, req, p.o.Timeout)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("HTTP %d", a.Status)
	}
	return err
}

// wait is the poll itself.
func (p *prober) wait(ctx context.Context, c *conn, req *http.Request) facts.Value[*facts.Hold] {
	if err := p.spend(Cost{Requests: 1, Bytes: req.ContentLength}); err != nil {
		return unknown[*facts.Hold](err)
	}
	out := facts.Hold{Asked: p.o.Hold.Seconds()}
	defer context.AfterFunc(ctx, func() { c.tcp.Close() })()
	start := time.Now()
	if err := c.SetReadDeadline(start.Add(p.o.Hold)); err != nil {
		return unknown[*facts.Hold](err)
	}
	if err := req.Write(c); err != nil {
		return unknown[*facts.Hold](fmt.Errorf("send the poll: %s", cause(err)))
	}
	_, err := c.br.Peek(1)
	if late(err) && time.Since(start) >= p.o.Hold {
		out.Seconds = time.Since(start).Seconds()
		out.End, err = c.living()
	}
	var text []byte
	if out.End == "" && err == nil {
		// An answer that began may still be a held one: some send its head at once.
		if err = c.SetReadDeadline(start.Add(p.o.Hold)); err == nil {
			err = c.answer(req, func(r *http.Response) error {
				out.Status, out.Server, out.Via = r.StatusCode, clip(r.Header.Get("Server")), via(r.Header)
				var err error
				text, err = io.ReadAll(io.LimitReader(r.Body, maxMessage))
				return err
			})
		}
		if late(err) && time.Since(start) >= p.o.Hold {
			out.Seconds = time.Since(start).Seconds()
			out.End, err = c.living()
		}
	}
	if ctx.Err() != nil {
		return unknown[*facts.Hold](errors.New("interrupted"))
	}
	if out.Seconds == 0 {
		out.Seconds = time.Since(start).Seconds()
	}
	out.Text = clip(string(text))
	if out.End == "" {
		out.End = ended(out.Status, err)
	}
	if out.End == "" {
		return unknown[*facts.Hold](errors.New("the poll: " + cause(err)))
	}
	// What the server says at once for lack of a valid question is no hold.
	if t := strings.TrimSpace(string(text)); t == wire.TextInvalid || t == wire.TextUnregistered {
		return unknown[*facts.Hold](fmt.Errorf("the poll was refused: %s", t))
	}
	return facts.Value[*facts.Hold]{V: &out, Source: p.source("POST", wire.PathPoll)}
}

// ended names the end of a poll; "" is none of the known ones.
func ended(status int, err error) string {
	switch {
	case err == nil && status == http.StatusOK:
		return facts.EndAnswer
	case err == nil:
		return facts.EndStatus
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH):
		return facts.EndSilence
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return facts.EndReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return facts.EndClosed
	}
	return ""
}

func late(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() && !errors.Is(err, syscall.ETIMEDOUT)
}

// living tells a connection that is still held from one that some hop has
// forgotten without a word: the peer's kernel must acknowledge a keep-alive. What
// comes in that time is no part of the hold.
func (c *conn) living() (string, error) {
	k, ok := c.tcp.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	})
	if !ok {
		return "", errors.New("whether the connection was still alive can't be told")
	}
	if err := k.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 3}); err != nil {
		return "", err
	}
	if err := c.SetReadDeadline(time.Now().Add(proofOfLife)); err != nil {
		return "", err
	}
	_, err := c.br.Peek(c.br.Buffered() + 1)
	switch {
	case err == nil, late(err):
		return facts.EndHeld, nil
	case errors.Is(err, io.EOF):
		return facts.EndHeld, nil // closed after all that time, and properly
	case errors.Is(err, syscall.ECONNRESET):
		return facts.EndSilence, nil // by a hop that no longer knew it
	}
	return ended(0, err), err
}

// challenge asks for a challenge and signs it.
func (p *prober) challenge(ctx context.Context, c *conn, id string) (string, error) {
	req, err := p.request(http.MethodGet, wire.PathChallenge+"/"+id, "", nil, 0)
	if err != nil {
		return "", err
	}
	a, text, _, err := p.text(ctx, c, req, p.o.Timeout)
	switch {
	case err != nil:
		return "", fmt.Errorf("ask for a challenge: %s", cause(err))
	case a.Status != http.StatusOK || text == "" || text == wire.TextInvalid || text == wire.TextUnregistered:
		return "", fmt.Errorf("ask for a challenge: HTTP %d %s", a.Status, a.Text)
	case p.o.Key == nil:
		return wire.NoPrivateKey, nil
	}
	return wire.Sign(p.o.Key, []byte(text)), nil
}

// version downloads the global model: nothing else tells its version.
func (p *prober) version(ctx context.Context, c *conn, id string) (wire.Version, error) {
	signed, err := p.challenge(ctx, c, id)
	if err != nil {
		return "", err
	}
	req, err := p.json(wire.PathModel, wire.ModelRequest{WorkerID: id, SignedPhrase: signed})
	if err != nil {
		return "", err
	}
	var m wire.Model
	err = p.exchange(ctx, c, req, modelTimeout, func(r *http.Response) error {
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("HTTP %d", r.StatusCode)
		}
		var head bytes.Buffer // of what may be a refusal
		var err error
		m, err = wire.DecodeModel(io.Discard, io.TeeReader(r.Body, &limited{&head, maxMessage}), maxModel)
		if b := head.Bytes(); err != nil && !wire.ZlibHeader(b) {
			return errors.New("answered " + strconv.Quote(clip(string(b))))
		}
		return err
	})
	if err != nil {
		return "", errors.New(cause(err))
	}
	return m.Version, nil
}

// json makes a POST of a message.
func (p *prober) json(path string, message any) (*http.Request, error) {
	b, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	return p.request(http.MethodPost, path, "application/json", bytes.NewReader(b), int64(len(b)))
}

// limited keeps the first bytes of what is written to it.
type limited struct {
	b    *bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	keep := min(len(b), l.left)
	l.b.Write(b[:keep])
	l.left -= keep
	return len(b), nil
}
