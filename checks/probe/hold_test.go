package probe

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/server/wire"
)

// line is a connection in memory whose end can be made that of a reset, or of a
// peer that no longer hears.
type line struct {
	net.Conn
	mu    sync.Mutex
	fault error // in place of the end
	deaf  bool  // no keep-alive is answered
}

func (l *line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == io.EOF && l.fault != nil {
		err = l.fault
	}
	return n, err
}

func (l *line) breaks(err error) {
	l.mu.Lock()
	l.fault = err
	l.mu.Unlock()
}

func (l *line) SetKeepAliveConfig(k net.KeepAliveConfig) error {
	if l.deaf && k.Enable {
		l.breaks(syscall.ETIMEDOUT)
		time.AfterFunc(k.Idle+time.Duration(k.Count)*k.Interval, func() { l.Conn.SetReadDeadline(time.Time{}); l.end() })
	}
	return nil
}

// Deadlines of a socket can be set though its peer is gone; those of a pipe can't.
func (l *line) SetDeadline(t time.Time) error      { return onSocket(l.Conn.SetDeadline(t)) }
func (l *line) SetReadDeadline(t time.Time) error  { return onSocket(l.Conn.SetReadDeadline(t)) }
func (l *line) SetWriteDeadline(t time.Time) error { return onSocket(l.Conn.SetWriteDeadline(t)) }

func onSocket(err error) error {
	if err == io.ErrClosedPipe {
		return nil
	}
	return err
}

func (l *line) end() { l.Conn.(interface{ peer() net.Conn }).peer().Close() }

type pipeEnd struct {
	net.Conn
	other net.Conn
}

func (p pipeEnd) peer() net.Conn { return p.other }

// Holds of minutes end in every way that they can, in no time.
func TestHoldEnds(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name    string
		after   time.Duration // 0: never
		says    string        // then
		early   string        // at once
		fault   error
		deaf    bool
		end     string
		status  int
		seconds float64
	}{
		{name: "504", after: 60 * time.Second, says: "HTTP/1.1 504 Gateway Time-out\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n", end: facts.EndStatus, status: 504, seconds: 60},
		{name: "closed", after: 30 * time.Second, end: facts.EndClosed, seconds: 30},
		{name: "reset", after: 240 * time.Second, fault: syscall.ECONNRESET, end: facts.EndReset, seconds: 240},
		{name: "answer", after: 5 * time.Second, says: "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n" + wire.TextUpdated, end: facts.EndAnswer, status: 200, seconds: 5},
		{name: "held", end: facts.EndHeld, seconds: 600},
		{name: "head first, held", early: head, end: facts.EndHeld, status: 200, seconds: 600},
		{name: "head first, cut", early: head, after: 100 * time.Second, end: facts.EndClosed, status: 200, seconds: 100},
		{name: "silence", deaf: true, end: facts.EndSilence, seconds: 600},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				l := &line{Conn: pipeEnd{a, b}, deaf: c.deaf}
				go func() {
					if _, err := http.ReadRequest(bufio.NewReader(b)); err != nil {
						return
					}
					io.WriteString(b, c.early)
					if c.after == 0 {
						return
					}
					time.Sleep(c.after)
					io.WriteString(b, c.says)
					l.breaks(c.fault)
					b.Close()
				}()
				o := questions(t, "http://192.0.2.1")
				o.Key, o.Hold = testKey, 10*time.Minute
				p := newProber(o)
				req, err := p.json(wire.PathPoll, wire.Poll{WorkerID: "w"})
				if err != nil {
					t.Fatal(err)
				}
				v := p.wait(context.Background(), newConn(l, l), req)
				a.Close()
				b.Close()
				if !v.Known() || v.V.End != c.end || v.V.Status != c.status || v.V.Seconds != c.seconds {
					t.Errorf("%+v %s, want %s %d after %v", v.V, v.Err, c.end, c.status, c.seconds)
				}
			})
		})
	}
}

// Whatever a server sends, the probe reads it to an end.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nInvalid Worker", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 502 Bad\r\n\r\nx", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "\x16\x03\x01"} {
		f.Add(s)
	}
	o := Questions{Timeout: time.Second}
	f.Fuzz(func(t *testing.T, s string) {
		o.URL, _ = ParseURL("http://192.0.2.1")
		p := newProber(o)
		a, b := net.Pipe()
		go func() {
			defer b.Close()
			if _, err := http.ReadRequest(bufio.NewReader(b)); err == nil {
				io.WriteString(b, s)
			}
		}()
		defer a.Close()
		req, err := p.request(http.MethodGet, question, "", nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		answer, _, _, err := p.text(t.Context(), newConn(a, a), req, time.Second)
		if err == nil && (answer.Status < 200 || strings.ContainsAny(answer.Text+answer.Server, "\x1b\n\r")) {
			t.Errorf("%q is read as %+v", s, answer)
		}
		if err != nil {
			_ = cause(err)
		}
	})
}
