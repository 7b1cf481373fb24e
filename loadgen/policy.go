package loadgen

import (
	"fmt"
	"strings"
	"time"
)

// Behaviour says what a worker does when something goes wrong.
type Behaviour string

// Resilient workers try again with back-off until they have made no progress for
// RoundTimeout. Upstream workers do as dc_federated's: they poll again at once on
// any answer, for ever, and end on a broken connection.
const (
	Resilient Behaviour = "resilient"
	Upstream  Behaviour = "upstream"
)

// Policy is a Behaviour and its times.
type Policy struct {
	Behaviour Behaviour     // default Resilient
	Backoff   time.Duration // of Resilient: the longest first wait, which doubles with each failure
	Longest   time.Duration // of Resilient: the longest wait of all
	Restart   time.Duration // of Upstream: after which a supervisor starts a worker again that has ended; 0: nobody does
}

// Back-off of resilient workers: a random time up to base·2^failures, never more
// than the longest.
const (
	backoffBase    = 100 * time.Millisecond
	backoffLongest = 5 * time.Second
)

// PolicyForms are what ParsePolicy takes, with times as examples.
func PolicyForms() []string {
	return []string{string(Resilient), string(Upstream), "backoff:1s..60s", "supervised:5s"}
}

// ParsePolicy reads a policy: "resilient", "upstream", "backoff:1s..60s", which is
// resilient with the longest first wait and the longest of all, or "supervised:5s",
// which is upstream with a supervisor that starts an ended worker again after 5 s.
func ParsePolicy(s string) (Policy, error) {
	name, times, given := strings.Cut(s, ":")
	switch {
	case s == string(Resilient):
		return Policy{Behaviour: Resilient}, nil
	case s == string(Upstream):
		return Policy{Behaviour: Upstream}, nil
	case name == "backoff" && given:
		from, to, _ := strings.Cut(times, "..")
		base, err1 := time.ParseDuration(from)
		longest, err2 := time.ParseDuration(to)
		if err1 == nil && err2 == nil && base > 0 && longest >= base {
			return Policy{Behaviour: Resilient, Backoff: base, Longest: longest}, nil
		}
	case name == "supervised" && given:
		if after, err := time.ParseDuration(times); err == nil && after > 0 {
			return Policy{Behaviour: Upstream, Restart: after}, nil
		}
	}
	return Policy{}, fmt.Errorf("%q: want one of %s", s, strings.Join(PolicyForms(), ", "))
}

// String is what ParsePolicy reads.
func (p Policy) String() string {
	switch {
	case p.Restart > 0:
		return "supervised:" + p.Restart.String()
	case p.Behaviour == Resilient && (p.Backoff != backoffBase || p.Longest != backoffLongest):
		return fmt.Sprintf("backoff:%s..%s", p.Backoff, p.Longest)
	}
	return string(p.Behaviour)
}
