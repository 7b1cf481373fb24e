package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// nginxBacklog stops nginx's worker process once the first worker has come, and
// looks how long the queue of the rest gets.
func (r *room) nginxBacklog() (Measurement, error) {
	n, err := r.nginx(proxy{connections: 2048, listen: " backlog=64"})
	if err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(1<<20, inWorkers); err != nil {
		return Measurement{}, err
	}
	workers, err := children(n.cmd.Process.Pid)
	if err != nil {
		return Measurement{}, err
	}
	if len(workers) != 1 {
		return Measurement{}, fmt.Errorf("nginx has %d worker processes", len(workers))
	}
	var longest int
	var stopped time.Time
	err = r.during(func() error {
		switch {
		case stopped.IsZero():
			if held, err := r.held(); err != nil || held == 0 {
				return err
			}
			stopped = time.Now()
			return syscall.Kill(workers[0], syscall.SIGSTOP)
		case longest > 0 && time.Since(stopped) > 4*time.Second:
			return syscall.Kill(workers[0], syscall.SIGCONT)
		}
		return r.queue(nginxPort, &longest)
	}, func() error {
		_, err := r.simulate(nginxURL, 300, "--ramp", "3s")
		return err
	})
	if err != nil {
		return Measurement{}, err
	}
	s, err := r.found("host/listen-overflows")
	return Measurement{float64(longest), s}, err
}

// children are the processes that a process has started.
func children(pid int) ([]int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	var out []int
	for f := range strings.FieldsSeq(string(b)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}
