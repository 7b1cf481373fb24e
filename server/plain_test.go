package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// canned is a connection on which all has come that will, and whose answers nobody
// reads.
type canned struct {
	bytes.Reader
	closed chan struct{}
}

func (c *canned) Write(p []byte) (int, error)      { return len(p), nil }
func (c *canned) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "canned"} }
func (c *canned) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "canned"} }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

func (c *canned) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

// asked is what a handler is asked.
type asked struct {
	Method, Target, Host, Body string
	Header                     http.Header
	Length                     int64
}

func ask(r *http.Request) asked {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		b = []byte(err.Error())
	}
	return asked{r.Method, r.RequestURI, r.Host, string(b), r.Header, r.ContentLength}
}

// netHTTP gives what net/http's server makes of what comes on a connection.
func netHTTP(t *testing.T, come []byte) []asked {
	t.Helper()
	var all []asked
	h := NewHTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { all = append(all, ask(r)) }), slog.New(slog.DiscardHandler))
	over := make(chan struct{})
	h.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(over)
		}
	}
	c := &canned{closed: make(chan struct{})}
	c.Reset(come)
	l := &fakeListener{make(chan net.Conn, 1), make(chan struct{})}
	l.conns <- c
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	<-over
	if err := errors.Join(h.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	return all
}

// FuzzPlain: what a desk takes for a request is one for net/http's server, the same
// one, and ends at the same byte.
func FuzzPlain(f *testing.F) {
	const marker = "GET /marker HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, line := range []string{
		"GET /challenge_phrase/0a1b HTTP/1.1", "POST /register_worker HTTP/1.1", "POST /return_global_model HTTP/1.1",
		"POST /receive_worker_update/0a1b_unauthenticated HTTP/1.1", "POST /notify_me_if_gm_version_updated HTTP/1.1",
		"GET  /challenge_phrase/0a1b HTTP/1.1", "GET http://y/challenge_phrase/0a1b HTTP/1.1", "POST /return_global_model?x HTTP/1.0",
	} {
		for _, head := range []string{
			"Host: 127.0.0.1:5000\r\nContent-Length: 0\r\n", "Host: x\r\nContent-Length: 2\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n",
			"Host: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n", "Host: x\r\nTransfer-Encoding: chunked\r\n", "Host: x\r\nContent-Length: +2\r\n",
			"Host: x\r\nHost: x\r\n", "Host : x\r\n", "Host: x\r\n y\r\n", "Host: x\nContent-Length: 2\n", "Host: x\r\nConnection: close, keep-alive\r\n",
			"Host: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n", "",
		} {
			f.Add([]byte(line + "\r\n" + head + "\r\n{}"))
		}
	}
	f.Fuzz(func(t *testing.T, come []byte) {
		r, size, what := newReader().read(come, deskBytes)
		if what != plain {
			return
		}
		got := ask(r)
		want := netHTTP(t, append(bytes.Clone(come[:size]), marker...))
		if len(want) != 2 || !reflect.DeepEqual(got, want[0]) || want[1].Target != "/marker" {
			t.Errorf("a desk: %+v\nnet/http: %+v", got, want)
		}
	})
}

// TestPlain: what workers send is plain, cut anywhere it is the start of that, and
// what could mean two things is not.
func TestPlain(t *testing.T) {
	const head = "Host: 127.0.0.1:5000\r\nUser-Agent: python-requests/2.28.1\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"
	for _, text := range []string{
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.1\r\n" + head + "\r\n",
		"POST " + wire.PathPoll + " HTTP/1.1\r\n" + head + "Content-Length: 2\r\nContent-Type: application/json\r\n\r\n{}",
		"POST " + wire.PathUpdate + "/0a1b_unauthenticated HTTP/1.1\r\n" + head + "Content-Length: 2\r\n\r\n{}",
	} {
		for n := range len(text) {
			if _, _, what := newReader().read([]byte(text[:n]), deskBytes); what != partial {
				t.Fatalf("%q is %v", text[:n], what)
			}
		}
		if _, size, what := newReader().read([]byte(text+"GET"), deskBytes); what != plain || size != len(text) {
			t.Errorf("%q is %v of %d bytes", text, what, size)
		}
	}
	for _, text := range []string{
		"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET " + wire.PathChallenge + "/0a/1b HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.0\r\nHost: x\r\n\r\n",
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.1\r\n\r\n",
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.1\r\nHost: x y\r\n\r\n",
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n",
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.1\r\nHost: x\r\nA: \x80\r\n\r\n",
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.1\nHost: x\n\n",
		"GET " + wire.PathChallenge + "/0a1b HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
		"POST " + wire.PathRegister + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST " + wire.PathRegister + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
		"POST " + wire.PathRegister + " HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n{}",
		"POST " + wire.PathRegister + " HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", deskBytes),
	} {
		if _, _, what := newReader().read([]byte(text), deskBytes); what != unusual {
			t.Errorf("%q is %v", text, what)
		}
	}
}

// TestDeskAnswersAsNetHTTP does: status, header fields and text.
func TestDeskAnswersAsNetHTTP(t *testing.T) {
	keys, ids := workerKeys(1)
	_, addr := start(t, Config{Keys: ids})
	c := registered(t, addr, keys...)[0]
	signed := func() string { return c.sign([]byte(c.challenge())) }
	for name, request := range map[string]func() (line, body string){
		"challenge": func() (string, string) { return "GET " + wire.PathChallenge + "/nobody", "" },
		"register":  func() (string, string) { return "POST " + wire.PathRegister, "{" },
		"no keys":   func() (string, string) { return "POST " + wire.PathModel, "{}" },
		"refused":   func() (string, string) { return "POST " + wire.PathModel, `{"worker_id": "x", "signed_phrase": "x"}` },
		"model": func() (string, string) {
			return "POST " + wire.PathModel, fmt.Sprintf(`{"worker_id": "%s", "signed_phrase": "%s"}`, c.id, signed())
		},
		"poll": func() (string, string) {
			return "POST " + wire.PathPoll, fmt.Sprintf(`{"worker_id": "%s", "last_worker_model_version": null, "signed_phrase": "%s"}`, c.id, signed())
		},
		"update": func() (string, string) { return "POST " + wire.PathUpdate + "/" + c.id, "x" },
	} {
		var answers [2]string
		for i, header := range []string{"", "X: \x80\r\n"} {
			line, body := request()
			r := dialRaw(t, addr)
			fmt.Fprintf(r, "%s HTTP/1.1\r\nHost: x\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", line, header, len(body), body)
			res, text := r.receive(t)
			res.Header.Del("Date")
			answers[i] = fmt.Sprintln(res.Status, res.Proto, res.ContentLength, res.Close, res.Header, text)
		}
		if answers[0] != answers[1] {
			t.Errorf("%s:\na desk: %s\nnet/http: %s", name, answers[0], answers[1])
		}
	}
}
