package server

// change changes a worker: decides by what it is now, stores what it is to be, and
// only then lets that count. Decide is called under the lock with nil for a worker
// that is not there, and gives nil for one that is to be removed; it may say that
// nothing is to be done, which change says again. Of one worker too many it fails with
// errFull.
func (s *Server) change(id string, decide func(now *worker) (next *worker, ok bool)) (ok bool, err error) {
	defer s.changes.take(id)()
	s.mu.Lock()
	now := s.workers.workers[id]
	next, ok := decide(now)
	added := ok && now == nil && next != nil
	full := added && len(s.workers.workers)+s.adding >= s.cfg.MaxWorkers
	if added && !full {
		next.order = s.workers.nextOrder()
		s.adding++
	}
	s.mu.Unlock()
	switch {
	case !ok:
		return false, nil
	case full:
		return false, errFull
	}
	// Workers register again whenever they start.
	if stored := next.stored(id); now == nil || stored != now.stored(id) {
		err = s.store.putWorker(stored)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if added {
		s.adding--
	}
	if err != nil {
		return false, err
	}
	if next == nil {
		s.workers.remove(id)
		s.removed[id] = struct{}{}
	} else {
		s.workers.put(id, *next)
		delete(s.removed, id)
	}
	s.await(id)
	s.changed()
	return true, nil
}

// setRegistered says whether there is such a worker.
func (s *Server) setRegistered(id string, registered bool) (known bool, err error) {
	return s.change(id, func(now *worker) (*worker, bool) {
		if now == nil {
			return nil, false
		}
		return now.register(registered), true
	})
}

// await makes the round wait for a worker or no longer, as the registry has it
// now; the lock is held.
func (s *Server) await(id string) {
	if w := s.workers.workers[id]; w != nil && w.awaited() {
		s.round.join(id)
	} else {
		s.round.leave(id)
	}
}
