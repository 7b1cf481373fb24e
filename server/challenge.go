package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"sync"
	"time"
)

// challengeLife is how long a challenge may be answered: far longer than a worker
// needs, and short enough that one that leaked is soon worth nothing.
const challengeLife = 5 * time.Minute

// challenges makes phrases for workers to sign and knows them again. A phrase
// carries its own proof, an HMAC over the worker, the time and a serial number
// with a key that lives as long as the process: one that is never answered costs
// no memory, and asking for one can't spoil another's. What was used is one bit
// until it has expired.
type challenges struct {
	macs  sync.Pool // of hash.Hash, with the key
	start time.Time // what issue times count from, monotonic

	mu       sync.Mutex
	serial   uint64 // of the next phrase
	now, old generation
	swapped  time.Duration // since start: when now began
}

// generation is the serial numbers of a span of at least challengeLife, with a
// bit for each that was used.
type generation struct {
	first uint64
	used  []uint64
}

// The parts of a phrase, in bytes; the phrase is their hex.
const (
	phraseTime   = 4 // seconds since start
	phraseSerial = 8
	phraseMAC    = 16
	phraseSize   = phraseTime + phraseSerial + phraseMAC
)

func newChallenges(start time.Time) *challenges {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails, says its documentation
	return &challenges{start: start, macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key[:]) }}}
}

// issue gives a new phrase of 56 hex characters for a worker.
func (c *challenges) issue(worker string, at time.Time) string {
	var b [phraseSize]byte
	since := at.Sub(c.start)
	c.mu.Lock()
	c.turn(since)
	serial := c.serial
	c.serial++
	c.mu.Unlock()
	binary.BigEndian.PutUint32(b[:], uint32(since/time.Second))
	binary.BigEndian.PutUint64(b[phraseTime:], serial)
	c.sign(&b, worker)
	var text [2 * phraseSize]byte
	hex.Encode(text[:], b[:])
	return string(text[:])
}

// open says whether a phrase may still be used.
func (c *challenges) open(worker string, phrase []byte, at time.Time) bool {
	return c.ask(worker, phrase, at, func(g *generation, serial uint64) bool { return !g.has(serial) })
}

// use is open and makes the phrase used: of any number of calls one is true.
func (c *challenges) use(worker string, phrase []byte, at time.Time) bool {
	return c.ask(worker, phrase, at, (*generation).take)
}

// ask asks something of the serial number of a phrase that is valid and has not expired;
// of any other it is false.
func (c *challenges) ask(worker string, phrase []byte, at time.Time, what func(*generation, uint64) bool) bool {
	serial, ok := c.valid(worker, phrase, at)
	if !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(at.Sub(c.start))
	g := c.of(serial)
	return g != nil && what(g, serial)
}

// of is the generation of a serial number; nil if it is older than both, and so has
// expired. The lock is held.
func (c *challenges) of(serial uint64) *generation {
	switch {
	case serial >= c.now.first:
		return &c.now
	case serial >= c.old.first:
		return &c.old
	}
	return nil
}

// at is the word and the bit of a serial number.
func (g *generation) at(serial uint64) (word, bit uint64) {
	n := serial - g.first
	return n / 64, 1 << (n % 64)
}

// has says whether a serial number was used.
func (g *generation) has(serial uint64) bool {
	word, bit := g.at(serial)
	return word < uint64(len(g.used)) && g.used[word]&bit != 0
}

// take makes one used and says whether it was not.
func (g *generation) take(serial uint64) bool {
	if g.has(serial) {
		return false
	}
	word, bit := g.at(serial)
	for uint64(len(g.used)) <= word {
		g.used = append(g.used, 0)
	}
	g.used[word] |= bit
	return true
}

// valid checks all of a phrase but whether it was used.
func (c *challenges) valid(worker string, phrase []byte, at time.Time) (serial uint64, ok bool) {
	var b [phraseSize]byte
	if len(phrase) != hex.EncodedLen(phraseSize) {
		return 0, false
	}
	if _, err := hex.Decode(b[:], phrase); err != nil {
		return 0, false
	}
	got := b
	c.sign(&b, worker)
	if !hmac.Equal(got[:], b[:]) {
		return 0, false
	}
	issued := time.Duration(binary.BigEndian.Uint32(b[:])) * time.Second
	return binary.BigEndian.Uint64(b[phraseTime:]), at.Sub(c.start)-issued < challengeLife
}

func (c *challenges) sign(b *[phraseSize]byte, worker string) {
	mac := c.macs.Get().(hash.Hash)
	defer c.macs.Put(mac)
	mac.Reset()
	mac.Write(b[:phraseTime+phraseSerial])
	mac.Write([]byte(worker))
	copy(b[phraseTime+phraseSerial:], mac.Sum(nil))
}

// turn begins a new generation when the current one has lived long enough. What
// the older one held has expired by then.
func (c *challenges) turn(since time.Duration) {
	if since-c.swapped < challengeLife {
		return
	}
	c.old, c.now = c.now, generation{first: c.serial}
	c.swapped = since
}
