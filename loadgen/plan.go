// Package loadgen drives thousands of simulated dc_federated workers against one
// server and reports what they saw.
//
// A run is one vegeta attack. Each worker has at most one request under way. The
// scheduler, vegeta's Pacer, waits until some worker's next request is due and no hit
// takes it. A hit does whoever is due, one after another: the transport sends a worker's
// request on that worker's own connection, or reads its answer and judges it; the run
// keeps the books, steps the worker's state machine, signs, and schedules the next
// request. While a request waits for its answer it parks, and is no hit.
package loadgen

import (
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// Defaults of a Plan.
const (
	DefaultRequestTimeout = 30 * time.Second
	DefaultRoundTimeout   = 5 * time.Minute
	DefaultGrace          = 5 * time.Second
	DefaultMaxLag         = time.Second
	DefaultUpdateSize     = 1 << 10 // bytes
	DefaultMaxModel       = 4 << 30 // bytes, inflated
)

// DefaultAccept matches the answer to an update that was accepted. Servers name
// some worker in it, not always the one that asks.
var DefaultAccept = regexp.MustCompile("^" + regexp.QuoteMeta(wire.TextAccepted))

// First says what a worker does first.
type First string

// The orders of work: dc_federated's stress test polls first, its FedAvg worker
// uploads before its first poll. A real FedAvg worker knows its server's first
// version; a simulated one fetches the model once to learn it.
const (
	FirstPoll   First = "poll"
	FirstUpdate First = "update"
)

// Plan is what a run shall do. The zero value of a field means its default.
type Plan struct {
	Target  *url.URL             // of the server, without path; http or https
	Workers int                  // number of workers in this run
	FirstNo int                  // number of the first worker's key: it names workers in the report
	Keys    []ed25519.PrivateKey // one a worker; nil for a server without key list

	Stages []Stage       // how many workers are held over time, in place of Rounds, Hold and Ramp; Workers is the most of them
	Shard  reports.Shard // whose part of the workers of Stages these are; zero: all

	Rounds int           // rounds that each worker takes part in; with a Quorum, that end
	Quorum int           // updates that end a round of the server's; 0: one of each worker
	Hold   time.Duration // how long all polls are held, after the rounds where there are any
	HoldTo time.Time     // until when at least, for shards whose holds begin at moments of their own; zero: no longer than Hold

	Ramp     time.Duration // over which the workers arrive, evenly, or slower where this machine can't serve so many
	RampOpen bool          // they arrive in Ramp in any case, and who is late is so by the generator's fault
	Think    Think         // a worker's time between model and update
	First    First         // default FirstPoll
	Policy
	Scenario Scenario

	Update Update
	Accept *regexp.Regexp // default DefaultAccept

	RequestTimeout time.Duration // for every request but the poll, dialling included
	PollTimeout    time.Duration // longest hold; 0: RoundTimeout in rounds, none in Hold
	RoundTimeout   time.Duration // a worker that makes no progress for so long is lost
	Grace          time.Duration // after which a run ends that nothing but a lost worker holds up
	MaxLag         time.Duration // p99 of the time from due to sent beyond which the generator was too slow
	StrictLag      bool          // it was so even where generator and server together left no CPU idle

	Sources []netip.Addr // local addresses to dial from, in turn; empty: the kernel's choice
	TLS     *tls.Config  // for an https Target
	Seed    uint64

	holdTimeout time.Duration // PollTimeout of the polls of Hold; 0: none
}

// check fills in defaults and says what is wrong with a plan.
func (p *Plan) check() error {
	if len(p.Stages) > 0 {
		if p.Rounds != 0 || p.Scenario.Plays() {
			return errors.New("stages go without rounds and without a scenario")
		}
		if _, most := p.Shard.Of(MostWorkers(p.Stages)); p.Workers != most {
			return fmt.Errorf("%d workers, and stages ask for up to %d", p.Workers, most)
		}
		p.Hold, p.Ramp = StagesTime(p.Stages), 0
	}
	setDefault(&p.First, FirstPoll)
	setDefault(&p.Behaviour, Resilient)
	setDefault(&p.Backoff, backoffBase)
	setDefault(&p.Longest, backoffLongest)
	setDefault(&p.RequestTimeout, DefaultRequestTimeout)
	setDefault(&p.RoundTimeout, DefaultRoundTimeout)
	setDefault(&p.Grace, DefaultGrace)
	setDefault(&p.MaxLag, DefaultMaxLag)
	setDefault(&p.Accept, DefaultAccept)
	setDefault(&p.Quorum, p.Scenario.Quorum(p.Workers))
	p.StrictLag = p.StrictLag || p.RampOpen
	p.holdTimeout = p.PollTimeout
	setDefault(&p.PollTimeout, p.RoundTimeout)
	switch {
	case p.Target == nil || p.Target.Host == "":
		return errors.New("no target")
	case p.Target.Scheme != "http" && p.Target.Scheme != "https":
		return fmt.Errorf("target %s: want http or https", p.Target.Redacted())
	case p.Workers < 1:
		return fmt.Errorf("%d workers: want at least one", p.Workers)
	case p.Keys != nil && len(p.Keys) != p.Workers:
		return fmt.Errorf("%d keys for %d workers", len(p.Keys), p.Workers)
	case p.Rounds < 0 || p.Hold < 0 || p.Ramp < 0:
		return errors.New("rounds, hold and ramp can't be negative")
	case p.Quorum < 0 || p.Quorum > p.Workers:
		return fmt.Errorf("a quorum of %d among %d workers: no round would end", p.Quorum, p.Workers)
	case p.Rounds == 0 && p.Hold == 0:
		return errors.New("want rounds or a hold")
	}
	return nil
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}
