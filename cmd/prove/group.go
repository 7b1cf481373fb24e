package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroupMount is where systems mount their control groups.
const cgroupMount = "/sys/fs/cgroup"

// A group is a control group of a row's own, in which a limit is set for the
// processes that are put there.
type group struct {
	dir string
	v1  bool
}

// controllers are those that rows set limits of, with a file that each group of
// theirs has.
var controllers = map[string]string{"memory": "memory.stat", "pids": "pids.current"}

// group makes one with a controller: beside prove's own or within it, whichever
// is allowed. play removes it when the row has ended.
func (r *room) group(controller string) (group, error) {
	var why error
	for _, parent := range groupParents(controller) {
		g := group{dir: filepath.Join(parent, filepath.Base(r.dir)), v1: parent != cgroupMount && strings.HasPrefix(parent, filepath.Join(cgroupMount, controller))}
		if err := os.Mkdir(g.dir, 0o755); err != nil {
			why = err
			continue
		}
		if _, err := os.Stat(filepath.Join(g.dir, controllers[controller])); err != nil {
			why = errors.Join(fmt.Errorf("%s has no controller %s", parent, controller), os.Remove(g.dir))
			continue
		}
		return g, nil
	}
	return group{}, &cannot{fmt.Sprintf("no control group of %s may be made: %v", controller, why)}
}

// groupParents are where a group of a controller may be made, of v1 or v2.
func groupParents(controller string) []string {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // "4:memory:/a", "0::/b"
		if len(f) != 3 {
			continue
		}
		mount := cgroupMount
		switch {
		case f[1] == controller:
			mount = filepath.Join(mount, controller)
		case f[0] != "0":
			continue
		case exists(filepath.Join(mount, "unified")):
			mount = filepath.Join(mount, "unified")
		}
		own := filepath.Join(mount, f[2])
		if f[2] != "/" {
			out = append(out, filepath.Dir(own))
		}
		out = append(out, own)
	}
	return out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// set writes a file of the group.
func (g group) set(name, value string) error {
	return os.WriteFile(filepath.Join(g.dir, name), []byte(value), 0o644)
}

// limitMemory sets the most bytes that the group may use, swap included: the
// kernel kills at it.
func (g group) limitMemory(bytes int64) error {
	most := fmt.Sprint(bytes)
	if !g.v1 {
		return errors.Join(g.set("memory.max", most), absentIsFine(g.set("memory.swap.max", "0")))
	}
	return errors.Join(g.set("memory.limit_in_bytes", most), absentIsFine(g.set("memory.memsw.limit_in_bytes", most)))
}

// memory is how many bytes the group uses.
func (g group) memory() (int64, error) {
	if g.v1 {
		return readNumber(filepath.Join(g.dir, "memory.usage_in_bytes"))
	}
	return readNumber(filepath.Join(g.dir, "memory.current"))
}

// kills counts the processes that the kernel has killed for want of the group's
// memory.
func (g group) kills() (int, error) {
	name := "memory.events"
	if g.v1 {
		name = "memory.oom_control"
	}
	b, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return strconv.Atoi(n)
		}
	}
	return 0, &cannot{"the kernel does not count what it kills in a control group"}
}

// absentIsFine drops the error of a kernel that accounts no swap.
func absentIsFine(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) { // no file can be made there
		return nil
	}
	return err
}

// disband removes a row's groups, which the kernel empties as its processes end.
func disband(name string) error {
	deadline := time.Now().Add(10 * time.Second)
	var failed error
	for controller := range controllers {
		for _, parent := range groupParents(controller) {
			dir := filepath.Join(parent, name)
			for {
				err := os.Remove(dir)
				if errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline) {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					failed = errors.Join(failed, err)
				}
				break
			}
		}
	}
	return failed
}
