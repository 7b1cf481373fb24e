package facts

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

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
	stat, err := readStat(r, pid)
	if err != nil {
		return Usage{FDs: -1}, err
	}
	u := Usage{RSSBytes: stat.rssPages * int64(os.Getpagesize()), CPUSeconds: float64(stat.ticks) / userHZ}
	if u.FDs, err = proc.FileDescriptorsLen(); err != nil {
		u.FDs = -1
		return u, fmt.Errorf("/proc/%d/fd: %w", pid, cause(err))
	}
	return u, nil
}

// userHZ is the kernel's unit of time towards programs, everywhere that Linux
// runs Go: 1/100 s.
const userHZ = 100

// procStat is what is read of /proc/PID/stat.
type procStat struct {
	name     string // 15 characters
	state    string // "S", "Z", …
	ppid     int
	group    int
	ticks    uint64 // of user and system time
	rssPages int64
}

func readStat(r Root, pid int) (procStat, error) {
	file := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := r.ReadString(file)
	if err != nil {
		return procStat{}, err
	}
	s, err := parseStat(text)
	if err != nil {
		return procStat{}, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// parseStat reads "7 (a name) S 1 …"; the name may hold anything, parentheses
// too. (That of prometheus/procfs panics on a file cut short.)
func parseStat(text string) (procStat, error) {
	open, shut := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || shut < open {
		return procStat{}, fmt.Errorf("%q has no name", firstLine(text))
	}
	// After the name: state, parent (the file's 4th field), …
	f := strings.Fields(text[shut+1:])
	const ppid, pgrp, utime, stime, rss = 4 - 3, 5 - 3, 14 - 3, 15 - 3, 24 - 3
	if len(f) <= rss {
		return procStat{}, fmt.Errorf("%q is cut short", firstLine(text))
	}
	s := procStat{name: text[open+1 : shut], state: f[0]}
	var err error
	if s.ppid, err = strconv.Atoi(f[ppid]); err != nil {
		return procStat{}, fmt.Errorf("parent %q is no process", f[ppid])
	}
	if s.group, err = strconv.Atoi(f[pgrp]); err != nil {
		return procStat{}, fmt.Errorf("group %q is none", f[pgrp])
	}
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseUint(f[i], 10, 62)
		if err != nil {
			return procStat{}, fmt.Errorf("time %q is no count", f[i])
		}
		s.ticks += n
	}
	if s.rssPages, err = strconv.ParseInt(f[rss], 10, 50); err != nil || s.rssPages < 0 {
		return procStat{}, fmt.Errorf("memory %q is no count", f[rss])
	}
	return s, nil
}

// ProcessorTime is what the host's processors have done since it started, in seconds of
// them all.
type ProcessorTime struct {
	Busy   float64
	Stolen float64 // by a hypervisor's other guests
	Idle   float64
}

// ReadProcessorTime reads the first line of /proc/stat (man 5 proc_stat). It is read
// several times a second, and the rest, of which prometheus/procfs reads all, is long.
func ReadProcessorTime(r Root) (ProcessorTime, error) {
	const path = "/proc/stat"
	f, err := r.Open(path)
	if err != nil {
		return ProcessorTime{}, err
	}
	defer f.Close()
	var start [512]byte
	n, err := f.Read(start[:])
	if err != nil && err != io.EOF {
		return ProcessorTime{}, rename(err, path)
	}
	line := firstLine(string(start[:n]))
	var user, nice, system, idle, iowait, irq, softirq, steal float64
	if n, _ := fmt.Sscanf(line, "cpu %f %f %f %f %f %f %f %f", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); n < 8 {
		return ProcessorTime{}, fmt.Errorf("%s: %q is not what processors have done", path, line)
	}
	return ProcessorTime{
		Busy: (user + nice + system + irq + softirq) / userHZ, Stolen: steal / userHZ, Idle: (idle + iowait) / userHZ,
	}, nil
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

// Children are the processes that a process has started and that still run.
func (r Root) Children(pid int) (pids []int) {
	names, err := r.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, n := range names {
		child, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		if s, err := readStat(r, child); err == nil && s.ppid == pid && s.state != "Z" { // others have ended meanwhile
			pids = append(pids, child)
		}
	}
	return pids
}
