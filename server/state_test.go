package server

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// smallState makes a state with something of everything in it, and gives what a
// server is started with on it.
func smallState(t *testing.T) Config {
	t.Helper()
	keys, ids := workerKeys(3)
	cfg := Config{Keys: ids, State: t.TempDir(), Model: []byte("a model"), KeepUpdates: true}
	s, addr := restart(t, nil, cfg)
	cs := registered(t, addr, keys...)
	for _, c := range cs {
		c.accepted("u")
	}
	waitFor(t, "version 2", func() bool { return s.model.Load().number == 2 })
	cs[1].accepted("u")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// tree is all files below a directory with what they hold, and directories with "/".
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, dir)
		if d.IsDir() {
			files[name+"/"] = ""
			return nil
		}
		b, err := os.ReadFile(path)
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// refuses wants New to fail with an error and all files to stay as they are.
func refuses(t *testing.T, name string, cfg Config, want error) {
	t.Helper()
	before := tree(t, cfg.State)
	s, err := New(cfg)
	if err == nil {
		t.Errorf("%s: it starts", name)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), cfg.State) {
		t.Errorf("%s: %v, want %v and %s", name, err, want, cfg.State)
	}
	if after := tree(t, cfg.State); !maps.Equal(before, after) {
		t.Errorf("%s: refused with %v, and files were changed", name, err)
	}
}

// starts wants New to work, and ends the server again.
func starts(t *testing.T, name string, cfg Config) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if err := s.Close(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// TestEveryByteCounts changes each byte of a state, in each bit and by zeros, and
// cuts the file at each: all is seen.
func TestEveryByteCounts(t *testing.T) {
	cfg := smallState(t)
	path := filepath.Join(cfg.State, stateFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) error {
		all := stored{models: map[string]modelFile{}, workers: map[string]storedWorker{}, accepted: map[int64]set{}}
		_, err := readJournal(bytes.NewReader(b), int64(len(b)), all.add)
		return err
	}
	if err := read(good); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	for i, was := range good {
		for _, b := range []byte{was ^ 1, was ^ 2, was ^ 4, was ^ 8, was ^ 16, was ^ 32, was ^ 64, was ^ 128, 0, 0xff} {
			bad[i] = b
			if err := read(bad); b != was && !errors.Is(err, ErrStateDamaged) {
				t.Errorf("byte %d is %#x instead of %#x: %v", i, b, was, err)
			}
		}
		bad[i] = was
		if err := read(good[:i]); !errors.Is(err, ErrStateDamaged) {
			t.Errorf("cut at byte %d: %v", i, err)
		}
	}
	// A server that meets some of them leaves them as they are.
	for i := 0; i < len(good); i += 1 + len(good)/230 {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		refuses(t, fmt.Sprintf("byte %d is changed", i), cfg, ErrStateDamaged)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	starts(t, "as it was", cfg)
}

// TestHalfWritten has a state with what was being written when its process was
// killed behind it: that was never acknowledged.
func TestHalfWritten(t *testing.T) {
	cfg := smallState(t)
	path := filepath.Join(cfg.State, stateFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	more := appendFrame(nil, []byte(`{"accepted":{"round":2,"worker":"x"}}`))
	for n := range more {
		if err := os.WriteFile(path, append(bytes.Clone(good), more[:n]...), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := New(cfg)
		if err != nil {
			t.Fatalf("with %d bytes more: %v", n, err)
		}
		if len(s.round.accepted) != 1 {
			t.Errorf("with %d bytes more: %v", n, s.round.accepted)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOnlyItsOwn: a state's directory may hold files of others, whatever their
// names, and those of processes that were killed, which are removed.
func TestOnlyItsOwn(t *testing.T) {
	cfg := smallState(t)
	mine := []string{
		"model-0", "model-1", "model-3", "model-3.1", "model-resnet50-final.pt", "model-", ".new-123", ".new-",
		"mine", "state.db.new", "updates/incoming/mine", "updates/incoming/update-x", "updates/round-2/notes.txt", "updates/round-7/a",
	}
	if err := errors.Join(os.Mkdir(filepath.Join(cfg.State, "updates/round-7"), 0o700), os.Mkdir(filepath.Join(cfg.State, "model-2.1"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range mine {
		if err := os.WriteFile(filepath.Join(cfg.State, name), []byte("of the user"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// What a process leaves that is killed while it publishes.
	j, err := openJournal(filepath.Join(cfg.State, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	dead := store{dir: cfg.State, journal: j, models: map[string]modelFile{}}
	if err := errors.Join(
		j.read(func([]byte) error { return nil }),
		dead.append(record{Temp: ".new-half"}),
		os.WriteFile(filepath.Join(cfg.State, ".new-half"), []byte("half"), 0o600),
		os.WriteFile(filepath.Join(cfg.State, "updates/incoming/update-123"), []byte("half"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	packed, err := wire.PackModel([]byte("never published"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := newModel(3, 0, packed)
	if err != nil {
		t.Fatal(err)
	}
	name, err := dead.freeName(3)
	if err != nil || name != "model-3.2" {
		t.Fatal(name, err)
	}
	before := tree(t, cfg.State)
	if err := dead.publish(m); err != nil {
		t.Fatal(err)
	}
	// Its last word was lost.
	b, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	last := bytes.LastIndex(b, []byte(`{"model":`)) - frameSize
	copy(b, journalHead(int64(last)))
	if err := errors.Join(os.WriteFile(j.path, b[:last], 0o600), j.close()); err != nil {
		t.Fatal(err)
	}
	if now := tree(t, cfg.State); now["/model-3.2"] != "never published" {
		t.Fatal(slices.Sorted(maps.Keys(now)))
	}

	keys, _ := workerKeys(3)
	s, addr := restart(t, nil, cfg)
	check := func(gone ...string) {
		t.Helper()
		want := slices.Sorted(maps.Keys(before))
		want = slices.DeleteFunc(want, func(name string) bool { return slices.Contains(gone, name) })
		now := tree(t, cfg.State)
		if have := slices.Sorted(maps.Keys(now)); !slices.Equal(have, want) {
			t.Errorf("have %q\nwant %q", have, want)
		}
		for _, name := range mine {
			if now["/"+name] != "of the user" {
				t.Errorf("%s: %q", name, now["/"+name])
			}
		}
	}
	check("/.new-half", "/updates/incoming/update-123")
	// And through a round, whose names of files are taken.
	for _, k := range []int{0, 2} {
		newClient(t, addr, keys[k]).accepted("u")
	}
	waitFor(t, "version 3", func() bool { return s.model.Load().number == 3 })
	waitFor(t, "the old model is removed", func() bool {
		_, err := os.Lstat(filepath.Join(cfg.State, "model-2"))
		return errors.Is(err, fs.ErrNotExist)
	})
	s, _ = restart(t, s, cfg)
	if s.model.Load().number != 3 {
		t.Error(s.model.Load().number)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before["/model-3.2"] = ""
	for _, k := range []int{0, 2} {
		before["/updates/round-2/"+newClient(t, addr, keys[k]).id] = ""
	}
	check("/.new-half", "/updates/incoming/update-123", "/model-2")
}

// TestStateErrors are refusals that leave all files as they are.
func TestStateErrors(t *testing.T) {
	change := func(t *testing.T, name string, f func(path string) error) Config {
		cfg := smallState(t)
		if err := f(filepath.Join(cfg.State, name)); err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	empty := func(path string) error { return os.Truncate(path, 0) }
	for name, tt := range map[string]struct {
		file   string
		change func(path string) error
		want   error
	}{
		"no state beside a model":    {stateFile, os.Remove, ErrStateLost},
		"empty state beside a model": {stateFile, empty, ErrStateLost},
		"no state beside updates": {"model-2", func(path string) error {
			return errors.Join(os.Remove(path), os.Remove(filepath.Dir(path)+"/"+stateFile))
		}, ErrStateLost},
		"new state beside a model":    {stateFile, func(path string) error { return os.WriteFile(path, journalHead(int64(headSize)), 0o600) }, ErrStateLost},
		"no model":                    {"model-2", os.Remove, ErrStateDamaged},
		"empty model":                 {"model-2", empty, ErrStateDamaged},
		"model cut short":             {"model-2", func(path string) error { return os.Truncate(path, 3) }, ErrStateDamaged},
		"model with a wrong byte":     {"model-2", func(path string) error { return os.WriteFile(path, []byte("a mOdel"), 0o600) }, ErrStateDamaged},
		"model is a pipe":             {"model-2", func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) }, ErrStateDamaged},
		"a state of another kind":     {stateFile, func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("no database "), 10000), 0o600) }, ErrStateDamaged},
		"a record of another version": {stateFile, func(path string) error { return writeJournal(path, `{"mode":"safe","parrot":1}`) }, ErrStateDamaged},
		"a file of others to remove":  {stateFile, func(path string) error { return writeJournal(path, `{"temp":".new-/../mine"}`) }, ErrStateDamaged},
		"a model elsewhere": {stateFile, func(path string) error {
			return writeJournal(path, `{"model":{"name":"../model-1","size":1,"sha256":""},"version":1}`)
		}, ErrStateDamaged},
		"a version without a model":        {stateFile, func(path string) error { return writeJournal(path, `{"version":3}`) }, ErrStateDamaged},
		"a worker whose id is a path":      {stateFile, func(path string) error { return writeJournal(path, `{"worker":{"id":"../a","order":1}}`) }, ErrStateDamaged},
		"an update whose worker is a path": {stateFile, func(path string) error { return writeJournal(path, `{"accepted":{"round":1,"worker":"../a"}}`) }, ErrStateDamaged},
		"a record that is no JSON":         {stateFile, func(path string) error { return writeJournal(path, "parrot") }, ErrStateDamaged},
		"a record with a text as number":   {stateFile, func(path string) error { return writeJournal(path, `{"version":"x"}`) }, ErrStateDamaged},
	} {
		if name == "model is a pipe" {
			// tree would wait for what comes out of it.
			cfg := change(t, tt.file, tt.change)
			if _, err := New(cfg); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		refuses(t, name, change(t, tt.file, tt.change), tt.want)
	}
	cfg := smallState(t)
	refuses(t, "other mode", Config{Unsafe: true, Round: Number(1), Model: []byte("m"), State: cfg.State}, ErrStateMode)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Keys: cfg.Keys, Model: []byte("m"), State: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file: %v", err)
	}
}

// writeJournal makes a journal of one record.
func writeJournal(path, payload string) error {
	b := appendFrame(nil, []byte(payload))
	return os.WriteFile(path, append(journalHead(int64(headSize+len(b))), b...), 0o600)
}

// TestStateBusy starts a second server on a state whose server has an upload on
// its way: nothing is changed, and the upload ends well.
func TestStateBusy(t *testing.T) {
	cfg := smallState(t)
	s, _ := restart(t, nil, cfg)
	up, err := s.cfg.Aggregator.Begin(cfg.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.Write([]byte("an update")); err != nil {
		t.Fatal(err)
	}
	refuses(t, "in use", cfg, ErrStateBusy)
	if err := up.Commit(2); err != nil {
		t.Error(err)
	}
	// The lock is of the file that is there, however often it was made anew.
	s.store.least = -longBytes
	for range 3 {
		if err := s.store.clean(); err != nil {
			t.Fatal(err)
		}
	}
	refuses(t, "in use", cfg, ErrStateBusy)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	starts(t, "afterwards", cfg)
}

// TestLockWaits: the lock of a server that ends in a moment is waited for.
func TestLockWaits(t *testing.T) {
	cfg := smallState(t)
	j, err := openJournal(filepath.Join(cfg.State, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(lockPatience/10, func() {
		if err := j.close(); err != nil {
			t.Error(err)
		}
	})
	starts(t, "once it is free", cfg)
}
