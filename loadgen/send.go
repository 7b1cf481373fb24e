package loadgen

import (
	"bufio"
	"crypto/ed25519"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
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

// register is the JSON body of the worker's registration.
func (w *worker) register() ([]byte, error) {
	m := wire.Register{PublicKey: wire.NoPublicKey, SignedPhrase: wire.NoPrivateKey}
	if w.key != nil {
		m = wire.Register{
			PublicKey:    wire.WorkerID(w.key.Public().(ed25519.PublicKey)),
			SignedPhrase: wire.Sign(w.key, []byte(wire.RegisterPhrase)),
		}
	}
	return json.Marshal(m)
}

// appendMessage appends the JSON body of the worker's poll or request for a model. All
// that stands in it needs no quoting: ids are words, a signed phrase is hexadecimal, or a
// constant, and a version is JSON itself.
func (w *worker) appendMessage(b []byte) []byte {
	b = append(b, `{"worker_id":"`...)
	b = append(b, w.id...)
	if w.step == stepPoll {
		b = append(b, `","last_worker_model_version":`...)
		if w.version == "" {
			b = append(b, wire.VersionNone...)
		} else {
			b = append(b, w.version...)
		}
		b = append(b, `,"signed_phrase":"`...)
	} else {
		b = append(b, `","signed_phrase":"`...)
	}
	b = append(b, w.signed...)
	return append(b, `"}`...)
}

// write sends the request. Where the answer to a big update comes before all is
// sent, it gives the reader that holds the answer's start, and what cut the
// sending short, if anything did.
func (t *transport) write(w *worker, c *conn) (*bufio.Reader, *failure) {
	pooled := heads.Get().(*[]byte)
	b := (*pooled)[:0]
	defer func() { *pooled = b; heads.Put(pooled) }()
	method, path := w.request()
	b = append(append(append(append(b, method...), ' '), path...), " HTTP/1.1\r\n"...)
	b = append(b, t.head...)
	var update net.Buffers
	var body []byte
	switch w.step {
	case stepChallenge:
		b = append(b, "\r\n"...)
	case stepUpdate:
		b = append(append(b, "Content-Type: "...), t.form.ContentType...)
		b = append(strconv.AppendInt(append(b, "\r\nContent-Length: "...), t.form.Len(w.update), 10), "\r\n\r\n"...)
		update = t.form.Segments(w.update)
	case stepRegister:
		var err error
		if body, err = w.register(); err != nil {
			return nil, failed(classGenerator, "%s", err)
		}
	default:
		var room [512]byte
		body = w.appendMessage(room[:0])
		w.signed = ""
	}
	if body != nil {
		b = append(b, "Content-Type: application/json\r\nContent-Length: "...)
		b = append(append(strconv.AppendInt(b, int64(len(body)), 10), "\r\n\r\n"...), body...)
	}
	if t.form.Len("") >= bigBody && update != nil {
		var br *bufio.Reader
		var fail *failure
		w.hit.without(soon, func() { br, fail = t.upload(w, c, b, update) })
		return br, fail
	}
	for _, s := range update {
		b = append(b, s...)
	}
	// One write, so one packet where it fits.
	if _, err := c.Write(b); err != nil {
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
var heads = sync.Pool{New: func() any { return new([]byte) }}
