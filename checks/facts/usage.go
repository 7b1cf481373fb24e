package facts

import (
	"errors"
	"fmt"

	"github.com/prometheus/procfs"
)

// Usage is what one process has used or holds now.
type Usage struct {
	RSSBytes   int64   `json:"rssBytes"`
	CPUSeconds float64 `json:"cpuSeconds"` // user and system, since it started
	FDs        int     `json:"fds"`        // open descriptors; -1 where they may not be counted
}

// ReadUsage reads /proc/PID/stat and counts /proc/PID/fd. Where only the latter
// is denied (another user's process), the rest is given along with the error.
func ReadUsage(r Root, pid int) (Usage, error) {
	proc, err := r.proc(pid)
	if err != nil {
		return Usage{FDs: -1}, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return Usage{FDs: -1}, fmt.Errorf("/proc/%d/stat: %w", pid, cause(err))
	}
	u := Usage{RSSBytes: int64(stat.ResidentMemory()), CPUSeconds: stat.CPUTime()}
	if u.FDs, err = proc.FileDescriptorsLen(); err != nil {
		u.FDs = -1
		return u, fmt.Errorf("/proc/%d/fd: %w", pid, cause(err))
	}
	return u, nil
}

// procfs is the host's /proc for the parsers of prometheus/procfs.
func (r Root) procfs() (procfs.FS, error) {
	path, err := r.Path("/proc")
	if err != nil {
		return procfs.FS{}, err
	}
	fs, err := procfs.NewFS(path)
	if err != nil {
		return procfs.FS{}, fmt.Errorf("/proc: %w", cause(err))
	}
	return fs, nil
}

func (r Root) proc(pid int) (procfs.Proc, error) {
	fs, err := r.procfs()
	if err != nil {
		return procfs.Proc{}, err
	}
	p, err := fs.Proc(pid)
	if err != nil {
		return procfs.Proc{}, fmt.Errorf("/proc/%d: %w", pid, cause(err))
	}
	return p, nil
}

// cause strips the wrapping that repeats the path as fltool, not the host, sees it.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
