package loadgen

import (
	"context"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// RunProcess runs a program that drives a part of the workers, to its end. When ctx ends
// it is interrupted, and reports what it did; it ends with this process, however that
// ends. What it says on its standard error goes to said. The error is that of exec.Cmd.
func RunProcess(ctx context.Context, said io.Writer, exe string, args ...string) error {
	cmd := exec.CommandContext(ctx, exe, args...) // #nosec G204 -- fltool itself
	cmd.SysProcAttr = bound(syscall.SIGKILL)      // Ctrl-C is for us, who pass it on
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = freeLongest + stopTimeout
	cmd.Stderr = said
	return cmd.Run()
}
