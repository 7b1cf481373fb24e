package loadgen

import (
	"encoding/binary"
	"net/netip"
	"net/url"

	"github.com/fltool/fltool/checks/facts"
)

// SpreadSources gives the addresses of 127.0.0.0/8 to dial a target from where a single
// one has too few ports for all workers of a run; none where it has enough, or where the
// target is not of that network. Each shard of the run, 0 for a run that is whole, has
// addresses of its own for its workers: others may be on this host.
func SpreadSources(target *url.URL, all, shard, workers int) ([]netip.Addr, error) {
	ip, err := netip.ParseAddr(target.Hostname())
	if err != nil || !ip.Is4() || !ip.IsLoopback() {
		return nil, nil // nothing is wrong with a name
	}
	ports, err := facts.ReadPortRange(facts.NewRoot("/"))
	if err != nil {
		return nil, err
	}
	return spread(all, shard, workers, ports.Usable()), nil
}

// firstSource is 127.1.0.1; shards are a thousand addresses apart, which is more than
// the workers of one need.
const firstSource, sourcesPerShard = 127<<24 | 1<<16 | 1, 1 << 10

func spread(all, shard, workers, ports int) []netip.Addr {
	// Some ports are others', or rest after a connection that was closed.
	ports -= ports / 4
	if all <= ports || ports < 1 {
		return nil
	}
	sources := make([]netip.Addr, min(sourcesPerShard, (workers+ports-1)/ports))
	for i := range sources {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], firstSource+uint32(shard*sourcesPerShard+i))
		sources[i] = netip.AddrFrom4(ip)
	}
	return sources
}
