package loadgen

import (
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// listEvery is how often a tree's members are listed anew, where any process was started
// since: all of a host's are read for that.
const listEvery = time.Second

// tree is a process with all that descend from it: polls are held by the workers of a
// master. Its use of the machine is theirs together.
type tree struct {
	root    facts.Root
	pid     int
	alone   bool // without its descendants
	members []int
	listed  time.Time
	newest  int             // process of the host's then, 0 if unknown
	sure    bool            // it was the newest the time before, too: it can be listed by now
	cpu     map[int]float64 // seconds of each member, of those that have ended too
	limits  map[int]int64   // of open descriptors, soft; -1 is unlimited
	fullest fullest
}

// fullest is the member that was nearest to its limit of descriptors.
type fullest struct {
	fds   int
	limit int64 // soft; -1 is unlimited, 0 unknown
}

// read adds up what the members use. Descriptors are -1 where some may not be
// counted. The error is that of the process itself, where nothing is known of it.
func (t *tree) read() (facts.Usage, error) {
	switch {
	case t.alone:
		t.members = []int{t.pid}
	case t.members == nil || time.Since(t.listed) >= listEvery:
		if err := t.list(); err != nil {
			return facts.Usage{}, err
		}
	}
	if t.cpu == nil {
		t.cpu, t.limits = map[int]float64{}, map[int]int64{}
	}
	var sum facts.Usage
	for i, pid := range t.members {
		u, err := facts.ReadUsage(t.root, pid)
		if err != nil && u.RSSBytes == 0 {
			if i == 0 {
				return facts.Usage{}, err
			}
			continue // it has ended
		}
		sum.RSSBytes += u.RSSBytes
		t.cpu[pid] = u.CPUSeconds
		if u.FDs < 0 || sum.FDs < 0 {
			sum.FDs = -1
			continue
		}
		sum.FDs += u.FDs
		t.near(pid, u.FDs)
	}
	for _, cpu := range t.cpu {
		sum.CPUSeconds += cpu
	}
	return sum, nil
}

// list lists the members, unless there can be no more than there were.
func (t *tree) list() error {
	newest, _ := facts.ReadLastProcess(t.root) // 0: all are read
	if same := newest != 0 && newest == t.newest; t.members == nil || !same || !t.sure {
		members, err := facts.ReadTree(t.root, t.pid)
		if err != nil {
			return err
		}
		t.members, t.newest, t.sure = members, newest, same
	}
	t.listed = time.Now()
	return nil
}

// near keeps the member that is nearest to its limit of descriptors.
func (t *tree) near(pid, fds int) {
	limit, known := t.limits[pid]
	if !known {
		if l, err := facts.ReadLimits(t.root, pid); err == nil {
			limit = int64(l.NoFile.Soft)
		}
		t.limits[pid] = limit
	}
	f := &t.fullest
	switch {
	case limit == 0: // unknown
	case f.limit == 0, limit > 0 && (f.limit < 0 || float64(fds)*float64(f.limit) >= float64(f.fds)*float64(limit)):
		f.fds, f.limit = fds, limit
	}
}
