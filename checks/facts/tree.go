package facts

import (
	"fmt"
	"strconv"
	"strings"
)

// GroupLives says whether a process of the group runs: one that has ended, and that
// nobody has waited for, does not.
func GroupLives(r Root, group int) (bool, error) {
	all, err := r.ReadDir("/proc")
	if err != nil {
		return false, err
	}
	for _, name := range all {
		if pid, err := strconv.Atoi(name); err == nil {
			if s, err := readStat(r, pid); err == nil && s.group == group && s.state != "Z" && s.state != "X" {
				return true, nil
			}
		}
	}
	return false, nil
}

// ReadTree lists a process and all that descend from it, the process first: of a
// master that is its workers. Its source are the parents in /proc/*/stat. The error is
// that of the process itself.
func ReadTree(r Root, pid int) ([]int, error) {
	if _, err := readStat(r, pid); err != nil {
		return nil, err
	}
	all, err := r.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, name := range all {
		if c, err := strconv.Atoi(name); err == nil {
			if s, err := readStat(r, c); err == nil { // else it has ended
				children[s.ppid] = append(children[s.ppid], c)
			}
		}
	}
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
		delete(children, tree[i]) // numbers that were used again make no circle
	}
	return tree, nil
}

// ReadLastProcess is the number of the process or thread that was started last, of those
// that this one sees and not of another root's: where it is the same as before, none has
// been since. One that was just now may not be listed yet. Its source is the last field of
// /proc/loadavg (man 5 proc_loadavg).
func ReadLastProcess(r Root) (int, error) {
	const path = "/proc/loadavg"
	text, err := r.ReadString(path)
	if err != nil {
		return 0, err
	}
	f := strings.Fields(text)
	if len(f) < 5 {
		return 0, fmt.Errorf("%s: %q is cut short", path, firstLine(text))
	}
	pid, err := strconv.Atoi(f[4])
	if err != nil {
		return 0, fmt.Errorf("%s: %q is no process", path, f[4])
	}
	return pid, nil
}
