package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// ofTheWhole are the flags that a process of --procs does not get as they were given.
var ofTheWhole = []string{
	"procs", "start-at", "out", "format", "target", "keys", "seed", "yes", "slo", "progress", "quiet", "metrics-listen", "web",
	"model-size", "server-pid", "server-binary", "server-command", "server-output", "ready",
}

func (f *loadFlags) checkProcs() error {
	switch {
	case f.procs < 1 || f.procs > reports.MaxShards:
		return usageError("", "--procs %d: want 1 to %d", f.procs, reports.MaxShards)
	case f.procs > 1 && f.procs > f.workers: // of no workers another flag tells
		return usageError("", "--procs %d: more processes than workers", f.procs)
	}
	return nil
}

// makeKeys makes the keys of a run that several processes read, for the server that
// fltool starts itself.
func (f *loadFlags) makeKeys(ctx context.Context) (clean func() error, err error) {
	clean = func() error { return nil }
	if f.procs <= 1 || f.target != "" || f.unsafe || f.keys != "" {
		return clean, nil
	}
	dir, err := os.MkdirTemp("", "fltool-keys-")
	if err != nil {
		return clean, tempError(err)
	}
	clean = func() error { return os.RemoveAll(dir) }
	if err := wire.GenerateKeys(ctx, dir, f.workers); err != nil {
		return clean, cantError("", "generate keys: %w", err)
	}
	f.keys = dir
	return clean, nil
}

// runProcs drives the load from several processes, each a shard of it, and adds their
// reports up.
func (f *loadFlags) runProcs(cmd *cobra.Command, target *url.URL, setup loadgen.Setup) (r reports.Report, err error) {
	exe, err := os.Executable()
	if err != nil {
		return r, fmt.Errorf("find fltool itself: %w", err)
	}
	dir, err := os.MkdirTemp("", "fltool-procs-")
	if err != nil {
		return r, tempError(err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()

	var writing sync.Mutex
	var running sync.WaitGroup
	all := &together{last: make([]upLine, f.procs), tell: setup.Progress, finish: func(r *reports.Report) { r.Demand.Workers = f.workers; setup.Env(&r.Env) }}
	rs, errs := make([]reports.Report, f.procs), make([]error, f.procs)
	for i := range rs {
		running.Go(func() {
			shard := fmt.Sprintf("%d/%d", i+1, f.procs)
			file := filepath.Join(dir, fmt.Sprintf("%d.json", i+1))
			said := &tagged{mu: &writing, w: cmd.ErrOrStderr(), tag: shard + " "}
			process := loadgen.Process(ctx, exe, append(f.part(cmd, target, setup.ServerPID), "--shard="+shard, "--out="+file)...)
			process.Stderr = said
			ended := runHeard(process, all.of(i))
			// Its exit code is that of its verdict, which is in its report.
			if rs[i], errs[i] = reports.Read(file); errs[i] != nil {
				errs[i] = fmt.Errorf("process %s made no report: %w", shard, errors.Join(ended, errs[i]))
				cancel() // without it there is no whole
			}
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	r, err = reports.Merge(rs)
	for i := range r.Shards {
		r.Shards[i].Command = nil // that of the whole makes the run again
	}
	setup.Env(&r.Env)
	return r, err
}

// together tells how far all processes of a run have come, once each of them has told.
type together struct {
	tell   loadgen.Follower
	finish func(*reports.Report) // adds what only this process knows

	mu   sync.Mutex
	last []upLine // of each
	told int      // processes that have
}

// of is the follower of one of the processes.
func (t *together) of(i int) loadgen.Follower {
	return func(now reports.Progress, soFar func() reports.Report) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.last[i].Now.Stage == "" {
			t.told++
		}
		if t.last[i] = (upLine{now, soFar()}); t.told < len(t.last) {
			return
		}
		var all []reports.Progress
		var rs []reports.Report
		for _, line := range t.last {
			all, rs = append(all, line.Now), append(rs, line.SoFar)
		}
		t.tell(reports.AddProgress(all), sync.OnceValue(func() reports.Report {
			sum, err := reports.SoFar(rs)
			if err != nil {
				return reports.Report{} // none of ours: its report tells
			}
			t.finish(&sum)
			return sum
		}))
	}
}

// part is the command line of each process, but for which of them it is.
func (f *loadFlags) part(cmd *cobra.Command, target *url.URL, serverPID int) []string {
	args := []string{cmd.Name(), "--yes", "--quiet", "--target=" + target.String(), "--seed=" + strconv.FormatUint(f.seed, 10)}
	if f.keys != "" {
		args = append(args, "--keys="+f.keys)
	}
	if serverPID != 0 {
		args = append(args, "--server-pid="+strconv.Itoa(serverPID))
	}
	return append(args, given(cmd, ofTheWhole)...)
}

// given are the flags of a command line, as it has them, but for some.
func given(cmd *cobra.Command, except []string) (args []string) {
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if slices.Contains(except, flag.Name) {
			return
		}
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			args = append(args, "--"+flag.Name+"="+v)
		}
	})
	return args
}

// tagged writes whole lines, each with a tag before it.
type tagged struct {
	mu   *sync.Mutex // of all that write to w
	w    io.Writer
	tag  string
	rest []byte
}

func (t *tagged) Write(p []byte) (int, error) {
	t.rest = append(t.rest, p...)
	for {
		line, rest, whole := bytes.Cut(t.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		t.mu.Lock()
		_, err := fmt.Fprintf(t.w, "%s%s\n", t.tag, line)
		t.mu.Unlock()
		if t.rest = rest; err != nil {
			return len(p), err
		}
	}
}
