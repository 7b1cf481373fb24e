package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/server/wire"
)

// stopTimeout is how long a child server may take to end before it is killed.
const stopTimeout = 10 * time.Second

// Child is a server that runs as a child process, in a process group of its own.
type Child struct {
	URL    *url.URL
	PID    int
	Exited <-chan error // yields once, when the process has ended without Stop

	cmd    *exec.Cmd
	exited chan error
	ended  chan struct{} // closed when the process has
	said   func() string
	slow   bool // it may take longer to end than anybody waits: gunicorn gives requests 30 s
}

// StartChild starts `exe serve …` and waits until it says where it listens. The
// child dies with this process, however that ends. Stop does not have it wait for
// workers that were notified of the last model: they are through.
func StartChild(ctx context.Context, exe string, args ...string) (*Child, error) {
	cmd := exec.Command(exe, append([]string{"serve", "--drain-timeout", "1s"}, args...)...) // #nosec G204 -- fltool itself, or what the flag names
	cmd.SysProcAttr = bound(syscall.SIGKILL)                                                 // Ctrl-C is for us: we stop the child when we are done with it
	said := &tail{}
	c := &Child{cmd: cmd, exited: make(chan error, 1), ended: make(chan struct{}), said: said.String}
	c.Exited = c.exited
	cmd.Stderr = said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	c.PID = cmd.Process.Pid
	address := make(chan string, 1)
	go func() {
		out := bufio.NewReader(stdout)
		line, err := out.ReadString('\n')
		if err == nil {
			address <- line
		}
		close(address)
		// What else it says goes nowhere, but must be read for it not to block.
		_, rerr := io.Copy(io.Discard, out)
		c.exited <- errors.Join(c.end(cmd.Wait()), rerr)
		close(c.ended)
	}()
	select {
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), c.Stop())
	case line, ok := <-address:
		if !ok {
			return nil, fmt.Errorf("start server: %w", <-c.exited)
		}
		_, where, found := strings.Cut(strings.TrimSpace(line), "listening on ")
		if c.URL, err = url.Parse(where); err != nil || !found {
			return nil, errors.Join(fmt.Errorf("start server: it said %q, not where it listens", clip(line)), c.Stop())
		}
	}
	return c, nil
}

// FreshKeys makes the keys of n workers and a file with the list of their public
// keys, which is all that a server needs of them.
func FreshKeys(n int, list string) ([]ed25519.PrivateKey, error) {
	keys := make([]ed25519.PrivateKey, n)
	var ids strings.Builder
	for i := range keys {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		keys[i] = private
		fmt.Fprintln(&ids, wire.WorkerID(public))
	}
	return keys, os.WriteFile(list, []byte(ids.String()), 0o600)
}

// Said is the last of what the server wrote, 2 KiB at most.
func (c *Child) Said() string { return c.said() }

// end says how the process ended and what it said last.
func (c *Child) end(err error) error {
	if err == nil {
		err = errors.New("exit status 0")
	}
	if said := c.said(); said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// Stop ends the process, with what it started, and waits for it. It may be called once,
// and after the process has ended by itself too.
func (c *Child) Stop() error {
	if err := syscall.Kill(-c.PID, syscall.SIGTERM); err != nil {
		return nil // nobody is left of the group
	}
	pause := 5 * time.Millisecond
	for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(pause) {
		pause = min(2*pause, 50*time.Millisecond) // each look reads of all processes
		// Who started others may end before they have.
		if lives, err := facts.GroupLives(facts.NewRoot("/"), c.PID); !lives {
			if err == nil {
				<-c.ended
			}
			return err
		}
	}
	err := syscall.Kill(-c.PID, syscall.SIGKILL)
	<-c.ended
	if c.slow {
		return err
	}
	return errors.Join(fmt.Errorf("server %d did not stop within %s and was killed", c.PID, stopTimeout), err)
}

// longestSaid is how much is kept of what a server says, in bytes.
const longestSaid = 2 << 10

// tail keeps the last lines of what a process says.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - longestSaid; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
