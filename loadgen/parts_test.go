package loadgen

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/fltool/fltool/server/wire"
)

func TestParseThink(t *testing.T) {
	for text, want := range map[string]Think{
		"0":              {},
		"2s":             {min: 2 * time.Second, max: 2 * time.Second},
		"uniform:1s-3s":  {min: time.Second, max: 3 * time.Second},
		"exp:2s":         {mean: 2 * time.Second},
		"uniform:1ms-1s": {min: time.Millisecond, max: time.Second},
	} {
		if got, err := ParseThink(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2", "-2s", "uniform:3s-1s", "uniform:1s", "exp:", "normal:2s", "exp:-1s"} {
		if got, err := ParseThink(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}

func FuzzParseThink(f *testing.F) {
	for _, s := range []string{"0", "exp:2s", "uniform:1s-3s", "uniform:9223372036s-9223372037s", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		th, err := ParseThink(s)
		if err != nil {
			return
		}
		if d := th.draw(rand.NewPCG(1, 2)); d < 0 {
			t.Errorf("%q draws %s", s, d)
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	for _, s := range append(PolicyForms(), "", "backoff:", "backoff:2s..1s", "backoff:1s", "backoff:1ns..2562047h", "supervised:", "supervised:-1s", "supervised:0", ":") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePolicy(s)
		if err != nil {
			return
		}
		if p.Behaviour == "" || p.Restart < 0 || p.Backoff < 0 || p.Longest < p.Backoff {
			t.Fatalf("%q is %+v", s, p)
		}
		if p.Behaviour == Resilient && p.Backoff == 0 {
			p.Backoff, p.Longest = backoffBase, backoffLongest // as a plan has them
		}
		again, err := ParsePolicy(p.String())
		if again.Behaviour == Resilient && again.Backoff == 0 {
			again.Backoff, again.Longest = backoffBase, backoffLongest
		}
		if err != nil || again != p {
			t.Errorf("%q is %+v, written %q, which is %+v: %v", s, p, p, again, err)
		}
	})
}

// FuzzParseDeed parses what acts do, and does nothing.
func FuzzParseDeed(f *testing.F) {
	for _, s := range []string{"", "true", "kill:4711", "kill:1", "kill:-1", "kill:", "pause:4711:10s", "pause:4711", "pause:1:1s", "pause:2:-1s", fmt.Sprint("kill:", os.Getpid()), "kill: 4711"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		do, err := ParseDeed(s, time.Second)
		if (do == nil) == (err == nil) {
			t.Fatalf("%q: a deed %t, and %v", s, do != nil, err)
		}
		if err != nil {
			return
		}
		for _, kind := range []string{"kill:", "pause:"} {
			rest, is := strings.CutPrefix(s, kind)
			who, _, _ := strings.Cut(rest, ":")
			if pid, err := strconv.Atoi(who); is && (err != nil || pid < 2 || pid == os.Getpid()) {
				t.Errorf("%q is a deed", s)
			}
		}
	})
}

func TestThinkDraws(t *testing.T) {
	rng := rand.NewPCG(1, 2)
	const n = 10000
	var sum time.Duration
	for range n {
		d := Think{min: time.Second, max: 3 * time.Second}.draw(rng)
		if d < time.Second || d > 3*time.Second {
			t.Fatalf("uniform drew %s", d)
		}
		sum += Think{mean: 2 * time.Second}.draw(rng)
	}
	// The mean of 10000 exponential draws lies within 5 % but in one case of 10^6.
	if mean := sum / n; mean < 1900*time.Millisecond || mean > 2100*time.Millisecond {
		t.Errorf("exponential: mean %s of 2s", mean)
	}
}

func TestJudgeText(t *testing.T) {
	for _, c := range []struct {
		step   step
		status int
		text   string
		want   class
	}{
		{stepRegister, 200, strings.Repeat("ab", 32), ""},
		{stepRegister, 200, strings.Repeat("ab", 28) + wire.UnauthenticatedSuffix, ""},
		{stepRegister, 200, wire.TextInvalid, classInvalid},
		{stepRegister, 200, "Invalid input: failed to get the following keys from JSON input: ['public_key_str']", classUnexpected},
		{stepRegister, 500, "<html>", class5xx},
		{stepChallenge, 200, strings.Repeat("c", 56), ""},
		{stepChallenge, 200, "", classUnexpected},
		{stepChallenge, 302, "", classUnexpected},
		{stepPoll, 200, wire.TextUpdated, ""},
		{stepPoll, 200, "Poll again.", ""},
		{stepPoll, 200, `{"error": "Invalid input"}`, classUnexpected},
		{stepPoll, 200, wire.TextSuperseded("03a107bff3ce"), classSuperseded},
		{stepPoll, 200, wire.TextUnregistered, classUnregistered},
		{stepPoll, 504, "", class5xx},
		{stepModel, 200, wire.TextInvalid, classInvalid},
		{stepModel, 200, "x", classModel},
		{stepUpdate, 200, "Update received for worker 03a107bf.", ""},
		{stepUpdate, 200, "Update received for worker 03a107bf", ""},
		{stepUpdate, 200, wire.TextNotAccepted, classNotAccepted},
		{stepUpdate, 200, "Error -3 while decompressing data: incorrect header check", classUnexpected},
		{stepUpdate, 413, "too large", class4xx},
	} {
		got := judgeText(c.step, c.status, c.text, DefaultAccept)
		if got == nil && c.want != "" || got != nil && got.class != c.want {
			t.Errorf("%s %d %q: %v, want %q", c.step, c.status, c.text, got, c.want)
		}
	}
}

func TestJudgeConn(t *testing.T) {
	op := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, c := range []struct {
		err  error
		want class
	}{
		{op(syscall.ECONNREFUSED), classRefused},
		{op(syscall.ECONNRESET), classReset},
		{op(syscall.EPIPE), classReset},
		{op(syscall.EMFILE), classGenerator},
		{op(syscall.EADDRNOTAVAIL), classGenerator},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, classTimeout},
		{io.EOF, classReset},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), classReset},
		{errors.New(`malformed HTTP response "SSH-2.0"`), classUnexpected},
	} {
		got := judgeConn(c.err)
		if got.class != c.want {
			t.Errorf("%v: %v, want %s", c.err, got, c.want)
		}
		if strings.Contains(got.detail, "127.0.0.1") {
			t.Errorf("%v: an address in %q makes every text another", c.err, got.detail)
		}
	}
}

// TestRecord reads what was recorded back with vegeta's own decoders.
func TestRecord(t *testing.T) {
	const workers = 5
	target := serve(t, newFake(workers))
	for _, ext := range []string{".bin", ".json", ".csv"} {
		t.Run(ext, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run"+ext)
			rec, err := NewRecorder(path)
			if err != nil {
				t.Fatal(err)
			}
			p := testPlan(target, workers)
			p.Hold = 50 * time.Millisecond // its polls are cut by the end
			rep, err := Run(bounded(t), p, Setup{Record: rec})
			if err := errors.Join(err, rec.Close()); err != nil {
				t.Fatal(err)
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			dec := vegeta.DecoderFor(file)
			if dec == nil {
				t.Fatal("vegeta does not know the encoding")
			}
			sent, slowest := map[string]map[uint64]time.Time{}, map[string]time.Duration{}
			cut := 0
			for {
				var r vegeta.Result
				if err := dec(&r); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if sent[r.Attack] == nil {
					sent[r.Attack] = map[uint64]time.Time{}
				}
				sent[r.Attack][r.Seq] = r.Timestamp
				if r.Error == "stopped" && r.Attack == "poll" && r.Code == 0 {
					cut++
					continue
				}
				slowest[r.Attack] = max(slowest[r.Attack], r.Latency)
				if r.Error != "" || r.Code != 200 || r.BytesIn == 0 || r.BytesOut == 0 || strings.Contains(r.URL, "#") {
					t.Errorf("%+v", r)
				}
			}
			if cut != workers {
				t.Errorf("%d polls cut by the end of the run, want %d", cut, workers)
			}
			for _, s := range rep.Series {
				at, ok := sent[s.Name]
				if !ok {
					continue // wakeup and lag are no requests
				}
				want := int(s.Count)
				if s.Name == stepPoll.String() {
					want += cut
				}
				if len(at) != want {
					t.Errorf("%s: %d recorded, %d in the report", s.Name, len(at), want)
				}
				// vegeta plot wants it so.
				for seq := range uint64(want) {
					if _, ok := at[seq]; !ok || seq > 0 && at[seq].Before(at[seq-1]) {
						t.Errorf("%s: request %d is missing, or older than the one before", s.Name, seq)
					}
				}
				// The histogram's buckets are 0.1 % wide, and a microsecond at least.
				if got, want := slowest[s.Name].Seconds(), s.Max; math.Abs(got-want) > want/1000+1e-6 {
					t.Errorf("%s: the slowest took %gs, in the report %gs", s.Name, got, want)
				}
			}
			if len(sent) != int(steps) {
				t.Errorf("attacks %v", sent)
			}
		})
	}
	if _, err := NewRecorder("run.txt"); err == nil {
		t.Error("run.txt: want an error")
	}
}

func TestCheckRoom(t *testing.T) {
	if err := CheckRoom(1, 1, 1, 0); err != nil {
		t.Error(err)
	}
	var room *RoomError
	if err := CheckRoom(1<<40, 1, 1, 0); !errors.As(err, &room) || room.Hint == "" {
		t.Errorf("%v", err)
	}
}

func TestCheckSources(t *testing.T) {
	if err := CheckSources([]netip.Addr{netip.MustParseAddr("127.0.0.2")}); err != nil {
		t.Error(err)
	}
	var room *RoomError
	// An address of TEST-NET-1, which no machine has.
	if err := CheckSources([]netip.Addr{netip.MustParseAddr("192.0.2.1")}); !errors.As(err, &room) || !strings.Contains(room.What, "192.0.2.1") {
		t.Errorf("%v", err)
	}
}

func TestCheckServer(t *testing.T) {
	if err := CheckServer(os.Getpid()); err != nil {
		t.Error(err)
	}
	if err := CheckServer(1 << 30); err == nil {
		t.Error("no such process, no error")
	}
}

func TestSourceAddresses(t *testing.T) {
	const workers = 6
	f := newFake(workers)
	target := serve(t, f)
	p := testPlan(target, workers)
	p.Sources = []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != "pass" {
		t.Fatalf("%v %v %v", err, rep.Verdict, rep.Reasons)
	}
	for host := range f.hosts() {
		if host != "127.0.0.2" && host != "127.0.0.3" {
			t.Errorf("a worker came from %s", host)
		}
	}
	if len(f.hosts()) != 2 {
		t.Errorf("workers came from %v", f.hosts())
	}
}

func TestChildThatFails(t *testing.T) {
	dir := t.TempDir()
	exe := filepath.Join(dir, "server")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\necho 'cannot listen' >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := StartChild(bounded(t), exe)
	if err == nil || !strings.Contains(err.Error(), "cannot listen") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
}

// TestFreshKeys gives a server a list that it can read, of the keys that workers have.
func TestFreshKeys(t *testing.T) {
	list := filepath.Join(t.TempDir(), wire.KeyListFile)
	keys, err := FreshKeys(3, list)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := wire.ReadKeyList(list)
	ids := listed.IDs
	if err != nil || len(ids) != len(keys) {
		t.Fatalf("%v, %v", ids, err)
	}
	for i, k := range keys {
		if id := wire.WorkerID(k.Public().(ed25519.PublicKey)); id != ids[i] {
			t.Errorf("key %d is listed as %s, want %s", i, ids[i], id)
		}
	}
}
