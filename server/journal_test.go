package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/wire"
)

// FuzzJournal reads any bytes as a state: what is taken is what would be written,
// and nothing but damage is an error.
func FuzzJournal(f *testing.F) {
	whole := func(payloads ...string) []byte {
		var b []byte
		for _, p := range payloads {
			b = appendFrame(b, []byte(p))
		}
		return append(journalHead(int64(headSize+len(b))), b...)
	}
	id := newUnsafeID()
	f.Add(whole())
	f.Add(whole(`{"mode":"safe"}`, `{"worker":{"id":"`+id+`","order":1,"listed":true}}`, `{"left":"`+id+`"}`))
	f.Add(append(whole(`{"model":{"name":"model-1","size":1,"sha256":"x"},"version":1}`), appendFrame(nil, []byte(`{"accepted":{"round":1,"worker":"`+id+`"}}`))...))
	f.Add(whole(`{"version":9223372036854775807}`, `{"accepted":null}`, `{"model":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all := stored{models: map[string]modelFile{}, workers: map[string]storedWorker{}, accepted: map[int64]set{}}
		var again []byte
		end, err := readJournal(bytes.NewReader(b), int64(len(b)), func(p []byte) error {
			again = appendFrame(again, p)
			return all.add(p)
		})
		if err != nil {
			if !errors.Is(err, ErrStateDamaged) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(b[headSize:end], again) {
			t.Fatalf("%q was read from %q", again, b)
		}
		all.records()
	})
}

// TestAppendTogether appends from many goroutines, makes the file anew in between,
// and reads it.
func TestAppendTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), stateFile)
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 16, 20
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if err := j.append(fmt.Appendf(nil, "%d %d", w, i), []byte("and")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for i := range each {
			j.turn.Lock()
			var payloads [][]byte
			err := j.read(func(p []byte) error { payloads = append(payloads, bytes.Clone(p)); return nil })
			if err == nil {
				err = j.replace(fmt.Sprint("new", i), payloads)
			}
			j.turn.Unlock()
			if err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(path); err != nil {
		t.Fatal(err)
	}
	next := map[int]int{}
	after := ""
	err = j.read(func(p []byte) error {
		was := after
		after = string(p)
		if after == "and" {
			if was == "and" {
				return errors.New("records of two were mixed")
			}
			return nil
		}
		var w, i int
		if _, err := fmt.Sscanf(after, "%d %d", &w, &i); err != nil || i != next[w] {
			return fmt.Errorf("%q, want %d of it, %v", p, next[w], err)
		}
		next[w]++
		return nil
	})
	for w := range writers {
		if next[w] != each {
			t.Errorf("%d of %d of %d are there", next[w], each, w)
		}
	}
	if err := errors.Join(err, j.close()); err != nil {
		t.Error(err)
	}
}

// TestFullDisk fills a server's disk while it runs: what it can't store it refuses,
// and once there is room it goes on.
func TestFullDisk(t *testing.T) {
	keys, list := testKeys(t, 4)
	state := t.TempDir()
	config := childConfig{KeyList: list, Round: "all", ModelSize: 100, State: state}
	k := startChild(t, config)
	room := func(bytes uint64) {
		t.Helper()
		limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
		if err := unix.Prlimit(k.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
			t.Fatal(err)
		}
	}
	registered(t, k.addr, keys[0])
	info, err := os.Stat(filepath.Join(state, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	room(uint64(info.Size()) + 20)
	c := newClient(t, k.addr, keys[1])
	for range 3 {
		if text := c.register(); text != "Internal server error." {
			t.Errorf("on a full disk: %q", text)
		}
	}
	room(unix.RLIM_INFINITY)
	if id := c.register(); id != c.id {
		t.Errorf("with room again: %q", id)
	}
	registered(t, k.addr, keys[2])
	k.kill()

	k = startChild(t, config)
	for i, key := range keys {
		_, text := newClient(t, k.addr, key).update([]byte("u"))
		if stored := i < 3; stored == (text == wire.TextUnregistered) {
			t.Errorf("worker %d: %q", i, text)
		}
	}
	k.kill()
}
