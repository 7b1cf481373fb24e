package loadgen

import "time"

// mostPlaces bounds the hits that are at work at once: vegeta never ends a goroutine
// that it has started, and more than keep the CPUs busy would be memory for nothing. As
// each is taken for soon at most, they are enough for 12,800 requests a second to a
// server that answers none of them.
const mostPlaces = 256

// shaken is how long a handshake may keep its place: it is work as much as waiting.
const shaken = 10 * soon

// places are what hits take while they work. One that waits for the network gives its
// place to another: the bound is on work, not on waiting. What is due meanwhile waits,
// and that is the generator's lag.
type places chan struct{}

func newPlaces(workers int) places { return make(places, min(workers, mostPlaces)) }

// without does what may wait long for the network, and gives the place away once it has
// taken so long. Without places it only does it.
func (p places) without(long time.Duration, f func()) {
	if p == nil {
		f()
		return
	}
	timer := time.AfterFunc(long, func() { <-p })
	f()
	if !timer.Stop() {
		p <- struct{}{}
	}
}
