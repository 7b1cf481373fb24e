package loadgen

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// readyTimeout is how long a server may take to come up.
const readyTimeout = time.Minute

// Command is a server that a shell command starts.
type Command struct {
	Line   string      // for sh -c; it must stay in the foreground
	Target *url.URL    // that it serves
	TLS    *tls.Config // for an https Target
	Ready  *url.URL    // that answers with a status below 400 once it is ready; nil: the Target's answer tells
	Log    *os.File    // takes what it says
}

// Start starts the server and waits until it answers. Another that answers already is
// an error: the load would meet that one.
func (c Command) Start(ctx context.Context) (*Child, error) {
	if CheckTarget(ctx, c.Target, c.TLS) == nil {
		return nil, fmt.Errorf("start server: %s://%s is answered already, by a server that was there before", c.Target.Scheme, c.Target.Host)
	}
	cmd := exec.Command("/bin/sh", "-c", c.Line) // #nosec G204 -- the command line is the user's own, by --server-command
	cmd.SysProcAttr = bound(syscall.SIGTERM)
	cmd.Stdout, cmd.Stderr = c.Log, c.Log
	from, err := c.Log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("the server's log: %w", err)
	}
	child := &Child{URL: c.Target, slow: true, cmd: cmd, exited: make(chan error, 1), ended: make(chan struct{}), said: func() string { return lastOf(c.Log.Name(), from) }}
	child.Exited = child.exited
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	child.PID = cmd.Process.Pid
	go func() {
		err := cmd.Wait()
		if said := words(child.Said()); err == nil || said != "" {
			err = fmt.Errorf("%w: %s", cmp.Or(err, errors.New("exit status 0")), said)
		}
		child.exited <- err
		close(child.ended)
	}()
	deadline := time.After(readyTimeout)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		why := c.up(ctx)
		if why == nil {
			return child, nil
		}
		select {
		case err := <-child.exited:
			return nil, errors.Join(fmt.Errorf("start server: it ended: %w", err), child.Stop())
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), child.Stop())
		case <-deadline:
			return nil, errors.Join(fmt.Errorf("start server: it is not ready after %s: %w: %s", readyTimeout, why, words(child.Said())), child.Stop())
		case <-tick.C:
		}
	}
}

// up says why the server is not ready; nil: it is.
func (c Command) up(ctx context.Context) error {
	if c.Ready != nil {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Ready.String(), nil)
		if err != nil {
			return err
		}
		resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: c.TLS, DisableKeepAlives: true}, CheckRedirect: stays}).Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode >= 400 {
			return fmt.Errorf("%s answers HTTP %d", c.Ready.Redacted(), resp.StatusCode)
		}
	}
	return CheckTarget(ctx, c.Target, c.TLS)
}

// words are the last few lines that a server said, without the frames of a traceback.
func words(said string) string {
	const few = 4
	lines := slices.DeleteFunc(strings.Split(said, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" || strings.HasPrefix(l, "  ") })
	return strings.Join(lines[max(0, len(lines)-few):], "; ")
}

// lastOf is the end of what came into a log from an offset on; "" where it can't be
// read, which whoever reads it whole will tell.
func lastOf(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		from = max(from, end-longestSaid)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, from, longestSaid))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}
