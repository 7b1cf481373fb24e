package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
)

// drive makes the load that the flags describe and writes its report: simulate's and
// drill's.
func (f *loadFlags) drive(cmd *cobra.Command, output *outputFlags, setup loadgen.Setup) (err error) {
	if err := f.check(cmd.Flags().Changed); err != nil {
		return err
	}
	if err := output.check(); err != nil {
		return err
	}
	if f.results != "" {
		if err := loadgen.CheckRecordName(f.results); err != nil {
			return usageError("", "--results: %v", err)
		}
	}
	start, err := startTime(f.startAt, time.Now())
	if err != nil {
		return err
	}
	thresholds, err := f.thresholds()
	if err != nil {
		return err
	}
	plan, shard, err := f.plan()
	if err != nil {
		return err
	}
	if f.target != "" {
		// Of a shard too it is all workers that count.
		if err := agreeToLoad(cmd, plan.Target, f.workers, plan.Scenario, f.yes); err != nil {
			return err
		}
	}
	if err := loadgen.CheckRoom(plan.Workers, plan.Scenario.Connections(), max(1, f.procs), len(plan.Sources)); err != nil {
		return roomError(err)
	}
	ctx := cmd.Context()
	tidies(ctx)
	following, err := f.follow.begin(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, following.close()) }()
	setup.ServerPID, setup.Own, setup.Progress = f.serverPID, f.target == "", following.tell
	forget, err := f.makeKeys(ctx)
	defer func() { err = errors.Join(err, forget()) }()
	if err != nil {
		return err
	}
	child, cleanup, err := f.start(ctx, &plan)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	if child != nil {
		plan.Target, setup.ServerPID, setup.Exited = child.URL, child.PID, child.Exited
	} else if err := loadgen.CheckTarget(ctx, plan.Target, plan.TLS); err != nil {
		return targetError(err)
	}
	following.limit(func() *reports.Row { return nearestOf(ctx, plan.Target, setup.ServerPID, f.asked()) })
	if err := awaitStart(ctx, start, following.stderr); err != nil {
		return err
	}
	if f.results != "" {
		// Created last: a run that can't start leaves an old file as it is.
		if setup.Record, err = loadgen.NewRecorder(f.results); err != nil {
			return cantError("", "--results: %v", err)
		}
	}
	setup.Env = func(e *reports.Env) {
		e.Tool = "fltool " + toolVersion()
		e.Command = append([]string{"fltool"}, f.reproduce(cmd)...)
	}
	var rep reports.Report
	if f.procs > 1 {
		rep, err = f.runProcs(cmd, plan.Target, setup)
	} else {
		rep, err = loadgen.Run(ctx, plan, setup)
	}
	if setup.Record != nil {
		if cerr := setup.Record.Close(); cerr != nil {
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
	following.board.Ended(rep.Verdict)
	following.report(rep)
	following.giveBack()
	err = output.write(cmd, rep)
	if hint, herr := f.hint(rep); herr != nil {
		return errors.Join(err, herr)
	} else if hint != "" && !f.follow.quiet {
		fmt.Fprintln(cmd.ErrOrStderr(), fitted(cmd.ErrOrStderr(), "hint: "+hint))
	}
	return err
}
