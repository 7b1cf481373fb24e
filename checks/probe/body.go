package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/server/wire"
)

const (
	bodyTries = 8        // updates at most
	bodyLeast = 1 << 10  // bytes: below, no limit is looked for
	bodyFine  = 10       // the search ends where the bounds differ by less than one part in this
	bodySlow  = 64 << 10 // bytes a second that an update is given time for
)

// search is where the search for the largest body stands, in bytes.
type search struct {
	want, most int64
	ok         int64 // the largest that came through; 0: none yet
	refused    int64 // the smallest that did not; 0: none yet
	tries      int
}

// next is the size to try next, and false where there is nothing left to learn.
// The wanted one comes first: that it comes through is the question.
func (s search) next() (int64, bool) {
	want, most := max(min(s.want, s.most), 0), max(s.most, bodyLeast)
	switch {
	case s.tries >= bodyTries:
		return 0, false
	case s.tries == 0 && want > 0:
		return max(want, bodyLeast), true
	case s.refused == 0 && s.ok < most:
		return most, true
	case s.refused == 0:
		return 0, false
	}
	low := max(s.ok, bodyLeast)
	if s.refused-low <= max(low/bodyFine, 1) {
		return 0, false
	}
	// Limits lie anywhere between kilobytes and gigabytes: halve the ratio.
	mid := int64(math.Sqrt(float64(low) * float64(s.refused)))
	return min(max(mid, low+1), s.refused-1), true
}

// after is the search with one more answer.
func (s search) after(size int64, came bool) search {
	s.tries++
	if came {
		s.ok = max(s.ok, size)
	} else if s.refused == 0 || size < s.refused {
		s.refused = size
	}
	return s
}

// worstBytes is the most that a search can send.
func worstBytes(want, most int64) int64 { return search{want: want, most: most}.worst() }

func (s search) worst() int64 {
	size, more := s.next()
	if !more {
		return 0
	}
	return size + max(s.after(size, true).worst(), s.after(size, false).worst())
}

// fate is what became of an update.
type fate struct {
	came   bool // to the server, which refused it as it must
	status int
	server string
	err    error // neither came nor was refused for its size
}

// errTaken is a server that takes what it must not. The search ends at once.
var errTaken = errors.New("the server took an update that is none: is it one of the protocol?")

// body looks for the largest body that comes through. Every update is one that
// any server refuses: it is no zlib stream, its signature is none, and where id
// is "" its worker is nobody's.
func (p *prober) body(ctx context.Context, id string) facts.Value[*facts.BodyLimit] {
	if p.o.BodyMax == 0 {
		return facts.Value[*facts.BodyLimit]{Source: "not asked"}
	}
	if id == "" || !strictID(id) {
		id = nobody
	}
	var out facts.BodyLimit
	path := wire.PathUpdate + "/" + id
	s := search{want: p.o.BodyWant, most: p.o.BodyMax}
	for {
		size, more := s.next()
		if !more {
			break
		}
		p.tell("sending an update of " + facts.Bytes(size) + " that the server must refuse")
		f := p.update(ctx, path, size)
		if errors.Is(f.err, errTaken) || ctx.Err() != nil {
			return unknown[*facts.BodyLimit](f.err)
		}
		if f.err != nil {
			out.Stopped = "an update of " + facts.Bytes(size) + ": " + cause(f.err)
			break
		}
		if !f.came {
			out.Status, out.Server = f.status, f.server
		}
		s = s.after(size, f.came)
	}
	out.Accepted, out.Refused = s.ok, s.refused
	return facts.Value[*facts.BodyLimit]{V: &out, Source: p.source("POST", wire.PathUpdate)}
}

// strictID says whether a worker's updates need a signature: those of a worker
// that a key list names.
func strictID(id string) bool { return !strings.HasSuffix(id, wire.UnauthenticatedSuffix) }

// update sends one of size bytes in all.
func (p *prober) update(ctx context.Context, path string, size int64) fate {
	form, err := wire.NewUpdateForm(nil)
	if err != nil {
		return fate{err: err}
	}
	const signed = "00"
	junk := max(size-form.Len(signed), 0)
	frame := form.Segments(signed)
	// The update stands between the form's first two segments: zeros, which are no
	// zlib stream.
	body := io.MultiReader(bytes.NewReader(frame[0]), io.LimitReader(zeros{}, junk), bytes.NewReader(bytes.Join(frame[1:], nil)))
	req, err := p.request(http.MethodPost, path, form.ContentType, body, form.Len(signed)+junk)
	if err != nil {
		return fate{err: err}
	}
	c, err := p.open(ctx)
	if err != nil {
		return fate{err: err}
	}
	defer c.tcp.Close()
	timeout := p.o.Timeout + time.Duration(size/bodySlow)*time.Second
	a, text, _, err := p.text(ctx, c, req, timeout)
	if a.Status == http.StatusRequestEntityTooLarge { // as a rule before all was sent
		return fate{status: a.Status, server: a.Server}
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fate{} // cut: what some hops do with what is too large
	case err != nil:
		return fate{err: err}
	case a.Status != http.StatusOK:
		return fate{err: fmt.Errorf("HTTP %d", a.Status)}
	case strings.HasPrefix(text, wire.TextAccepted):
		return fate{err: errTaken}
	}
	return fate{came: true}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
