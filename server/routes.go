package server

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/fltool/fltool/server/wire"
)

// methods is the handlers of one path by their method.
type methods map[string]http.HandlerFunc

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := m[r.Method]
	if h == nil && r.Method == http.MethodHead {
		h = m[http.MethodGet]
	}
	if h == nil {
		allow := make([]string, 0, len(m))
		for method := range m {
			allow = append(allow, method)
		}
		slices.Sort(allow)
		w.Header().Set("Allow", strings.Join(allow, ", "))
		answer(w, http.StatusMethodNotAllowed, "Method not allowed.")
		return
	}
	h(w, r)
}

// routes finds the handlers of a path. Those that workers ask for all the time are
// found by comparison; mux, which knows all, matches a regular expression for each.
type routes struct {
	all     *mux.Router
	paths   map[string]methods
	workers map[string]methods // of the path before a worker's id
}

// anyWorker is the part of a path that names a worker, as mux has it.
const anyWorker = "/{worker}"

func (s *Server) newRoutes() http.Handler {
	rs := routes{
		all: mux.NewRouter().SkipClean(true),
		paths: map[string]methods{
			wire.PathRegister: {"POST": s.handleRegister},
			wire.PathPoll:     {"POST": s.handlePoll},
			wire.PathModel:    {"POST": s.handleModel},
		},
		workers: map[string]methods{
			wire.PathChallenge: {"GET": s.handleChallenge},
			wire.PathUpdate:    {"POST": s.handleUpdate},
		},
	}
	for path, m := range rs.paths {
		rs.all.Handle(path, m)
	}
	for path, m := range rs.workers {
		rs.all.Handle(path+anyWorker, m)
	}
	if !s.cfg.AdminApart {
		s.routeAdmin(rs.all)
	}
	rs.all.NotFoundHandler = http.HandlerFunc(notFound)
	return rs
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusNotFound, "Not found.")
}

func (rs routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m := rs.paths[r.RequestURI]; m != nil {
		m.ServeHTTP(w, r)
		return
	}
	if path, id := splitWorker(r.RequestURI); isWord(id) && rs.workers[path] != nil {
		rs.workers[path].ServeHTTP(w, r)
		return
	}
	rs.all.ServeHTTP(w, r)
}

// splitWorker splits a target before the last of its parts.
func splitWorker(target string) (path, id string) {
	last := strings.LastIndexByte(target, '/')
	return target[:max(last, 0)], target[last+1:]
}

// workerOf is the worker that a path names.
func workerOf(r *http.Request) string {
	if id, routed := mux.Vars(r)["worker"]; routed {
		return id
	}
	_, id := splitWorker(r.RequestURI)
	return id
}

// refuse counts a refusal and sends its text.
func (s *Server) refuse(w http.ResponseWriter, route, reason string, status int, text string) {
	s.metrics.refused(route, reason)
	answer(w, status, text)
}

// malformed answers a message that could not be decoded. Some routes wrap the
// text in JSON, as upstream's do.
func (s *Server) malformed(w http.ResponseWriter, route string, err error, wrap func(string) string) {
	var missing wire.MissingKeys
	switch {
	case errors.As(err, &missing):
		s.refuse(w, route, "missing keys", http.StatusOK, wrap(missing.Error()))
	case errors.Is(err, wire.ErrMalformed):
		s.refuse(w, route, "malformed", http.StatusBadRequest, wrap("Invalid JSON."))
	default:
		// The client was cut off or too slow; it may or may not still listen.
		s.refuse(w, route, "unreadable", http.StatusBadRequest, wrap("The request could not be read."))
	}
}

func asIs(text string) string { return text }

// failed answers what is our fault.
func (s *Server) failed(w http.ResponseWriter, route string, err error) {
	s.log.Error("request failed", "route", route, "error", err)
	s.refuse(w, route, "failed", http.StatusInternalServerError, "Internal server error.")
}

func (s *Server) handleRegister(w http.ResponseWriter, r *http.Request) {
	const route = "register"
	var m wire.Register
	err := decode(w, r, &m, "public_key_str", "signed_phrase")
	var missing wire.MissingKeys
	if errors.As(err, &missing) {
		// Without a signature the worker is refused as one with a bad signature.
		missing = slices.DeleteFunc(missing, func(key string) bool { return key == "signed_phrase" })
		err = nil
		if len(missing) > 0 {
			err = missing
		}
	}
	if err != nil {
		s.malformed(w, route, err, asIs)
		return
	}
	v := visitOf(w, r)
	id, text, err := s.register(v, m)
	switch {
	case errors.Is(err, errFull):
		s.refuse(w, route, "full", http.StatusServiceUnavailable, TextFull)
	case err != nil:
		s.failed(w, route, err)
	case text == TextTooFast:
		s.slowDown(w, "worker", false)
	case text != "":
		s.refuse(w, route, "invalid", http.StatusOK, text)
	default:
		s.metrics.accepted(route)
		s.gate.proved(v, id)
		answer(w, http.StatusOK, id)
		s.polls.Rest(w, r, id) // its worker may train now
	}
}

// register gives a worker's id, or the text of a refusal.
func (s *Server) register(v *visit, m wire.Register) (id, refusal string, err error) {
	if s.cfg.Unsafe {
		id = newUnsafeID()
		s.gate.waits(v)
		_, err := s.change(id, func(*worker) (*worker, bool) { return &worker{registered: true}, true })
		return id, "", err
	}
	id = m.PublicKey
	s.mu.Lock()
	w := s.workers.workers[id]
	s.mu.Unlock()
	if w == nil {
		return "", wire.TextInvalid, nil
	}
	if _, err := s.verifier.open(v, w.key, m.SignedPhrase, func(message []byte) bool { return string(message) == wire.RegisterPhrase }); err != nil {
		return "", wire.TextInvalid, nil
	}
	if !s.senders.allow(id, time.Now()) {
		return "", TextTooFast, nil
	}
	s.gate.waits(v)
	known, err := s.setRegistered(id, true)
	if err == nil && !known {
		return "", wire.TextInvalid, nil // removed meanwhile
	}
	return id, "", err
}

func (s *Server) handleChallenge(w http.ResponseWriter, r *http.Request) {
	id := workerOf(r)
	s.mu.Lock()
	known := s.workers.workers[id] != nil
	s.mu.Unlock()
	if !known {
		s.refuse(w, "challenge", "invalid", http.StatusOK, wire.TextInvalid)
		return
	}
	s.metrics.accepted("challenge")
	answer(w, http.StatusOK, s.challenges.issue(id, time.Now()))
	if worker := s.gate.workerOf(visitOf(w, r)); worker != "" && r.Body == http.NoBody { // anybody may ask
		s.polls.Rest(w, r, worker)
	}
}

func (s *Server) handlePoll(w http.ResponseWriter, r *http.Request) {
	const route = "poll"
	var m wire.Poll
	if err := decode(w, r, &m, "worker_id", "last_worker_model_version", "signed_phrase"); err != nil {
		s.malformed(w, route, err, wire.ErrorText)
		return
	}
	if !s.admit(w, r, route, m.WorkerID, s.standing(visitOf(w, r), m.WorkerID, m.SignedPhrase)) {
		return
	}
	s.polls.Park(w, r, m.WorkerID, m.LastVersion)
}

func (s *Server) handleModel(w http.ResponseWriter, r *http.Request) {
	const route = "model"
	var m wire.ModelRequest
	if err := decode(w, r, &m, "worker_id", "signed_phrase"); err != nil {
		s.malformed(w, route, err, wire.ErrorText)
		return
	}
	if now := s.standing(visitOf(w, r), m.WorkerID, m.SignedPhrase); now == stale {
		s.metrics.refused(route, now.reason())
		answer(w, http.StatusOK, wire.NoModel)
		return
	} else if !s.admit(w, r, route, m.WorkerID, now) {
		return
	}
	s.polls.Fetched(m.WorkerID) // what it is being sent is waited for
	now := s.model.Load()
	begin(w, http.StatusOK, now.size())
	if d, is := w.(*response); is && now.size() > blobBytes {
		d.blob = net.Buffers{now.packed.Start, now.end}
		return
	}
	// A client that is gone needs no model.
	_, _ = w.Write(now.packed.Start)
	_, _ = w.Write(now.end)
	s.polls.Rest(w, r, m.WorkerID) // it does train now
}

// standing is what the sender of an answered challenge may do: those that are not the
// worker's are unknown.
func (s *Server) standing(v *visit, id, phrase string) standing {
	s.mu.Lock()
	now, key := s.workers.standing(id)
	s.mu.Unlock()
	if now == unknown || s.cfg.Unsafe {
		return now
	}
	resumed := now == member && time.Since(s.resumed) < challengeLife
	message, err := s.verifier.open(v, key, phrase, func(message []byte) bool {
		return resumed || s.challenges.open(id, message, time.Now())
	})
	switch {
	case err != nil:
		return unknown
	case s.challenges.use(id, message, time.Now()):
		return now
	case resumed:
		return stale
	}
	return unknown // another was faster
}

// admit says whether a worker may go on; if not, it is told so.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, route, id string, now standing) bool {
	if now != member {
		text := now
		if now == stale {
			text = unknown
		}
		s.refuse(w, route, now.reason(), http.StatusOK, string(text))
		return false
	}
	if !s.senders.allow(id, time.Now()) {
		s.slowDown(w, "worker", route == "model")
		return false
	}
	s.metrics.accepted(route)
	s.gate.proved(visitOf(w, r), id)
	return true
}
