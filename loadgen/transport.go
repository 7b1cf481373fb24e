package loadgen

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/server/wire"
)

const (
	longestText = 4 << 10   // of an answer that is no model; real ones are a line
	bigBody     = 256 << 10 // an update from here on is watched for an early answer while it is sent

	// idleRace is how soon a server's cut must follow the request to count as the
	// end of an idle connection that crossed the request on its way.
	idleRace = 500 * time.Millisecond

	// afterCut is how long an answer is waited for that a server may have sent
	// before it cut an upload.
	afterCut = time.Second
)

// past is a deadline that ends whatever waits.
var past = time.Unix(1, 0)

// stopped is what becomes of requests that the end of the run cuts.
var stopped = failed(classStopped, "the run ended")

// transport is the http.RoundTripper under vegeta: it knows the worker from the
// URL's fragment, sends the worker's request on the worker's connection, and
// reads and judges the answer. vegeta gets only the status and the start of text.
type transport struct {
	ctx     context.Context // of the run: cancelled, no request starts any more
	plan    *Plan
	start   time.Time
	workers []*worker
	dialers []Dialer // one a source address
	address string   // of the target, resolved
	head    string   // header fields that every request has, from Host on
	form    wire.UpdateForm
	held    *gauge
	models  models
	hands   *hands
	bytes   struct{ in, out atomic.Int64 }
	sent    atomic.Int64 // requests

	mu   sync.Mutex    // the order of requests is that of their moments
	next [steps]uint64 // number of the next request of each step
}

// target is what vegeta's Targeter needs for a worker's next request. The
// fragment never leaves this process.
func (t *transport) target(w *worker) (method, rawURL string) {
	method, path := w.request()
	return method, t.plan.Target.Scheme + "://" + t.plan.Target.Host + path + "#" + strconv.Itoa(w.index)
}

// workerOf finds the worker in a URL that target made.
func (t *transport) workerOf(fragment string) (*worker, error) {
	i, err := strconv.Atoi(fragment)
	if err != nil || i < 0 || i >= len(t.workers) {
		return nil, fmt.Errorf("no worker %q", fragment)
	}
	return t.workers[i], nil
}

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

// RoundTrip never fails but for a URL that is not one of ours: what became of
// the request stands in the worker's outcome, and the error is for vegeta's books.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	w, err := t.workerOf(req.URL.Fragment)
	if err != nil {
		return nil, err
	}
	w.out = outcome{}
	t.exchange(w)
	if w.out.done == 0 {
		w.out.done = time.Since(t.start)
	}
	t.bytes.in.Add(w.out.bytesIn)
	t.bytes.out.Add(w.out.bytesOut)
	if w.out.status == 0 {
		return nil, w.out.fail
	}
	return &http.Response{
		StatusCode: w.out.status, Status: http.StatusText(w.out.status),
		Body: io.NopCloser(strings.NewReader(w.out.text)), Request: req,
	}, nil
}

// exchange sends the worker's request and reads its answer. Only the waiting in
// between happens on the caller's goroutine.
func (t *transport) exchange(w *worker) {
	var c *conn
	var br *bufio.Reader
	var cut *failure
	t.hands.do(func() {
		if !t.begin(w) {
			w.out.fail = stopped
			return
		}
		if c, w.out.fail = t.connect(w); c != nil {
			w.out.bytesIn, w.out.bytesOut = -c.in, -c.out
			br, cut = t.write(w, c)
		}
	})
	if c == nil {
		return
	}
	if w.step == stepPoll && w.version != "" { // held here, for hours if need be
		w.out.held = true
		if w.holds(t.plan) && !w.polled {
			w.polled = true
			t.held.settled.Add(1)
		}
		t.held.park()
		defer t.held.leave()
	}
	keep := false
	for interim := true; interim && w.out.fail == nil; br = nil {
		if br == nil {
			br, w.out.fail = t.await(w, c, cut)
		}
		interim = false
		if w.out.fail == nil {
			t.hands.do(func() { w.out.fail, keep, interim = t.read(w, c, br) })
		}
	}
	w.out.bytesIn += c.in
	w.out.bytesOut += c.out
	c.used = true
	if !keep || cut != nil || t.ctx.Err() != nil {
		w.conn.Store(nil)
		c.Close()
	}
}

// begin stamps the worker's request, unless the run has ended. Within a step numbers
// and moments rise together, as `vegeta plot` wants them.
func (t *transport) begin(w *worker) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		return false
	}
	w.out.sent, w.out.begun = time.Since(t.start), true
	w.seq = t.next[w.step]
	t.next[w.step]++
	t.sent.Add(1)
	return true
}

// connect gives the worker's connection, a new one if it has none that works.
func (t *transport) connect(w *worker) (*conn, *failure) {
	deadline := t.deadline(w)
	c := w.conn.Load()
	if c != nil {
		fail := t.limit(c.SetDeadline, deadline)
		if fail == nil && c.alive() {
			return c, nil
		}
		w.conn.Store(nil)
		c.Close()
		if fail == stopped {
			return nil, stopped
		}
		t.held.reconnects.Add(1)
	}
	d := t.dialers[w.index%len(t.dialers)]
	c, fail := dial(t.ctx, d, t.address, t.plan.TLS, time.Now().Add(t.plan.RequestTimeout))
	if fail != nil {
		return nil, fail
	}
	w.conn.Store(c)
	if fail := t.limit(c.SetDeadline, deadline); fail != nil {
		return nil, fail
	}
	return c, nil
}

// limit sets a deadline of a connection, but not one that would let it outlast
// the run: stop may have come before.
func (t *transport) limit(set func(time.Time) error, deadline time.Time) *failure {
	err := set(deadline)
	switch {
	case t.ctx.Err() != nil:
		return stopped
	case err != nil:
		return judgeConn(err)
	}
	return nil
}

// deadline of the worker's request; none for a poll that may be held for ever.
func (t *transport) deadline(w *worker) time.Time {
	timeout := t.plan.RequestTimeout
	if w.step == stepPoll {
		timeout = t.plan.PollTimeout
		if w.holds(t.plan) {
			if timeout = t.plan.holdTimeout; timeout == 0 {
				return time.Time{}
			}
		}
	}
	return time.Now().Add(timeout)
}

// stop ends all requests under way, once ctx is cancelled.
func (t *transport) stop() {
	for _, w := range t.workers {
		if c := w.conn.Load(); c != nil {
			// Only fails on a closed connection, which is what is wanted.
			_ = c.SetDeadline(past)
		}
	}
}

// close closes the connections that no request uses any more.
func (t *transport) close() {
	for _, w := range t.workers {
		if c := w.conn.Swap(nil); c != nil {
			c.Close()
		}
	}
}

// raced tells the end of an idle connection, which is nobody's fault, from a cut.
// To dc_federated's workers both are a broken connection.
func (t *transport) raced(w *worker, c *conn, fail *failure) *failure {
	if t.ctx.Err() != nil {
		return stopped
	}
	if t.plan.Behaviour != Upstream && fail.class == classReset && c.used && time.Since(t.start)-w.out.sent < idleRace {
		return failed(classReconnect, "the server had closed the idle connection")
	}
	return fail
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
		return t.upload(w, c, b.Bytes(), update)
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

// await waits until an answer begins to come, and gives the reader that holds its
// start if it had to look. What cut the sending short says why none comes.
func (t *transport) await(w *worker, c *conn, cut *failure) (*bufio.Reader, *failure) {
	if cut != nil {
		// The server may have answered before it cut the request.
		if fail := t.limit(c.SetReadDeadline, time.Now().Add(afterCut)); fail != nil {
			return nil, fail
		}
	}
	for {
		br, err := c.readable()
		if err == nil && br == nil && c.secure {
			t.hands.do(func() { br, err = c.glance() })
			if err == errNothing {
				continue
			}
		}
		switch {
		case err == nil:
			return br, nil
		case t.ctx.Err() != nil:
			return nil, stopped
		case cut != nil:
			return nil, cut
		}
		return nil, t.raced(w, c, judgeConn(err))
	}
}

// read reads the answer through br, or a reader of its own if that is nil, and
// judges it. keep says whether the connection can carry another request, interim
// that this was no answer yet, but the promise of one.
func (t *transport) read(w *worker, c *conn, br *bufio.Reader) (fail *failure, keep, interim bool) {
	if br == nil {
		br = getReader(c)
	}
	defer putReader(br)
	if _, err := br.Peek(1); err != nil {
		return t.raced(w, c, judgeConn(err)), false, false
	}
	w.out.answered = t.came(w, c)
	if w.step == stepPoll {
		// It may have had no deadline; its answer, once begun, has.
		if fail := t.limit(c.SetReadDeadline, time.Now().Add(t.plan.RequestTimeout)); fail != nil {
			return fail, false, false
		}
	}
	resp, err := http.ReadResponse(br, nil)
	for err == nil && resp.StatusCode < 200 { // the answer is still to come
		if br.Buffered() == 0 {
			fail = t.limit(c.SetReadDeadline, t.deadline(w))
			return fail, false, fail == nil
		}
		resp, err = http.ReadResponse(br, nil)
	}
	if err != nil {
		if t.ctx.Err() != nil {
			return stopped, false, false
		}
		return judgeConn(err), false, false
	}
	defer resp.Body.Close()
	w.out.status = resp.StatusCode
	if h := resp.Header.Get(wire.HeaderPublished); h != "" {
		w.out.published, _ = strconv.ParseInt(h, 10, 64) // an odd one is none
	}
	body := &tracked{r: resp.Body}
	fail = t.judge(w, resp, body)
	if body.err != nil {
		// The answer was cut: what its start looked like proves nothing.
		fail = judgeConn(body.err)
	}
	if t.ctx.Err() != nil {
		fail = stopped
	}
	if body.ended {
		w.out.done = t.came(w, c)
	}
	return fail, body.ended && !resp.Close && br.Buffered() == 0, false
}

// came is when the last of what was read of an answer had come. That a wall clock
// was set meanwhile brings no answer before its request.
func (t *transport) came(w *worker, c *conn) time.Duration {
	return max(w.out.sent, c.came.Sub(t.start))
}

// judge reads an answer's body to its end and judges it.
func (t *transport) judge(w *worker, resp *http.Response, body io.Reader) *failure {
	content := body
	switch enc := resp.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip": // a proxy may do so, since workers accept it
		z, err := gzip.NewReader(body)
		if err != nil {
			return failed(classUnexpected, "bad gzip: %s", cause(err))
		}
		content = z
	default:
		return failed(classUnexpected, "content encoding %.40q", enc)
	}
	if w.step == stepModel && resp.StatusCode == http.StatusOK {
		in := bufio.NewReaderSize(content, 16)
		if start, err := in.Peek(2); err == nil && wire.ZlibHeader(start) {
			return t.models.read(w, in, t.start)
		}
		content = in
	}
	text, err := io.ReadAll(io.LimitReader(content, longestText))
	if err == nil {
		_, err = io.Copy(io.Discard, body)
	}
	if err != nil {
		return failed(classUnexpected, "%s", cause(err))
	}
	w.out.text = string(text)
	return judgeText(w.step, resp.StatusCode, w.out.text, t.plan.Accept)
}

// tracked remembers how reading a body ended.
type tracked struct {
	r     io.Reader
	err   error
	ended bool
}

func (b *tracked) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		b.ended = true
	} else if err != nil {
		b.err = err
	}
	return n, err
}

// heads are the buffers that requests are put together in.
var heads = sync.Pool{New: func() any { return new(bytes.Buffer) }}
