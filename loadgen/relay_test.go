package loadgen

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"
)

// plannedOf are the first mishaps of a connection through a relay.
func plannedOf(seed, n uint64) (all []mishap) {
	next := fates{seed: seed, every: 1000, delay: time.Second, silence: time.Minute}.course(n)
	for range 50 {
		all = append(all, next())
	}
	return all
}

// TestCourse has the same seed and number make the same plan, and others another.
func TestCourse(t *testing.T) {
	first := plannedOf(7, 3)
	if !slices.Equal(first, plannedOf(7, 3)) {
		t.Error("the same seed made another plan")
	}
	if slices.Equal(first, plannedOf(7, 4)) || slices.Equal(first, plannedOf(8, 3)) {
		t.Error("another seed or connection made the same plan")
	}
	seen := map[trouble]bool{}
	for _, m := range first {
		if seen[m.trouble] = true; m.after < 1 || m.long < 0 || m.long > time.Minute {
			t.Errorf("%+v", m)
		}
	}
	if len(seen) != int(troubles) {
		t.Errorf("only troubles %v", seen)
	}
}

// echoed starts a server that sends back what comes, and a relay before it whose first
// connection has that course.
func echoed(t *testing.T, m mishap) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	once := func(uint64) course {
		return func() mishap { next := m; m.after = 1 << 60; return next }
	}
	r := &relay{course: once, dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	}}
	address, err := r.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRelay has each trouble befall a connection in the middle of an answer.
func TestRelay(t *testing.T) {
	sent := bytes.Repeat([]byte("0123456789"), 100)
	for _, c := range []struct {
		name  string
		m     mishap
		comes int // bytes of the answer, at most
		err   error
	}{
		{"delay", mishap{troubleDelay, 1500, time.Millisecond}, 1000, nil},
		{"cut", mishap{troubleCut, 1500, 0}, 500, nil},
		{"reset", mishap{troubleReset, 1500, 0}, 500, syscall.ECONNRESET},
		{"silence", mishap{troubleSilence, 1500, time.Millisecond}, 500, syscall.ECONNRESET},
		{"cut before all is sent", mishap{troubleCut, 300, 0}, 0, syscall.ECONNRESET},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := echoed(t, c.m)
			if _, err := conn.Write(sent); err != nil {
				t.Fatal(err)
			}
			// The trouble may have come already.
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil && (c.err == nil || !errors.Is(err, syscall.ENOTCONN)) {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if len(got) > c.comes || !bytes.HasPrefix(sent, got) || c.err == nil && len(got) != c.comes {
				t.Errorf("%d bytes came back, want %d", len(got), c.comes)
			}
			if c.err == nil && err != nil || err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("error %v, want %v", err, c.err)
			}
		})
	}
}
