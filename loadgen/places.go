package loadgen

import (
	"runtime"
	"time"
)

// mostPlaces bounds the hits that there are at once: vegeta never ends a goroutine
// that it has started, and more than keep the CPUs busy would be memory for nothing. As
// each is taken for soon at most by what waits for a connection, they are enough for
// 12,800 connections a second to a server that accepts none of them.
const mostPlaces = 256

// handsEach is how many hits work at once, or wait for who is due, for each CPU.
const handsEach = 2

// soon is how long what waits for a connection or for an upload to be taken keeps its
// place.
const soon = 20 * time.Millisecond

// shaken is how long a handshake may keep its place: it is work as much as waiting.
const shaken = 10 * soon

// places are what hits take: a place as long as they last, a hand while they work. One
// that waits for the network gives its hand to another, and after a while its place: the
// bound is on work, not on waiting. Who is due meanwhile waits, and that is the
// generator's lag.
type places struct{ hits, hands chan struct{} }

func newPlaces(workers int) places {
	hands := min(workers, handsEach*runtime.GOMAXPROCS(0))
	return places{hits: make(chan struct{}, hands+min(workers, mostPlaces)), hands: make(chan struct{}, hands)}
}

// most is how many hits there are at most, with those that wait for long for the network.
func (p places) most(workers int) int { return cap(p.hands) + max(workers, cap(p.hits)) }
