package facts

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const netstatPath = "/proc/net/netstat"

// ListenCounters count, since the host or its network namespace started,
// connections that found an accept queue full.
type ListenCounters struct {
	Overflows int64 `json:"overflows"` // the queue was full
	Drops     int64 `json:"drops"`     // for that or any other reason
}

// ReadListenCounters reads /proc/net/netstat.
func ReadListenCounters(r Root) (ListenCounters, error) {
	f, err := r.Open(netstatPath)
	if err != nil {
		return ListenCounters{}, err
	}
	defer f.Close()
	c, err := parseNetstat(f)
	if err != nil {
		return ListenCounters{}, fmt.Errorf("%s: %w", netstatPath, err)
	}
	return c, nil
}

// parseNetstat reads pairs of lines: names, then numbers, under one prefix.
func parseNetstat(rd io.Reader) (ListenCounters, error) {
	sc := bufio.NewScanner(rd)
	sc.Buffer(nil, 1<<20)
	var names []string
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) == 0 || f[0] != "TcpExt:" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		if len(f) != len(names) {
			return ListenCounters{}, fmt.Errorf("%d names and %d numbers", len(names), len(f))
		}
		var c ListenCounters
		found := 0
		for i, name := range names {
			var p *int64
			switch name {
			case "ListenOverflows":
				p = &c.Overflows
			case "ListenDrops":
				p = &c.Drops
			default:
				continue
			}
			n, err := strconv.ParseInt(f[i], 10, 64)
			if err != nil || n < 0 {
				return ListenCounters{}, fmt.Errorf("%s: %q is no count", name, f[i])
			}
			*p = n
			found++
		}
		if found < 2 {
			break
		}
		return c, nil
	}
	if err := sc.Err(); err != nil {
		return ListenCounters{}, err
	}
	return ListenCounters{}, fmt.Errorf("no ListenOverflows and ListenDrops")
}
