package loadgen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ParseDeed reads what an act does: a shell command, "kill:PID", which sends SIGKILL, or
// "pause:PID:10s", which stops a process for so long. What takes longer than longest is
// ended, with what it started and did not send to the background; that is an error, like
// an exit status other than 0.
func ParseDeed(s string, longest time.Duration) (func(context.Context) (string, error), error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case s == "":
		return nil, errors.New("no command")
	case kind == "kill":
		pid, err := readPID(rest)
		if err != nil {
			return nil, err
		}
		return func(context.Context) (string, error) { return "", signal(pid, syscall.SIGKILL) }, nil
	case kind == "pause":
		who, long, _ := strings.Cut(rest, ":")
		pid, err := readPID(who)
		if err != nil {
			return nil, err
		}
		d, err := time.ParseDuration(long)
		if err != nil || d <= 0 {
			return nil, fmt.Errorf("%q: want pause:PID:TIME", s)
		}
		return func(ctx context.Context) (string, error) { return "", pause(ctx, pid, d) }, nil
	}
	return func(ctx context.Context) (string, error) { return shell(ctx, s, longest) }, nil
}

func readPID(s string) (int, error) {
	pid, err := strconv.Atoi(s)
	switch {
	case err != nil || pid < 1:
		return 0, fmt.Errorf("%q is no process id", s)
	case pid == os.Getpid() || pid == 1:
		return 0, fmt.Errorf("process %d is not for a drill", pid)
	}
	return pid, nil
}

func signal(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	return nil
}

func pause(ctx context.Context, pid int, d time.Duration) error {
	if err := signal(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return signal(pid, syscall.SIGCONT)
}

// shell runs a command and gives the last of what it said. Its output is a file, so that
// what it leaves in the background keeps nobody waiting.
func shell(ctx context.Context, line string, longest time.Duration) (said string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("it had not ended after %s, and was ended", longest))
	defer cancel()
	out, err := os.CreateTemp("", "fltool-act-*.log")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, out.Close(), os.Remove(out.Name())) }()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line) // #nosec G204 -- the command is the user's own, by --act
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	said = clip(lastOf(out.Name(), 0))
	switch {
	case err == nil:
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case said != "":
		err = fmt.Errorf("%w: %s", err, said)
	}
	return said, err
}
