package loadgen

import (
	"net/netip"
	"net/url"
	"testing"
)

// TestSpread: enough addresses for all workers, no two shards with the same one, and
// none where one is enough or the target is elsewhere.
func TestSpread(t *testing.T) {
	const ports, filled = 100, 75
	seen := map[netip.Addr]int{}
	for shard, workers := range []int{201, 100, 1} {
		got := spread(302, shard+1, workers, ports)
		if len(got)*filled < workers || (len(got)-1)*filled >= workers {
			t.Errorf("%d addresses for %d workers", len(got), workers)
		}
		for _, ip := range got {
			if other, twice := seen[ip]; twice || !ip.IsLoopback() {
				t.Errorf("%s of shard %d is not its own: %d", ip, shard+1, other)
			}
			seen[ip] = shard + 1
		}
	}
	if got := spread(filled, 0, filled, ports); got != nil {
		t.Errorf("one address has enough ports, and %v were given", got)
	}
	if err := CheckSources(spread(302, 1024, 302, ports)); err != nil {
		t.Error(err)
	}
	for _, target := range []string{"http://192.0.2.1:1", "http://[::1]:1", "http://localhost:1"} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := SpreadSources(u, 10_000_000, 0, 10_000_000); got != nil || err != nil {
			t.Errorf("%s: %v, %v", target, got, err)
		}
	}
}
