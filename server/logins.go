package server

import (
	"context"
	"net"
	"sync"
	"time"
)

// A login that fails is answered after loginPause, and while loginsAtOnce of one
// address wait for that, no more of its are looked at: so many guesses a second at
// most. Whoever knows the password is not made to wait.
const (
	loginPause   = time.Second
	loginsAtOnce = 4
)

// logins is the attempts at being the admin that failed and are not answered yet,
// by address.
type logins struct {
	mu     sync.Mutex
	failed map[string]int
}

// attempt says whether an attempt is good, or was not even looked at. After one
// that failed comes pause.
func (l *logins) attempt(from string, is func() bool) (good, busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed[from] >= loginsAtOnce {
		return false, true
	}
	if is() {
		return true, false
	}
	if l.failed == nil {
		l.failed = map[string]int{}
	}
	l.failed[from]++
	// Whether or not its client waits: guesses may show by what they do.
	time.AfterFunc(loginPause, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.failed[from]--; l.failed[from] == 0 {
			delete(l.failed, from)
		}
	})
	return false, false
}

// pause is before the answer to an attempt that failed, unless nobody waits for it.
func (l *logins) pause(ctx context.Context) {
	t := time.NewTimer(loginPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// origin is what counts as one address: of IPv6, the network of 64 bits, which is
// what one customer has at least.
func origin(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return ip.Mask(net.CIDRMask(64, 128)).String()
	}
	return host
}
