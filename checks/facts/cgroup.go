package facts

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Cgroup is what the control groups around a process allow: of its own and all
// above that can be seen from here, the one that leaves the least.
type Cgroup struct {
	Memory CgroupLimit `json:"memory"` // bytes
	PIDs   CgroupLimit `json:"pids"`   // processes and threads
}

// CgroupLimit is one limit, what counts against it now (of memory without the
// file cache that the kernel gives up first), and the file it is in.
type CgroupLimit struct {
	Max    Limit        `json:"max"`
	InUse  int64        `json:"inUse"`
	Source string       `json:"source,omitempty"` // of Max; "" where no limit is set
	Hits   Value[int64] `json:"hits,omitzero"`    // processes killed for want of memory, or forks refused, since the group began
}

// readCgroup reads /proc/PID/cgroup and the limits that it leads to, of v1, v2
// or the hybrid of both.
func readCgroup(r Root, pid int) (Cgroup, string, error) {
	name := fmt.Sprintf("/proc/%d/cgroup", pid)
	text, err := r.ReadString(name)
	if err != nil {
		return Cgroup{}, "", err
	}
	paths := parseCgroupPaths(text)
	if len(paths) == 0 {
		return Cgroup{}, "", fmt.Errorf("%s: %q names no group", name, firstLine(text))
	}
	c := Cgroup{Memory: CgroupLimit{Max: Unlimited}, PIDs: CgroupLimit{Max: Unlimited}}
	for _, look := range []struct {
		limit                *CgroupLimit
		controller, max, use string // of v1
		max2, use2           string
	}{
		{&c.Memory, "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max", "memory.current"},
		{&c.PIDs, "pids", "pids.max", "pids.current", "pids.max", "pids.current"},
	} {
		var err error
		if at, ok := paths[look.controller]; ok {
			err = tightest(r, look.limit, "/sys/fs/cgroup/"+look.controller, at, look.max, look.use)
		} else if at, ok := paths[""]; ok {
			mount := "/sys/fs/cgroup"
			if r.Exists("/sys/fs/cgroup/unified") {
				mount = "/sys/fs/cgroup/unified"
			}
			err = tightest(r, look.limit, mount, at, look.max2, look.use2)
		}
		if err != nil {
			return Cgroup{}, "", err
		}
	}
	return c, unitOf(paths), nil
}

// tightest walks from a group up to the mount's root. In a container the path
// may be the outer host's and absent here: then the mount's root is the group.
func tightest(r Root, l *CgroupLimit, mount, at, maxName, useName string) error {
	if !r.Exists(mount) {
		return fmt.Errorf("%s is absent", mount)
	}
	for dir := path.Join("/", at); ; dir = path.Dir(dir) {
		one, err := readGroup(r, path.Join(mount, dir), maxName, useName)
		if err != nil && !absent(err) {
			return err
		}
		if err == nil && one.Max != Unlimited && (l.Max == Unlimited || int64(one.Max)-one.InUse < int64(l.Max)-l.InUse) {
			*l = one
		}
		if dir == "/" {
			return nil
		}
	}
}

// readGroup reads one group's limit; absent where the group or its limit is.
func readGroup(r Root, dir, maxName, useName string) (CgroupLimit, error) {
	number := func(name string) (Limit, error) {
		s, err := r.ReadString(path.Join(dir, name))
		if err != nil {
			return 0, err
		}
		n, err := parseLimit(s)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path.Join(dir, name), err)
		}
		return n, nil
	}
	most, err := number(maxName)
	if err != nil {
		return CgroupLimit{Max: most}, err
	}
	source := path.Join(dir, maxName)
	if maxName == "memory.max" {
		switch high, err := number("memory.high"); {
		case err != nil && !absent(err):
			return CgroupLimit{}, err
		case err == nil && less(high, most):
			most, source = high, path.Join(dir, "memory.high") // above it processes are slowed down, not killed
		}
	}
	if most == Unlimited {
		return CgroupLimit{Max: most}, nil
	}
	use, err := number(useName)
	if err != nil {
		return CgroupLimit{}, fmt.Errorf("how much of %s is in use: %v", path.Join(dir, maxName), err) // %v: the limit is there
	}
	cache, err := inactiveCache(r, path.Join(dir, "memory.stat"), maxName)
	if err != nil {
		return CgroupLimit{}, err
	}
	return CgroupLimit{Max: most, InUse: max(0, int64(use)-cache), Source: source, Hits: readHits(r, dir, maxName)}, nil
}

// inactiveCache is the memory of a group that is only cache not lately used: 0
// where the limit is not memory's or the kernel does not tell.
func inactiveCache(r Root, file, maxName string) (int64, error) {
	key := "inactive_file"
	switch maxName {
	case "memory.limit_in_bytes":
		key = "total_inactive_file"
	case "memory.max":
	default:
		return 0, nil
	}
	n, err := readCounter(r, file, key)
	if absent(err) {
		err = nil
	}
	return n, err
}

// readHits counts how often a group's limit was met; unknown of kernels that do
// not tell (memory before 4.13, pids before 4.8).
func readHits(r Root, dir, maxName string) Value[int64] {
	name, key := "pids.events", "max"
	switch maxName {
	case "memory.limit_in_bytes":
		name, key = "memory.oom_control", "oom_kill"
	case "memory.max":
		name, key = "memory.events", "oom_kill"
	}
	file := path.Join(dir, name)
	return read(file, func() (int64, error) { return readCounter(r, file, key) })
}

// readCounter finds a line "key number" in a file of such; an absent line is
// absent as an absent file is.
func readCounter(r Root, file, key string) (int64, error) {
	s, err := r.ReadString(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(s) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil || n < 0 {
				return 0, fmt.Errorf("%s: %s %q is no count", file, key, f[1])
			}
			return n, nil
		}
	}
	return 0, &fs.PathError{Op: "find " + key + " in", Path: file, Err: fs.ErrNotExist}
}

// parseCgroupPaths reads lines such as "4:memory:/a" and, of v2, "0::/b"; the
// latter's controller is "".
func parseCgroupPaths(text string) map[string]string {
	paths := make(map[string]string)
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || !strings.HasPrefix(f[2], "/") {
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			paths[c] = f[2]
		}
	}
	return paths
}

// unitOf is the systemd service that a process belongs to, "" for none.
func unitOf(paths map[string]string) string {
	for _, c := range []string{"", "name=systemd"} {
		for at := paths[c]; at != "" && at != "/" && at != "."; at = path.Dir(at) {
			if base := path.Base(at); unitName.MatchString(base) && !strings.HasPrefix(base, "user@") {
				return base
			}
		}
	}
	return ""
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
