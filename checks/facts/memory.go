package facts

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const meminfoPath = "/proc/meminfo"

// Memory is the host's RAM.
type Memory struct {
	TotalBytes     int64 `json:"totalBytes"`
	AvailableBytes int64 `json:"availableBytes"` // the kernel's estimate of what new work can have without swapping
}

// ReadMemory reads /proc/meminfo.
func ReadMemory(r Root) (Memory, error) {
	f, err := r.Open(meminfoPath)
	if err != nil {
		return Memory{}, err
	}
	defer f.Close()
	m, err := parseMemory(f)
	if err != nil {
		return Memory{}, fmt.Errorf("%s: %w", meminfoPath, err)
	}
	return m, nil
}

func parseMemory(rd io.Reader) (Memory, error) {
	var m Memory
	want := map[string]*int64{"MemTotal": &m.TotalBytes, "MemAvailable": &m.AvailableBytes}
	sc := bufio.NewScanner(rd)
	for sc.Scan() {
		key, value, _ := strings.Cut(sc.Text(), ":")
		p, ok := want[key]
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, " kB")), 10, 64)
		if err != nil || n < 0 || n > 1<<50 {
			return Memory{}, fmt.Errorf("%s: %q is no size", key, strings.TrimSpace(value))
		}
		*p = n << 10
		delete(want, key)
	}
	if err := sc.Err(); err != nil {
		return Memory{}, err
	}
	for key := range want {
		return Memory{}, fmt.Errorf("no line %s", key)
	}
	return m, nil
}
