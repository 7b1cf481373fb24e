package loadgen

import (
	"crypto/ed25519"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// worker is one simulated worker. Its fields belong to whoever has its request:
// the stepper while none is under way, the transport while one is.
type worker struct {
	index int
	no    int                          // number of its key
	key   ed25519.PrivateKey           // nil for a server without key list
	own   [ed25519.PrivateKeySize]byte // what key is in, see with
	id    string                       // what the server named it; "" until registered
	rng   rand.PCG

	step    step          // of the request that is due or under way
	goal    step          // what a challenge is fetched for: stepPoll or stepModel
	signed  string        // signed phrase of the next poll or model request
	update  string        // signed phrase of its update, which never changes
	version wire.Version  // of the model that it has; "" before the first
	settled bool          // its update of that version was accepted, or refused for good
	due     time.Duration // of its next request, since the start of the run
	seq     uint64        // of its last request among those of the same step

	told     bool          // of a new model that it does not have yet
	rounds   int           // it has been through
	over     bool          // a quorum has ended as many rounds as asked for, and it needs no more of them
	progress time.Duration // when it last got on
	failures int           // since then
	tries    int           // of its request before this one, where dc_federated's workers send one again
	last     *failure      // the last of them
	timed    bool          // its request is due at a moment, not as soon as may be
	known    bool          // has registered
	polled   bool          // has sent a poll of the plan's Hold
	parked   bool          // one of them was held
	waits    bool          // the keeper, with its poll for the plan's Hold, for all others
	phase    phase         // in the census
	waited   int           // challenges that it asked for meanwhile
	mute     bool          // not one byte answered its last request, which was not a held poll
	owed     bool          // its last poll was to be held, and the server's answer did not come
	dropped  class         // how its held poll was lost first, if it was
	through  bool          // with its rounds, if it had any, and told of the last one's end
	fresh    bool          // the next model must be decoded, not only compared
	doubt    time.Duration // when the one was asked for that was unlike all others
	raced    [steps]bool   // an idle connection ended under its request of that step, since it last got on
	abandons int           // polls that it has abandoned
	seen     []class       // of errors that it was counted in

	hit   *hit // that has its request
	conn  atomic.Pointer[conn]
	stay  stay    // of its request, where that parked
	alarm alarm   // of its stays
	out   outcome // of the last request
}

// with gives the worker its key. What crypto/ed25519 has computed of a key it finds by the
// key's address, among all in the same 8 KB of memory: there are 128 keys in them, each
// with two entries, and 12 workers. A worker with a key must not be copied.
func (w *worker) with(key ed25519.PrivateKey) {
	copy(w.own[:], key)
	w.key = w.own[:]
}

// outcome is what became of a request, as the transport saw it. Times are since
// the start of the run.
type outcome struct {
	fail      *failure
	status    int          // 0 where no answer came
	text      string       // of every answer but a model
	version   wire.Version // of a model; "" where it must be fetched again to be known
	published int64        // of a poll's answer: ns since the epoch by the server's word, 0 if it said nothing
	begun     bool         // else the run had ended before it was sent
	sent      time.Duration
	pressed   bool          // it was sent while server and generator together had all CPUs
	answered  time.Duration // first byte of the answer had come; 0 where none came
	done      time.Duration // all of the answer had come, or it failed
	bytesOut  int64
	bytesIn   int64
	held      bool // a poll that carried a version, so was meant to be held, and was sent
	late      bool // an update that was refused, since its round had its quorum
	forgone   bool // an update that was refused and is not sent again
}

// fate is what becomes of a worker after an outcome.
type fate uint8

const (
	fateNext fate = iota // it has a next request, after a delay
	fateDone
	fateLost
	fateGone // it has left the fleet, and may come back
)

// heldLong is how long a poll must have gone unanswered to have been held: one that
// is refused or ended at once was not, and is asked again with back-off.
const heldLong = time.Second

// review judges what only the worker can know of its last request's outcome, before
// that is booked.
func (w *worker) review(p *Plan) {
	o := &w.out
	f := o.fail
	switch {
	case o.held || f == nil:
		w.mute = false
	case f.class == classTimeout || f == stopped && o.long():
		w.mute = o.bytesIn == 0
	case f != stopped:
		w.mute = o.status == 504 // a proxy's word for it
	}
	if o.held {
		w.owed = !o.replied() || o.status >= 500
	}
	if o.held && w.holds(p) && (o.long() || f == stopped || f == left) {
		w.parked = true
	}
	switch {
	case f == nil:
		if w.step == stepModel && w.told && o.version != "" && o.version == w.version {
			o.fail = failed(classStale, "notified of a new model, got version %s again", w.version)
		}
	case f.class == classReconnect:
		if w.raced[w.step] {
			// Not the same twice: this server cuts requests, not idle connections.
			o.fail = failed(classReset, "connection closed without an answer")
		}
		w.raced[w.step] = true
	case w.step == stepUpdate && f.class == classNotAccepted && p.Quorum > 0:
		o.fail, o.late = nil, true // the fate of stragglers
	case w.step == stepUpdate:
		// What is not accepted won't be later either; dc_federated's worker does not even
		// look at the answer.
		o.forgone = f.class == classNotAccepted || p.Behaviour == Upstream && o.replied()
	}
}

// long says whether the server took its time.
func (o *outcome) long() bool { return o.done-o.sent >= heldLong }

// replied says whether a whole answer came, whatever it said.
func (o *outcome) replied() bool { return o.status != 0 && (o.fail == nil || !o.fail.cut()) }

// advance steps the worker's state machine by the outcome of its last request:
// what it does next and after how long. It does no I/O and reads no clock: now is
// the time since the start of the run.
func (w *worker) advance(p *Plan, now time.Duration) (fate, time.Duration) {
	if w.progress == 0 {
		w.progress = w.out.sent // it has only arrived
	}
	if w.over && !w.through {
		w.through = true
		w.gotOn(now)
		if p.Hold == 0 {
			return fateDone, 0
		}
	}
	if f := w.out.fail; f != nil {
		return w.stumble(p, f, now)
	}
	w.tries = 0
	switch w.step {
	case stepRegister:
		w.id = w.out.text
		w.gotOn(now)
		if p.Rounds == 0 || p.First == FirstUpdate {
			w.challengeFor(stepModel) // to learn the version: a poll without one is not held
		} else {
			w.challengeFor(stepPoll)
		}
		return fateNext, 0

	case stepChallenge:
		if w.waits {
			w.waited++
			w.progress = now // waiting for the others is not lingering
			return fateNext, min(keepEvery, keepFirst<<min(w.waited, 16))
		}
		w.step = w.goal
		return fateNext, 0

	case stepPoll:
		if w.out.text != wire.TextUpdated {
			return w.pollAgain(p, now)
		}
		w.gotOn(now)
		if p.Quorum == 0 && w.rounds == p.Rounds && !w.through {
			w.through = true
			if p.Hold == 0 {
				return fateDone, 0
			}
		}
		w.told = true
		w.challengeFor(stepModel)
		return fateNext, 0

	case stepModel:
		if w.out.version == "" {
			// The bytes were unlike all models decoded so far: have it again, and decode it.
			w.fresh = true
			w.challengeFor(stepModel)
			return fateNext, 0
		}
		w.fresh = false
		w.version, w.told, w.settled = w.out.version, false, false
		w.gotOn(now)
		if w.holds(p) {
			w.challengeFor(stepPoll)
			return fateNext, 0
		}
		return w.think(p)

	case stepUpdate:
		w.rounds++
		w.settled = true
		w.gotOn(now)
		w.challengeFor(stepPoll)
		return fateNext, 0
	}
	panic("unreachable: no such step")
}

// toldOfEnd says whether the worker's last request told it that the round of its model
// is over.
func (w *worker) toldOfEnd() bool {
	return w.step == stepPoll && w.out.fail == nil && w.out.text == wire.TextUpdated && w.version != ""
}

// asksToHold says whether the worker's last request was for the challenge of such a
// poll, and had it.
func (w *worker) asksToHold(p *Plan) bool {
	return w.step == stepChallenge && w.goal == stepPoll && w.holds(p) && w.out.fail == nil
}

// holds says whether the worker's polls are those of the plan's Hold.
func (w *worker) holds(p *Plan) bool { return p.Hold > 0 && w.through }

// pollAgain follows a text that ended a hold early. In rounds that is no progress:
// else nobody would ever be lost in a round that never ends.
func (w *worker) pollAgain(p *Plan, now time.Duration) (fate, time.Duration) {
	w.challengeFor(stepPoll)
	if w.holds(p) && w.out.long() {
		w.gotOn(now)
		return fateNext, 0
	}
	w.last = failed(classTimeout, "no new model, the last poll was answered %s", said(w.out.text))
	if w.out.long() {
		w.failures = 0
		return w.unlessLate(p, now, 0)
	}
	return w.again(p, now)
}

// stumble decides what a failure leads to.
func (w *worker) stumble(p *Plan, f *failure, now time.Duration) (fate, time.Duration) {
	at := w.step
	if p.Behaviour == Upstream && w.tries < upstreamTries && (f.class == classRefused || at == stepChallenge && f.class == classReset) {
		w.tries++
		w.last = f
		return w.unlessLate(p, now, 0)
	}
	if at == stepPoll || at == stepModel {
		w.challengeFor(at) // the last one may be spent
	}
	switch f.class {
	case classStopped:
		switch f {
		case enough, abandoned:
			return fateNext, 0 // with the next poll
		case left, vanished:
			return fateGone, 0
		}
		return fateDone, 0
	case classReconnect:
		return fateNext, 0
	}
	if w.out.held && w.out.long() && f.class != classTimeout {
		w.failures = 0
		if w.holds(p) {
			w.gotOn(now) // it was where it should be until now
		}
	}
	w.last = f
	if w.out.forgone {
		w.rounds++
		w.settled = true
		w.gotOn(now)
		w.challengeFor(stepPoll)
		return fateNext, 0
	}
	if p.Behaviour == Upstream && f.class != classGenerator {
		return w.stumbleUpstream(p, at, now)
	}
	return w.again(p, now)
}

// again has the worker try again: at once, if it is one of dc_federated's, else
// after a while.
func (w *worker) again(p *Plan, now time.Duration) (fate, time.Duration) {
	if p.Behaviour == Upstream {
		return w.unlessLate(p, now, 0)
	}
	longest := min(p.Longest, p.Backoff<<min(w.failures, 16))
	w.failures++
	return w.unlessLate(p, now, time.Duration(rand.New(&w.rng).Int64N(int64(longest)+1))) // #nosec G404 -- of a load, no secret
}

func (w *worker) unlessLate(p *Plan, now, delay time.Duration) (fate, time.Duration) {
	if now-w.progress >= p.RoundTimeout {
		return fateLost, 0
	}
	return fateNext, delay
}

// cut says whether the connection broke, which kills dc_federated's workers.
func (f *failure) cut() bool {
	switch f.class {
	case classRefused, classReset, classTimeout, classTLS:
		return true
	}
	return false
}

func (w *worker) gotOn(now time.Duration) {
	w.progress, w.failures, w.last, w.raced = now, 0, nil, [steps]bool{}
}

func (w *worker) challengeFor(goal step) { w.step, w.goal, w.signed = stepChallenge, goal, "" }

func (w *worker) think(p *Plan) (fate, time.Duration) {
	w.step = stepUpdate
	delay := p.Think.draw(&w.rng)
	w.progress += delay // thinking is not lingering
	return fateNext, delay
}

// sign prepares the signature of the next request, before it is due.
func (w *worker) sign(p *Plan, digest wire.Digest) {
	switch w.step {
	case stepPoll, stepModel:
		if w.signed != "" {
			return // it was not sent yet
		}
		if w.key == nil {
			w.signed = wire.NoPrivateKey
		} else {
			w.signed = wire.Sign(w.key, []byte(w.out.text))
		}
	case stepUpdate:
		if w.update != "" {
			return
		}
		if w.key == nil {
			w.update = wire.NoPrivateKey
		} else {
			w.update = wire.Sign(w.key, digest[:])
		}
	}
}
