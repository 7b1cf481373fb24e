package server

import (
	"context"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// aggregateAgain is how long after a failed aggregation the next attempt comes.
const aggregateAgain = 10 * time.Second

// largeModel is one of which each copy counts, in bytes.
const largeModel = 1 << 20

// accept keeps a verified update and counts it, unless its worker may not take
// part any more, or has sent one already that counts.
func (s *Server) accept(id string, up Upload) (now standing, counts bool, err error) {
	if s.cfg.Updates == LastUpdate {
		defer s.storing.take(id)()
	}
	s.mu.Lock()
	// The upload may have begun before the admin removed the worker.
	now, _ = s.workers.standing(id)
	var number int64
	if now == member {
		number, counts = s.round.assign(id)
	}
	s.mu.Unlock()
	if !counts {
		up.Abort()
		return now, false, nil
	}
	if err = up.Commit(number); err != nil {
		err = &keepError{err}
	} else {
		err = s.store.accept(number, id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.round.settle(id, number, err == nil)
	s.changed()
	return now, err == nil, err
}

// changed follows every change to the round or the registry; the lock is held.
func (s *Server) changed() {
	if s.cfg.RoundTimeout > 0 && s.clock == nil && s.round.started() {
		number := s.round.number
		s.clock = time.AfterFunc(s.cfg.RoundTimeout, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.round.expire(number)
			s.changed()
		})
	}
	if s.round.over(s.workers.registered) {
		select {
		case s.events <- struct{}{}:
		default: // one is enough
		}
	}
}

// closeRounds ends rounds, one after the other, until the context does.
func (s *Server) closeRounds(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.events:
		}
		for {
			ended, err := s.closeRound(ctx)
			if err == nil && !ended {
				break
			}
			if err == nil {
				s.trouble.Store(nil)
				continue
			}
			if ctx.Err() != nil {
				return
			}
			text := err.Error()
			s.trouble.Store(&text)
			s.log.Error("a round could not be ended; trying again", "after", aggregateAgain, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(aggregateAgain):
			}
		}
	}
}

// closeRound ends the open round if it is over: aggregates, encodes, stores and
// publishes. Nobody waits for it but the round itself. While the server drains none is
// begun: whoever is notified of a model has to be served until it has fetched it. With a
// state the next start ends the round.
func (s *Server) closeRound(ctx context.Context) (bool, error) {
	now := s.model.Load()
	s.mu.Lock()
	if !s.round.closing && (s.draining.Load() || !s.round.over(s.workers.registered)) {
		s.mu.Unlock()
		return false, nil
	}
	ids, expired := s.round.close(), s.round.expired
	if s.clock != nil {
		s.clock.Stop()
		s.clock = nil
	}
	s.mu.Unlock()

	bytes, err := s.cfg.Aggregator.Aggregate(ctx, Round{Number: now.number, Workers: ids, Model: now.packed.Bytes})
	if err != nil {
		return false, err
	}
	packed := now.packed
	if bytes != nil {
		// Of a large model there will be two for a while: what others left is given back
		// before, and the older one afterwards.
		if len(bytes) > largeModel {
			s.polls.tidy.now()
			defer s.polls.tidy.now()
		}
		if packed, err = wire.PackModel(bytes); err != nil {
			return false, err
		}
	}
	next, err := newModel(now.number+1, s.base, packed)
	if err != nil {
		return false, err
	}
	if err := s.store.publish(next); err != nil {
		return false, err
	}
	next.published = time.Now()
	s.mu.Lock()
	s.round.publish()
	held := s.polls.Publish(next)
	s.changed()
	s.mu.Unlock()
	s.metrics.rounds.Inc()
	s.metrics.roundSeconds.Observe(next.published.Sub(now.published).Seconds())
	// Whoever waits for the new version need not wait for this.
	if err := s.store.clean(); err != nil {
		s.log.Warn("the files of the version before stay until the next start", "error", err)
	}
	s.log.Info("round ended", "round", now.number, "updates", len(ids), "timeout", expired, "version", next.version, "woken", held)
	return true, nil
}
