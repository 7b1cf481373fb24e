package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/lot"
	"github.com/fltool/fltool/server/wire"
)

// TestLine: addresses take turns, and within one the first is first.
func TestLine(t *testing.T) {
	l := newLine()
	const many, few = "192.0.2.1", "192.0.2.2"
	var all []*visit
	for _, from := range []string{many, many, many, few, few} {
		v := &visit{stranger: stranger{from: from}}
		all = append(all, v)
		l.push(v)
	}
	for i, want := range []int{0, 3, 1, 4, 2} {
		if l.waiting != 5-i {
			t.Error(l.waiting)
		}
		if l.pop() != all[want] {
			t.Errorf("turn %d is not that of %d", i, want)
		}
	}
	if l.waiting != 0 || len(l.by) != 0 || len(l.turns) != 0 {
		t.Errorf("%+v", l)
	}
}

// isCut says whether the server has closed a connection, once all have done what
// they can. What comes on it is dropped.
func isCut(t *testing.T, c net.Conn) bool {
	t.Helper()
	synctest.Wait()
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestStrangersGiveWay: silent ones, half requests and those that were refused; who
// has come just now or is a worker does not.
func TestStrangersGiveWay(t *testing.T) {
	const bound = 2
	for says, most := range map[string]int{
		"":                                    bound * silentStrangers,
		"GET":                                 bound,
		"GET /no HTTP/1.1\r\nHost: x\r\n\r\n": bound,
	} {
		inBubble(t, Config{MaxStrangers: bound}, func(t *testing.T, s *Server, cs []*client) {
			ended := cs[0].startPoll(t.Context(), "1")
			come := func() net.Conn {
				c := dialFake(t, cs[0])
				if says != "" {
					say(t, c, says)
				}
				if isCut(t, c) { // reads an answer
					t.Errorf("%q: the newcomer is cut", says)
				}
				return c
			}
			var all []net.Conn
			for range most + 1 {
				all = append(all, come())
			}
			if isCut(t, all[0]) {
				t.Errorf("%q: one gave way though it had just come", says)
			}
			time.Sleep(strangersPatience)
			come()
			if !isCut(t, all[0]) {
				t.Errorf("%q: the first did not give way", says)
			}
			for _, c := range all[1:] {
				if isCut(t, c) {
					t.Errorf("%q: more than one gave way", says)
				}
			}
			for _, c := range cs {
				c.accepted("u") // on the connections that they had
			}
			if p := <-ended; p.text != wire.TextUpdated {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestWorkersRestForHours, and strangers that ask for a worker's challenge don't.
func TestWorkersRestForHours(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		dial := cs[0].http.Transport.(*http.Transport).DialContext
		dials := 0
		cs[0].http.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return dial(ctx, network, addr)
		}
		for range 3 {
			time.Sleep(100 * DefaultStrangerIdle)
			cs[0].challenge()
		}
		if dials != 0 {
			t.Errorf("the worker had to connect again %d times", dials)
		}
		c := dialFake(t, cs[0])
		say(t, c, fmt.Sprintf("GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\n", wire.PathChallenge, cs[0].id))
		if took := cutAfter(c); took > DefaultStrangerIdle {
			t.Errorf("the stranger was cut after %v", took)
		}
	})
}

// TestAnUploadDoesNotGiveWay while it may still prove to be a worker's.
func TestAnUploadDoesNotGiveWay(t *testing.T) {
	inBubble(t, Config{MaxStrangers: 1}, func(t *testing.T, s *Server, cs []*client) {
		z, digest, err := wire.CompressUpdate(strings.NewReader("u"))
		if err != nil {
			t.Fatal(err)
		}
		for i, tt := range []struct{ signed, want string }{
			{cs[0].sign([]byte("something else")), wire.TextInvalid},
			{cs[0].sign(digest[:]), wire.TextAccepted + wire.Short(cs[0].id) + "."},
		} {
			c := dialFake(t, cs[0])
			r := raw{c, bufio.NewReader(c)}
			form, err := wire.NewUpdateForm(z)
			if err != nil {
				t.Fatal(err)
			}
			segments := form.Segments(tt.signed)
			var body bytes.Buffer
			_, _ = segments.WriteTo(&body) // memory takes all
			say(t, c, fmt.Sprintf("POST %s/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
				wire.PathUpdate, cs[0].id, form.ContentType, body.Len(), body.Next(50)))
			for range 2 {
				time.Sleep(strangersPatience)
				say(t, dialFake(t, cs[0]), "G")
				synctest.Wait()
			}
			say(t, c, body.String())
			if _, text := r.receive(t); text != tt.want {
				t.Errorf("%q", text)
			}
			for range 2 {
				time.Sleep(strangersPatience)
				say(t, dialFake(t, cs[0]), "G")
				synctest.Wait()
			}
			if gone := isCut(t, c); gone != (i == 0) {
				t.Errorf("update %d: given way afterwards: %v", i, gone)
			}
			_ = c.Close()
		}
	})
}

// scarce is a listener that gives its connections, then has no descriptor any more.
type scarce struct {
	net.Listener
	conns []net.Conn
}

func (l *scarce) Accept() (net.Conn, error) {
	if len(l.conns) == 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", unix.EMFILE)}
	}
	c := l.conns[0]
	l.conns = l.conns[1:]
	return c, nil
}

// TestNoDescriptors: a stranger gives way, though not at once. Where there is none,
// net/http is told.
func TestNoDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(lot.New(), newFullness(0, 0), DefaultMaxStrangers, DefaultStrangerIdle, nil)
		ours, theirs := net.Pipe()
		e, err := g.entrance(&scarce{conns: []net.Conn{theirs}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, quiet := range []time.Duration{0, scarcePatience} {
			time.Sleep(quiet)
			if _, err := e.Accept(); !errors.Is(err, unix.EMFILE) {
				t.Error(err)
			}
			if gone := isCut(t, ours); gone != (i == 1) {
				t.Errorf("after %v the stranger is gone: %v", quiet, gone)
			}
		}
		_ = g.Close()
	})
}

// TestStrangersAndDescriptors: a process with 200 descriptors, and as many
// strangers that were answered 404, still serves workers.
func TestStrangersAndDescriptors(t *testing.T) {
	const limit = 200
	keys, ids := workerKeys(1)
	list := filepath.Join(t.TempDir(), "keys.txt")
	if err := os.WriteFile(list, []byte(ids[0]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := startChild(t, childConfig{KeyList: list, Round: "all", ModelSize: 1000})
	if err := unix.Prlimit(k.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		t.Fatal(err)
	}
	for range limit {
		r := dialRaw(t, k.addr)
		fmt.Fprint(r, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
		if res, _ := r.receive(t); res.StatusCode != 404 {
			t.Fatal(res.Status)
		}
	}
	c := registered(t, k.addr, keys...)[0]
	ended := c.startPoll(t.Context(), "1")
	other := newClient(t, k.addr, keys[0])
	other.accepted("u")
	if p := <-ended; p.text != wire.TextUpdated || p.err != nil {
		t.Errorf("%+v", p)
	}
}

// TestSlowReaderPinsLittle of the kernel's memory: whoever asks for a large model
// and does not read it.
func TestSlowReaderPinsLittle(t *testing.T) {
	keys, ids := workerKeys(1)
	s, err := New(Config{Keys: ids, Model: incompressible(16 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	l := listenLocal(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-served
	}()
	c := registered(t, l.Addr().String(), keys...)[0]
	r := dialRaw(t, l.Addr().String())
	body := fmt.Sprintf(`{"worker_id": "%s", "signed_phrase": "%s"}`, c.id, c.sign([]byte(c.challenge())))
	fmt.Fprintf(r, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathModel, len(body), body)
	queued := func() (n int) {
		s.polls.mu.Lock()
		defer s.polls.mu.Unlock()
		for _, p := range s.polls.waiting {
			if p.conn.RemoteAddr().String() != r.LocalAddr().String() {
				continue
			}
			err := socket(p.conn).Control(func(fd int) (err error) {
				n, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		return n
	}
	last, same := -1, 0
	waitFor(t, "the socket takes no more", func() bool {
		if n := queued(); n == 0 || n != last {
			last, same = n, 0
		} else {
			same++
		}
		return same > 100
	})
	if last > 4*unsentBytes {
		t.Errorf("%d bytes wait for the client", last)
	}
}
