package server

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestKeeper(t *testing.T) {
	dir := t.TempDir()
	_, ids := workerKeys(4)
	a, b, c, d := ids[0], ids[1], ids[2], newUnsafeID()
	k, err := NewKeeper(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	put := func(id, text string, commit bool) {
		t.Helper()
		up, err := k.Begin(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := up.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if !commit {
			up.Abort()
		} else if err := up.Commit(3); err != nil {
			t.Fatal(err)
		}
	}
	put(a, "first", true)
	put(a, "again", true) // its acknowledgement was lost
	put(b, "bad", false)
	put(c, "never accepted", true)
	put(d, "nor this", true)
	if _, err := k.Begin("half"); err != nil {
		t.Fatal(err)
	}
	model, err := k.Aggregate(t.Context(), Round{Number: 3, Workers: []string{a}})
	if err != nil || model != nil {
		t.Fatal(string(model), err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "round-3", a)); err != nil || string(text) != "again" {
		t.Error(string(text), err)
	}
	if _, err := k.Aggregate(t.Context(), Round{Number: 3, Workers: []string{a, ids[3]}}); err == nil {
		t.Error("an update that is not there went unseen")
	}
	if _, err := NewKeeper(dir, 0); err != nil {
		t.Fatal(err)
	}
	var names []string
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, dir))
		return err
	})
	if want := []string{"", "/incoming", "/round-3", "/round-3/" + a}; err != nil || !slices.Equal(names, want) {
		t.Error(names, err)
	}
}

// TestKeepFileSyncs: a file that can't be synced is not kept. A pipe can't.
func TestKeepFileSyncs(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := keepFile(w, filepath.Join(t.TempDir(), "kept")); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
}
