//go:build faulty

package server

import (
	"crypto/sha256"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/wire"
)

// The sizes of the planted faults.
const (
	slowBytes    = 18 << 10 // hashed in every request: about a fifth of the CPU that one takes
	memoryOfPoll = 1 << 10  // bytes more for a poll: about 30 %, with what the garbage collector leaves unused
	errorEvery   = 500      // requests
)

// plant plants the fault that FLTOOL_FAULT names: slow, memory, descriptor,
// errors or none. It panics on another name: a fault that is not there would be
// a fault that is not found. What a poll takes it keeps for ever.
func plant(h http.Handler) http.Handler {
	f := &fault{next: h}
	switch name := os.Getenv("FLTOOL_FAULT"); name {
	case "none":
	case "slow":
		f.before = func(*http.Request) { burn() }
	case "memory":
		f.before = onPoll(f.leakMemory)
	case "descriptor":
		f.before = onPoll(leakDescriptor)
	case "errors":
		f.fails = func() bool { return f.requests.Add(1)%errorEvery == 0 }
	default:
		panic("FLTOOL_FAULT names no fault: " + name)
	}
	return f
}

type fault struct {
	next     http.Handler
	before   func(*http.Request)
	fails    func() bool
	requests atomic.Int64

	mu   sync.Mutex
	kept *kept
}

type kept struct {
	bytes []byte
	next  *kept
}

func (f *fault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.fails != nil && f.fails() {
		http.Error(w, "planted", http.StatusInternalServerError)
		return
	}
	if f.before != nil {
		f.before(r)
	}
	f.next.ServeHTTP(w, r)
}

func onPoll(do func()) func(*http.Request) {
	return func(r *http.Request) {
		if r.URL.Path == wire.PathPoll {
			do()
		}
	}
}

func (f *fault) leakMemory() {
	b := make([]byte, memoryOfPoll)
	for i := range b {
		b[i] = byte(i) // memory that is not written to is not there
	}
	f.mu.Lock()
	f.kept = &kept{b, f.kept}
	f.mu.Unlock()
}

func leakDescriptor() {
	if _, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		panic(err)
	}
}

var zeros [slowBytes]byte

// burn is a fixed amount of work, as slower code is: what it takes varies with
// the machine's pace.
func burn() {
	if sum := sha256.Sum256(zeros[:]); sum == [sha256.Size]byte{} {
		panic("a hash of nothing but zeros")
	}
}
