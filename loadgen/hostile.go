package loadgen

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// Hostile is requests that no honest client sends: forged and replayed signatures,
// stolen ids, updates that are too large, bombs, broken forms and heads. It says what
// becomes of them.
type Hostile struct {
	Address     string              // host:port of the server
	TLS         *tls.Config         `json:"-"` // nil: plain HTTP
	From        []net.IP            // addresses of this host that it comes from, in turn; none: any
	Workers     []string            // ids that it knows; at least one
	Replays     []wire.ModelRequest // messages that a worker has sent, and that count no more
	Requests    int
	Connections int // at a time
	Seed        uint64
}

// hostilePatience is how long a request is waited for that should be refused at once.
const hostilePatience = 30 * time.Second

// attack is one kind of request. The connection is not used again after one that leaves
// open where the next request begins.
type attack struct {
	name   string
	weight int
	make   func(*attacker) []byte
	last   bool
}

var attacks = []attack{
	{"stolen id asks for a challenge", 10, (*attacker).challenge, false},
	{"forged registration", 10, (*attacker).registration, false},
	{"forged poll", 20, (*attacker).forgedPoll, false},
	{"forged model request", 15, (*attacker).forgedModel, false},
	{"replayed signature", 10, (*attacker).replay, false},
	{"forged update", 10, (*attacker).forgedUpdate, false},
	{"bomb", 1, (*attacker).bomb, true},
	{"oversize update", 2, (*attacker).oversize, true},
	{"broken form", 5, (*attacker).brokenForm, false},
	{"broken message", 5, (*attacker).brokenMessage, false},
	{"flood of headers", 3, (*attacker).headers, true},
	{"no HTTP", 2, (*attacker).noHTTP, true},
	{"two lengths", 2, (*attacker).twoLengths, true},
	{"admin without a password", 3, (*attacker).admin, false},
	{"other path", 2, (*attacker).otherPath, false},
}

// Run sends them all and gives what became of them by kind, until the context ends.
// Its error is a server that can't be connected to any more.
func (h Hostile) Run(ctx context.Context) (map[string]reports.HostileKind, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sent atomic.Int64
	var all sync.WaitGroup
	var mu sync.Mutex
	counts := map[string]reports.HostileKind{}
	bomb, loots, err := newLoots(h.Seed)
	if err != nil {
		return nil, err
	}
	for i := range max(1, h.Connections) {
		all.Go(func() {
			a := newAttacker(&h, i)
			a.bombed, a.loots = bomb, loots
			defer a.close()
			for ctx.Err() == nil && sent.Add(1) <= int64(h.Requests) {
				if err := a.one(ctx); err != nil {
					cancel(err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for kind, c := range a.counts {
				counts[kind] = c.Plus(counts[kind])
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return counts, err
	}
	return counts, nil
}

// attacker is one connection's.
type attacker struct {
	*Hostile
	dialer net.Dialer
	rng    *rand.Rand
	noises rand.ChaCha8 // bytes
	key    ed25519.PrivateKey
	bombed loot
	loots  []loot // the others that are forged
	counts map[string]reports.HostileKind

	conn   net.Conn
	r      *bufio.Reader
	phrase string // a challenge that a stolen id was given
	about  string // whom
}

func newAttacker(h *Hostile, i int) *attacker {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("hostile %d %d", h.Seed, i))
	a := &attacker{
		Hostile: h, rng: rand.New(rand.NewPCG(h.Seed, uint64(i))), noises: *rand.NewChaCha8(seed), // #nosec G404 -- a plan that can be repeated
		key: ed25519.NewKeyFromSeed(seed[:]), counts: map[string]reports.HostileKind{},
	}
	if len(h.From) > 0 {
		a.dialer.LocalAddr = &net.TCPAddr{IP: h.From[i%len(h.From)]}
	}
	return a
}

func (a *attacker) close() {
	if a.conn != nil {
		_ = a.conn.Close() // nothing is on it
		a.conn = nil
	}
}

// pick is an attack by its weight.
func (a *attacker) pick() *attack {
	sum := 0
	for i := range attacks {
		sum += attacks[i].weight
	}
	n := a.rng.IntN(sum)
	for i := range attacks {
		if n -= attacks[i].weight; n < 0 {
			return &attacks[i]
		}
	}
	panic("no attack") // the weights are above 0
}

// one sends one request and counts its answer; its error is no connection.
func (a *attacker) one(ctx context.Context) error {
	if a.conn == nil {
		c, err := a.dialer.DialContext(ctx, "tcp", a.Address)
		if err != nil {
			return err
		}
		_ = c.(*net.TCPConn).SetLinger(0) // none waits for its port
		if a.TLS != nil {
			c = tls.Client(c, a.TLS)
		}
		a.conn, a.r = c, bufio.NewReader(c)
	}
	stop := context.AfterFunc(ctx, func() { _ = a.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	k := a.pick()
	request := k.make(a)
	_ = a.conn.SetDeadline(time.Now().Add(hostilePatience)) // shows in what follows
	_, werr := a.conn.Write(request)
	status, text, closes, err := a.answer()
	c := a.counts[k.name]
	c.Name = k.name
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil && errors.As(err, &timeout) && timeout.Timeout():
		c.Held++
		c.Example = k.name + ": no answer"
	case err != nil:
		c.Cut++
	case through(text, a.Workers):
		c.Through++
		c.Example = fmt.Sprintf("%d %s", status, said(text))
	case status == 501 || status == 503 || status == 505 || status == 507:
		c.Busy++
	case status >= 500:
		c.Broken++
		c.Example = fmt.Sprintf("%d %s", status, said(text))
	default:
		c.Refused++
	}
	a.counts[k.name] = c
	if err == nil && k.name == attacks[0].name && len(text) == 56 {
		a.phrase = text
	}
	if err != nil || werr != nil || closes || k.last {
		a.close()
	}
	return nil
}

// answer reads one.
func (a *attacker) answer() (status int, text string, closes bool, err error) {
	res, err := http.ReadResponse(a.r, nil)
	if err != nil {
		return 0, "", true, err
	}
	if res.StatusCode == http.StatusContinue {
		return res.StatusCode, "", true, nil // it would take what was announced
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(b), res.Close, err
}

// through says whether an answer is one that only a worker should get.
func through(text string, workers []string) bool {
	if strings.HasPrefix(text, wire.TextAccepted) || text == wire.TextUpdated {
		return true
	}
	for _, id := range workers {
		if text == id || text == wire.TextSuperseded(id) {
			return true
		}
	}
	if len(text) < 2 || text[0] != 'x' { // no zlib
		return false
	}
	_, err := wire.DecodeModel(io.Discard, strings.NewReader(text), 1<<30)
	return err == nil
}
