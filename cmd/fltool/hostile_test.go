package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

var (
	hostile  = flag.Int("hostile", 20_000, "how many requests TestHostile sends that nobody should")
	slowdown = flag.Float64("hostile-slowdown", 0, "how many times longer rounds may take meanwhile, with the server on a CPU of its own; 0: not measured")
)

const (
	hostileWorkers = 20
	// So often rounds are played without and beside hostile requests to compare them, so
	// many each time.
	hostilePairs  = 6
	hostileRounds = 50
)

// places is where the processes run that are compared, as words before a command. The
// server has a CPU alone. On the others run its workers, and the strangers at a lower
// priority: so what rounds take longer beside them is by the server, and not by a load
// that runs on the same CPU.
type places struct{ server, workers, strangers []string }

func newPlaces(t *testing.T) (p places) {
	t.Helper()
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		t.Fatal(err)
	}
	var cpus []string
	for cpu := range 8 * int(unsafe.Sizeof(may)) {
		if may.IsSet(cpu) {
			cpus = append(cpus, strconv.Itoa(cpu))
		}
	}
	if len(cpus) < 2 {
		t.Fatal("want two CPUs")
	}
	p.server = []string{"taskset", "--cpu-list", cpus[0]}
	p.workers = []string{"taskset", "--cpu-list", strings.Join(cpus[1:], ",")}
	p.strangers = append([]string{"nice", "-n", "10"}, p.workers...)
	return p
}

func placed(ctx context.Context, place []string, command ...string) *exec.Cmd {
	command = slices.Concat(place, command)
	return exec.CommandContext(ctx, command[0], command[1:]...)
}

// honest is a fleet of workers.
type honest struct {
	place     []string
	url, keys string
	rounds    int // that were played
}

// play plays rounds and gives what each took, in seconds.
func (h *honest) play(ctx context.Context, rounds int) (seconds []float64, err error) {
	cmd := placed(ctx, h.place, "fltool", "simulate", "--target", h.url, "--keys", h.keys, "--workers", strconv.Itoa(hostileWorkers),
		"--rounds", strconv.Itoa(rounds), "--max-lag", "1h", "--format", "json")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("simulate: %w: %s", err, said.String())
	}
	var r struct {
		Rounds []struct {
			Workers, Failed int
			Seconds         float64
		}
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, err
	}
	for _, one := range r.Rounds {
		if one.Workers != hostileWorkers || one.Failed > 0 {
			return nil, fmt.Errorf("a round of %d workers, %d failed", one.Workers, one.Failed)
		}
		seconds = append(seconds, one.Seconds)
	}
	h.rounds += len(seconds)
	return seconds, nil
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// raidCommand is a process that sends the loadgen.Hostile that it reads and writes what
// became of it.
const raidCommand = "hostile-raid"

func runRaid() {
	var h loadgen.Hostile
	err := json.NewDecoder(os.Stdin).Decode(&h)
	if err == nil {
		var counts map[string]reports.HostileKind
		counts, err = h.Run(context.Background())
		err = errors.Join(err, json.NewEncoder(os.Stdout).Encode(counts))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// strangers send hostile requests.
type strangers struct {
	t     *testing.T
	place []string
	raid  loadgen.Hostile
	sent  int
	took  time.Duration
	all   map[string]reports.HostileKind
}

// strike sends so many and fails where one gets through, is held or breaks something.
func (s *strangers) strike(requests int) {
	began := time.Now()
	s.raid.Requests, s.raid.Seed = requests, s.raid.Seed+1
	plan, err := json.Marshal(s.raid)
	if err != nil {
		s.t.Error(err)
		return
	}
	cmd := placed(s.t.Context(), s.place, raidCommand)
	var said strings.Builder
	cmd.Stdin, cmd.Stderr = bytes.NewReader(plan), &said
	out, err := cmd.Output()
	var counts map[string]reports.HostileKind
	if err := errors.Join(err, json.Unmarshal(out, &counts)); err != nil {
		s.t.Errorf("%v: %s", err, said.String())
	}
	for kind, c := range counts {
		if c.Through+c.Held+c.Broken > 0 {
			s.t.Errorf("%s: %+v", kind, c)
		}
		s.sent += c.All()
		s.all[kind] = c.Plus(s.all[kind])
	}
	s.took += time.Since(began)
}

// size is a process's memory and descriptors.
func size(t *testing.T, p procfs.Proc) (rss, fds int) {
	t.Helper()
	stat, err := p.Stat()
	if err != nil {
		t.Fatal(err)
	}
	fds, err = p.FileDescriptorsLen()
	if err != nil {
		t.Fatal(err)
	}
	return stat.ResidentMemory(), fds
}

// TestHostile sends a server what nobody should, from four addresses that know its
// workers' ids, while another worker's poll is held and then while workers play rounds.
// Nothing gets through, nothing breaks, memory and descriptors don't grow, the poll is
// held and the challenge good that were there before.
func TestHostile(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys")
	if err := wire.GenerateKeys(t.Context(), keys, hostileWorkers+1); err != nil {
		t.Fatal(err)
	}
	list, err := wire.ReadKeyList(keys)
	if err != nil {
		t.Fatal(err)
	}
	var place places
	if *slowdown > 0 {
		place = newPlaces(t)
	}
	ctx := t.Context()
	s := startServer(t, placed(ctx, place.server, "fltool", "serve", "--listen", "127.0.0.1:0", "--keys", keys,
		"--state", filepath.Join(t.TempDir(), "state"), "--round", strconv.Itoa(hostileWorkers), "--ops-listen", "127.0.0.1:0"))
	metric := func(name string) float64 {
		t.Helper()
		m := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(name) + " (\\S+)$").FindStringSubmatch(ask(t, s.ops+"/metrics", ""))
		if m == nil {
			return 0
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}

	// The worker whose poll is held, with the last key. It asked for a model once, whose
	// request is sent again by others.
	all, err := wire.ReadKeys(keys, hostileWorkers, 1)
	if err != nil {
		t.Fatal(err)
	}
	victim, id := all[0], list.IDs[hostileWorkers]
	phrase := func() string { return wire.Sign(victim, []byte(ask(t, s.url+wire.PathChallenge+"/"+id, ""))) }
	ask(t, s.url+wire.PathRegister, fmt.Sprintf(`{"public_key_str": %q, "signed_phrase": %q}`, id, wire.Sign(victim, []byte(wire.RegisterPhrase))))
	used := phrase()
	ask(t, s.url+wire.PathModel, fmt.Sprintf(`{"worker_id": %q, "signed_phrase": %q}`, id, used))
	held := make(chan string, 1)
	poll := fmt.Sprintf(`{"worker_id": %q, "last_worker_model_version": 1, "signed_phrase": %q}`, id, phrase())
	go func() {
		text, err := tryAsk(ctx, s.url+wire.PathPoll, poll)
		if err != nil {
			text = err.Error()
		}
		held <- text
	}()
	waitUntil(t, "the poll is held", func() bool { return metric("fltool_held_polls") == 1 })
	kept := phrase() // good, and not used yet

	raid := &strangers{t: t, place: place.strangers, all: map[string]reports.HostileKind{}, raid: loadgen.Hostile{
		Address: strings.TrimPrefix(s.url, "http://"), Workers: list.IDs, Replays: []wire.ModelRequest{{WorkerID: id, SignedPhrase: used}},
		From:        []net.IP{net.IPv4(127, 0, 0, 2), net.IPv4(127, 0, 0, 3), net.IPv4(127, 0, 0, 4), net.IPv4(127, 0, 0, 5)},
		Connections: 16,
	}}
	server, err := procfs.NewProc(s.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	raid.strike(*hostile / 4)
	if v := metric("fltool_model_version"); v != 1 {
		t.Errorf("the version is %v", v)
	}
	if n := metric("fltool_held_polls"); n != 1 {
		t.Errorf("%v polls are held", n)
	}
	select {
	case text := <-held:
		t.Fatalf("the poll that was held got %q", text)
	default:
	}
	if text := ask(t, s.url+wire.PathModel, fmt.Sprintf(`{"worker_id": %q, "signed_phrase": %q}`, id, kept)); text == wire.TextInvalid || len(text) < 100 {
		t.Errorf("the challenge from before is answered %q", text)
	}
	rss, fds := size(t, server)

	fleet := &honest{place: place.workers, url: s.url, keys: keys}
	if *slowdown > 0 {
		raid.compare(fleet, *hostile-raid.sent, server)
	} else {
		raid.meanwhile(fleet, *hostile-raid.sent, 5)
	}
	if text := <-held; text != wire.TextUpdated {
		t.Errorf("the poll that was held got %q", text)
	}
	after, _ := size(t, server)
	if after > rss+rss/4+16<<20 {
		t.Errorf("the server had %d bytes after a quarter and has %d now", rss, after)
	}
	// Those that were refused may read why for a second.
	waitUntil(t, "no descriptors are left of it", func() bool {
		_, open := size(t, server)
		return open <= fds+2*hostileWorkers
	})
	if v := metric("fltool_model_version"); int(v) != 1+fleet.rounds {
		t.Errorf("%d rounds were played, and the version is %v", fleet.rounds, v)
	}
	if n := metric(`fltool_requests_total{refused="",route="update"}`); int(n) != hostileWorkers*fleet.rounds {
		t.Errorf("%v updates were accepted, want %d", n, hostileWorkers*fleet.rounds)
	}
	if raid.sent != *hostile {
		t.Errorf("%d hostile requests were sent, want %d", raid.sent, *hostile)
	}
	tooFast := metric(`fltool_requests_total{refused="too fast: address",route="any"}`) + metric(`fltool_requests_total{refused="too fast: address",route="model"}`)
	s.signal()
	s.end(exitGood)
	for _, kind := range slices.Sorted(maps.Keys(raid.all)) {
		c := raid.all[kind]
		t.Logf("%-32s refused %7d  busy %5d  cut %5d", kind, c.Refused, c.Busy, c.Cut)
	}
	t.Logf("%d hostile requests, %.0f of them above their address's rate, %.0f/s; %d rounds beside them; RSS %d kB after a quarter, %d kB at the end",
		raid.sent, tooFast, float64(raid.sent)/raid.took.Seconds(), fleet.rounds, rss>>10, after>>10)
}

// meanwhile sends so many while workers play rounds, a few at a time, and gives what
// each took of those that were over before all was sent.
func (s *strangers) meanwhile(fleet *honest, requests, rounds int) (seconds []float64) {
	over := make(chan struct{})
	var playing sync.WaitGroup
	playing.Go(func() {
		for {
			began := time.Now()
			more, err := fleet.play(s.t.Context(), rounds)
			if err != nil {
				s.t.Error(err)
				return
			}
			select {
			case <-over: // perhaps before these were
				return
			default:
				seconds = append(seconds, more...)
			}
			select {
			case <-over:
				return
			case <-time.After(3 * time.Since(began)): // they are not to be what slows the others down
			}
		}
	})
	s.strike(requests)
	close(over)
	playing.Wait()
	return seconds
}

// compare has rounds played in turn without hostile requests and beside them.
func (s *strangers) compare(fleet *honest, requests int, server procfs.Proc) {
	var times []float64
	for i := range hostilePairs {
		alone, err := fleet.play(s.t.Context(), hostileRounds)
		if err != nil {
			s.t.Error(err)
			return
		}
		part := requests / (hostilePairs - i)
		requests -= part
		sent, took := s.sent, s.took
		beside := s.meanwhile(fleet, part, hostileRounds)
		if len(beside) == 0 {
			s.t.Error("no rounds were over before all hostile requests were sent: send more")
			return
		}
		before, during := median(alone), median(beside)
		times = append(times, during/before)
		rss, _ := size(s.t, server)
		s.t.Logf("a round of %d takes %.1f ms alone, %.1f ms beside %.0f hostile requests/s: %.2f times (medians of %d and %d rounds); RSS %d kB",
			hostileWorkers, 1000*before, 1000*during, float64(s.sent-sent)/(s.took-took).Seconds(), during/before, len(alone), len(beside), rss>>10)
	}
	if m := median(times); m > *slowdown {
		s.t.Errorf("a round takes %.2f times as long beside hostile requests as alone (median of %d), want %v at most", m, len(times), *slowdown)
	} else {
		s.t.Logf("a round takes %.2f times as long beside hostile requests as alone (median of %d)", m, len(times))
	}
}
