package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// sending is an update that comes at some rate over a connection of its own.
type sending struct {
	raw
	status int
	text   string
	took   time.Duration
	done   chan struct{}
}

// sendSlowly sends an update in a bubble: so many bytes a second, all at once if
// that is 0.
func sendSlowly(t *testing.T, c *client, size int64, rate int) *sending {
	t.Helper()
	conn := dialFake(t, c)
	return sendSlowlyOn(t, raw{conn, bufio.NewReader(conn)}, c, size, rate)
}

// sendSlowlyOn is sendSlowly on a connection.
func sendSlowlyOn(t *testing.T, conn raw, c *client, size int64, rate int) *sending {
	t.Helper()
	z, digest, err := wire.CompressUpdate(newRandom(size))
	if err != nil {
		t.Fatal(err)
	}
	form, err := wire.NewUpdateForm(z)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	segments := form.Segments(c.sign(digest[:]))
	_, _ = segments.WriteTo(&body) // memory takes all
	if rate == 0 {
		rate = body.Len()
	}
	s := &sending{raw: conn, done: make(chan struct{})}
	began := time.Now()
	go func() {
		fmt.Fprintf(conn, "POST %s/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", wire.PathUpdate, c.id, form.ContentType, body.Len())
		for body.Len() > 0 {
			if _, err := conn.Write(body.Next(rate)); err != nil {
				return // the answer tells
			}
			time.Sleep(time.Second)
		}
	}()
	go func() {
		defer close(s.done)
		res, err := http.ReadResponse(s.r, nil)
		s.took = time.Since(began)
		if err != nil {
			return // it was cut: no status
		}
		b, _ := io.ReadAll(res.Body)
		s.status, s.text = res.StatusCode, string(b)
	}()
	t.Cleanup(func() { <-s.done })
	return s
}

func (s *sending) want(t *testing.T, status int, c *client) {
	t.Helper()
	<-s.done
	text := wire.TextAccepted + wire.Short(c.id) + "."
	if status != http.StatusOK {
		text = "Update not accepted: too many are on their way - send it again."
	}
	if s.status != status || s.text != text {
		t.Errorf("%d %q, want %d %q", s.status, s.text, status, text)
	}
}

// TestUploadsOfAWorker: of more than two at a time the slowest gives way, whoever
// sends it, and reads why.
func TestUploadsOfAWorker(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		slow := sendSlowly(t, cs[0], 300*slowest, slowest)
		fast := sendSlowly(t, cs[0], 300*slowest, 10*slowest)
		time.Sleep(5 * time.Second)
		slower := sendSlowly(t, cs[0], 300*slowest, slowest) // ends the first
		time.Sleep(5 * time.Second)
		_ = slower
		third := sendSlowly(t, cs[0], 300*slowest, slowest) // ends the second that is slow
		fast.want(t, http.StatusOK, cs[0])
		slow.want(t, http.StatusServiceUnavailable, cs[0])
		slower.want(t, http.StatusServiceUnavailable, cs[0])
		_ = third.Close()
	})
}

// TestOwnUploadStays: who knows a worker's id, and has not its key, ends no update that
// comes on the connection on which the worker registered.
func TestOwnUploadStays(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		c := cs[0]
		conn := dialFake(t, c)
		r := raw{conn, bufio.NewReader(conn)}
		body := fmt.Sprintf(`{"public_key_str": "%s", "signed_phrase": "%s"}`, c.id, c.sign([]byte(wire.RegisterPhrase)))
		say(t, conn, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", wire.PathRegister, len(body), body))
		if _, text := r.receive(t); text != c.id {
			t.Fatal(text)
		}
		own := sendSlowlyOn(t, r, c, 100*slowest, slowest)
		forger := *cs[1]
		forger.id = c.id
		var others []*sending
		for range 4 {
			time.Sleep(time.Second)
			others = append(others, sendSlowly(t, &forger, 300*slowest, 10*slowest))
		}
		own.want(t, http.StatusOK, c)
		for _, o := range others {
			_ = o.Close()
		}
	})
}

// TestUploadsInAll: those above the bound wait, and one that is slow gives way to
// them; who is not does not.
func TestUploadsInAll(t *testing.T) {
	inBubble(t, Config{MaxUploads: 1}, func(t *testing.T, s *Server, cs []*client) {
		fast := sendSlowly(t, cs[0], 20*crowdedRate, 2*crowdedRate)
		time.Sleep(time.Second / 2)
		slow := sendSlowly(t, cs[1], 1000*slowest, slowest)
		fast.want(t, http.StatusOK, cs[0])
		time.Sleep(2 * crowdedAfter) // alone, it may be slow
		last := sendSlowly(t, cs[2], 1000, 0)
		last.want(t, http.StatusOK, cs[2])
		slow.want(t, http.StatusServiceUnavailable, cs[1])
		if len(s.uploads.all) != 0 || len(s.uploads.places) != 0 {
			t.Errorf("%d uploads are left, %d places taken", len(s.uploads.all), len(s.uploads.places))
		}
	})
}

// TestCloseEndsUploads that wait for a place.
func TestCloseEndsUploads(t *testing.T) {
	inBubble(t, Config{MaxUploads: 1}, func(t *testing.T, s *Server, cs []*client) {
		sendSlowly(t, cs[0], 10*crowdedRate, crowdedRate)
		synctest.Wait()
		sendSlowly(t, cs[1], 1000, 0)
		synctest.Wait()
		if err := s.http.Close(); err != nil {
			t.Error(err)
		}
	})
}

// counting is an aggregator that counts what is written to it, and may fail.
type counting struct {
	Counter
	mu      sync.Mutex
	written int
	fails   error
}

func (c *counting) Begin(string) (Upload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return forget{c}, c.fails
}

func (c *counting) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written += len(p)
	return len(p), nil
}

// take gives how many bytes were written since the last time.
func (c *counting) take() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.written
	c.written = 0
	return n
}

// TestInflation: bombs are refused before they do harm, with junk around them or
// not; what is compressible within reason, or small, is no bomb.
func TestInflation(t *testing.T) {
	keys, ids := workerKeys(1)
	agg := &counting{}
	_, addr := start(t, Config{Keys: ids, Aggregator: agg, MaxInflation: 50})
	c := registered(t, addr, keys...)[0]
	const refused = "Update refused: it inflates to more than 50 times its size."
	for name, tt := range map[string]struct {
		zeros, random int
		refused       bool
	}{
		"small":           {freeInflation, 0, false},
		"compressible":    {4 << 20, 200 << 10, false},
		"a bomb":          {20 << 20, 0, true},
		"a bomb at heart": {20 << 20, 200 << 10, true},
	} {
		z, digest, err := wire.CompressUpdate(bytes.NewReader(append(incompressible(tt.random), make([]byte, tt.zeros)...)))
		if err != nil {
			t.Fatal(err)
		}
		status, text := c.send(z, c.sign(digest[:]))
		if got := status == http.StatusRequestEntityTooLarge && text == refused; got != tt.refused {
			t.Errorf("%s: %d %q", name, status, text)
		}
		if most, written := max(freeInflation, 50*(len(z)+2000)), agg.take(); written > most+32<<10 {
			t.Errorf("%s: %d bytes were inflated out of %d", name, written, len(z))
		}
	}
}

// TestShares: the next is that of the worker for which least was inflated.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := newShares()
		ts.free = 1
		order := make(chan string, 9)
		working := newShare("working")
		ts.take(&working)
		bomb := newShare("bomb")
		bomb.bytes = 1000
		ts.waste(&bomb)
		for _, u := range []struct {
			worker string
			bytes  int64
		}{{"bomb", 0}, {"large", 500}, {"small", 10}, {"bomb", 1}} {
			u1 := newShare(u.worker)
			u1.bytes = u.bytes
			go func() {
				ts.take(&u1)
				order <- fmt.Sprint(u1.worker, " ", u1.bytes)
				ts.give()
			}()
			synctest.Wait()
		}
		ts.give()
		for _, want := range []string{"small 10", "large 500", "bomb 0", "bomb 1"} {
			if got := <-order; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		synctest.Wait()
		if ts.free != 1 || len(ts.waiting) != 0 {
			t.Errorf("%d are free, %d wait", ts.free, len(ts.waiting))
		}
		// It is forgiven in time.
		little := newShare("another")
		little.bytes = 1
		for range 12 {
			time.Sleep(wasteLife)
			ts.waste(&little)
		}
		if _, there := ts.wasted["bomb"]; there || len(ts.wasted) != 1 {
			t.Error(ts.wasted)
		}
	})
}

// health is the answer of /healthz.
func health(s *Server) (int, string) {
	w := recorder{header: http.Header{}}
	r, err := http.NewRequest("GET", "/healthz", nil)
	if err != nil {
		panic(err)
	}
	s.Ops().ServeHTTP(&w, r)
	return w.status, w.String()
}

// TestNoRoom: a disk that is nearly full takes no updates, and that is told.
func TestNoRoom(t *testing.T) {
	keys, ids := workerKeys(2)
	dir := t.TempDir()
	k, err := NewKeeper(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	half, err := k.Begin("half")
	if err != nil {
		t.Fatal(err)
	}
	k.free = 1 << 62
	if _, err := half.Write([]byte("x")); !errors.Is(err, ErrNoRoom) {
		t.Error(err)
	}
	half.Abort()
	s, addr := start(t, Config{Keys: ids, Aggregator: k})
	c := registered(t, addr, keys...)[0]
	if status, text := c.update([]byte("u")); status != http.StatusInsufficientStorage || text != "Update not accepted: there is no room to keep it." {
		t.Errorf("%d %q", status, text)
	}
	if status, text := health(s); status != http.StatusServiceUnavailable || !strings.HasPrefix(text, "updates can't be kept: "+dir+": too little of the disk is free: ") {
		t.Errorf("%d %q", status, text)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "incoming")); err != nil || len(left) > 0 {
		t.Errorf("%v is left: %v", left, err)
	}
	if k, err = NewKeeper(dir, 1); err != nil {
		t.Fatal(err)
	}
	s, addr = start(t, Config{Keys: ids, Aggregator: k})
	registered(t, addr, keys...)[0].accepted("u")
	if status, text := health(s); status != http.StatusOK {
		t.Errorf("%d %q", status, text)
	}
}

// TestUnkept: whatever an update can't be kept for is told until one can.
func TestUnkept(t *testing.T) {
	keys, ids := workerKeys(2)
	agg := &counting{fails: errors.New("the disk is gone")}
	s, addr := start(t, Config{Keys: ids, Aggregator: agg})
	c := registered(t, addr, keys...)[0]
	if status, text := c.update([]byte("u")); status != http.StatusInternalServerError {
		t.Errorf("%d %q", status, text)
	}
	if status, text := health(s); status != http.StatusServiceUnavailable || text != "updates can't be kept: the disk is gone\n" {
		t.Errorf("%d %q", status, text)
	}
	agg.mu.Lock()
	agg.fails = nil
	agg.mu.Unlock()
	c.accepted("u")
	if status, text := health(s); status != http.StatusOK {
		t.Errorf("%d %q", status, text)
	}
}
