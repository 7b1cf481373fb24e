package loadgen

import (
	"runtime"
	"sync/atomic"
)

// hands run what needs a deep stack, such as dialling or parsing an answer, for
// goroutines that wait long and would keep that stack meanwhile: it is most of
// what a held poll costs.
type hands struct {
	work chan hand
	idle atomic.Int64
	quit chan struct{}
}

type hand struct {
	do   func()
	done chan struct{}
}

func newHands() *hands {
	return &hands{work: make(chan hand), quit: make(chan struct{})}
}

// do runs f on another goroutine and returns when it has ended.
func (h *hands) do(f func()) {
	job := hand{f, make(chan struct{})}
	select {
	case h.work <- job:
	default:
		go h.help(job)
	}
	<-job.done
}

// help does one job and then those that come while it is one of the few idle.
func (h *hands) help(job hand) {
	for {
		job.do()
		close(job.done)
		if h.idle.Add(1) > 4*int64(runtime.GOMAXPROCS(0)) {
			h.idle.Add(-1)
			return
		}
		select {
		case job = <-h.work:
			h.idle.Add(-1)
		case <-h.quit:
			h.idle.Add(-1)
			return
		}
	}
}

// stop ends the idle ones.
func (h *hands) stop() { close(h.quit) }
