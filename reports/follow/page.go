package follow

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// A page is made anew after this time at the earliest, and so that making pages takes one
// part in so many of the time at most, since the machine is the load generator's; but one
// that is too old says little.
const (
	pageEvery  = time.Second
	pageShare  = 50
	pageOldest = 5 * time.Second
)

// sendTimeout is how long a browser may take to read a page.
const sendTimeout = 10 * time.Second

// Page shows a command's report in browsers while it grows.
type Page struct {
	command string
	board   *Board
	over    chan struct{} // closed once there is a final body

	mu   sync.Mutex // of what is below
	body string     // the last that was made
	next time.Time  // when it is too old
}

// NewPage shows the board of a command.
func NewPage(command string, b *Board) *Page {
	return &Page{command: command, board: b, over: make(chan struct{})}
}

// End has all browsers show the report, and the streams end.
func (p *Page) End(r reports.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body = render.FinalBody(r)
	close(p.over)
}

// Ended says whether it shows the report itself.
func (p *Page) Ended() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// ServeHTTP answers / with the page and /events with what it is to show.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	switch {
	case r.Method != http.MethodGet:
		http.Error(w, "only GET is answered", http.StatusMethodNotAllowed)
	case r.URL.Path == "/":
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "frame-ancestors 'none'")
		body, final := p.now()
		// A browser that is gone needs no answer.
		_, _ = fmt.Fprint(w, render.GrowingPage("fltool "+p.command, body, final))
	case r.URL.Path == "/events":
		h.Set("Content-Type", "text/event-stream")
		p.stream(w, r)
	default:
		http.NotFound(w, r)
	}
}

// stream sends bodies until the final one.
func (p *Page) stream(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-p.over:
		case <-wait.C:
		}
		body, final := p.now()
		// Who reads nothing must not keep the run's end waiting.
		if err := c.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
			return
		}
		if _, err := w.Write(event(body, final)); err != nil || c.Flush() != nil || final {
			return
		}
		wait.Reset(pageEvery)
	}
}

// now is what is to be shown, and whether that is the last.
func (p *Page) now() (body string, final bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Ended() {
		return p.body, true
	}
	if began := time.Now(); !began.Before(p.next) {
		v := p.board.look()
		p.body = render.GrowingBody(p.command, v.report, v.now)
		now := time.Now()
		p.next = now.Add(min(max(pageEvery/2, pageShare*now.Sub(began)), pageOldest))
	}
	return p.body, false
}

// event is a body as a server-sent one: see
// https://html.spec.whatwg.org/multipage/server-sent-events.html.
func event(body string, final bool) []byte {
	kind := "growing"
	if final {
		kind = "final"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", kind)
	for line := range strings.Lines(body) {
		fmt.Fprintf(&b, "data: %s\n", strings.TrimRight(line, "\r\n"))
	}
	b.WriteString("\n")
	return b.Bytes()
}
