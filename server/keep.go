package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrNoRoom is a disk on which no update may be kept for want of space.
var ErrNoRoom = errors.New("too little of the disk is free")

// DefaultKeepFree is how much of its disk a Keeper leaves free when it is not told:
// this much, in bytes, or a tenth of the disk if that is less.
const DefaultKeepFree = 1_000_000_000

// Keeper is the aggregator that keeps every accepted update as a file
// DIR/round-N/WORKER, inflated, for whoever looks at them or computes with them
// elsewhere. The model stays as it is.
type Keeper struct {
	dir  string
	free uint64 // bytes of the disk that stay free; 0: DefaultKeepFree
	lost int    // updates that were on their way when the process before ended

	mu   sync.Mutex
	made int64 // the last round whose directory is there and synced
}

// The names of what a Keeper writes.
const (
	keptUpdates = "updates" // its directory below a state
	keptRound   = "round-"
	keptNew     = "update-" // in incoming, and a number
)

var keptNewName = regexp.MustCompile("^" + keptNew + "[0-9]+$")

// NewKeeper makes dir if need be and clears what an earlier process left half
// written: no other may still write there. It keeps nothing that would leave less
// than free bytes of the disk; with 0, less than DefaultKeepFree says.
func NewKeeper(dir string, free int64) (*Keeper, error) {
	k := &Keeper{dir: dir, free: uint64(free)}
	if err := os.MkdirAll(k.incoming(), 0o700); err != nil {
		return nil, fmt.Errorf("make directory for updates: %w", err)
	}
	files, err := os.ReadDir(k.incoming())
	if err != nil {
		return nil, fmt.Errorf("clear half-written updates: %w", err)
	}
	for _, f := range files {
		if !keptNewName.MatchString(f.Name()) {
			continue // not a Keeper's
		}
		if err := os.Remove(filepath.Join(k.incoming(), f.Name())); err != nil {
			return nil, fmt.Errorf("clear half-written updates: %w", err)
		}
		k.lost++
	}
	return k, nil
}

func (k *Keeper) incoming() string { return filepath.Join(k.dir, "incoming") }

func (k *Keeper) round(n int64) string {
	return filepath.Join(k.dir, keptRound+strconv.FormatInt(n, 10))
}

// makeRound makes a round's directory, once.
func (k *Keeper) makeRound(n int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n <= k.made {
		return nil
	}
	if err := os.MkdirAll(k.round(n), 0o700); err != nil {
		return err
	}
	if err := syncDir(k.dir); err != nil {
		return err
	}
	k.made = n
	return nil
}

// room fails with ErrNoRoom if too little of the disk is free.
func (k *Keeper) room() error {
	var disk unix.Statfs_t
	if err := unix.Statfs(k.dir, &disk); err != nil {
		return fmt.Errorf("free space of %s: %w", k.dir, err)
	}
	block := uint64(disk.Bsize)
	want, free := k.free, disk.Bavail*block
	if want == 0 {
		want = min(DefaultKeepFree, disk.Blocks*block/10)
	}
	if free < want {
		return fmt.Errorf("%s: %w: %d bytes, %d must stay", k.dir, ErrNoRoom, free, want)
	}
	return nil
}

// Begin opens a file beside the rounds.
func (k *Keeper) Begin(worker string) (Upload, error) {
	if err := k.room(); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(k.incoming(), keptNew+"*")
	if err != nil {
		return nil, fmt.Errorf("keep update: %w", err)
	}
	return &keptUpload{f, k, worker}, nil
}

// Aggregate removes what was committed but never accepted, and leaves the
// model as it is.
func (k *Keeper) Aggregate(_ context.Context, round Round) ([]byte, error) {
	dir := k.round(round.Number)
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("kept updates: %w", err)
	}
	counts := set{}
	for _, id := range round.Workers {
		counts[id] = struct{}{}
	}
	for _, f := range files {
		if counts.has(f.Name()) {
			delete(counts, f.Name())
		} else if !workerID.MatchString(f.Name()) {
			continue // not a Keeper's
		} else if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			return nil, fmt.Errorf("kept updates: %w", err)
		}
	}
	for id := range counts {
		// For example accepted by a process that kept none: a start without this
		// aggregator ends the round.
		return nil, fmt.Errorf("%s: the accepted update of worker %s was not kept", dir, id)
	}
	return nil, nil
}

type keptUpload struct {
	*os.File
	keeper *Keeper
	worker string
}

// Write asks for room each time: many may write at once.
func (u *keptUpload) Write(p []byte) (int, error) {
	if err := u.keeper.room(); err != nil {
		return 0, err
	}
	return u.File.Write(p)
}

func (u *keptUpload) Commit(round int64) error {
	if err := u.keeper.makeRound(round); err != nil {
		u.Abort()
		return fmt.Errorf("keep update: %w", err)
	}
	if err := keepFile(u.File, filepath.Join(u.keeper.round(round), u.worker)); err != nil {
		return fmt.Errorf("keep update: %w", err)
	}
	return nil
}

func (u *keptUpload) Abort() {
	// It was nothing yet; what stays behind is cleared with the next start.
	_ = u.Close()
	_ = os.Remove(u.Name())
}
