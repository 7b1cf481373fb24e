//go:build linux

package lot

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is the two ends of a connection, each a lot's: one that came in, one that was
// dialled.
func pair(t *testing.T, l *Lot) (came, dialled *Conn) { return pairAt(t, l, "127.0.0.1:0") }

// pairAt is pair on an address.
func pairAt(t *testing.T, l *Lot, address string) (came, dialled *Conn) {
	t.Helper()
	on, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	own, err := l.Listen(on.(*net.TCPListener))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	c, err := net.Dial("tcp", own.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if dialled, err = l.Own(c.(*net.TCPConn)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close() })
	accepted, err := own.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return accepted.(*Conn), dialled
}

// TestConn: it does all that net.Conn promises.
func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		l := New()
		came, dialled := pair(t, l)
		return came, dialled, func() {
			came.Close()
			dialled.Close()
			l.Close()
		}, nil
	})
}

// TestConnAddresses are those that package net would tell.
func TestConnAddresses(t *testing.T) {
	l := New()
	defer l.Close()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		came, dialled := pairAt(t, l, address)
		if came.RemoteAddr().String() != dialled.LocalAddr().String() || came.LocalAddr().String() != dialled.RemoteAddr().String() {
			t.Errorf("%s from %s, %s from %s", came.LocalAddr(), came.RemoteAddr(), dialled.LocalAddr(), dialled.RemoteAddr())
		}
		for _, o := range options {
			c := came
			var got int
			err := c.Control(func(fd int) (err error) {
				got, err = unix.GetsockoptInt(fd, o.level, o.name)
				return err
			})
			if got != o.value || err != nil {
				t.Errorf("option %d is %d, not %d: %v", o.name, got, o.value, err)
			}
		}
	}
}

// TestConnClose: connections that two close at a time, while others read and write them and
// their descriptors are used again at once, are closed once, and nothing of them is left.
func TestConnClose(t *testing.T) {
	l := New()
	defer l.Close()
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for i := range 50 {
				c, other := pair(t, l)
				all.Go(func() { _, _ = io.Copy(io.Discard, other) })
				var both, closing sync.WaitGroup
				both.Go(func() {
					_, _ = c.Write(make([]byte, i<<14))
					_, _ = c.Read(make([]byte, 1))
				})
				both.Go(func() { _, _ = c.Read(make([]byte, 1)) })
				closed := make(chan error, 2)
				for range 2 {
					closing.Go(func() { closed <- c.Close() })
				}
				closing.Wait()
				both.Wait()
				if a, b := <-closed, <-closed; (a == nil) == (b == nil) {
					t.Errorf("closed with %v and %v", a, b)
				}
				other.Close()
			}
		})
	}
	all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		if c != nil {
			t.Error("one is left")
		}
	}
	if l.parked > 0 {
		t.Errorf("%d park", l.parked)
	}
}

// waiting waits until somebody waits on a connection, to read or to write.
func waiting(t *testing.T, c *Conn, on *limit) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.lot.mu.Lock()
		waits := c.stay != nil
		if on == &c.writes {
			waits = c.hears
		}
		c.lot.mu.Unlock()
		switch {
		case waits:
			return
		case time.Now().After(deadline):
			t.Fatal("nobody waits")
		}
	}
}

// TestConnEnds: whoever waits to read or to write fails when the connection or the lot is
// closed, or the deadline passes.
func TestConnEnds(t *testing.T) {
	for name, end := range map[string]func(*Lot, *Conn) error{
		"connection": func(_ *Lot, c *Conn) error { return errors.Join(c.Close(), net.ErrClosed) },
		"lot": func(l *Lot, _ *Conn) error {
			l.Close()
			return net.ErrClosed
		},
		"deadline": func(_ *Lot, c *Conn) error {
			return errors.Join(c.SetDeadline(time.Unix(1, 0)), os.ErrDeadlineExceeded)
		},
	} {
		l := New()
		c, _ := pair(t, l)
		failed := make(chan error, 2)
		go func() {
			_, err := c.Read(make([]byte, 1))
			failed <- err
		}()
		go func() {
			_, err := c.Write(make([]byte, 64<<20)) // more than the kernel takes
			failed <- err
		}()
		waiting(t, c, &c.reads)
		waiting(t, c, &c.writes)
		want := end(l, c)
		for range 2 {
			if err := <-failed; !errors.Is(want, err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		c.Close()
		l.Close()
	}
}

// TestConnTakesTurns: one that reads and writes, waiting, may park next, and a deadline that
// has passed for the one is none for the other.
func TestConnTakesTurns(t *testing.T) {
	l := New()
	defer l.Close()
	came, dialled := pair(t, l)
	sent := bytes.Repeat([]byte("0123456789"), 2<<20)
	var both sync.WaitGroup
	both.Go(func() {
		if n, err := came.Write(sent); n != len(sent) || err != nil {
			t.Error(n, err)
		}
	})
	waiting(t, came, &came.writes)
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(dialled, got); err != nil || !bytes.Equal(got, sent) {
		t.Error("what came is not what was sent", err)
	}
	both.Wait()
	if err := came.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
	if _, err := came.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	rings := make(ring, 9)
	if !came.Park(rings) {
		t.Fatal("can't park")
	}
	if _, err := dialled.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	<-rings
	if n, err := came.ReadNow(make([]byte, 9)); n != 1 || err != nil {
		t.Error(n, err)
	}
	if len(rings) > 0 {
		t.Error("told of room, too")
	}
}

type ring chan struct{}

func (r ring) Come() { r <- struct{}{} }

// TestDescriptorStays: what somebody uses just now is closed by the last who does, once.
func TestDescriptorStays(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	d := &descriptor{fd: p[0]}
	if err := errors.Join(d.use(), d.use()); err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
	if !errors.Is(d.use(), net.ErrClosed) || !errors.Is(d.close(), net.ErrClosed) || !d.over() {
		t.Error("used or closed after it was closed")
	}
	d.release()
	if _, err := unix.FcntlInt(uintptr(p[0]), unix.F_GETFD, 0); err != nil {
		t.Error("closed while it was used:", err)
	}
	d.release()
	if _, err := unix.FcntlInt(uintptr(p[0]), unix.F_GETFD, 0); err != unix.EBADF {
		t.Error("not closed:", err)
	}
}
