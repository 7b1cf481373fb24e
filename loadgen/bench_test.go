package loadgen

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// heldPolls is how many polls the memory benchmarks hold.
const heldPolls = 2000

// roleVariable makes the test binary one end of a benchmark: memory can only be
// told apart in processes of their own.
const roleVariable = "FLTOOL_BENCH_ROLE"

var roles = map[string]func(target *url.URL) error{
	"server":   roleServer,
	"fltool":   roleFltool,
	"net/http": roleStock,
	"vegeta":   roleVegeta,
	"rounds":   roleRounds,
	"plain":    rolePlain,
}

// BenchmarkHeldPoll measures the client's memory of a held poll: this engine's,
// net/http's stock client's and stock vegeta's. x is the multiple of net/http's.
func BenchmarkHeldPoll(b *testing.B) {
	target := startRole(b, "server", "")
	stock := 0.0
	for _, role := range []string{"net/http", "vegeta", "fltool"} {
		b.Run(role, func(b *testing.B) {
			for b.Loop() {
				per, err := strconv.ParseFloat(startRole(b, role, target), 64)
				if err != nil {
					b.Fatal(err)
				}
				if role == "net/http" {
					stock = per
				}
				b.ReportMetric(per, "B/poll")
				b.ReportMetric(per/stock, "x")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// BenchmarkRequest measures the client's CPU for a request, without signing: this
// engine's in rounds, stock vegeta's for the plainest GET. x is the multiple of that.
func BenchmarkRequest(b *testing.B) {
	target := startRole(b, "server", "")
	plain := 0.0
	for _, role := range []string{"plain", "rounds"} {
		b.Run(role, func(b *testing.B) {
			for b.Loop() {
				per, err := strconv.ParseFloat(startRole(b, role, target), 64)
				if err != nil {
					b.Fatal(err)
				}
				if role == "plain" {
					plain = per
				}
				b.ReportMetric(per, "µs/request")
				b.ReportMetric(per/plain, "x")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// roleRounds drives rounds of the server's, each of which needs all of its workers.
func roleRounds(target *url.URL) error {
	p := testPlan(target, heldPolls+1)
	p.Keys, p.Rounds = nil, 5
	p.RequestTimeout, p.RoundTimeout = time.Minute, time.Minute
	rep, err := Run(context.Background(), p, Setup{})
	if err != nil {
		return err
	}
	if rep.Verdict != reports.VerdictPass {
		return fmt.Errorf("%s %q", rep.Verdict, rep.Reasons)
	}
	requests := int64(0)
	for _, s := range rep.Series {
		if s.Name != "wakeup" && s.Name != "lag" {
			requests += s.Count
		}
	}
	fmt.Println(rep.Resources[0].CPUSeconds / float64(requests) * 1e6)
	return nil
}

// rolePlain asks for challenges as stock vegeta does.
func rolePlain(target *url.URL) error {
	const requests = 20000
	root := facts.NewRoot("/")
	before, err := facts.ReadUsage(root, os.Getpid())
	if err != nil {
		return err
	}
	a := vegeta.NewAttacker(vegeta.MaxWorkers(64), vegeta.Connections(64))
	done := 0
	for res := range a.Attack(vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: target.String() + wire.PathChallenge + "/w"}),
		vegeta.ConstantPacer{Freq: 2000, Per: time.Second}, requests*time.Second/2000, "") {
		if res.Code == http.StatusOK {
			done++
		}
	}
	after, err := facts.ReadUsage(root, os.Getpid())
	if err == nil && done < requests*9/10 {
		err = fmt.Errorf("%d of %d requests", done, requests)
	}
	if err != nil {
		return err
	}
	fmt.Println((after.CPUSeconds - before.CPUSeconds) / float64(done) * 1e6)
	return nil
}

// startRole runs this binary in a role and gives the first line that it prints.
func startRole(b *testing.B, role, arg string) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], arg)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatalf("%s: %v", role, err)
	}
	return strings.TrimSpace(line)
}

// playRole does what the variable says and tells whether there was one.
func playRole() bool {
	role, ok := roles[os.Getenv(roleVariable)]
	if !ok {
		return false
	}
	target, err := url.Parse(os.Args[len(os.Args)-1])
	if err == nil {
		err = role(target)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func roleServer(*url.URL) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	return http.Serve(l, newFake(heldPolls+1))
}

func roleFltool(target *url.URL) error {
	p := testPlan(target, heldPolls)
	p.Rounds, p.Hold = 0, 2*time.Second
	p.RequestTimeout, p.RoundTimeout = time.Minute, time.Minute
	rep, err := Run(context.Background(), p, Setup{})
	if err != nil {
		return err
	}
	if rep.Held.Steady != heldPolls {
		return fmt.Errorf("held %d: %v", rep.Held.Steady, rep.Reasons)
	}
	fmt.Println(*rep.Resources[0].RSSPerWorkerBytes)
	return nil
}

// pollOf is the request that the baselines hold.
func pollOf(target *url.URL, worker int) (string, string) {
	return target.String() + wire.PathPoll,
		fmt.Sprintf(`{"worker_id": "w%d", "last_worker_model_version": 1, "signed_phrase": "%s"}`, worker, strings.Repeat("0", 240))
}

func roleStock(target *url.URL) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: heldPolls}}
	return measureBaseline(func(started func()) {
		for i := range heldPolls {
			go func() {
				u, body := pollOf(target, i)
				started()
				resp, err := client.Post(u, "application/json", strings.NewReader(body))
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
		}
	})
}

func roleVegeta(target *url.URL) error {
	var n atomic.Int64
	a := vegeta.NewAttacker(vegeta.Timeout(0), vegeta.MaxWorkers(heldPolls), vegeta.Connections(heldPolls))
	return measureBaseline(func(started func()) {
		results := a.Attack(func(t *vegeta.Target) error {
			u, body := pollOf(target, int(n.Add(1)))
			t.Method, t.URL, t.Body = http.MethodPost, u, []byte(body)
			t.Header = http.Header{"Content-Type": {"application/json"}}
			started()
			return nil
		}, vegeta.ConstantPacer{Freq: 1000, Per: time.Second}, heldPolls*time.Millisecond, "")
		go func() {
			for range results {
			}
		}()
	})
}

// measureBaseline prints the growth of this process's memory per held poll.
func measureBaseline(start func(started func())) error {
	root := facts.NewRoot("/")
	before, err := facts.ReadUsage(root, os.Getpid())
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	all.Add(heldPolls)
	start(all.Done)
	all.Wait()
	// Each held poll has a connection of its own. One that the kernel dropped in the
	// burst is not waited for.
	held, deadline := 0, time.Now().Add(time.Minute)
	for {
		time.Sleep(time.Second)
		now, err := facts.ReadUsage(root, os.Getpid())
		if err != nil {
			return err
		}
		last := held
		if held = now.FDs - before.FDs; held == last && held > heldPolls*95/100 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d connections", held, heldPolls)
		}
	}
	debug.FreeOSMemory() // as the engine does when all polls are held
	time.Sleep(time.Second)
	after, err := facts.ReadUsage(root, os.Getpid())
	if err != nil {
		return err
	}
	fmt.Println(float64(after.RSSBytes-before.RSSBytes) / float64(held))
	return nil
}
