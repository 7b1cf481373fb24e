package server

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/wire"
)

func incompressible(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// naive is how one would hold polls on net/http without a thought: the baseline.
type naive struct {
	keys       map[string]ed25519.PublicKey
	challenges *challenges
	updated    chan struct{}
}

func newNaive(cfg Config) http.Handler {
	n := &naive{keys: map[string]ed25519.PublicKey{}, challenges: newChallenges(time.Now()), updated: make(chan struct{})}
	for _, id := range cfg.Keys {
		n.keys[id], _ = wire.ParsePublicKey(id)
	}
	m := http.NewServeMux()
	m.HandleFunc("POST "+wire.PathRegister, func(w http.ResponseWriter, r *http.Request) {
		var x wire.Register
		if json.NewDecoder(r.Body).Decode(&x) == nil {
			_, _ = io.WriteString(w, x.PublicKey)
		}
	})
	m.HandleFunc("GET "+wire.PathChallenge+"/{worker}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, n.challenges.issue(r.PathValue("worker"), time.Now()))
	})
	m.HandleFunc("POST "+wire.PathUpdate+"/{worker}", func(w http.ResponseWriter, r *http.Request) {
		close(n.updated) // one is enough here
		_, _ = io.WriteString(w, wire.TextAccepted)
	})
	m.HandleFunc("POST "+wire.PathPoll, func(w http.ResponseWriter, r *http.Request) {
		var x wire.Poll
		if err := json.NewDecoder(r.Body).Decode(&x); err != nil {
			return
		}
		message, err := wire.Open(n.keys[x.WorkerID], x.SignedPhrase)
		if err != nil || !n.challenges.use(x.WorkerID, message, time.Now()) {
			_, _ = io.WriteString(w, wire.TextInvalid)
			return
		}
		select {
		case <-n.updated:
			_, _ = io.WriteString(w, wire.TextUpdated)
		case <-r.Context().Done():
		}
	})
	return m
}

// kinds are what the benchmarks compare.
var kinds = []struct {
	name       string
	naive, tls bool
}{
	{"goroutine-per-poll", true, false}, {"server", false, false},
	{"goroutine-per-poll-tls", true, true}, {"server-tls", false, true},
}

// BenchmarkHold holds polls in a server process of its own, each on a connection
// that registered first, and then wakes them all by a publication. It tells what a
// poll costs in the server, at rest and at the worst, how long the news took to the
// last of them by the kernel's word, and how long it takes these clients to read it.
// Run it with -benchtime 1x: a round is one iteration.
func BenchmarkHold(b *testing.B) {
	for _, workers := range []int{1000, 5000, 15_000} {
		for _, kind := range kinds {
			if kind.naive && workers > 5000 {
				continue // what it costs is known by then
			}
			b.Run(fmt.Sprintf("%s/workers=%d", kind.name, workers), func(b *testing.B) {
				for range b.N {
					h := holdMany(b, workers, kind.naive, kind.tls)
					held := h.status(b)
					b.ReportMetric(float64(held.rss-h.before.rss)/float64(workers), "rss-B/worker")
					fanOut, reading := h.wake(b)
					b.ReportMetric(fanOut.Seconds()*1000, "fanout-ms")
					b.ReportMetric(reading.Seconds()*1000, "reading-ms")
					b.ReportMetric(float64(h.status(b).peak-h.before.rss)/float64(workers), "peak-B/worker")
					h.end()
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkIdle tells how much CPU 5000 held polls cost in 30 seconds in which
// nothing happens.
func BenchmarkIdle(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			for range b.N {
				h := holdMany(b, 5000, kind.naive, kind.tls)
				before := h.cpu(b)
				time.Sleep(30 * time.Second)
				b.ReportMetric((h.cpu(b) - before).Seconds(), "cpu-s/30s")
				h.end()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkDownload tells what CPU a model of 13 MB costs the server when it is fetched.
func BenchmarkDownload(b *testing.B) {
	const size, times = 13_000_000, 50
	keys, list := testKeys(b, 1)
	for range b.N {
		k := startChild(b, childConfig{KeyList: list, Round: "all", ModelSize: size})
		c, err := dialWorker(k, keys[0])
		if err != nil {
			b.Fatal(err)
		}
		before := k.cpu(b)
		for range times {
			if err := c.fetch(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((k.cpu(b)-before).Seconds()*1000/times, "server-cpu-ms/download")
		c.Close()
		k.end()
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkBigModel lets 200 workers fetch a model of 13 MB and send an update of
// 13 MB, all at once, twice, and tells the server's memory at the worst.
func BenchmarkBigModel(b *testing.B) {
	const workers, size = 200, 13_000_000
	keys, list := testKeys(b, workers)
	z, digest, err := wire.CompressUpdate(newRandom(size))
	if err != nil {
		b.Fatal(err)
	}
	form, err := wire.NewUpdateForm(z)
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		k := startChild(b, childConfig{KeyList: list, Round: "all", ModelSize: size})
		began := time.Now()
		var wg sync.WaitGroup
		for _, key := range keys {
			wg.Go(func() {
				c, err := dialWorker(k, key)
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				for version := range int64(2) {
					err := errors.Join(c.poll(wire.VersionInt(version)), c.answer(wire.TextUpdated), c.fetch(), c.update(form, digest))
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(float64(k.status(b).peak)/1e6, "peak-MB")
		b.ReportMetric(time.Since(began).Seconds(), "s/2-rounds")
		b.ReportMetric(k.cpu(b).Seconds()*1000/2/workers, "server-cpu-ms/worker/round")
		k.end()
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRounds plays whole rounds: all workers connect at once, poll, are woken,
// fetch and send at the same time. It tells the server's memory at the worst, which
// is far from all being held, and its CPU.
func BenchmarkRounds(b *testing.B) {
	for _, tls := range []bool{false, true} {
		for _, workers := range []int{1000, 15_000} {
			name := "server"
			if tls {
				name = "server-tls"
			}
			b.Run(fmt.Sprintf("%s/workers=%d", name, workers), func(b *testing.B) {
				for range b.N {
					playRounds(b, workers, tls)
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func playRounds(b *testing.B, workers int, tls bool) {
	const rounds, perRound = 3, 3 // signatures: of poll, fetch and update
	keys, list := testKeys(b, workers)
	z, digest, err := wire.CompressUpdate(newRandom(1 << 10))
	if err != nil {
		b.Fatal(err)
	}
	form, err := wire.NewUpdateForm(z)
	if err != nil {
		b.Fatal(err)
	}
	signing, checking := signatureCosts()
	k := startChild(b, childConfig{KeyList: list, Round: "all", ModelSize: 1 << 10, TLS: tls})
	defer k.end()
	before := k.status(b)
	conns := make([]*workerConn, workers)
	each := func(do func(i int) error) {
		var wg sync.WaitGroup
		for i := range conns {
			wg.Go(func() {
				if err := do(i); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		if b.Failed() {
			b.FailNow()
		}
	}
	each(func(i int) (err error) {
		conns[i], err = dialWorker(k, keys[i])
		return err
	})
	arrived := k.cpu(b)
	began := time.Now()
	each(func(i int) error {
		c := conns[i]
		for version := range int64(rounds) {
			err := errors.Join(c.poll(wire.VersionInt(version)), c.answer(wire.TextUpdated), c.fetch(), c.update(form, digest))
			if err != nil {
				return err
			}
		}
		return nil
	})
	round := time.Since(began).Seconds() / rounds
	cpu := (k.cpu(b) - arrived).Seconds() / rounds / float64(workers)
	b.ReportMetric(float64(k.status(b).peak-before.rss)/float64(workers), "peak-B/worker")
	b.ReportMetric(round, "s/round")
	b.ReportMetric(cpu*1e6, "server-cpu-us/worker/round")
	b.ReportMetric(cpu/(perRound*checking.Seconds()), "server-cpu/verifications")
	b.ReportMetric(round*float64(runtime.NumCPU())/(float64(workers*perRound)*(signing+checking).Seconds()), "round/floor")
	b.ReportMetric(arrived.Seconds()/float64(workers)*1e6, "arrival-cpu-us/worker")
	for _, c := range conns {
		c.Close()
	}
}

// signatureCosts is what it takes to sign a challenge, and to check that, of CPU time
// now: on a machine that does other things that is more than when it is idle.
func signatureCosts() (signing, checking time.Duration) {
	const times = 500
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	key := seedKey(1)
	phrase := make([]byte, 2*phraseSize)
	var signature []byte
	cpu := func() time.Duration {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
			panic(err) // every Linux has it
		}
		return time.Duration(now.Nano())
	}
	began := cpu()
	for range times {
		signature = ed25519.Sign(key, phrase)
	}
	signed := cpu()
	for range times {
		if !ed25519.Verify(key.Public().(ed25519.PublicKey), phrase, signature) {
			panic("a signature that its key did not make")
		}
	}
	return (signed - began) / times, (cpu() - signed) / times
}

// holding is a server process that holds polls.
type holding struct {
	*child
	before memory
	conns  []*workerConn
	last   ed25519.PrivateKey // of a worker more, whose update ends the round
}

func holdMany(b *testing.B, workers int, naive, tls bool) *holding {
	keys, list := testKeys(b, workers+1)
	k := startChild(b, childConfig{KeyList: list, Round: "1", ModelSize: 1 << 10, Naive: naive, TLS: tls})
	h := &holding{child: k, before: k.status(b), conns: make([]*workerConn, workers), last: keys[workers]}
	var wg sync.WaitGroup
	for part := range 8 {
		wg.Go(func() {
			for i := part; i < workers; i += 8 {
				c, err := dialWorker(k, keys[i])
				if err == nil {
					err = c.poll("1")
				}
				if err != nil {
					b.Error(err)
					return
				}
				h.conns[i] = c
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	time.Sleep(tidyAfter + time.Second) // the last of them are on their way, and memory is tidied up
	return h
}

// wake ends the round and gives the time from sending that update until the kernel had
// the last poll's answer, and that of reading them all, one after the other, once they
// are there: what a client needs for itself is not the server's.
func (h *holding) wake(b *testing.B) (fanOut, reading time.Duration) {
	z, digest, err := wire.CompressUpdate(strings.NewReader("u"))
	if err != nil {
		b.Fatal(err)
	}
	form, err := wire.NewUpdateForm(z)
	if err != nil {
		b.Fatal(err)
	}
	c, err := dialWorker(h.child, h.last)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for _, c := range h.conns {
		if err := stampArrivals(c.Conn); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	if err := c.update(form, digest); err != nil {
		b.Fatal(err)
	}
	for _, c := range h.conns {
		at, err := waitArrival(c.Conn)
		if err != nil {
			b.Fatal(err)
		}
		fanOut = max(fanOut, at.Sub(began))
	}
	began = time.Now()
	for _, c := range h.conns {
		if err := c.answer(wire.TextUpdated); err != nil {
			b.Fatal(err)
		}
	}
	return fanOut, time.Since(began)
}

func (h *holding) end() {
	for _, c := range h.conns {
		c.Close()
	}
	h.kill()
}

// workerConn is a worker with one connection and few buffers.
type workerConn struct {
	net.Conn
	r   *bufio.Reader
	key ed25519.PrivateKey
	id  string
}

// dialWorker connects and registers.
func dialWorker(k *child, key ed25519.PrivateKey) (*workerConn, error) {
	conn, err := net.Dial("tcp", k.addr)
	if err != nil {
		return nil, err
	}
	if k.tls {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // memory is measured, not trust
	}
	c := &workerConn{conn, bufio.NewReaderSize(conn, 512), key, wire.WorkerID(key.Public().(ed25519.PublicKey))}
	if err := c.post(wire.PathRegister, wire.Register{PublicKey: c.id, SignedPhrase: wire.Sign(key, []byte(wire.RegisterPhrase))}); err != nil {
		return nil, err
	}
	return c, c.answer(c.id)
}

// send writes a request with the headers of a real worker.
func (c *workerConn) send(method, path, contentType string, length int64, body ...[]byte) error {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.1:5000\r\nUser-Agent: python-requests/2.28.1\r\nAccept-Encoding: gzip, deflate\r\n"+
		"Accept: */*\r\nConnection: keep-alive\r\nContent-Length: %d\r\nContent-Type: %s\r\n\r\n", method, path, length, contentType)
	segments := append(net.Buffers{[]byte(head)}, body...)
	_, err := segments.WriteTo(c.Conn)
	return err
}

func (c *workerConn) post(path string, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return c.send("POST", path, "application/json", int64(len(b)), b)
}

// receive reads an answer to w.
func (c *workerConn) receive(w io.Writer) error {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, res.Body)
	return err
}

func (c *workerConn) answer(want string) error {
	var text strings.Builder
	if err := c.receive(&text); err != nil || !strings.HasPrefix(text.String(), want) {
		return fmt.Errorf("answer %.100q, want %q: %w", text.String(), want, err)
	}
	return nil
}

func (c *workerConn) challenge() (string, error) {
	var phrase bytes.Buffer
	err := errors.Join(c.send("GET", wire.PathChallenge+"/"+c.id, "", 0), c.receive(&phrase))
	return wire.Sign(c.key, phrase.Bytes()), err
}

// poll sends one, and does not wait for its answer.
func (c *workerConn) poll(version wire.Version) error {
	signed, err := c.challenge()
	return errors.Join(err, c.post(wire.PathPoll, wire.Poll{WorkerID: c.id, LastVersion: version, SignedPhrase: signed}))
}

func (c *workerConn) fetch() error {
	signed, err := c.challenge()
	return errors.Join(err, c.post(wire.PathModel, wire.ModelRequest{WorkerID: c.id, SignedPhrase: signed}), c.receive(io.Discard))
}

func (c *workerConn) update(form wire.UpdateForm, digest wire.Digest) error {
	signed := wire.Sign(c.key, digest[:])
	err := c.send("POST", wire.PathUpdate+"/"+c.id, form.ContentType, form.Len(signed), form.Segments(signed)...)
	return errors.Join(err, c.answer(wire.TextAccepted))
}

func testKeys(tb testing.TB, n int) ([]ed25519.PrivateKey, string) {
	tb.Helper()
	keys := make([]ed25519.PrivateKey, n)
	var list strings.Builder
	for i := range keys {
		public, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			tb.Fatal(err)
		}
		keys[i] = key
		fmt.Fprintln(&list, wire.WorkerID(public))
	}
	path := filepath.Join(tb.TempDir(), wire.KeyListFile)
	if err := os.WriteFile(path, []byte(list.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return keys, path
}

// memory of a process, in bytes.
type memory struct{ rss, peak int64 }

func (k *child) status(tb testing.TB) memory {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", k.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	var m memory
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		switch name {
		case "VmRSS":
			m.rss = n << 10
		case "VmHWM":
			m.peak = n << 10
		}
	}
	if m.rss == 0 || m.peak == 0 {
		tb.Fatal("no memory figures in /proc")
	}
	return m
}

// cpu is what a process has used of it, by the process's own clock: /proc counts in
// hundredths of a second.
func (k *child) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var used unix.Timespec
	// The clock of a process, as clock_getcpuclockid(3) names it.
	if err := unix.ClockGettime(int32(^k.Process.Pid<<3|2), &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Nano())
}

func newRandom(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{}), size)
}
