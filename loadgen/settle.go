package loadgen

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// DefaultSettle bounds the wait between two levels. It is less than the minute
// after which the kernel forgets a connection that the server never closed.
const DefaultSettle = 30 * time.Second

// idleUpstream is how many descriptors more than at the start a server may have
// open between levels: a proxy in front keeps idle connections to it.
const idleUpstream = 64

// Quiet is what a server had before the first level, to which it must come back
// between levels, so that none bears the weight of the one before.
type Quiet struct {
	target netip.AddrPort
	conns  int // of this host to the target
	server tree
	fds    int // the server had open; -1: unknown
}

// NewQuiet looks at the target, and at the server's processes unless pid is 0.
func NewQuiet(ctx context.Context, target *url.URL, pid int) (*Quiet, error) {
	address, err := resolve(ctx, target, nil)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	q := &Quiet{server: tree{root: facts.NewRoot("/"), pid: pid}, fds: -1}
	if q.target, err = netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if q.conns, err = q.connections(); err != nil {
		return nil, err
	}
	if pid != 0 {
		u, err := q.server.read()
		if err != nil {
			return nil, fmt.Errorf("server's process: %w", err)
		}
		q.fds = u.FDs
	}
	return q, nil
}

func (q *Quiet) connections() (int, error) {
	return facts.CountConnections(facts.NewRoot("/"), q.target)
}

// Wait waits until the server has let go of the connections of the level before,
// at most so long. It says what is left, "" if nothing is.
func (q *Quiet) Wait(ctx context.Context, longest time.Duration) (left string, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if left, err = q.left(); left == "" || err != nil {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, nil
		case <-tick.C:
		}
	}
}

func (q *Quiet) left() (string, error) {
	n, err := q.connections()
	if err != nil {
		return "", err
	}
	if n > q.conns {
		return fmt.Sprintf("%d connections that the server has not closed", n-q.conns), nil
	}
	if q.fds < 0 {
		return "", nil
	}
	u, err := q.server.read()
	if err != nil {
		return "", nil // it has ended, or its descriptors are not ours to see any more: the next level tells
	}
	if u.FDs > q.fds+idleUpstream {
		return fmt.Sprintf("%d descriptors that the server has not closed", u.FDs-q.fds), nil
	}
	return "", nil
}

// Target is the address that is looked at.
func (q *Quiet) Target() netip.AddrPort { return q.target }

// Local says whether the target's address is one of this host's.
func (q *Quiet) Local() (bool, error) { return isLocal(q.target.Addr()) }
