package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// TestSlowUpload is cut once it falls below the slowest rate; a slow one that
// keeps it is not.
func TestSlowUpload(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		z, digest, err := wire.CompressUpdate(newRandom(slowest * 200))
		if err != nil {
			t.Fatal(err)
		}
		form, err := wire.NewUpdateForm(z)
		if err != nil {
			t.Fatal(err)
		}
		for i, tt := range []struct {
			rate int // bytes a second
			ok   bool
		}{{2 * slowest, true}, {slowest / 8, false}} {
			c := cs[i]
			signed := c.sign(digest[:])
			body, w := io.Pipe()
			go func() {
				segments := form.Segments(signed)
				for _, segment := range segments {
					for len(segment) > 0 {
						n, err := w.Write(segment[:min(len(segment), tt.rate)])
						if err != nil {
							return
						}
						segment = segment[n:]
						time.Sleep(time.Second)
					}
				}
				w.Close()
			}()
			req, err := http.NewRequest("POST", "http://fake"+wire.PathUpdate+"/"+c.id, body)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = form.Len(signed)
			req.Header.Set("Content-Type", form.ContentType)
			began := time.Now()
			res, err := c.http.Do(req)
			ok := err == nil && res.StatusCode == 200
			if err == nil {
				res.Body.Close()
			}
			if took := time.Since(began); ok != tt.ok || !ok && took > 2*grace {
				t.Errorf("%d bytes a second: %v after %v (%v)", tt.rate, ok, took, err)
			}
			body.Close()
		}
	})
}

// cutAfter reads until the server cuts a connection, and gives how long that took.
func cutAfter(c net.Conn) time.Duration {
	_, took := saidUntilCut(c)
	return took
}

// saidUntilCut is also what the server said before.
func saidUntilCut(c net.Conn) (said string, took time.Duration) {
	began := time.Now()
	b, _ := io.ReadAll(c) // its error is the cut
	return string(b), time.Since(began)
}

// TestLateHead dribbles the head of a request, and is told that it takes too long,
// wherever in a line its time ends.
func TestLateHead(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		for name, line := range map[string]string{"lines": "X: y\r\n", "one line": "y"} {
			c := dialFake(t, cs[0])
			go func() {
				_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\n")
				for ; err == nil; _, err = io.WriteString(c, line) {
					time.Sleep(time.Second)
				}
			}()
			if said, took := saidUntilCut(c); said != string(lateAnswer) || took > grace {
				t.Errorf("%s: after %v %q", name, took, said)
			}
		}
	})
}

// TestSlowHead does not end the head of a request, at first and on a connection
// that rested.
func TestSlowHead(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		for name, tt := range map[string]struct {
			first string
			most  time.Duration
		}{
			"nothing":   {"", grace},
			"a start":   {"POST / HTT", grace},
			"no end":    {"POST / HTTP/1.1\r\nHost: x\r\n", grace},
			"a request": {fmt.Sprintf("GET %s/%s HTTP/1.1\r\nHost: x\r\n\r\nG", wire.PathChallenge, cs[0].id), DefaultStrangerIdle},
			"no worker": {"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", DefaultStrangerIdle},
		} {
			c := dialFake(t, cs[0])
			go func() { _, _ = io.WriteString(c, tt.first) }() // its error is the cut
			if took := cutAfter(c); took > tt.most+time.Second {
				t.Errorf("%s: cut after %v", name, took)
			}
		}
	})
}

// TestSlowBody announces a message that does not come.
func TestSlowBody(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		for _, path := range []string{wire.PathRegister, wire.PathPoll, wire.PathModel, wire.PathUpdate + "/" + cs[0].id, wire.PathUpdate + "/nobody", wire.PathWorkers, wire.PathChallenge + "/" + cs[0].id, "/nowhere"} {
			c := dialFake(t, cs[0])
			go func() {
				_, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", path)
			}()
			if took := cutAfter(c); took > 2*grace {
				t.Errorf("%s: cut after %v", path, took)
			}
		}
	})
}

// TestSlowDownload asks for a model and does not read it.
func TestSlowDownload(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		c := dialFake(t, cs[0])
		body := fmt.Sprintf(`{"worker_id": "%s", "signed_phrase": "%s"}`, cs[0].id, cs[0].sign([]byte(cs[0].challenge())))
		if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathModel, len(body), body); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * grace)
		var all [1 << 10]byte
		if n, err := io.ReadFull(c, all[:]); err == nil {
			t.Errorf("%d bytes came after %v", n, 2*grace)
		}
	})
}
