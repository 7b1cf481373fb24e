package server

import (
	"crypto/ed25519"
	"regexp"
	"slices"

	"github.com/fltool/fltool/server/wire"
)

// workerID is what an id looks like: a public key, or what newUnsafeID makes.
var workerID = regexp.MustCompile("^([0-9a-f]{64}|[0-9a-f]{56}" + wire.UnauthenticatedSuffix + ")$")

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

// register gives the worker registered or not. Who is unregistered is excused until
// it registers. A worker itself is never changed, so that who has one may read it.
func (w *worker) register(registered bool) *worker {
	next := *w
	next.registered, next.excused = registered, !registered
	return &next
}

// stored is the worker as the store keeps it; nil was removed.
func (w *worker) stored(id string) storedWorker {
	if w == nil {
		return storedWorker{ID: id, Removed: true}
	}
	return storedWorker{ID: id, Order: w.order, Registered: w.registered, Listed: w.listed, Excused: w.excused}
}

// registry is the workers that may take part. Its owner locks.
type registry struct {
	workers    map[string]*worker
	registered int // how many are
	added      int // ever
}

func newRegistry() *registry { return &registry{workers: map[string]*worker{}} }

// nextOrder is the order of a worker that is added now.
func (r *registry) nextOrder() int {
	r.added++
	return r.added - 1
}

// put adds a worker, or changes it.
func (r *registry) put(id string, w worker) {
	r.remove(id)
	if w.registered {
		r.registered++
	}
	r.workers[id] = &w
}

// remove removes a worker, if it is there.
func (r *registry) remove(id string) {
	if w := r.workers[id]; w != nil && w.registered {
		r.registered--
	}
	delete(r.workers, id)
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
	// A member that signed what is no challenge of this process, soon after its start:
	// one of the process before, or a proxy's error page, which dc_federated's workers
	// sign as well. Invalid Worker in place of a model would end it for good.
	stale standing = "stale"
)

// reason is a standing in the metrics.
func (s standing) reason() string {
	switch s {
	case unregistered:
		return "unregistered"
	case stale:
		return "stale"
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
