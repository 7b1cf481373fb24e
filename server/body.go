package server

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// body reads a request's body at no less than the slowest rate and no further
// than limit; behind that it gives errBody.
type body struct {
	r       io.Reader
	control *http.ResponseController
	left    int64
	credit  int  // bytes since the deadline was moved
	begun   bool // reading was
	ended   bool // with its end

	mu        sync.Mutex // guards what follows: others interrupt
	deadline  time.Time
	read      int64 // bytes
	paused    bool
	interrupt error // what reading fails with from now on
}

// errBody is a body that is longer than it may be.
var errBody = errors.New("request body too large")

func newBody(w http.ResponseWriter, r *http.Request, limit int64) *body {
	b := &body{r: r.Body, control: http.NewResponseController(w), left: limit}
	b.restart()
	return b
}

// restart lets reading begin, or go on after pause or stop.
func (b *body) restart() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paused, b.interrupt, b.deadline = false, nil, time.Now().Add(grace)
	_ = b.control.SetReadDeadline(b.deadline) // as in begin
}

// pause takes off the deadline until restart, while it is not the client that is
// slow.
func (b *body) pause() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paused = true
	_ = b.control.SetReadDeadline(time.Time{})
}

// stopped says whether it was paused or stopped.
func (b *body) stopped() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.paused || b.interrupt != nil
}

// stop ends whoever reads, with an error.
func (b *body) stop(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.interrupt = err
	_ = b.control.SetReadDeadline(time.Unix(1, 0))
}

// got is how many bytes have come.
func (b *body) got() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read
}

func (b *body) Read(p []byte) (int, error) {
	b.begun = true
	if b.left <= 0 {
		// The end may stand exactly at the limit.
		if n, err := b.r.Read(p[:1]); n == 0 {
			b.ended = err == io.EOF
			return 0, err
		}
		return 0, errBody
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.ended = err == io.EOF
	b.left -= int64(n)
	b.credit += n
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read += int64(n)
	if b.interrupt != nil {
		return n, b.interrupt
	}
	if b.credit >= slowest {
		b.deadline = b.deadline.Add(time.Duration(b.credit/slowest) * time.Second)
		b.credit %= slowest
		_ = b.control.SetReadDeadline(b.deadline)
	}
	return n, err
}

// free takes the deadline off again, if all of the body was read. Else net/http
// reads what may come of the rest before it goes on, which must have an end too.
func (b *body) free() {
	if b.ended {
		_ = b.control.SetReadDeadline(time.Time{})
	}
}
