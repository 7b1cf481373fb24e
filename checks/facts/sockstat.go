package facts

import (
	"fmt"
	"os"
)

// Sockstat is the kernel's own count of TCP sockets, of this network namespace
// but for Alloc and MemBytes, which are the whole host's.
type Sockstat struct {
	InUse     int   `json:"inUse"` // IPv4 and IPv6
	Orphan    int   `json:"orphan"`
	TimeWait  int   `json:"timeWait"`
	Alloc     int   `json:"alloc"`
	MemBytes  int64 `json:"memBytes"`  // buffered data
	PageBytes int64 `json:"pageBytes"` // of what the kernel counts that in; 0: not known
}

// ReadSockstat reads /proc/net/sockstat, and sockstat6 where there is one.
func ReadSockstat(r Root) (Sockstat, error) {
	fs, err := r.procfs()
	if err != nil {
		return Sockstat{}, err
	}
	v4, err := fs.NetSockstat()
	if err != nil {
		return Sockstat{}, fmt.Errorf("/proc/net/sockstat: %w", cause(err))
	}
	var s Sockstat
	found := false
	for _, p := range v4.Protocols {
		if p.Protocol != "TCP" {
			continue
		}
		found = true
		s.InUse = p.InUse
		s.Orphan = or0(p.Orphan)
		s.TimeWait = or0(p.TW)
		s.Alloc = or0(p.Alloc)
		s.PageBytes = int64(os.Getpagesize())
		s.MemBytes = int64(or0(p.Mem)) * s.PageBytes
	}
	if !found {
		return Sockstat{}, fmt.Errorf("/proc/net/sockstat: no line TCP")
	}
	v6, err := fs.NetSockstat6()
	if err != nil && !absent(err) {
		return Sockstat{}, fmt.Errorf("/proc/net/sockstat6: %w", cause(err))
	}
	if v6 != nil {
		for _, p := range v6.Protocols {
			if p.Protocol == "TCP6" {
				s.InUse += p.InUse
			}
		}
	}
	return s, nil
}

func or0(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}
