package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// TestFedAvgWorkers: workers that do as FedAvg's, on the libraries of the real ones,
// train once a round, where versions begin with 0.
func TestFedAvgWorkers(t *testing.T) {
	const workers, rounds = 5, 4
	python := pythonWorkers(t)
	dir, ids := keyFolder(t, workers)
	first := int64(0)
	s, addr := start(t, Config{Keys: ids, Round: Number(workers), FirstVersion: &first, Updates: LastUpdate})
	args := []string{"testdata/worker.py", "http://" + addr, strconv.Itoa(rounds)}
	for n := range workers {
		args = append(args, wire.KeyFile(dir, n))
	}
	cmd := exec.CommandContext(t.Context(), python, args...)
	cmd.Env = append(os.Environ(), "FEDAVG=1")
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	done := 0
	for lines := bufio.NewScanner(&stdout); lines.Scan(); done++ {
		var got struct{ Versions []int }
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil || !slices.Equal(got.Versions, []int{1, 2, 3, 4}) {
			t.Errorf("%s: %v", lines.Text(), err)
		}
	}
	// Each of their updates, one a version, was needed.
	if m := s.model.Load(); done != workers || m.version != wire.VersionInt(rounds) {
		t.Errorf("%d workers finished, version %s", done, m.version)
	}
}

// TestLastUpdateReplaces: a worker's later update of a round is accepted in the place of
// its earlier one, and counts once; while the round ends it counts for the next.
func TestLastUpdateReplaces(t *testing.T) {
	keys, ids := workerKeys(2)
	cfg := Config{Keys: ids, Round: Number(2), Updates: LastUpdate, State: t.TempDir(), KeepUpdates: true}
	s, addr := restart(t, nil, cfg)
	cs := registered(t, addr, keys...)
	cs[0].accepted("first")
	cs[0].accepted("second")
	s, addr = restart(t, s, cfg)
	cs[0].addr, cs[1].addr = addr, addr
	cs[0].accepted("third")
	if n := s.model.Load().number; n != 1 {
		t.Errorf("one worker's updates ended round %d", n-1)
	}
	cs[1].accepted("other")
	waitFor(t, "the round ends", func() bool { return s.model.Load().number == 2 })
	kept, err := os.ReadFile(filepath.Join(cfg.State, "updates", "round-1", cs[0].id))
	if err != nil || string(kept) != "third" {
		t.Errorf("kept %q, %v", kept, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	r := newRound(Number(1), 7, nil)
	r.replaces = true
	for range 2 {
		if n, ok := r.assign("a"); !ok || n != 7 {
			t.Fatal(n, ok)
		}
		r.settle("a", 7, true)
	}
	if ids := r.close(); len(ids) != 1 {
		t.Error(ids)
	}
	if n, ok := r.assign("a"); !ok || n != 8 {
		t.Error(n, ok)
	}
	r.settle("a", 8, true)
	if r.publish(); !r.accepted.has("a") || !r.over(1) {
		t.Errorf("%+v", r)
	}
}

// TestFirstVersionStays: a state goes on with the versions that it began with.
func TestFirstVersionStays(t *testing.T) {
	keys, ids := workerKeys(1)
	zero, nine := int64(0), int64(9)
	cfg := Config{Keys: ids, State: t.TempDir(), FirstVersion: &zero}
	s, addr := restart(t, nil, cfg)
	c := registered(t, addr, keys[0])[0]
	held := hold(t, s, "0", c)
	newClient(t, addr, keys[0]).accepted("u")
	if p := <-held[0]; p.text != wire.TextUpdated {
		t.Errorf("%+v", p)
	}
	for _, first := range []*int64{nil, &nine} {
		if version, _ := c.model(); version != "1" {
			t.Errorf("version %s", version)
		}
		cfg.FirstVersion = first
		s, c.addr = restart(t, s, cfg)
	}
	if version, _ := c.model(); version != "1" {
		t.Errorf("version %s", version)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{Keys: ids, FirstVersion: new(int64(-1))}); err == nil {
		t.Error("a version below 0 is taken")
	}
}

// TestNoKeysYet: an admin can begin with an empty key list, if a round needs no key of
// it.
func TestNoKeysYet(t *testing.T) {
	admin := Config{AdminUsername: "a", AdminPassword: "b", Model: []byte("m")}
	for _, tt := range []struct {
		cfg  Config
		good bool
	}{
		{Config{Round: Number(1)}, false},
		{admin, false},
		{Config{AdminUsername: "a", AdminPassword: "b", Round: Number(1)}, true},
	} {
		s, err := New(tt.cfg)
		if (err == nil) != tt.good {
			t.Errorf("%+v: %v", tt.cfg, err)
		}
		if err == nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
