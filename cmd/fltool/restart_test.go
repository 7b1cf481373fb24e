package main

import (
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

var (
	fleetWorkers = flag.Int("fleet", 30, "how many workers TestRestarts has")
	fleetRounds  = flag.Int("fleet-rounds", 4, "how many rounds each of them plays while servers are restarted")
)

// TestRestarts plays rounds with workers that do as dc_federated's do, through an nginx
// of fltool nginx render, while the server is ended by TERM and by kill -9 at random
// moments: none of them ends. -fleet and -fleet-rounds say how many.
func TestRestarts(t *testing.T) {
	t.Parallel()
	dir, address := t.TempDir(), factstest.FreeAddress(t)
	f := newCrowd(t, dir)
	listen := factstest.FreeAddress(t)
	config, code := fltoolCommand(t, "nginx", "render", "--workers", strconv.Itoa(*fleetWorkers), "--hold", "10m", "--model-size", "10kB",
		"--listen", address, "--upstream", listen, "--upstream-keepalive", "75s")
	if code != exitGood {
		t.Fatalf("render: exit code %d", code)
	}
	conf, log := filepath.Join(dir, "nginx.conf"), filepath.Join(dir, "error.log")
	if err := os.WriteFile(conf, []byte(below(dir, config)), 0o644); err != nil {
		t.Fatal(err)
	}
	for at := dir; len(at) > len(os.TempDir()); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil { // its worker processes are another user's, where root starts it
			t.Fatal(err)
		}
	}
	start(t, nginxProgram(t), "-p", dir, "-c", conf, "-e", log, "-g", "daemon off;")
	waitListening(t, address, log)

	// Nobody is there yet: the answer is what Python's workers take, each time.
	for range 3 {
		res, err := http.Post("http://"+address+wire.PathModel, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || string(body) != wire.NoModel {
			t.Fatalf("%s %q %v", res.Status, body, err)
		}
	}
	f.serve = func() *served {
		return startServer(t, exec.Command("fltool", append([]string{"serve", "--listen", listen}, f.args...)...))
	}
	f.play(t, "http://"+address, true)
}

// TestRestartsDirect does without nginx: systemd keeps the socket, and workers that
// connect wait. kill -9 would cut held polls.
func TestRestartsDirect(t *testing.T) {
	t.Parallel()
	f := newCrowd(t, t.TempDir())
	socket := socketFile(t, "tcp", "127.0.0.1:0")
	f.serve = func() *served { return startServer(t, withSockets([]*os.File{socket}, f.args...)) }
	f.play(t, "", false)
}

// crowd is workers, and what servers for them are started with.
type crowd struct {
	keys, state, out string
	args             []string
	serve            func() *served
}

func newCrowd(t *testing.T, dir string) *crowd {
	t.Helper()
	f := &crowd{keys: filepath.Join(dir, "keys"), state: filepath.Join(dir, "state"), out: filepath.Join(dir, "run.json")}
	if err := wire.GenerateKeys(t.Context(), f.keys, *fleetWorkers); err != nil {
		t.Fatal(err)
	}
	f.args = []string{"--keys", f.keys, "--state", f.state, "--round-timeout", "1s", "--log-level", "error"}
	return f
}

// play has workers play while servers end, until the workers are through.
func (f *crowd) play(t *testing.T, target string, kills bool) {
	t.Helper()
	s := f.serve()
	if target == "" {
		target = s.url
	}
	workers, rounds := strconv.Itoa(*fleetWorkers), strconv.Itoa(*fleetRounds)
	run := exec.Command("fltool", "simulate", "--target", target, "--keys", f.keys, "--workers", workers, "--rounds", rounds,
		"--worker-behaviour", "upstream", "--think", "uniform:0s-400ms", "--max-lag", "10m", "--out", f.out)
	said := new(lockedBuffer)
	run.Stdout, run.Stderr = said, said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	through := make(chan struct{})
	go func() { _ = run.Wait(); close(through) }() // its exit code tells of the errors between two servers
	t.Cleanup(func() { _ = run.Process.Kill(); <-through })
	waitUntil(t, "all have registered, and the first round has ended", func() bool { return newestModel(t, f.state) > 1 })

	seed := rand.Uint64()
	moments := rand.New(rand.NewPCG(seed, 0))
	terms, killed := 0, 0
	for going := true; going; {
		reached := newestModel(t, f.state)
		for going && newestModel(t, f.state) == reached { // each server ends a round
			going = wait(through, 5*time.Millisecond)
		}
		if going = going && wait(through, time.Duration(moments.Int64N(int64(500*time.Millisecond)))); !going {
			break
		}
		if kills && moments.IntN(2) == 0 {
			killed++
			s.kill()
		} else {
			terms++
			s.signal()
			s.end(exitGood)
		}
		s = f.serve()
	}
	s.signal()
	s.end(exitGood)
	r, err := reports.Read(f.out)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	t.Logf("seed %d: %s workers, %s rounds, version %d, %d TERM, %d kill -9; errors %v", seed, workers, rounds, newestModel(t, f.state), terms, killed, r.Errors)
	if terms+killed == 0 {
		t.Error("no server was ended")
	}
	for _, l := range r.Lost {
		t.Errorf("lost: %+v", l)
	}
	if len(r.Rounds) < *fleetRounds {
		t.Errorf("%d rounds of %s: %v", len(r.Rounds), rounds, r.Reasons)
	}
}

// wait waits for a while, and says whether that has not ended meanwhile.
func wait(that <-chan struct{}, d time.Duration) bool {
	select {
	case <-that:
		return false
	case <-time.After(d):
		return true
	}
}
