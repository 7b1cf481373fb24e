package server

import (
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"sync"
	"time"
)

// Memory is tidied up tidyAfter the first tidyEvery arrivals since the last time. While
// polls come again in rounds, which make the same garbage over and over, it waits until none
// has come for as long, tidyLatest at most.
const (
	tidyAfter  = 600 * time.Millisecond
	tidyEvery  = 32
	tidyLatest = 5 * time.Second
)

// Garbage is collected when there is as much of it as gcPercent of the heap. Of a few
// MB that would be many times a round, which took a tenth of the CPU: so ballastBytes
// count as heap. Go's 100 percent would double what thousands of encrypted connections
// keep, and half of what 15,000 keep is 80 MB: of a large heap no more than mostGarbage is
// waited for, in bytes, unless that is less than leastPercent.
const (
	gcPercent    = 50
	leastPercent = 15
	mostGarbage  = 28 << 20
	ballastBytes = 32 << 20
)

// percentOf is how much garbage to wait for with a heap of so many bytes, ballast
// included.
func percentOf(live uint64) int {
	return max(leastPercent, min(gcPercent, int(mostGarbage*100/max(live, 1))))
}

// tidy sees to it that what many arrivals leave behind, several times what they
// need while they are held, goes back to the system. Go would do it minutes later:
// while all are held, nothing allocates, so nothing collects.
type tidy struct {
	ballast []byte // counts as heap, and takes no memory: nobody writes to it

	mu     sync.Mutex
	count  int       // arrivals since the last time
	held   int       // with the last one
	most   int       // that were held at a time before
	latest time.Time // until when the next time may be put off
	timer  *time.Timer
}

func newTidy() *tidy {
	debug.SetGCPercent(gcPercent) // of the process, which a server has for itself
	t := &tidy{ballast: make([]byte, ballastBytes)}
	t.timer = time.AfterFunc(tidyAfter, t.now)
	t.timer.Stop()
	return t
}

// arrived notes one more poll, with which so many are held.
func (t *tidy) arrived(held int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	again := held <= t.most
	t.held, t.most = held, max(t.most, held)
	t.count++
	switch {
	case t.count == tidyEvery:
		t.latest = time.Now().Add(tidyLatest)
		t.timer.Reset(tidyAfter)
	case again && t.count%tidyEvery == 0 && time.Until(t.latest) > tidyAfter:
		t.timer.Reset(tidyAfter)
	}
}

func (t *tidy) now() {
	t.mu.Lock()
	t.count, t.most = 0, t.held
	t.mu.Unlock()
	debug.FreeOSMemory()
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(live)
	debug.SetGCPercent(percentOf(live[0].Value.Uint64()))
}

func (t *tidy) stop() { t.timer.Stop() }
