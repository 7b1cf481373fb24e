package loadgen

import (
	"math/rand/v2"
	"time"
)

// move is what a worker does in a churn.
type move uint8

const (
	moveJoin move = iota
	moveLeave
	moveVanish
	moves // their number
)

// turn is one move of somebody's.
type turn struct {
	at   time.Duration // since the churn began
	move move
	pick uint64 // whose it is: any number
}

// moveRates are how often each move is made, a second in the mean. Some are above 0.
type moveRates [moves]float64

// turns gives one after the other, each independent of those before it: the same seed
// makes the same.
func (r moveRates) turns(seed uint64) func() turn {
	rng := rand.New(rand.NewPCG(seed, 0)) // #nosec G404 -- of a load, no secret
	sum := 0.
	for _, rate := range r {
		sum += rate
	}
	at := time.Duration(0)
	return func() turn {
		at += seconds(rng.ExpFloat64() / sum)
		which, x := move(0), rng.Float64()*sum
		for ; which < moves-1 && x >= r[which]; which++ {
			x -= r[which]
		}
		return turn{at, which, rng.Uint64()}
	}
}
