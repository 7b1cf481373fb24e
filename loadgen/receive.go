package loadgen

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/fltool/fltool/server/wire"
)

const (
	longestText = 4 << 10 // bytes, of an answer that is no model; real ones are a line

	// idleRace is how soon a server's cut must follow the request to count as the
	// end of an idle connection that crossed the request on its way.
	idleRace = 500 * time.Millisecond

	// afterCut is how long an answer is waited for that a server may have sent
	// before it cut an upload, or before this machine found the time to look.
	afterCut = time.Second
)

// await waits until an answer begins to come, and gives the reader that holds its
// start if it had to look; or it parks, and whatever the worker does after that is
// another hit's. What cut the sending short says why no answer comes.
func (t *transport) await(w *worker, c *conn, cut *failure) (br *bufio.Reader, fail *failure, parked bool) {
	parks, deadline := t.parking != nil && cut == nil, t.deadline(w)
	switch {
	case cut != nil: // the server may have answered before it cut the request
		fail = t.limit(c.SetReadDeadline, time.Now().Add(afterCut))
	case parks && (w.out.held || c.socket != nil):
		t.park(w, c)
		return nil, nil, true
	case parks: // a goroutine of its own is for what takes its time
		fail = t.limit(c.SetReadDeadline, earlier(deadline, time.Now().Add(soon)))
	}
	for fail == nil {
		br, err := c.readable()
		switch {
		case err == nil:
			if parks {
				fail = t.limit(c.SetReadDeadline, deadline)
			}
			return br, fail, false
		case t.ctx.Err() != nil:
			fail = stopped
		case c.overslept(err):
			deadline = t.whole(w)
			fail = t.limit(c.SetReadDeadline, deadline)
		case cut != nil:
			fail = cut
		case parks && errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline):
			// What parks with a goroutine reads on, and its short time is over.
			if fail = t.limit(c.SetReadDeadline, deadline); fail == nil {
				t.park(w, c)
				return nil, nil, true
			}
		default:
			fail = t.raced(w, c, judgeConn(err))
		}
	}
	return nil, fail, false
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// park has the worker wait until its answer begins to come.
func (t *transport) park(w *worker, c *conn) {
	c.serve(nil)
	t.parking.park(w, c, t.deadline(w))
}

// unneeded says why the worker need not wait for the answer, if so.
func (t *transport) unneeded(w *worker) *failure {
	if t.ctx.Err() != nil {
		return stopped
	}
	return t.enough(w)
}

// enough says whether the worker need not wait for the end of its poll, as a failure.
func (t *transport) enough(w *worker) *failure {
	if t.quorum != nil && w.out.held && !w.through && t.quorum.beyond(w.version) {
		return enough
	}
	return nil
}

// resume goes on where the worker's request had parked.
func (t *transport) resume(w *worker) (parked bool) {
	s, c := w.stay, w.conn.Load()
	w.stay.away, w.stay.br = false, nil
	c.serve(w.hit)
	fail, br, err := s.end, s.br, s.err
	if fail != nil && (br != nil || c.overslept(os.ErrDeadlineExceeded)) {
		fail, err = nil, nil // its answer has come at the last moment
	}
	if fail == nil {
		fail = t.limit(c.SetReadDeadline, t.whole(w))
	}
	if fail == nil && err == nil && br == nil && c.socket != nil {
		if br, err = c.glance(); err == errNothing {
			t.park(w, c)
			return true
		}
	}
	if fail == nil && err != nil {
		fail = t.raced(w, c, judgeConn(err))
	}
	w.out.fail = fail
	return t.answer(w, c, br, nil, true)
}

// whole is until when an answer that has begun to come has time to come whole.
func (t *transport) whole(w *worker) time.Time {
	deadline := t.deadline(w)
	if least := time.Now().Add(afterCut); deadline.Before(least) {
		return least // this machine was late to look, not the server to answer
	}
	return deadline
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
	if come, err := br.Peek(br.Buffered()); err == nil {
		if a, ok := readPlain(come); ok {
			return t.readPlain(w, c, a), true, false
		}
	}
	if w.step == stepPoll {
		// It may have had no deadline; its answer, once begun, has.
		if fail := t.limit(c.SetReadDeadline, time.Now().Add(t.plan.RequestTimeout)); fail != nil {
			return fail, false, false
		}
	}
	resp, err := c.head.Response(br, nil)
	for err == nil && resp.StatusCode < 200 { // the answer is still to come
		if br.Buffered() == 0 {
			deadline := t.deadline(w)
			if !deadline.IsZero() && time.Now().After(deadline) {
				return failed(classTimeout, "no answer in time, but promises of one"), false, false
			}
			if t.ctx.Err() != nil || !c.more(br) {
				fail = t.limit(c.SetReadDeadline, deadline)
				return fail, false, fail == nil
			}
		}
		resp, err = c.head.Response(br, nil)
	}
	if err != nil {
		if t.ctx.Err() != nil {
			return stopped, false, false
		}
		// The start of a line is no bad answer, where the line was cut.
		return judgeConn(cmp.Or(c.ended, err)), false, false
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

// readPlain judges an answer that has come whole.
func (t *transport) readPlain(w *worker, c *conn, a plain) (fail *failure) {
	w.out.status, w.out.published, w.out.done = a.status, a.published, t.came(w, c)
	if w.step == stepModel && a.status == http.StatusOK && len(a.body) >= 2 && wire.ZlibHeader(a.body) {
		fail = t.models.take(w, a.body, t.start)
	} else {
		w.out.text = a.text()
		fail = judgeText(w.step, a.status, w.out.text, t.plan.Accept)
	}
	if t.ctx.Err() != nil {
		return stopped
	}
	return fail
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
		var start [2]byte
		n, err := io.ReadFull(content, start[:])
		// A Reader and no more: as a WriterTo it would copy with a buffer of its own.
		content = struct{ io.Reader }{io.MultiReader(bytes.NewReader(start[:n]), content)}
		if err == nil && wire.ZlibHeader(start[:]) {
			return t.models.read(w, content, t.start)
		}
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
