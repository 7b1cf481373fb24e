package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Errors of New about a state directory, for whoever explains them to a user.
var (
	ErrStateMode    = errors.New("the state is of the other key mode") // safe against unsafe
	ErrStateBusy    = errors.New("another server uses the state")
	ErrStateDamaged = errors.New("the state is damaged")
	ErrStateLost    = errors.New("the state is gone, and what belongs to it is there")
)

// store keeps what must survive the process: the workers, the model with its
// version, and who was accepted in the open round. What it was given is on disk
// when its methods return; those that run at the same time share one sync. In its
// directory it touches only what it wrote: the state says what that is. A nil
// store keeps nothing.
type store struct {
	dir     string
	journal *journal
	models  map[string]modelFile // that the state knows, by name
	current string               // the name of the one that is published
	least   int64                // bytes of the journal when it was last made anew
}

const (
	stateFile = "state.db"
	newFile   = ".new-" // begins the names of files that are not whole yet
)

// openStore opens a state or begins one, with the version before that of round 1. It reads all before it changes anything:
// where the state is refused, no file was touched; where the disk is, none was lost.
func openStore(dir, mode string, base int64) (*store, stored, error) {
	none := stored{}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, none, fmt.Errorf("make state directory: %w", err)
	}
	path := filepath.Join(dir, stateFile)
	if err := lost(dir, path); err != nil {
		return nil, none, fmt.Errorf("state %s: %w", path, err)
	}
	j, err := openJournal(path)
	if err != nil {
		return nil, none, fmt.Errorf("open state %s: %w", path, err)
	}
	s := &store{dir: dir, journal: j}
	all, err := s.load(mode, base)
	if err == nil {
		err = s.renew(&all)
	}
	if err != nil {
		return nil, none, errors.Join(fmt.Errorf("state %s: %w", path, err), j.close())
	}
	return s, all, nil
}

// lost refuses to begin anew beside what an older state knew.
func lost(dir, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Size() > 0:
		return nil
	}
	names, err := modelNames(dir)
	if err != nil {
		return err
	}
	// The directory's own name may hold what a pattern means something by.
	rounds, err := fs.Glob(os.DirFS(dir), keptUpdates+"/"+keptRound+"*")
	if err != nil {
		return err
	}
	if names = append(names, rounds...); len(names) > 0 {
		return fmt.Errorf("%w: %s", ErrStateLost, names[0])
	}
	return nil
}

// load reads the state and its model.
func (s *store) load(mode string, base int64) (stored, error) {
	all, err := s.read()
	switch {
	case err != nil:
		return all, err
	case all.mode != "" && all.mode != mode:
		return all, fmt.Errorf("it is of %s mode: %w", all.mode, ErrStateMode)
	}
	if all.mode = mode; all.version == 0 {
		all.base = base
	}
	if all.strange, err = modelNames(s.dir); err != nil {
		return all, err
	}
	all.strange = slices.DeleteFunc(all.strange, func(name string) bool { _, known := all.models[name]; return known })
	if all.version == 0 {
		if len(all.strange) > 0 {
			return all, fmt.Errorf("%w: %s", ErrStateLost, all.strange[0])
		}
		return all, nil
	}
	all.model, err = s.readModel(all.models[all.current])
	return all, err
}

func (s *store) read() (stored, error) {
	all := stored{models: map[string]modelFile{}, workers: map[string]storedWorker{}, accepted: map[int64]set{}}
	err := s.journal.read(all.add)
	return all, err
}

// renew removes what a process left that ended while it wrote, and makes the
// journal anew: a disk that is full or can't be written to is found out here.
func (s *store) renew(all *stored) error {
	name := newFile + rand.Text()
	if err := s.journal.trim(); err != nil {
		return err
	}
	if err := s.append(record{Temp: name}); err != nil {
		return err
	}
	for _, temp := range all.temps {
		if err := os.Remove(filepath.Join(s.dir, temp)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	s.models, s.current = all.models, all.current
	if err := s.sweep(); err != nil {
		return err
	}
	return s.rewrite(name, all)
}

// rewrite makes the journal anew. Whoever calls it has its turn, or is alone.
func (s *store) rewrite(name string, all *stored) error {
	var payloads [][]byte
	for _, r := range all.records() {
		p, err := json.Marshal(r)
		if err != nil {
			return err
		}
		payloads = append(payloads, p)
	}
	if err := s.journal.replace(name, payloads); err != nil {
		return err
	}
	s.least = s.journal.size
	return nil
}

// A journal is made anew once it is longer than it must be by both.
const (
	longTimes = 2
	longBytes = 1 << 20
)

// clean removes the models before the one that was published last, and makes the
// journal anew if it has grown too long. What it can't is done at the next start.
func (s *store) clean() error {
	if s == nil {
		return nil
	}
	if err := s.sweep(); err != nil {
		return err
	}
	if s.journal.length() < longTimes*s.least+longBytes {
		return nil
	}
	name := newFile + rand.Text()
	if err := s.append(record{Temp: name}); err != nil {
		return err
	}
	s.journal.turn.Lock()
	defer s.journal.turn.Unlock()
	all, err := s.read()
	if err != nil {
		return err
	}
	all.models = s.models
	return s.rewrite(name, &all)
}

// putWorker stores a worker.
func (s *store) putWorker(w storedWorker) error {
	if s == nil {
		return nil
	}
	return s.told("worker", s.append(record{Worker: &w}))
}

// putWorkers stores many at once and forgets others.
func (s *store) putWorkers(workers []storedWorker, forget []string) error {
	if s == nil || len(workers)+len(forget) == 0 {
		return nil
	}
	records := make([]record, 0, len(workers)+len(forget))
	for _, id := range forget {
		records = append(records, record{Left: id})
	}
	for _, w := range workers {
		records = append(records, record{Worker: &w})
	}
	return s.told("workers", s.append(records...))
}

// accept stores that a worker's update counts for a round.
func (s *store) accept(round int64, id string) error {
	if s == nil {
		return nil
	}
	return s.told("accepted update", s.append(record{Accepted: &accepted{round, id}}))
}

// publish stores a version of the model and forgets the rounds before it; clean
// follows. Nobody calls either while one of them runs.
func (s *store) publish(m *model) error {
	if s == nil {
		return nil
	}
	b, err := m.packed.Bytes()
	if err != nil {
		return s.told("model", err)
	}
	f := modelFile{Size: m.packed.Size, SHA256: fmt.Sprintf("%x", sha256.Sum256(b))}
	if f.Name, err = s.freeName(m.number); err != nil {
		return s.told("model", err)
	}
	temp := newFile + rand.Text()
	if err := s.append(record{Temp: temp, Model: &f}); err != nil {
		return s.told("model", err)
	}
	s.models[f.Name] = f
	if err := writeFile(filepath.Join(s.dir, temp), filepath.Join(s.dir, f.Name), b); err != nil {
		return s.told("model", err)
	}
	if err := s.append(record{Model: &f, Version: m.number}); err != nil {
		return s.told("version", err)
	}
	s.current = f.Name
	return nil
}

func (s *store) append(records ...record) error {
	payloads := make([][]byte, len(records))
	for i, r := range records {
		var err error
		if payloads[i], err = json.Marshal(r); err != nil {
			return err
		}
	}
	return s.journal.append(payloads...)
}

func (s *store) told(what string, err error) error {
	if err != nil {
		return fmt.Errorf("store %s: %w", what, err)
	}
	return nil
}

// trouble is why the last change could not be stored, or nil.
func (s *store) trouble() error {
	if s == nil {
		return nil
	}
	return s.journal.trouble()
}

func (s *store) close() error {
	if s == nil {
		return nil
	}
	return s.journal.close()
}
