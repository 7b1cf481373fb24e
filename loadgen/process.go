package loadgen

import (
	"context"
	"os"
	"os/exec"
	"syscall"
)

// Process is a program that drives a part of the workers, to be run to its end. When ctx
// ends it is interrupted, and reports what it did; it ends with this process, however that
// ends.
func Process(ctx context.Context, exe string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, exe, args...) // #nosec G204 -- fltool itself
	cmd.SysProcAttr = bound(syscall.SIGKILL)      // Ctrl-C is for us, who pass it on
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = freeLongest + stopTimeout
	return cmd
}
