package probe

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// flood is a connection whose other end answers with header fields for ever.
type flood struct {
	net.Conn // nil
	started  bool
	read     *atomic.Int64
}

func (f *flood) Read(p []byte) (int, error) {
	text := "HTTP/1.1 200 OK\r\n"
	if f.started {
		text = strings.Repeat("A: b\r\n", 1+len(p)/6)
	}
	f.started = true
	n := copy(p, text)
	f.read.Add(int64(n))
	return n, nil
}

func (f *flood) Write(p []byte) (int, error)      { return len(p), nil }
func (f *flood) Close() error                     { return nil }
func (f *flood) SetDeadline(time.Time) error      { return nil }
func (f *flood) SetReadDeadline(time.Time) error  { return nil }
func (f *flood) SetWriteDeadline(time.Time) error { return nil }

// A server whose heads do not end costs the bound and no more, a connection.
func TestEndlessHeads(t *testing.T) {
	var read, connections atomic.Int64
	p, err := Run(t.Context(), Questions{
		URL: &url.URL{Scheme: "http", Host: "fl.example.org"},
		Key: testKey, Hold: time.Minute, BodyWant: 1 << 20, BodyMax: 1 << 20,
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		},
		Dial: func(context.Context, string) (net.Conn, error) {
			connections.Add(1)
			return &flood{read: &read}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Alive.Known() || !strings.Contains(p.Alive.Err, "does not end") {
		t.Errorf("alive: %+v", p.Alive)
	}
	if most := connections.Load() * wire.MaxHead; read.Load() > most {
		t.Errorf("read %d bytes of %d connections", read.Load(), connections.Load())
	}
}
