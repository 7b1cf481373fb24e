// Package server is the reference long-poll federated-learning server, which real
// dc_federated workers use unchanged.
//
// The rooms: gate (who comes in when), registry (workers), challenges, polls (holds
// and wakes), round (when one ends; pure), Aggregator (the next model), store (what
// survives a crash).
// Server wires them and holds the one lock for registry and round.
package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fltool/fltool/server/wire"
)

// DefaultMaxUpdate is how large an update may be when Config does not say, in
// bytes before compression.
const DefaultMaxUpdate = 100_000_000

// Config is what a server is made of. Keys or Unsafe, and Model, must be given.
type Config struct {
	Keys   []string // public keys of the workers that may take part
	Unsafe bool     // anybody may, and nothing is checked; Keys must be empty

	Model        []byte        // the first version; not to be changed afterwards
	Round        Policy        // when a round ends; All is not for Unsafe
	RoundTimeout time.Duration // after its first update a round ends with what it has; 0: never
	MaxHold      time.Duration // after which a poll is ended with a text; 0: never
	MaxUpdate    int64         // bytes before compression; 0: DefaultMaxUpdate
	State        string        // directory that survives restarts; "": memory only
	Aggregator   Aggregator    // nil: Counter

	// Name and password of the admin; with either empty nobody is.
	AdminUsername, AdminPassword string

	Log *slog.Logger // nil: none
}

// Server answers the protocol's routes. Serve makes it listen.
type Server struct {
	cfg        Config
	log        *slog.Logger
	routes     http.Handler
	http       *http.Server
	metrics    *metrics
	gathered   *prometheus.Registry // metrics, and those of Go and the process
	challenges *challenges
	verifier   *verifier
	gate       *gate
	polls      *polls
	store      *store
	admin      admin

	model    atomic.Pointer[model]  // the current one
	trouble  atomic.Pointer[string] // why rounds can't end now, for whoever asks after our health
	draining atomic.Bool

	mu      sync.Mutex // guards what follows
	workers *registry
	removed set // keys that the admin removed
	listed  set // the key list; never changes
	round   *round
	clock   *time.Timer // of the open round, nil if it does not run

	running sync.RWMutex // read by every handler while it runs
	closed  bool

	events chan struct{} // has one when a round may be over
	stop   context.CancelFunc
	loop   sync.WaitGroup
}

// New makes a server; Close ends it. Errors may wrap ErrStateMode or ErrStateBusy.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Unsafe && len(cfg.Keys) > 0:
		return nil, errors.New("an unsafe server has no key list")
	case cfg.Unsafe && cfg.Round == All:
		return nil, errors.New("an unsafe server does not know whom to wait for: a round needs a number or a percentage")
	case !cfg.Unsafe && len(cfg.Keys) == 0:
		return nil, errors.New("no keys: no worker could take part")
	}
	if cfg.MaxUpdate == 0 {
		cfg.MaxUpdate = DefaultMaxUpdate
	}
	cfg.MaxUpdate = min(cfg.MaxUpdate, math.MaxInt64/2) // more is added to it
	if cfg.Aggregator == nil {
		cfg.Aggregator = Counter{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, log: cfg.Log,
		challenges: newChallenges(time.Now()),
		admin:      newAdmin(cfg.AdminUsername, cfg.AdminPassword),
		workers:    newRegistry(), removed: set{}, listed: set{},
		events: make(chan struct{}, 1),
	}
	if err := s.restore(); err != nil {
		return nil, errors.Join(err, s.store.close())
	}
	s.metrics, s.gathered = newMetrics(s)
	s.gate = newGate()
	s.polls = newPolls(s.gate, cfg.MaxHold, s.model.Load(), func(d time.Duration) {
		s.metrics.fanOut.Observe(d.Seconds())
	})
	s.routes = s.newRoutes()
	s.verifier = newVerifier()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.loop.Go(func() { s.closeRounds(ctx) })
	s.http = NewHTTP(plant(http.HandlerFunc(s.handle)), s.log)
	s.http.ConnState = s.gate.state
	s.loop.Go(func() { _ = s.http.Serve(s.gate) }) // its only error is that of Shutdown
	s.mu.Lock()
	s.changed()
	s.mu.Unlock()
	return s, nil
}

// restore fills the server from its state, or from the configuration alone.
func (s *Server) restore() error {
	mode := "safe"
	if s.cfg.Unsafe {
		mode = "unsafe"
	}
	var old stored
	if s.cfg.State != "" {
		var err error
		if s.store, old, err = openStore(s.cfg.State, mode); err != nil {
			return err
		}
	}
	if err := s.restoreWorkers(old); err != nil {
		return err
	}
	number, bytes := int64(1), s.cfg.Model
	if old.version > 0 {
		number, bytes = old.version, old.model
		s.log.Info("continuing from the state", "version", number, "accepted", len(old.accepted[number]), "workers", len(s.workers.workers))
	}
	m, err := encodeModel(number, bytes)
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
	for n, ids := range old.accepted {
		for _, id := range ids {
			s.round.restore(id, n)
		}
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
			if err := s.add(id, worker{registered: w.Registered, listed: s.listed.has(id), excused: w.Excused}); err != nil {
				return err
			}
		}
	}
	fresh := map[string]storedWorker{}
	for _, id := range s.cfg.Keys {
		if s.removed.has(id) || s.workers.workers[id] != nil {
			continue
		}
		if err := s.add(id, worker{listed: true}); err != nil {
			return err
		}
		fresh[id] = s.stored(id)
	}
	return s.store.putWorkers(fresh, gone)
}

// add adds a worker of that id, which in safe mode must be a public key.
func (s *Server) add(id string, w worker) error {
	if !s.cfg.Unsafe {
		key, err := wire.ParsePublicKey(id)
		if err != nil {
			return fmt.Errorf("worker %s: %w", wire.Short(id), err)
		}
		w.key = key
	}
	s.workers.add(id, w)
	return nil
}

// stored is a worker as the store keeps it.
func (s *Server) stored(id string) storedWorker {
	w := s.workers.workers[id]
	if w == nil {
		return storedWorker{Removed: true}
	}
	return storedWorker{Order: w.order, Registered: w.registered, Listed: w.listed, Excused: w.excused}
}

// keep stores a worker after a change.
func (s *Server) keep(id string) error {
	return s.store.putWorker(id, func() storedWorker {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.stored(id)
	})
}

// NewHTTP makes an http.Server for a handler like this package's. It speaks
// HTTP/1.1 alone, as the protocol does, and bounds the time of headers only: the
// handlers set their own deadlines, a held poll has none, and a worker may be
// silent for hours between two requests.
func NewHTTP(h http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: grace,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          stdlog.New(httpErrors{log}, "", 0),
		Protocols:         new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	return s
}

// httpErrors takes what net/http logs. Most of it is about clients that went
// away; that none can connect any more, for want of descriptors, an operator must
// see.
type httpErrors struct{ log *slog.Logger }

func (e httpErrors) Write(p []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.HasPrefix(p, []byte("http: Accept error")) {
		level = slog.LevelWarn
	}
	e.log.Log(context.Background(), level, strings.TrimSpace(string(p)))
	return len(p), nil
}

// handle runs a handler, unless the server has ended.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	s.running.RLock()
	defer s.running.RUnlock()
	if s.closed {
		return
	}
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	if r.Body != http.NoBody {
		// For what no handler reads; those that do set their own. As in begin. And
		// leave to send the body must get through, however long ago the last answer was.
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(grace))
		_ = control.SetWriteDeadline(time.Time{})
	}
	s.routes.ServeHTTP(w, r)
}

// Serve answers what comes in on a listener, until Shutdown or Close, and then
// returns http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(s.gate.entrance(l))
	if s.draining.Load() {
		return http.ErrServerClosed
	}
	return err
}

// Shutdown closes the listeners, answers all held polls and refuses those that
// still come, with a text each time, since a poll that is cut ends a real worker
// for good. Whoever has asked for something gets it; it waits for uploads and
// downloads to end, or for the context to.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.gate.closeEntrances()
	s.polls.Drain()
	s.gate.settle(ctx)
	return s.http.Shutdown(ctx)
}

// Held is the number of polls that are held now.
func (s *Server) Held() int { return s.polls.Held() }

// Close ends the server and its state, and cuts what is still going on.
func (s *Server) Close() error {
	err := s.http.Close()
	s.running.Lock() // once the last handler has ended
	s.closed = true
	s.running.Unlock()
	s.stop()
	s.loop.Wait()
	s.polls.Stop()
	s.mu.Lock()
	if s.clock != nil {
		s.clock.Stop()
	}
	s.mu.Unlock()
	s.verifier.close()
	return errors.Join(err, s.store.close())
}
