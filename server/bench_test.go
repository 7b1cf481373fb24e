package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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

// BenchmarkHold holds polls in a server process of its own, each with its own
// connection that registered first, and tells what one costs there. Run it with
// -benchtime 1x.
func BenchmarkHold(b *testing.B) {
	for _, workers := range []int{1000, 5000} {
		for _, naive := range []bool{true, false} {
			name := fmt.Sprintf("server/workers=%d", workers)
			if naive {
				name = fmt.Sprintf("goroutine-per-poll/workers=%d", workers)
			}
			b.Run(name, func(b *testing.B) {
				for range b.N {
					benchmarkHold(b, workers, naive)
				}
			})
		}
	}
}

func benchmarkHold(b *testing.B, workers int, naive bool) {
	keys, list := testKeys(b, workers)
	k := startChild(b, childConfig{KeyList: list, Round: "all", ModelSize: 1 << 10, Naive: naive})
	defer k.kill()
	before := k.status(b)
	conns := make([]net.Conn, workers)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	var wg sync.WaitGroup
	for part := range 8 {
		wg.Go(func() {
			for i := part; i < workers; i += 8 {
				c, err := parkOne(k.addr, keys[i])
				if err != nil {
					b.Error(err)
					return
				}
				conns[i] = c
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	time.Sleep(500 * time.Millisecond)
	held := k.status(b)
	b.ReportMetric(float64(held.rss-before.rss)/float64(workers), "rss-B/worker")
	b.ReportMetric(float64(held.peak-before.rss)/float64(workers), "peak-B/worker")
	if idle := os.Getenv("BENCH_IDLE"); idle != "" {
		d, err := time.ParseDuration(idle)
		if err != nil {
			b.Fatal(err)
		}
		cpu := k.cpu(b)
		time.Sleep(d)
		b.ReportMetric((k.cpu(b) - cpu).Seconds(), "idle-cpu-s")
	}
	b.ReportMetric(0, "ns/op")
}

// parkOne does what a worker does until its poll is held.
func parkOne(addr string, key ed25519.PrivateKey) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(c, 512)
	id := wire.WorkerID(key.Public().(ed25519.PublicKey))
	ask := func(method, path string, body any) (string, error) {
		var b bytes.Buffer
		if body != nil {
			if err := json.NewEncoder(&b).Encode(body); err != nil {
				return "", err
			}
		}
		req, err := http.NewRequestWithContext(context.Background(), method, "http://"+addr+path, &b)
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "*/*")
		req.Header.Set("User-Agent", "python-requests/2.28.1")
		req.Header.Set("Accept-Encoding", "gzip, deflate")
		if err := req.Write(c); err != nil {
			return "", err
		}
		if path == wire.PathPoll {
			return "", nil
		}
		res, err := http.ReadResponse(r, req)
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(res.Body)
		return string(text), err
	}
	if _, err := ask("POST", wire.PathRegister, wire.Register{PublicKey: id, SignedPhrase: wire.Sign(key, []byte(wire.RegisterPhrase))}); err != nil {
		return nil, err
	}
	phrase, err := ask("GET", wire.PathChallenge+"/"+id, nil)
	if err != nil {
		return nil, err
	}
	_, err = ask("POST", wire.PathPoll, wire.Poll{WorkerID: id, LastVersion: "1", SignedPhrase: wire.Sign(key, []byte(phrase))})
	return c, err
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

// cpu is what a process has used of it.
func (k *child) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", k.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	_ = b
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", k.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

func newRandom(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{}), size)
}
