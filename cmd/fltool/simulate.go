package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
)

type simulateFlags struct {
	loadFlags
	results string
	output  outputFlags
}

func newSimulate() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Drive simulated workers through whole rounds, or hold their polls",
		Long: `Drive simulated dc_federated workers against a server: whole rounds with
--rounds, polls held for a while with --hold, or first the rounds and then the
hold. Without --target it starts the reference server as a child process with
fresh keys and stops it afterwards.

The report goes to stdout, progress to stderr. Exit code 0: every worker did all
that was asked; 1: a worker was lost, an update not accepted or a service level
missed; 3: the generator itself was the limit, or the run could not be made.`,
		Example: `  fltool simulate --workers 1000 --rounds 3
  fltool simulate --workers 5000 --hold 30s
  fltool simulate --target http://127.0.0.1:5000 --keys keys --workers 1000 --rounds 3
  fltool simulate --workers 1000 --rounds 3 --slo 'round<10s' --slo 'errors<0.1%'
  fltool simulate --workers 1000 --rounds 3 --results run.bin && vegeta report run.bin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.IntVar(&f.workers, "workers", 1000, "number of workers")
	fl.IntVar(&f.rounds, "rounds", 0, "rounds that each worker takes part in (default 3 without --hold)")
	fl.DurationVar(&f.hold, "hold", 0, "hold every worker's poll for so long, after the rounds if there are any")
	fl.StringVar(&f.shard, "shard", "", "k/n: drive only the k-th of n parts of the workers (merge the reports with fltool report)")
	fl.StringVar(&f.results, "results", "", "write every request in vegeta's encoding, by suffix .bin, .json or .csv")
	f.add(cmd)
	f.output.add(cmd)
	return cmd
}

func (f *simulateFlags) run(cmd *cobra.Command) (err error) {
	set := cmd.Flags().Changed
	if !set("rounds") && !set("hold") {
		f.rounds = 3
	}
	if f.rounds == 0 && f.hold == 0 {
		return usageError("", "no rounds and no hold is nothing to do")
	}
	if err := f.check(set); err != nil {
		return err
	}
	if err := f.output.check(); err != nil {
		return err
	}
	if f.results != "" {
		if err := loadgen.CheckRecordName(f.results); err != nil {
			return usageError("", "--results: %v", err)
		}
	}
	thresholds, err := f.thresholds()
	if err != nil {
		return err
	}
	plan, shard, err := f.plan()
	if err != nil {
		return err
	}
	if err := loadgen.CheckRoom(plan.Workers, len(plan.Sources)); err != nil {
		return roomError(err)
	}
	opts := loadgen.Setup{ServerPID: f.serverPID, Own: f.target == "", Progress: progressTo(cmd.ErrOrStderr())}

	ctx := cmd.Context()
	tidies(ctx)
	child, cleanup, err := f.start(ctx, &plan)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	if child != nil {
		plan.Target, opts.ServerPID, opts.Exited = child.URL, child.PID, child.Exited
	} else if err := loadgen.CheckTarget(ctx, plan.Target, plan.TLS); err != nil {
		return targetError(err)
	}
	if f.results != "" {
		// Created last: a run that can't start leaves an old file as it is.
		if opts.Record, err = loadgen.NewRecorder(f.results); err != nil {
			return cantError("", "--results: %v", err)
		}
	}
	opts.Env = func(e *reports.Env) {
		e.Tool = "fltool " + toolVersion()
		e.Command = append([]string{"fltool"}, f.reproduce(cmd)...)
	}
	rep, err := loadgen.Run(ctx, plan, opts)
	if opts.Record != nil {
		if cerr := opts.Record.Close(); cerr != nil {
			// The report is as good as it would be without.
			incomplete := cantError("", "--results %s is not complete: %v", f.results, cerr)
			defer func() { err = errors.Join(incomplete, err) }()
		}
	}
	if err != nil {
		return cantError("", "%v", err)
	}
	rep.Shard = shard
	rep.Demand.Workers = f.workers // of the whole run, which all shards state alike
	if f.target == "" {
		rep.Demand.ModelBytes = int64(f.modelSize)
	}
	if shard != nil {
		rep.Thresholds = thresholds // judged on the whole, when the shards are merged
	} else if err := rep.Judge(thresholds); err != nil {
		return cantError("", "%v", err)
	}
	nameCause(&rep)
	err = f.output.write(cmd, rep)
	if hint, herr := f.hint(rep); herr != nil {
		return errors.Join(err, herr)
	} else if hint != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), fitted(cmd.ErrOrStderr(), "hint: "+hint))
	}
	return err
}

// parseShard reads k/n; nil is no shard.
func parseShard(s string) (*reports.Shard, error) {
	if s == "" {
		return nil, nil
	}
	k, n, _ := strings.Cut(s, "/")
	index, err1 := strconv.Atoi(k)
	count, err2 := strconv.Atoi(n)
	if err1 != nil || err2 != nil || index < 1 || index > count {
		return nil, usageError("", "--shard %q: want k/n with k from 1 to n", s)
	}
	return &reports.Shard{Index: index, Count: count}, nil
}
