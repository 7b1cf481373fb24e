package facts

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// A Bound is a resource limit: the soft one binds, up to the hard one a process
// may raise it itself.
type Bound struct {
	Soft Limit `json:"soft"`
	Hard Limit `json:"hard"`
}

func (b Bound) String() string {
	if b.Soft == b.Hard {
		return b.Soft.String()
	}
	return b.Soft.String() + " soft, " + b.Hard.String() + " hard"
}

// Limits are the resource limits of one process that bear on held polls.
type Limits struct {
	NoFile Bound `json:"nofile"` // open descriptors
	NProc  Bound `json:"nproc"`  // processes and threads of the user
}

// limitsPath is where a process's limits stand.
func limitsPath(pid int) string { return fmt.Sprintf("/proc/%d/limits", pid) }

// ReadLimits reads the limits that a running process has, from /proc/PID/limits.
// A Go program raised its own soft limit when it started: its file tells what it
// has, not what it was given.
func ReadLimits(r Root, pid int) (Limits, error) {
	f, err := r.Open(limitsPath(pid))
	if err != nil {
		return Limits{}, err
	}
	defer f.Close()
	l, err := parseLimits(f)
	if err != nil {
		return Limits{}, fmt.Errorf("%s: %w", limitsPath(pid), err)
	}
	return l, nil
}

// parseLimits reads the kernel's table: a name of fixed width, then soft, hard
// and, mostly, a unit.
func parseLimits(rd io.Reader) (Limits, error) {
	var l Limits
	want := map[string]*Bound{"Max open files": &l.NoFile, "Max processes": &l.NProc}
	sc := bufio.NewScanner(rd)
	for sc.Scan() {
		for name, b := range want {
			rest, ok := strings.CutPrefix(sc.Text(), name+" ")
			if !ok {
				continue
			}
			f := strings.Fields(rest)
			if len(f) < 2 {
				return Limits{}, fmt.Errorf("%s: no soft and hard limit", name)
			}
			var err error
			if b.Soft, err = parseLimit(f[0]); err != nil {
				return Limits{}, fmt.Errorf("%s: %w", name, err)
			}
			if b.Hard, err = parseLimit(f[1]); err != nil {
				return Limits{}, fmt.Errorf("%s: %w", name, err)
			}
			delete(want, name)
			break
		}
	}
	if err := sc.Err(); err != nil {
		return Limits{}, err
	}
	for name := range want {
		return Limits{}, fmt.Errorf("no line %q", name)
	}
	return l, nil
}
