package loadgen

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// bigBody is the size in bytes from which on an update is watched for an early answer
// while it is sent.
const bigBody = 256 << 10

// request is the method and path of the worker's next request.
func (w *worker) request() (method, path string) {
	switch w.step {
	case stepRegister:
		return http.MethodPost, wire.PathRegister
	case stepChallenge:
		return http.MethodGet, wire.PathChallenge + "/" + url.PathEscape(w.id)
	case stepPoll:
		return http.MethodPost, wire.PathPoll
	case stepModel:
		return http.MethodPost, wire.PathModel
	}
	return http.MethodPost, wire.PathUpdate + "/" + url.PathEscape(w.id)
}

// message is the JSON body of the worker's next request; nil if it has none.
func (w *worker) message() any {
	switch w.step {
	case stepRegister:
		if w.key == nil {
			return wire.Register{PublicKey: wire.NoPublicKey, SignedPhrase: wire.NoPrivateKey}
		}
		return wire.Register{
			PublicKey:    wire.WorkerID(w.key.Public().(ed25519.PublicKey)),
			SignedPhrase: wire.Sign(w.key, []byte(wire.RegisterPhrase)),
		}
	case stepPoll:
		return wire.Poll{WorkerID: w.id, LastVersion: w.version, SignedPhrase: w.signed}
	case stepModel:
		return wire.ModelRequest{WorkerID: w.id, SignedPhrase: w.signed}
	}
	return nil
}

// write sends the request. Where the answer to a big update comes before all is
// sent, it gives the reader that holds the answer's start, and what cut the
// sending short, if anything did.
func (t *transport) write(w *worker, c *conn) (*bufio.Reader, *failure) {
	b := heads.Get().(*bytes.Buffer)
	defer func() { b.Reset(); heads.Put(b) }()
	method, path := w.request()
	fmt.Fprintf(b, "%s %s HTTP/1.1\r\n%s", method, path, t.head)
	var update net.Buffers
	if w.step == stepUpdate {
		fmt.Fprintf(b, "Content-Type: %s\r\nContent-Length: %d\r\n\r\n", t.form.ContentType, t.form.Len(w.update))
		update = t.form.Segments(w.update)
	} else if msg := w.message(); msg != nil {
		body, err := json.Marshal(msg)
		if err != nil {
			return nil, failed(classGenerator, "%s", err)
		}
		fmt.Fprintf(b, "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		w.signed = ""
	} else {
		b.WriteString("\r\n")
	}
	if t.form.Len("") >= bigBody && update != nil {
		var br *bufio.Reader
		var fail *failure
		t.places.without(soon, func() { br, fail = t.upload(w, c, b.Bytes(), update) })
		return br, fail
	}
	for _, s := range update {
		b.Write(s)
	}
	// One write, so one packet where it fits.
	if _, err := c.Write(b.Bytes()); err != nil {
		return nil, judgeConn(err)
	}
	return nil, nil
}

// upload sends a big update and watches for an answer meanwhile: a server may
// refuse it long before it has read it all.
func (t *transport) upload(w *worker, c *conn, head []byte, update net.Buffers) (*bufio.Reader, *failure) {
	br := getReader(c)
	early := make(chan bool)
	go func() {
		_, err := br.Peek(1)
		if err == nil {
			// Ends the writing below. It can only fail on a closed connection, where the
			// writing has ended.
			_ = c.SetWriteDeadline(past)
		}
		early <- err == nil
	}()
	_, werr := c.Write(head)
	for i := 0; i < len(update) && werr == nil; i++ {
		_, werr = c.Write(update[i])
	}
	var fail *failure
	if werr == nil {
		fail = t.limit(c.SetReadDeadline, past) // all sent: take the watcher off
	} else {
		fail = t.limit(c.SetReadDeadline, time.Now().Add(afterCut)) // an answer may be on its way
	}
	if fail != nil {
		c.Close() // takes the watcher off as well
	}
	answered := <-early
	if fail == nil {
		fail = t.limit(c.SetDeadline, t.deadline(w))
	}
	if fail == nil && werr != nil {
		fail = judgeConn(werr)
	}
	if answered {
		return br, fail
	}
	putReader(br)
	return nil, fail
}

// heads are the buffers that requests are put together in.
var heads = sync.Pool{New: func() any { return new(bytes.Buffer) }}
