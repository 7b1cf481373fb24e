package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/fltool/fltool/server/wire"
)

// admin is the one who may ask the routes below PathWorkers. Digests are compared,
// so that neither the time it takes nor its length tells of a secret.
type admin struct {
	set            bool
	name, password [sha256.Size]byte
}

func newAdmin(name, password string) admin {
	return admin{name != "" && password != "", sha256.Sum256([]byte(name)), sha256.Sum256([]byte(password))}
}

func (a *admin) is(name, password string) bool {
	n, p := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(password))
	return a.set && subtle.ConstantTimeCompare(n[:], a.name[:])&subtle.ConstantTimeCompare(p[:], a.password[:]) == 1
}

// Admin answers the admin's routes, and no others: for a listener of its own, with
// Config.AdminApart.
func (s *Server) Admin() http.Handler {
	all := mux.NewRouter().SkipClean(true)
	s.routeAdmin(all)
	all.NotFoundHandler = http.HandlerFunc(notFound)
	return s.handle(all)
}

func (s *Server) routeAdmin(all *mux.Router) {
	all.Handle(wire.PathWorkers, methods{"GET": s.asAdmin(s.listWorkers), "POST": s.asAdmin(s.addWorker)})
	all.Handle(wire.PathWorkers+anyWorker, methods{"PUT": s.asAdmin(s.setWorker), "DELETE": s.asAdmin(s.removeWorker)})
}

func (s *Server) asAdmin(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, password, given := r.BasicAuth()
		if !given {
			s.notAdmin(w)
			return
		}
		from := origin(r.RemoteAddr)
		good, busy := s.logins.attempt(from, func() bool { return s.admin.is(name, password) })
		if busy {
			w.Header().Set("Retry-After", "1")
			s.refuse(w, "admin", "too many logins", http.StatusTooManyRequests, "Too many failed logins.")
			return
		}
		if !good {
			s.log.Warn("a login as the admin failed", "from", r.RemoteAddr)
			s.logins.pause(r.Context())
			s.notAdmin(w)
			return
		}
		h(w, r)
	}
}

func (s *Server) notAdmin(w http.ResponseWriter) {
	w.Header().Set("Www-Authenticate", `Basic realm="private"`)
	s.refuse(w, "admin", "not the admin", http.StatusUnauthorized, "Access denied")
}

func (s *Server) listWorkers(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	list := make([]string, 0, len(s.workers.workers))
	for _, id := range s.workers.ids() {
		list = append(list, fmt.Sprintf(`{"worker_id": %s, "registered": %t}`, wire.QuoteJSON(id), s.workers.workers[id].registered))
	}
	s.mu.Unlock()
	s.log.Debug("admin", "did", "list", "from", r.RemoteAddr)
	s.metrics.accepted("admin")
	answer(w, http.StatusOK, "["+strings.Join(list, ", ")+"]")
}

func (s *Server) addWorker(w http.ResponseWriter, r *http.Request) {
	var m struct {
		PublicKey  string `json:"public_key_str"`
		Registered bool   `json:"registered"`
	}
	if err := decode(w, r, &m, "public_key_str", "registered"); err != nil {
		s.malformed(w, "admin", err, wire.ErrorText)
		return
	}
	id := m.PublicKey
	if s.cfg.Unsafe {
		id = newUnsafeID()
	}
	d := deed{r, "add", id, m.Registered}
	key, err := s.key(id)
	if err != nil {
		s.refuseAdmin(w, d, "bad key",
			wire.ErrorText("Unable to validate public key (short) "+wire.Short(id)+" - worker not added."))
		return
	}
	added, err := s.change(id, func(now *worker) (*worker, bool) {
		// A key of the key list that comes back is waited for, once it is registered.
		listed := s.listed.has(id)
		return &worker{key: key, registered: m.Registered, listed: listed, excused: listed && !m.Registered}, now == nil
	})
	if err == nil && !added {
		s.refuseAdmin(w, d, "exists", wire.ErrorText("Worker "+wire.Short(id)+" already exists."))
		return
	}
	if errors.Is(err, errFull) {
		s.refuseAdmin(w, d, "full", wire.ErrorText("Worker "+wire.Short(id)+" not added - "+errFull.Error()+"."))
		return
	}
	s.done(w, d, err, fmt.Sprintf(`{"success": "Successfully added worker %s.", "worker_id": %s, "registered": %t}`,
		wire.Short(id), wire.QuoteJSON(id), m.Registered))
}

func (s *Server) setWorker(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Registered bool `json:"registered"`
	}
	if err := decode(w, r, &m, "registered"); err != nil {
		s.malformed(w, "admin", err, wire.ErrorText)
		return
	}
	id := workerOf(r)
	d := deed{r, "set", id, m.Registered}
	known, err := s.setRegistered(id, m.Registered)
	if err == nil && !known {
		s.refuseAdmin(w, d, "invalid",
			wire.ErrorText("Attempt at changing worker status failed - please ensure this worker was added: Invalid ."))
		return
	}
	s.done(w, d, err, fmt.Sprintf(`{"success": "Successfully changed status for worker %s.", "worker_id": %s, "registered": %t}`,
		wire.Short(id), wire.QuoteJSON(id), m.Registered))
}

func (s *Server) removeWorker(w http.ResponseWriter, r *http.Request) {
	id := workerOf(r)
	d := deed{r, "remove", id, false}
	known, err := s.change(id, func(now *worker) (*worker, bool) { return nil, now != nil })
	if err == nil && !known {
		s.refuseAdmin(w, d, "invalid", wire.ErrorText("Attempt to remove unknown worker Invalid ."))
		return
	}
	s.done(w, d, err, fmt.Sprintf(`{"worker_id": %s, "success": "Successfully removed worker %s."}`, wire.QuoteJSON(id), wire.Short(id)))
}

// deed is what an admin asks for.
type deed struct {
	r          *http.Request
	did        string // add, set or remove
	worker     string
	registered bool // as it is to be
}

// audit writes a deed into the log; refused is why it was not done, "" if it was.
func (s *Server) audit(d deed, refused string) {
	worker := d.worker
	if !workerID.MatchString(worker) {
		worker = wire.Short(worker) // anything may stand there
	}
	about := []any{"did", d.did, "worker", worker, "registered", d.registered, "from", d.r.RemoteAddr}
	if refused != "" {
		about = append(about, "refused", refused)
	}
	s.log.Info("admin", about...)
}

func (s *Server) refuseAdmin(w http.ResponseWriter, d deed, reason, text string) {
	s.audit(d, reason)
	s.refuse(w, "admin", reason, http.StatusOK, text)
}

// done says that the admin changed a worker, or that it could not be stored.
func (s *Server) done(w http.ResponseWriter, d deed, err error, text string) {
	if err != nil {
		s.audit(d, "failed")
		s.failed(w, "admin", err)
		return
	}
	s.audit(d, "")
	s.metrics.accepted("admin")
	answer(w, http.StatusOK, text)
}

// newUnsafeID makes the id of a worker without a key, in the form of upstream's.
func newUnsafeID() string {
	var b [28]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return hex.EncodeToString(b[:]) + wire.UnauthenticatedSuffix
}
