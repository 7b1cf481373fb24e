package loadgen

import (
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

// TestPerWorker divides by the polls that were held while the samples were taken: one
// moment at which hardly any was held makes no poll dearer.
func TestPerWorker(t *testing.T) {
	p := watched{first: facts.Usage{RSSBytes: 10 << 20, FDs: 10}}
	if _, _, ok := p.perWorker(); ok {
		t.Error("a slope without samples")
	}
	for _, held := range []int64{100, 3, 100} {
		p.hold(heldUsage{facts.Usage{RSSBytes: 10<<20 + 100<<10, FDs: 110}, held})
	}
	if rss, fds, ok := p.perWorker(); rss != 1<<10 || fds != 1 || !ok {
		t.Errorf("%g bytes and %g descriptors a worker, %t", rss, fds, ok)
	}
	p.steady = nil
	p.hold(heldUsage{facts.Usage{RSSBytes: 11 << 20, FDs: 10}, 0})
	if _, _, ok := p.perWorker(); ok {
		t.Error("a slope of no poll")
	}
	for range 2 * mostSamples {
		p.hold(heldUsage{facts.Usage{}, 1})
	}
	if n := len(p.steady); n > mostSamples {
		t.Errorf("%d samples kept", n)
	}
}
