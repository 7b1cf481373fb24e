package probe

import (
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/server/wire"
)

var quiet = log.New(io.Discard, "", 0)

// everything asks for all there is to ask.
func everything(t *testing.T, url string) Questions {
	o := questions(t, url)
	o.Key, o.Hold, o.BodyMax, o.BodyWant = testKey, time.Second, 1<<20, 300<<10
	return o
}

func TestAll(t *testing.T) {
	f := &fake{}
	p := run(t, everything(t, start(t, f, f).URL), f)
	if !isServer(p.Alive.V) || !p.KeepAlive.V.Reused || p.Buffering.V || p.Admin.V.Status != http.StatusUnauthorized {
		t.Errorf("%+v", p)
	}
	if b := p.Body.V; b == nil || b.Accepted != 1<<20 || b.Refused != 0 {
		t.Errorf("body %+v, %s", b, p.Body.Why())
	}
	if h := p.Hold.V; h == nil || h.End != facts.EndAnswer || h.Text != wire.TextUpdated {
		t.Errorf("hold %+v, %s", h, p.Hold.Why())
	}
	if !p.Loopback || len(p.IPv4.V) != 1 || !p.IPv4.V[0].Open || !p.IPv6.Known() || len(p.IPv6.V) != 0 {
		t.Errorf("routes %+v %+v", p.IPv4, p.IPv6)
	}
	// What is not asked is known not to be.
	for name, known := range map[string]bool{"plain": p.Plain.Known(), "upstream": p.Upstream.Known(), "held": p.Held.Known(), "tls": p.TLS.Known()} {
		if !known {
			t.Errorf("%s is unknown", name)
		}
	}
}

// A server that notices no client that went away is told by another poll to let go of
// the one that was held.
func TestHoldIsFreed(t *testing.T) {
	freed := make(chan struct{})
	f := &fake{}
	f.poll = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("News") != "" {
			close(freed)
		} else {
			<-freed
		}
		io.WriteString(w, wire.TextUpdated)
	}
	s := start(t, f, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if strings.Contains(string(b), `"last_worker_model_version":null`) {
			r.Header.Set("News", "any model is")
		}
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		f.ServeHTTP(w, r)
	}))
	o := questions(t, s.URL)
	o.Key, o.Hold = testKey, 200*time.Millisecond
	if p := run(t, o, f); p.Hold.V == nil || p.Hold.V.End != facts.EndHeld {
		t.Errorf("hold %+v, %s", p.Hold.V, p.Hold.Why())
	}
	select {
	case <-freed:
	default:
		t.Error("the server still holds the poll")
		close(freed)
	}
}

// Without a key list a worker is made only where that was agreed to.
func TestRegistersOnlyWhenAgreed(t *testing.T) {
	for _, c := range []struct {
		name               string
		unsafe, key, agree bool
		registered         int64
		err                error
	}{
		{"key list, key", false, true, false, 1, nil},
		{"key list, no key", false, false, true, 0, errNoKey},
		{"no key list, key", true, true, true, 0, errUnlisted},
		{"no key list, agreed", true, false, true, 1, nil},
		{"no key list, not agreed", true, false, false, 0, errNoWorker},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{unsafe: c.unsafe}
			o := everything(t, start(t, f, f).URL)
			o.Register = c.agree
			if !c.key {
				o.Key = nil
			}
			p := run(t, o, f)
			if n := f.registered.Load(); n != c.registered {
				t.Errorf("%d workers registered, want %d", n, c.registered)
			}
			if c.err == nil && (!p.Hold.Known() || p.Hold.V == nil) || c.err != nil && p.Hold.Err != c.err.Error() {
				t.Errorf("hold %+v, want %v", p.Hold, c.err)
			}
			// Updates are sent as nobody, or as a worker whose signature counts.
			for _, id := range f.accepted {
				if id != nobody && (c.unsafe || !strictID(id)) {
					t.Errorf("an update as %s", id)
				}
			}
			if len(f.accepted) == 0 {
				t.Error("no update came")
			}
		})
	}
}

// Every outcome stays within what was announced.
func TestOutcomes(t *testing.T) {
	outer := t // servers end after over is closed
	status := func(n int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) } }
	over := make(chan struct{}) // a client's end is not seen before its body was read
	defer close(over)
	hang := func(http.ResponseWriter, *http.Request) { <-over }
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, h := range map[string]http.HandlerFunc{
		"502": status(502), "503": status(503), "504": status(504), "413": status(413), "301": status(301),
		"silence": hang, "cut": cut,
		"long": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, io.LimitReader(zeros{}, 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			s := start(outer, f, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f.requests.Add(1)
				h(w, r)
			}))
			o := everything(t, s.URL)
			o.Timeout = 50 * time.Millisecond
			if h := name; h == "long" {
				o.Timeout = 5 * time.Second
			}
			u, _ := url.Parse(s.URL)
			o.UpstreamPort = int(netip.MustParseAddrPort(u.Host).Port())
			p := run(t, o, f)
			if p.Hold.Known() || p.Body.Known() {
				t.Errorf("known without a server: %+v %+v", p.Hold, p.Body)
			}
			switch name {
			case "502", "503", "504", "301":
				if want := map[string]int{"502": 502, "503": 503, "504": 504, "301": 301}[name]; p.Alive.V.Status != want {
					t.Errorf("alive %+v", p.Alive)
				}
			case "silence", "cut":
				if p.Alive.Known() {
					t.Errorf("alive %+v", p.Alive)
				}
			}
			if !p.Upstream.V.Open {
				t.Errorf("upstream %+v", p.Upstream.V)
			}
		})
	}
}

// A request beyond the announced ones is not sent.
func TestSpend(t *testing.T) {
	f := &fake{}
	p := newProber(questions(t, start(t, f, f).URL))
	p.reach(t.Context(), new(facts.Probe))
	p.left.Requests = 0
	if _, _, err := p.once(t.Context(), http.MethodGet, question, "", nil); err == nil || !strings.Contains(err.Error(), errSpent.Error()) {
		t.Errorf("a request beyond: %v", err)
	}
	p.left = Cost{Requests: 1, Connections: 1, Bytes: 9}
	if _, _, err := p.once(t.Context(), http.MethodPost, question, "", make([]byte, 10)); err == nil {
		t.Error("bytes beyond were sent")
	}
	if _, err := p.dial(t.Context(), p.routes[0]); !errors.Is(err, errSpent) {
		t.Errorf("a connection beyond: %v", err)
	}
	if n := f.requests.Load(); n != 0 {
		t.Errorf("%d requests came", n)
	}
}

func TestBodyLimit(t *testing.T) {
	for _, most := range []int64{1 << 10, 50_000, 1 << 20, 3e6} {
		f := &fake{most: most}
		o := questions(t, start(t, f, f).URL)
		o.BodyMax, o.BodyWant = 4e6, 2e6
		p := run(t, o, f)
		b := p.Body.V
		if b == nil || b.Accepted > most || b.Refused <= most || b.Status != 413 || b.Stopped != "" {
			t.Errorf("limit %d: %+v %s", most, b, p.Body.Why())
		}
	}
	f := &fake{takes: true}
	o := questions(t, start(t, f, f).URL)
	o.BodyMax = 1e6
	if p := run(t, o, f); p.Body.Known() || len(f.accepted) != 1 {
		t.Errorf("a server that takes everything was sent %d updates: %+v", len(f.accepted), p.Body)
	}
}

// The search ends within its tries and bytes for every limit, brackets it, and
// tries what is wanted.
func TestSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	size := func() int64 { return int64(1) << r.IntN(33) * int64(1000+r.IntN(1000)) / 1000 }
	for range 5000 {
		s := search{want: size(), most: size()}
		limit, worst, sent := size(), s.worst(), int64(0)
		for {
			n, more := s.next()
			if !more {
				break
			}
			if n > max(s.most, bodyLeast) {
				t.Fatalf("%+v tries %d", s, n)
			}
			sent += n
			s = s.after(n, n <= limit)
		}
		if s.tries > bodyTries || sent > worst || s.ok > limit || s.refused != 0 && s.refused <= limit || s.tries == 0 {
			t.Fatalf("limit %d: %+v, sent %d of %d", limit, s, sent, worst)
		}
		if want := min(s.want, s.most); want >= bodyLeast && s.ok < want && (s.refused == 0 || s.refused > want) {
			t.Fatalf("limit %d: %+v does not tell whether %d comes through", limit, s, want)
		}
	}
}

func TestBuffering(t *testing.T) {
	f := &fake{collects: true}
	if p := run(t, questions(t, start(t, f, f).URL), f); !p.Buffering.Known() || !p.Buffering.V {
		t.Errorf("%+v", p.Buffering)
	}
	f = &fake{most: 1000}
	if p := run(t, questions(t, start(t, f, f).URL), f); p.Buffering.Known() {
		t.Errorf("told of a request that was refused: %+v", p.Buffering)
	}
}

func TestKeepAlive(t *testing.T) {
	f := &fake{}
	s := start(t, f, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		f.ServeHTTP(w, r)
	}))
	p := run(t, questions(t, s.URL), f)
	if k := p.KeepAlive; !k.Known() || k.V.Reused || !strings.Contains(k.V.Why, "close") {
		t.Errorf("%+v", k)
	}
}

// Each address is tried; a family that this host has no way to is told apart
// from one that refuses.
func TestRoutes(t *testing.T) {
	f := &fake{}
	s := start(t, f, f)
	u, _ := url.Parse(s.URL)
	o := questions(t, "http://fl.example.org")
	o.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")}, nil
	}
	o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
		switch address {
		case "192.0.2.2:80":
			return new(net.Dialer).DialContext(ctx, "tcp", u.Host)
		case "[2001:db8::1]:80":
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
		}
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	p := run(t, o, f)
	if p.Loopback || len(p.IPv4.V) != 2 || p.IPv4.V[0].Open || !p.IPv4.V[1].Open || p.IPv4.V[0].Err != "connection refused" {
		t.Errorf("IPv4 %+v", p.IPv4)
	}
	if len(p.IPv6.V) != 2 || !p.IPv6.V[0].NoWay || p.IPv6.V[1].NoWay {
		t.Errorf("IPv6 %+v", p.IPv6)
	}
	if !isServer(p.Alive.V) {
		t.Errorf("alive %+v", p.Alive)
	}
	o.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "fl.example.org", IsNotFound: true}
	}
	if p = run(t, o, nil); p.IPv4.Known() || p.Alive.Known() || !strings.Contains(p.IPv4.Err, "no such host") {
		t.Errorf("%+v", p.IPv4)
	}
}

func TestInterrupted(t *testing.T) {
	f := &fake{poll: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
	o := everything(t, start(t, f, f).URL)
	o.Hold, o.BodyMax = time.Hour, 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Tell = func(s string) {
		if strings.HasPrefix(s, "holding") {
			cancel()
		}
	}
	if p, err := Run(ctx, o); !errors.Is(err, context.Canceled) || p.Hold.Known() {
		t.Errorf("%v, %+v", err, p.Hold)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"https://fl.example.org", "http://[::1]:5000/", "http://a:b@c", "https://x/path", "ftp://x", "http://x:99999", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURL(s)
		if err != nil {
			return
		}
		again, err := ParseURL(u.String())
		if err != nil || again.String() != u.String() || u.User != nil {
			t.Errorf("%q: %v, %v", s, again, err)
		}
		if _, err := portOf(u); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}
