package server

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Errors of New about a state directory, for whoever explains them to a user.
var (
	ErrStateMode = errors.New("the state is of the other key mode") // safe against unsafe
	ErrStateBusy = errors.New("another server uses the state")
)

// store keeps what must survive the process: the workers, the model with its
// version, and who was accepted in the open round. What it was given is on disk
// when its methods return; those that run at the same time share one sync. A nil
// store keeps nothing.
type store struct {
	db  *bbolt.DB
	dir string
}

var (
	bucketMeta     = []byte("meta")     // keyMode, keyVersion
	bucketWorkers  = []byte("workers")  // id → storedWorker as JSON
	bucketAccepted = []byte("accepted") // 8 bytes of round number, then id → nothing

	keyMode    = []byte("mode") // "safe" or "unsafe"
	keyVersion = []byte("version")
)

// The names of files beside the database begin with these.
const (
	modelFile = "model-" // and the version
	newFile   = ".new-"  // not whole yet
)

type storedWorker struct {
	Order      int  `json:"order"`
	Registered bool `json:"registered,omitempty"`
	Listed     bool `json:"listed,omitempty"`
	Excused    bool `json:"excused,omitempty"` // unregistered by the admin
	// Removed by the admin: a key that the key list still holds must not come back
	// with the next start.
	Removed bool `json:"removed,omitempty"`
}

// stored is all of a store, as it is read at the start.
type stored struct {
	version  int64 // 0: the store is new
	model    []byte
	workers  map[string]storedWorker
	accepted map[int64][]string // by round
}

func openStore(dir string, mode string) (*store, stored, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, stored{}, fmt.Errorf("make state directory: %w", err)
	}
	path := filepath.Join(dir, "state.db")
	db, err := openDB(path)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, stored{}, fmt.Errorf("%s: %w", path, ErrStateBusy)
	} else if err != nil {
		return nil, stored{}, fmt.Errorf("open state %s: %w", path, err)
	}
	// Acknowledgements wait for it; a sync takes longer than this anyway.
	db.MaxBatchDelay = time.Millisecond
	s := &store{db: db, dir: dir}
	all, err := s.load(mode)
	if err == nil {
		err = s.sweep(all.version)
	}
	if err != nil {
		return nil, stored{}, errors.Join(fmt.Errorf("state %s: %w", path, err), db.Close())
	}
	return s, all, nil
}

// openDB opens a database and looks at all of it: bbolt panics, or worse, on a
// damaged page when it comes to it.
func openDB(path string) (db *bbolt.DB, err error) {
	faults := debug.SetPanicOnFault(true) // the file is mapped, and may be cut short
	defer debug.SetPanicOnFault(faults)
	defer func() {
		if damage := recover(); damage != nil {
			err = fmt.Errorf("the file is damaged: %v", damage)
		}
	}()
	if db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second}); err != nil {
		return nil, err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if info, err := os.Stat(path); err != nil {
			return err
		} else if info.Size() < tx.Size() {
			return fmt.Errorf("%d bytes of %d are left", info.Size(), tx.Size())
		}
		var first error
		for err := range tx.Check() {
			first = cmp.Or(first, err)
		}
		return first
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the file is damaged: %w", err), db.Close())
	}
	return db, nil
}

// sweep removes what a process left that ended while it stored a model.
func (s *store) sweep(version int64) error {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(s.dir, f.Name())
		half := strings.HasPrefix(f.Name(), newFile)
		old := strings.HasPrefix(f.Name(), modelFile) && path != s.modelPath(version)
		if half || old {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *store) load(mode string) (stored, error) {
	all := stored{workers: map[string]storedWorker{}, accepted: map[int64][]string{}}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketWorkers, bucketAccepted} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		if had := string(meta.Get(keyMode)); had == "" {
			if err := meta.Put(keyMode, []byte(mode)); err != nil {
				return err
			}
		} else if had != mode {
			return fmt.Errorf("it is of %s mode: %w", had, ErrStateMode)
		}
		if b := meta.Get(keyVersion); b != nil {
			n, err := strconv.ParseInt(string(b), 10, 64)
			if err != nil {
				return fmt.Errorf("model version: %w", err)
			}
			all.version = n
		}
		err := tx.Bucket(bucketWorkers).ForEach(func(id, b []byte) error {
			var w storedWorker
			if err := json.Unmarshal(b, &w); err != nil {
				return fmt.Errorf("worker %q: %w", id, err)
			}
			all.workers[string(id)] = w
			return nil
		})
		if err != nil {
			return err
		}
		return tx.Bucket(bucketAccepted).ForEach(func(key, _ []byte) error {
			if len(key) <= 8 {
				return fmt.Errorf("accepted update %x: the key is too short", key)
			}
			n := int64(binary.BigEndian.Uint64(key))
			all.accepted[n] = append(all.accepted[n], string(key[8:]))
			return nil
		})
	})
	if err != nil || all.version == 0 {
		return all, err
	}
	all.model, err = os.ReadFile(s.modelPath(all.version))
	return all, err
}

// putWorker stores a worker as get gives it inside the transaction: transactions
// are one after the other, so the last one stores the last state, in whatever
// order they were asked for.
func (s *store) putWorker(id string, get func() storedWorker) error {
	if s == nil {
		return nil
	}
	return s.batch("worker", func(tx *bbolt.Tx) error { return putWorker(tx, id, get()) })
}

func putWorker(tx *bbolt.Tx, id string, w storedWorker) error {
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketWorkers).Put([]byte(id), b)
}

// putWorkers stores many at once and forgets others.
func (s *store) putWorkers(workers map[string]storedWorker, forget []string) error {
	if s == nil {
		return nil
	}
	return s.batch("workers", func(tx *bbolt.Tx) error {
		for _, id := range forget {
			if err := tx.Bucket(bucketWorkers).Delete([]byte(id)); err != nil {
				return err
			}
		}
		for id, w := range workers {
			if err := putWorker(tx, id, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// accept stores that a worker's update counts for a round.
func (s *store) accept(round int64, id string) error {
	if s == nil {
		return nil
	}
	key := append(binary.BigEndian.AppendUint64(nil, uint64(round)), id...)
	return s.batch("accepted update", func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketAccepted).Put(key, nil)
	})
}

// publish stores a version of the model and forgets the rounds before it; forget
// the model before it.
func (s *store) publish(m *model) error {
	if s == nil {
		return nil
	}
	if err := writeFile(s.modelPath(m.number), m.bytes); err != nil {
		return fmt.Errorf("store model: %w", err)
	}
	return s.batch("version", func(tx *bbolt.Tx) error {
		accepted := tx.Bucket(bucketAccepted).Cursor()
		for key, _ := accepted.First(); key != nil && int64(binary.BigEndian.Uint64(key)) < m.number; key, _ = accepted.First() {
			if err := accepted.Delete(); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyVersion, strconv.AppendInt(nil, m.number, 10))
	})
}

// forget removes a version of the model that another took the place of. Where it
// can't, the next start sweeps.
func (s *store) forget(version int64) error {
	if s == nil {
		return nil
	}
	return os.Remove(s.modelPath(version))
}

func (s *store) modelPath(version int64) string {
	return filepath.Join(s.dir, modelFile+strconv.FormatInt(version, 10))
}

func (s *store) batch(what string, fn func(*bbolt.Tx) error) error {
	if err := s.db.Batch(fn); err != nil {
		return fmt.Errorf("store %s: %w", what, err)
	}
	return nil
}

func (s *store) close() error {
	if s == nil {
		return nil
	}
	return s.db.Close()
}

// writeFile makes a file that is whole on disk under its name, or not there.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), newFile+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return keepFile(f, path)
}

// keepFile syncs a finished file and renames it into place.
func keepFile(f *os.File, path string) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
