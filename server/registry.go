package server

import (
	"crypto/ed25519"
	"slices"

	"github.com/fltool/fltool/server/wire"
)

// worker is what the server knows about one.
type worker struct {
	key        ed25519.PublicKey // nil in unsafe mode
	registered bool
	listed     bool // its key is of the key list
	excused    bool // the admin unregistered it, and it has not come back since
	order      int  // of being added
}

// awaited says whether a round of All waits for the worker.
func (w *worker) awaited() bool { return w.listed && !w.excused }

// registry is the workers that may take part. Its owner locks.
type registry struct {
	workers    map[string]*worker
	registered int // how many are
	added      int // ever
}

func newRegistry() *registry { return &registry{workers: map[string]*worker{}} }

func (r *registry) add(id string, w worker) {
	w.order = r.added
	r.added++
	if w.registered {
		r.registered++
	}
	r.workers[id] = &w
}

// register sets whether a worker is registered and says whether there is one. Who
// is unregistered is excused until it registers.
func (r *registry) register(id string, registered bool) (known bool) {
	w := r.workers[id]
	if w == nil {
		return false
	}
	switch {
	case registered && !w.registered:
		r.registered++
	case w.registered && !registered:
		r.registered--
	}
	w.registered, w.excused = registered, !registered
	return true
}

func (r *registry) remove(id string) (known bool) {
	w := r.workers[id]
	if w == nil {
		return false
	}
	if w.registered {
		r.registered--
	}
	delete(r.workers, id)
	return true
}

// ids gives all workers in the order in which they were added.
func (r *registry) ids() []string {
	ids := make([]string, 0, len(r.workers))
	for id := range r.workers {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return r.workers[a].order - r.workers[b].order })
	return ids
}

// standing is what a worker may do.
type standing string

const (
	unknown      standing = wire.TextInvalid
	unregistered standing = wire.TextUnregistered
	member       standing = ""
)

// reason is a standing in the metrics.
func (s standing) reason() string {
	if s == unregistered {
		return "unregistered"
	}
	return "invalid"
}

// standing says what a worker may do, and its key if it is known.
func (r *registry) standing(id string) (standing, ed25519.PublicKey) {
	switch w := r.workers[id]; {
	case w == nil:
		return unknown, nil
	case !w.registered:
		return unregistered, w.key
	default:
		return member, w.key
	}
}
