package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen"
)

// commandFlags name a server that is started for a run and ended with it.
type commandFlags struct {
	line, ready, log string
}

func (c *commandFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&c.line, "server-command", "", "start the server of --target by this shell `command` for each run, measure it, and end it")
	fl.StringVar(&c.ready, "ready", "", "`URL` that tells when that server is ready (default: the target's answer does)")
	fl.StringVar(&c.log, "server-output", "", "append what that server says to this `file`")
}

// check says what is wrong with the flags.
func (f *loadFlags) checkCommand(set func(name string) bool) error {
	c := f.command
	switch {
	case c.line == "" && (set("ready") || set("server-output")):
		return usageError("", "--ready and --server-output are for the server of --server-command")
	case c.line == "":
		return nil
	case f.target == "":
		return usageError("it is where the server that the command starts can be reached", "--server-command needs --target")
	case set("server-pid"):
		return usageError("the server that fltool starts is measured", "--server-command and --server-pid exclude each other")
	}
	if c.ready != "" {
		if u, err := url.Parse(c.ready); err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
			return usageError("for example http://127.0.0.1:5000/", "--ready: want a URL, http or https")
		}
	}
	return nil
}

// start starts the server of a run, where it is fltool's to start: the reference
// server, or that of --server-command. The child is nil where it is not.
func (f *loadFlags) start(ctx context.Context, p *loadgen.Plan) (*loadgen.Child, func() error, error) {
	switch {
	case f.target == "":
		return f.serve(ctx, p)
	case f.command.line == "":
		return nil, func() error { return nil }, nil
	}
	c := loadgen.Command{Line: f.command.line, Target: p.Target, TLS: p.TLS}
	var err error
	if f.command.ready != "" {
		if c.Ready, err = url.Parse(f.command.ready); err != nil {
			return nil, nil, err
		}
	}
	clean := func() error { return nil }
	if f.command.log != "" {
		if c.Log, err = os.OpenFile(f.command.log, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666); err != nil { // #nosec G302 -- as the umask has it, like any log
			return nil, nil, cantError("", "--server-output: %w", err)
		}
	} else if c.Log, err = os.CreateTemp("", "fltool-server-*.log"); err != nil {
		return nil, nil, tempError(err)
	}
	if f.command.log == "" {
		clean = func() error { return os.Remove(c.Log.Name()) }
	}
	child, err := c.Start(ctx)
	if err != nil {
		return nil, nil, errors.Join(cantError("", "%w", err), c.Log.Close(), clean())
	}
	return child, func() error { return errors.Join(child.Stop(), c.Log.Close(), clean()) }, nil
}

// serverPID reads --server-pid: a process, or a file that names one.
func (f *loadFlags) readPID() error {
	if f.serverAt == "" {
		return nil
	}
	text, where := f.serverAt, ""
	if _, err := strconv.Atoi(text); err != nil {
		b, err := os.ReadFile(f.serverAt)
		if err != nil {
			return usageError("a process id, or a file that has one such as /run/gunicorn.pid", "--server-pid: %w", err)
		}
		text, where = strings.TrimSpace(string(b)), f.serverAt+": "
	}
	pid, err := strconv.Atoi(text)
	if err != nil || pid < 1 {
		return usageError("systemctl show -P MainPID UNIT tells that of a service", "--server-pid: %s%q is no process id", where, cmp.Or(text, "nothing"))
	}
	f.serverPID = pid
	return nil
}
