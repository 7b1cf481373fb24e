package facts

import "strconv"

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
