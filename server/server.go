// Package server is the reference long-poll federated-learning server, which real
// dc_federated workers use unchanged.
//
// The rooms: lot (where connections wait), gate (who comes in when), desks (plain
// requests; all others are net/http's), registry (workers), challenges, polls (holds
// and wakes), uploads (which updates may come) and shares (of the CPU, for them),
// round (when one ends; pure), Aggregator (the next model), store (what survives a
// crash).
// Server wires them and holds the one lock for registry and round.
package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	stdlog "log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fltool/fltool/server/lot"
)

// DefaultMaxUpdate is how large an update may be when Config does not say, in
// bytes before compression.
const DefaultMaxUpdate = 100_000_000

// Config is what a server is made of. Keys or Unsafe, and Model, must be given.
type Config struct {
	Keys   []string // public keys of the workers that may take part
	Unsafe bool     // anybody may, and nothing is checked; Keys must be empty

	Model        []byte        // the first version; not to be changed afterwards
	FirstVersion *int64        // of Model, at least 0; nil: 1. A state keeps its own
	Updates      UpdatePolicy  // which of a worker's updates counts in a round
	Round        Policy        // when a round ends; All is not for Unsafe
	RoundTimeout time.Duration // after its first update a round ends with what it has; 0: never
	MaxHold      time.Duration // after which a poll is ended with a text; 0: never
	MaxUpdate    int64         // bytes before compression; 0: DefaultMaxUpdate
	MaxInflation int64         // how many times its size an update may inflate to, above 1 MB; 0: DefaultMaxInflation
	MaxUploads   int           // updates on their way at a time; others wait; 0: DefaultMaxUploads
	MaxStrangers int           // connections of one address that are not workers'; 0: DefaultMaxStrangers
	StrangerIdle time.Duration // after which such a connection is closed; 0: DefaultStrangerIdle
	State        string        // directory that survives restarts; "": memory only
	KeepUpdates  bool          // as a Keeper in the directory updates below State, without another Aggregator
	KeepFree     int64         // bytes of the disk that it leaves free; 0: DefaultKeepFree
	Aggregator   Aggregator    // nil: Counter

	// Name and password of the admin; with either empty nobody is.
	AdminUsername, AdminPassword string
	AdminApart                   bool // its routes are Admin's alone

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
	lot        *lot.Lot
	gate       *gate
	polls      *polls
	uploads    *uploads
	shares     *shares
	store      *store
	admin      admin
	logins     logins
	base       int64     // the version before that of round 1
	resumed    time.Time // when it went on from a state; zero: it began anew

	model    atomic.Pointer[model]  // the current one; once there are polls, they store it
	trouble  atomic.Pointer[string] // why rounds can't end now, for whoever asks after our health
	unkept   atomic.Pointer[string] // why the last update could not be kept
	draining atomic.Bool

	mu      sync.Mutex // guards what follows
	workers *registry
	removed set // workers that the admin removed
	listed  set // the key list; never changes
	round   *round
	clock   *time.Timer // of the open round, nil if it does not run

	changes turns        // of changes to a worker
	storing turns        // of updates that replace a worker's earlier one
	running sync.RWMutex // read by every handler while it runs
	closed  bool

	events chan struct{} // has one when a round may be over
	stop   context.CancelFunc
	loop   sync.WaitGroup
}

// New makes a server; Close ends it. Its errors may wrap one of those about a state.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Unsafe && len(cfg.Keys) > 0:
		return nil, errors.New("an unsafe server has no key list")
	case cfg.Unsafe && cfg.Round == All:
		return nil, errors.New("an unsafe server does not know whom to wait for: a round needs a number or a percentage")
	case !cfg.Unsafe && len(cfg.Keys) == 0 && !newAdmin(cfg.AdminUsername, cfg.AdminPassword).set:
		return nil, errors.New("no keys, and no admin who could add one: no worker could take part")
	case !cfg.Unsafe && len(cfg.Keys) == 0 && cfg.Round == All:
		return nil, errors.New("no keys: a round of all has nobody to wait for, and needs a number or a percentage")
	case cfg.FirstVersion != nil && *cfg.FirstVersion < 0:
		return nil, errors.New("the first version is below 0")
	case cfg.KeepUpdates && (cfg.State == "" || cfg.Aggregator != nil):
		return nil, errors.New("updates are kept below a state, and without another aggregator")
	}
	if cfg.MaxUpdate == 0 {
		cfg.MaxUpdate = DefaultMaxUpdate
	}
	cfg.MaxUpdate = min(cfg.MaxUpdate, math.MaxInt64/2) // more is added to it
	cfg.MaxInflation = cmp.Or(cfg.MaxInflation, DefaultMaxInflation)
	cfg.MaxUploads = cmp.Or(cfg.MaxUploads, DefaultMaxUploads)
	cfg.MaxStrangers = cmp.Or(cfg.MaxStrangers, DefaultMaxStrangers)
	cfg.StrangerIdle = cmp.Or(cfg.StrangerIdle, DefaultStrangerIdle)
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
	s.lot = lot.New()
	s.gate = newGate(s.lot, cfg.MaxStrangers, cfg.StrangerIdle, s.openDesk)
	s.polls = newPolls(s.gate, s.lot, cfg.MaxHold, &s.model, func(d time.Duration) {
		s.metrics.fanOut.Observe(d.Seconds())
	})
	s.uploads, s.shares = newUploads(cfg.MaxUploads), newShares()
	s.routes = s.newRoutes()
	s.verifier = newVerifier()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.loop.Go(func() { s.closeRounds(ctx) })
	s.http = NewHTTP(plant(s.handle(s.routes)), s.log)
	s.http.ConnState, s.http.ConnContext = s.gate.state, s.gate.context
	s.http.IdleTimeout = cfg.StrangerIdle
	s.loop.Go(func() { _ = s.http.Serve(s.gate) }) // its only error is that of Shutdown
	s.mu.Lock()
	s.changed()
	s.mu.Unlock()
	return s, nil
}

// openDesk makes a desk for the server's requests.
func (s *Server) openDesk() *desk {
	return &desk{gate: s.gate, polls: s.polls, handler: s.http.Handler, log: s.log, wake: make(chan struct{}, 1), reader: newReader()}
}

// NewHTTP makes an http.Server for a handler like this package's. It speaks
// HTTP/1.1 alone, as the protocol does, and bounds the time of headers only: the
// handlers set their own deadlines, a held poll has none, and a worker may be
// silent for hours between two requests.
func NewHTTP(h http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: grace,
		IdleTimeout:       DefaultStrangerIdle,
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
func (s *Server) handle(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		h.ServeHTTP(w, r)
	})
}

// Serve answers what comes in on a listener, until Shutdown or Close, and then
// returns http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	if s.model.Load().packed.Size > largeModel {
		s.polls.tidy.now() // what the model was before it was packed is given back
	}
	err := s.http.Serve(s.gate.entrance(l))
	if s.draining.Load() {
		return http.ErrServerClosed
	}
	return err
}

// Held is the number of polls that are held now.
func (s *Server) Held() int { return s.polls.Held() }

// Close ends the server and its state, and cuts what is still going on.
func (s *Server) Close() error {
	err := s.http.Close()
	s.uploads.close()
	s.running.Lock() // once the last handler has ended
	s.closed = true
	s.running.Unlock()
	s.stop()
	s.loop.Wait()
	s.gate.desks.running.Wait()
	s.polls.Stop()
	s.lot.Close()
	s.mu.Lock()
	if s.clock != nil {
		s.clock.Stop()
	}
	s.mu.Unlock()
	s.verifier.close()
	return errors.Join(err, s.store.close())
}
