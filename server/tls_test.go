package server

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// selfSigned makes a server's TLS configuration for 127.0.0.1, and its certificate.
func selfSigned() (*tls.Config, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, cert, err
}

// encrypted is a server over TLS.
type encrypted struct {
	*Server
	addr   string
	dialer tls.Dialer // trusts it

	coming  sync.Mutex
	entered map[string]int // how often a connection came into net/http, by its client's address
}

func startTLS(t *testing.T, cfg Config) *encrypted {
	t.Helper()
	certs, cert, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Model = []byte("a model")
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := listenLocal(t)
	e := &encrypted{Server: s, addr: l.Addr().String(), entered: map[string]int{}}
	s.http.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			e.coming.Lock()
			e.entered[c.RemoteAddr().String()]++
			e.coming.Unlock()
		}
		s.gate.state(c, state)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(l, certs) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	e.dialer.Config = &tls.Config{RootCAs: roots}
	return e
}

// raw is a connection to it that is written to by hand.
func (e *encrypted) raw(t *testing.T) raw {
	t.Helper()
	conn, err := e.dialer.DialContext(t.Context(), "tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return raw{conn, bufio.NewReader(conn)}
}

func (e *encrypted) registered(t *testing.T, keys ...ed25519.PrivateKey) (cs []*client) {
	t.Helper()
	for _, key := range keys {
		c := newClient(t, e.addr, key)
		c.http.Transport.(*http.Transport).DialContext = e.dialer.DialContext
		if got := c.register(); got != c.id {
			t.Fatal(got)
		}
		cs = append(cs, c)
	}
	return cs
}

// TestTLS holds polls on encrypted connections, and goes on with them: net/http has
// each once, and then it waits in the lot, and its requests are answered at desks.
func TestTLS(t *testing.T) {
	keys, ids := workerKeys(2)
	s := startTLS(t, Config{Keys: ids})
	cs := s.registered(t, keys...)
	for round := range int64(3) {
		ended := hold(t, s.Server, wire.VersionInt(round+1), cs...)
		for _, c := range cs {
			c.accepted("u")
		}
		for _, e := range ended {
			if p := <-e; p.text != wire.TextUpdated {
				t.Fatalf("%+v", p)
			}
		}
		if v, _ := cs[0].model(); v != wire.VersionInt(round+2) {
			t.Errorf("version %s", v)
		}
	}
	s.coming.Lock()
	for from, times := range s.entered {
		if times != 1 {
			t.Errorf("%s was in net/http %d times", from, times)
		}
	}
	s.coming.Unlock()
	waitFor(t, "all park", func() bool {
		if inNetHTTP(s.Server) > 0 {
			return false
		}
		s.polls.mu.Lock()
		defer s.polls.mu.Unlock()
		for _, c := range s.polls.waiting {
			if c.parked == nil {
				return false
			}
		}
		return len(s.polls.waiting) > 0 && len(s.polls.waiting) == s.lot.Len()
	})
}

// TestTLSAhead: what an encrypted client says while its poll is held, in however many
// records, is served after it, and its end frees the slot.
func TestTLSAhead(t *testing.T) {
	keys, ids := workerKeys(1)
	s := startTLS(t, Config{Keys: ids})
	c := s.registered(t, keys...)[0]
	r := s.raw(t)
	for version, pieces := range []int{1, 7, 1} {
		r.poll(t, "HTTP/1.1", "", c, fmt.Sprint(version+1))
		waitFor(t, "the poll is held", func() bool { return s.Held() == 1 })
		request := strings.Repeat(fmt.Sprintf("GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, c.id), 3)
		size := (len(request) + pieces - 1) / pieces
		for from := 0; from < len(request); from += size {
			fmt.Fprint(r, request[from:min(from+size, len(request))])
		}
		ahead(t, s.Server, c, len(request))
		c.accepted("u")
		if _, text := r.receive(t); text != wire.TextUpdated {
			t.Fatal(text)
		}
		for range 3 {
			if _, text := r.receive(t); !challengePhrase.MatchString(text) {
				t.Fatal(text)
			}
		}
	}
	r.poll(t, "HTTP/1.1", "", c, "4")
	waitFor(t, "the poll is held", func() bool { return s.Held() == 1 })
	r.Close()
	waitFor(t, "the slot is free", func() bool { return s.Held() == 0 })
}

// TestTLSCloseWithoutShutdown ends, though held clients have said more, or half a
// record of it.
func TestTLSCloseWithoutShutdown(t *testing.T) {
	keys, ids := workerKeys(2)
	s := startTLS(t, Config{Keys: ids}) // closes it
	for i, c := range s.registered(t, keys...) {
		r := s.raw(t)
		r.poll(t, "HTTP/1.1", "", c, "1")
		waitFor(t, "the poll is held", func() bool { return s.Held() == i+1 })
		if i == 0 {
			fmt.Fprint(r, "G")
			ahead(t, s.Server, c, 1)
		} else if _, err := r.Conn.(*tls.Conn).NetConn().Write([]byte{23, 3, 3}); err != nil {
			t.Error(err)
		}
	}
}

// TestWriteForReader does not wait for a client that reads nothing.
func TestWriteForReader(t *testing.T) {
	_, theirs := tcpPair(t)
	c := &impatient{Conn: theirs}
	c.now.Store(true)
	for sent := 0; ; {
		n, err := c.Write(make([]byte, 1<<20))
		if sent += n; err != nil {
			if err != errUnread || sent == 0 {
				t.Errorf("%v after %d bytes", err, sent)
			}
			return
		}
	}
}
