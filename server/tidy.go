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

// ballastBytes is how much garbage there may be at least before it is collected.
// Go collects when the heap has doubled: of a few MB, which many times a round
// took a tenth of the CPU.
const ballastBytes = 16 << 20

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
