package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/server/wire"
)

var (
	hostile   = flag.Int("hostile", 20_000, "how many requests TestHostile sends that nobody should")
	unlimited = flag.Bool("hostile-unlimited", false, "with --address-rate 0: the server looks at each of them")
)

// How honest workers fare.
type honest struct {
	url, keys string
	workers   int
	rounds    int // that were played
}

// play plays rounds and gives what each took, in seconds.
func (h *honest) play(ctx context.Context, rounds int) (seconds []float64, err error) {
	cmd := exec.CommandContext(ctx, "fltool", "simulate", "--target", h.url, "--keys", h.keys, "--workers", strconv.Itoa(h.workers),
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
		if one.Workers != h.workers || one.Failed > 0 {
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

// TestHostile sends a server what nobody should, from four addresses that know its
// workers' ids, while another worker's poll is held and then while workers play rounds.
// Nothing gets through, nothing breaks, memory and descriptors don't grow, the poll is
// held and the challenge good that were there before.
func TestHostile(t *testing.T) {
	const workers = 20
	keys := filepath.Join(t.TempDir(), "keys")
	if err := wire.GenerateKeys(t.Context(), keys, workers+1); err != nil {
		t.Fatal(err)
	}
	list, err := wire.ReadKeyList(keys)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--keys", keys, "--state", filepath.Join(t.TempDir(), "state"), "--round", strconv.Itoa(workers), "--ops-listen", "127.0.0.1:0"}
	if *unlimited {
		args = append(args, "--address-rate", "0")
	}
	s := startServe(t, args...)
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
	all, err := wire.ReadKeys(keys, workers, 1)
	if err != nil {
		t.Fatal(err)
	}
	victim, id := all[0], list.IDs[workers]
	phrase := func() string { return wire.Sign(victim, []byte(ask(t, s.url+wire.PathChallenge+"/"+id, ""))) }
	ask(t, s.url+wire.PathRegister, fmt.Sprintf(`{"public_key_str": %q, "signed_phrase": %q}`, id, wire.Sign(victim, []byte(wire.RegisterPhrase))))
	used := phrase()
	ask(t, s.url+wire.PathModel, fmt.Sprintf(`{"worker_id": %q, "signed_phrase": %q}`, id, used))
	held := make(chan string, 1)
	poll := fmt.Sprintf(`{"worker_id": %q, "last_worker_model_version": 1, "signed_phrase": %q}`, id, phrase())
	ctx := t.Context()
	go func() {
		text, err := tryAsk(ctx, s.url+wire.PathPoll, poll)
		if err != nil {
			text = err.Error()
		}
		held <- text
	}()
	waitUntil(t, "the poll is held", func() bool { return metric("fltool_held_polls") == 1 })
	kept := phrase() // good, and not used yet

	attack := loadgen.Hostile{
		Address: strings.TrimPrefix(s.url, "http://"), Workers: list.IDs, Replays: []wire.ModelRequest{{WorkerID: id, SignedPhrase: used}},
		From:        []net.IP{net.IPv4(127, 0, 0, 2), net.IPv4(127, 0, 0, 3), net.IPv4(127, 0, 0, 4), net.IPv4(127, 0, 0, 5)},
		Connections: 16,
	}
	sent := 0
	strike := func(requests int) {
		attack.Requests, attack.Seed = requests, attack.Seed+1
		counts, err := attack.Run(ctx)
		if err != nil {
			t.Error(err)
		}
		for kind, c := range counts {
			sent += c.Refused + c.Busy + c.Cut
			if c.Through+c.Held+c.Broken > 0 {
				t.Errorf("%s: %+v", kind, c)
			}
			t.Logf("%-32s refused %7d  busy %5d  cut %5d", kind, c.Refused, c.Busy, c.Cut)
		}
	}
	server, err := procfs.NewProc(s.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	size := func() (rss, fds int) {
		stat, err := server.Stat()
		if err != nil {
			t.Fatal(err)
		}
		fds, err = server.FileDescriptorsLen()
		if err != nil {
			t.Fatal(err)
		}
		return stat.ResidentMemory(), fds
	}

	strike(*hostile / 4)
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
	rss, fds := size()

	fleet := &honest{url: s.url, keys: keys, workers: workers}
	alone, err := fleet.play(ctx, 50)
	if err != nil {
		t.Fatal(err)
	}
	if text := <-held; text != wire.TextUpdated {
		t.Errorf("the poll that was held got %q", text)
	}
	over := make(chan struct{})
	var meanwhile []float64
	var playing sync.WaitGroup
	playing.Go(func() {
		for {
			began := time.Now()
			more, err := fleet.play(ctx, 50)
			if err != nil {
				t.Error(err)
				return
			}
			meanwhile = append(meanwhile, more...)
			select {
			case <-over:
				return
			case <-time.After(3 * time.Since(began)): // they are not to be what slows the others down
			}
		}
	})
	strike(*hostile - *hostile/4)
	close(over)
	playing.Wait()

	after, open := size()
	if after > rss+rss/4+16<<20 {
		t.Errorf("the server had %d bytes after a quarter and has %d now", rss, after)
	}
	if open > fds+2*workers+64 {
		t.Errorf("the server had %d descriptors and has %d", fds, open)
	}
	if v := metric("fltool_model_version"); int(v) != 1+fleet.rounds {
		t.Errorf("%d rounds were played, and the version is %v", fleet.rounds, v)
	}
	if n := metric(`fltool_requests_total{refused="",route="update"}`); int(n) != workers*fleet.rounds {
		t.Errorf("%v updates were accepted, want %d", n, workers*fleet.rounds)
	}
	s.signal()
	s.end(exitGood)
	if len(meanwhile) == 0 {
		return // told above
	}
	before, during := median(alone), median(meanwhile)
	t.Logf("%d hostile requests; RSS %d kB after a quarter, %d kB at the end; a round of %d takes %.1f ms alone, %.1f ms meanwhile: %.2f times (medians of %d and %d rounds)",
		sent, rss>>10, after>>10, workers, 1000*before, 1000*during, during/before, len(alone), len(meanwhile))
}
