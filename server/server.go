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
	"context"
	"crypto/tls"
	"errors"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fltool/fltool/server/lot"
)

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
	full       *fullness
	addresses  *rates
	senders    *rates // by worker, as far as that is proved
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
	adding  int // workers that are being stored
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
	if err := cfg.complete(); err != nil {
		return nil, err
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
	s.full = newFullness(cfg.MaxConnections, cfg.MaxMemory)
	s.addresses, s.senders = newRates(cfg.AddressRate), newRates(cfg.WorkerRate)
	s.gate = newGate(s.lot, s.full, cfg.MaxStrangers, cfg.StrangerIdle, s.openDesk)
	s.gate.away = s.turnAway
	s.polls = newPolls(s.gate, cfg.MaxHold, &s.model, func(d time.Duration) {
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
		if s.tooFast(w, r) {
			return
		}
		h.ServeHTTP(w, r)
		s.gate.takeBack(w, r)
	})
}

// Serve takes a listener over, and answers what comes in on it until Shutdown or Close; then
// it returns http.ErrServerClosed. Closing the listener itself does not end it.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, nil) }

// serve is Serve or, with a configuration for TLS, ServeTLS.
func (s *Server) serve(l net.Listener, cfg *tls.Config) error {
	if s.model.Load().packed.Size > largeModel {
		s.polls.tidy.now() // what the model was before it was packed is given back
	}
	e, err := s.gate.entrance(l, cfg)
	if err != nil {
		_ = l.Close()
		return err
	}
	err = s.http.Serve(e)
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
