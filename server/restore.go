package server

import (
	"crypto/ed25519"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// restore fills the server from its state, or from the configuration alone.
func (s *Server) restore() error {
	mode := "safe"
	if s.cfg.Unsafe {
		mode = "unsafe"
	}
	if s.cfg.FirstVersion != nil {
		s.base = *s.cfg.FirstVersion - 1
	}
	var old stored
	if s.cfg.State != "" {
		var err error
		if s.store, old, err = openStore(s.cfg.State, mode, s.base); err != nil {
			return err
		}
		for _, name := range old.strange {
			s.log.Warn("a file beside the state looks like a model of another", "file", name)
		}
	}
	if s.cfg.KeepUpdates {
		// Only now: the state is ours alone.
		keeper, err := NewKeeper(filepath.Join(s.cfg.State, keptUpdates), s.cfg.KeepFree)
		if err != nil {
			return err
		}
		if s.cfg.Aggregator = keeper; keeper.lost > 0 {
			s.log.Warn("updates were on their way when the server before ended, and dc_federated's workers do not send them again", "updates", keeper.lost)
		}
	}
	if err := s.restoreWorkers(old); err != nil {
		return err
	}
	number, bytes := int64(1), s.cfg.Model
	if old.version > 0 {
		number, bytes = old.version, old.model
		s.resumed = time.Now()
		if old.base != s.base && s.cfg.FirstVersion != nil {
			s.log.Warn("the state goes on with its own versions", "first", old.base+1)
		}
		s.base = old.base
		s.log.Info("continuing from the state", "version", s.base+number, "accepted", len(old.accepted[number]), "workers", len(s.workers.workers))
	}
	packed, err := wire.PackModel(bytes)
	if err != nil {
		return err
	}
	s.cfg.Model = nil // only the packed one is kept
	m, err := newModel(number, s.base, packed)
	if err != nil {
		return err
	}
	m.published = time.Now()
	s.model.Store(m)
	if old.version == 0 {
		if err := s.store.publish(m); err != nil {
			return err
		}
	}
	var members []string
	for id, w := range s.workers.workers {
		if w.awaited() {
			members = append(members, id)
		}
	}
	s.round = newRound(s.cfg.Round, number, members)
	s.round.replaces = s.cfg.Updates == LastUpdate
	for n, ids := range old.accepted {
		for id := range ids {
			s.round.restore(id, n)
		}
	}
	if missing := s.round.missing(); s.cfg.RoundTimeout == 0 && len(s.round.accepted) > 0 && missing > 0 {
		s.log.Warn("the open round waits for updates, of which some may have been lost with the server before: dc_federated's workers do not send them again", "missing", missing)
	}
	return nil
}

// restoreWorkers brings the key list and the stored workers together: keys that
// left the list are forgotten, keys that the admin removed stay away, workers that
// the admin added stay.
func (s *Server) restoreWorkers(old stored) error {
	ids := make([]string, 0, len(old.workers))
	for id := range old.workers {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return old.workers[a].Order - old.workers[b].Order })
	for _, id := range s.cfg.Keys {
		s.listed[id] = struct{}{}
	}
	var gone []string
	for _, id := range ids {
		w := old.workers[id]
		switch {
		case w.Removed:
			s.removed[id] = struct{}{}
			if s.listed.has(id) {
				s.log.Warn("a key of the key list stays out: the admin removed it", "worker", wire.Short(id))
			}
		case w.Listed && !s.listed.has(id):
			gone = append(gone, id)
			s.log.Info("a worker left the key list", "worker", wire.Short(id))
		default:
			next := worker{registered: w.Registered, listed: s.listed.has(id), excused: w.Excused}
			if err := s.add(id, next); err != nil {
				return err
			}
		}
	}
	var fresh []storedWorker
	for _, id := range s.cfg.Keys {
		if s.removed.has(id) || s.workers.workers[id] != nil {
			continue
		}
		if err := s.add(id, worker{listed: true}); err != nil {
			return err
		}
		fresh = append(fresh, s.workers.workers[id].stored(id))
	}
	return s.store.putWorkers(fresh, gone)
}

// add adds a worker that is stored, or will be.
func (s *Server) add(id string, w worker) error {
	var err error
	if w.key, err = s.key(id); err != nil {
		return err
	}
	w.order = s.workers.nextOrder()
	s.workers.put(id, w)
	return nil
}

// key is the public key that a worker's id is, in safe mode.
func (s *Server) key(id string) (ed25519.PublicKey, error) {
	if s.cfg.Unsafe {
		return nil, nil
	}
	key, err := wire.ParsePublicKey(id)
	if err != nil {
		return nil, fmt.Errorf("worker %s: %w", wire.Short(id), err)
	}
	return key, nil
}
