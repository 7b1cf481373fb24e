package server

import (
	"runtime/debug"
	"sync"
	"time"
)

// Memory is tidied up tidyAfter the first tidyEvery arrivals since the last time.
const (
	tidyAfter = time.Second
	tidyEvery = 32
)

// Garbage is collected when there is as much of it as gcPercent of the heap. Of a few
// MB that would be many times a round, which took a tenth of the CPU: so ballastBytes
// count as heap. Go's 100 percent would double what thousands of encrypted connections
// keep.
const (
	gcPercent    = 50
	ballastBytes = 32 << 20
)

// tidy sees to it that what many arrivals leave behind, several times what they
// need while they are held, goes back to the system. Go would do it minutes later:
// while all are held, nothing allocates, so nothing collects.
type tidy struct {
	ballast []byte // counts as heap, and takes no memory: nobody writes to it

	mu    sync.Mutex
	count int // arrivals since the last time
	timer *time.Timer
}

func newTidy() *tidy {
	debug.SetGCPercent(gcPercent) // of the process, which a server has for itself
	t := &tidy{ballast: make([]byte, ballastBytes)}
	t.timer = time.AfterFunc(tidyAfter, t.now)
	t.timer.Stop()
	return t
}

func (t *tidy) arrived() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count++; t.count == tidyEvery {
		t.timer.Reset(tidyAfter)
	}
}

func (t *tidy) now() {
	t.mu.Lock()
	t.count = 0
	t.mu.Unlock()
	debug.FreeOSMemory()
}

func (t *tidy) stop() { t.timer.Stop() }
