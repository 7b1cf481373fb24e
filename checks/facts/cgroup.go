package facts

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Cgroup is what the control groups around a process allow, the tightest of
// its own and all above that can be seen from here.
type Cgroup struct {
	Memory CgroupLimit `json:"memory"` // bytes
	PIDs   CgroupLimit `json:"pids"`   // processes and threads
}

// CgroupLimit is one limit, what counts against it now (of memory without the
// file cache that the kernel gives up first), and the file it is in.
type CgroupLimit struct {
	Max    Limit  `json:"max"`
	InUse  int64  `json:"inUse"`
	Source string `json:"source,omitempty"` // of Max; "" where no limit is set
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
		file := path.Join(mount, dir, maxName)
		s, err := r.ReadString(file)
		if err == nil {
			limit, err := parseLimit(s)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if limit != Unlimited && (l.Max == Unlimited || limit < l.Max) {
				file2 := path.Join(mount, dir, useName)
				s, err := r.ReadString(file2)
				if err != nil {
					return err
				}
				use, err := parseLimit(s)
				if err != nil {
					return fmt.Errorf("%s: %w", file2, err)
				}
				cache, err := inactiveCache(r, path.Join(mount, dir, "memory.stat"), maxName)
				if err != nil {
					return err
				}
				*l = CgroupLimit{Max: limit, InUse: max(0, int64(use)-cache), Source: file}
			}
		} else if !absent(err) {
			return err
		}
		if dir == "/" {
			return nil
		}
	}
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
	s, err := r.ReadString(file)
	if err != nil {
		if absent(err) {
			err = nil
		}
		return 0, err
	}
	for line := range strings.Lines(s) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil || n < 0 {
				return 0, fmt.Errorf("%s: %s %q is no size", file, key, f[1])
			}
			return n, nil
		}
	}
	return 0, nil
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
