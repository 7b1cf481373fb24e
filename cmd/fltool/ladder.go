package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
)

// A ladder is capacity by shards: levels of fixed sizes, each of which all shards begin at
// one moment, since none of them can know what became of a level as a whole. Each level of
// a shard is a report of its own; who merges them judges the levels.
type ladder struct {
	levels []int         // workers of all shards, ascending
	every  time.Duration // from level to level; 0: what the longest may take
}

// mostLevels bounds what is typed.
const mostLevels = 64

// All shards hold a level until levelMargin before the next one, so that they hold it
// together however late one of them had all held; half of it is for a hold that began so
// late that it is not over by then, the other half for ending the polls.
const levelMargin = 10 * time.Second

func (f *capacityFlags) addLadder(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.IntSliceVar(&f.ladder.levels, "levels", nil, "of a shard: the workers of each level, of all shards together, such as 250,500,1000")
	fl.DurationVar(&f.ladder.every, "level-every", 0, "of a shard: from the begin of a level to that of the next")
	fl.Lookup("level-every").DefValue = "what the largest may take"
	fl.StringVar(&f.shard, "shard", "", shardUsage)
	fl.StringVar(&f.startAt, "start-at", "", startUsage)
}

// checkLadder refuses what does not go with shards, and names the shard.
func (f *capacityFlags) checkLadder(set func(name string) bool) (err error) {
	l := &f.ladder
	switch {
	case f.shard == "" && (set("levels") || set("level-every") || set("start-at")):
		return usageError("a search that can look for the answer has no fixed levels", "--levels, --level-every and --start-at are of a --shard")
	case f.shard == "":
		return nil
	case len(l.levels) == 0 || f.startAt == "" || f.target == "":
		return usageError("for example --shard auto --levels 250,500,1000 --start-at +30s", "a shard can't search by itself: --shard wants --target, --levels and --start-at")
	case len(l.levels) > mostLevels:
		return usageError("", "--levels: %d of them, want at most %d", len(l.levels), mostLevels)
	case l.every < 0:
		return usageError("", "--level-every %s: want more than 0", l.every)
	}
	for i, n := range l.levels {
		if n < 1 || i > 0 && n <= l.levels[i-1] {
			return usageError("for example 250,500,1000", "--levels: want numbers of workers, each larger than the one before")
		}
	}
	for _, name := range []string{"from", "to", "step", "within", "confirm", "plan", "facts", "settle", "replicas-for", "server-log", "server-command"} {
		if set(name) {
			return usageError("give it to a search on one machine, or to whoever merges the shards", "--%s goes without --shard", name)
		}
	}
	if f.shard == autoShard {
		if f.shard, err = environment(os.LookupEnv).shard(); err != nil {
			return err
		}
	}
	longest := f.level(l.levels[len(l.levels)-1])
	if least := f.holdLevel + levelMargin; l.every == 0 {
		l.every = max(longest.ramp, time.Duration(longest.workers)*loadgen.ArrivalEvery) + f.holdLevel + 2*f.roundTimeout + levelMargin
	} else if l.every <= least {
		return usageError("arrivals, and workers that are never held, take their time as well", "--level-every %s: want more than %s, the hold and %s for the end of all polls", l.every, least, levelMargin)
	}
	return nil
}

// level is the load of one, of all shards together.
func (f *capacityFlags) level(workers int) loadFlags {
	load := f.loadFlags
	load.workers, load.rounds, load.hold = workers, f.perLevel, f.holdLevel
	return load
}

// climb runs a shard's part of each level and writes a report of each.
func (f *capacityFlags) climb(cmd *cobra.Command, thresholds []reports.Threshold) (err error) {
	start, err := startTime(f.startAt, time.Now())
	if err != nil {
		return err
	}
	highest := f.level(f.ladder.levels[len(f.ladder.levels)-1])
	plan, shard, err := highest.plan()
	if err != nil {
		return err
	}
	shard.Levels = f.ladder.levels
	if lowest := f.ladder.levels[0]; lowest < shard.Count {
		return usageError("", "--levels: %d workers are fewer than the %d shards", lowest, shard.Count)
	}
	if err := agreeToLoad(cmd, plan.Target, highest.workers, plan.Scenario, f.yes); err != nil {
		return err
	}
	if err := loadgen.CheckRoom(plan.Workers, 1, 1, len(plan.Sources)); err != nil {
		return roomError(err)
	}
	ctx := cmd.Context()
	tidies(ctx)
	if f.follow.progress != progressNone {
		f.follow.progress = progressPlain // a level's report is printed when it ends
	}
	following, err := f.follow.begin(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, following.close()) }()
	if err := loadgen.CheckTarget(ctx, plan.Target, plan.TLS); err != nil {
		return targetError(err)
	}
	if f.output.out != "" {
		if err := os.MkdirAll(f.output.out, 0o750); err != nil {
			return cantError(writableHint, "--out: %w", err)
		}
	}
	worst := reports.VerdictPass
	for i, workers := range f.ladder.levels {
		at := start.Add(time.Duration(i) * f.ladder.every)
		if err := awaitStart(ctx, at, following.stderr); err != nil {
			return err
		}
		r, err := f.rung(ctx, cmd, following, workers, at.Add(f.ladder.every-levelMargin))
		if err != nil {
			return cantError("", "level of %d: %w", workers, err)
		}
		r.Shard, r.Demand.Workers, r.Thresholds = shard, workers, thresholds
		worst = reports.Worse(worst, r.Verdict)
		following.board.Ended(r.Verdict)
		fmt.Fprintf(following.stderr, "level of %d, shard %d/%d: %s\n", workers, shard.Index, shard.Count, r.Verdict)
		if err := f.keep(cmd, r); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return cantError("", "%w", ctx.Err())
		}
	}
	if worst == reports.VerdictRefused {
		return &exitError{code: exitCant}
	}
	return nil // how many are held is said by all shards together
}

// rung is a shard's part of one level, which it holds until the common moment.
func (f *capacityFlags) rung(ctx context.Context, cmd *cobra.Command, following *following, workers int, until time.Time) (reports.Report, error) {
	load := f.level(workers)
	plan, _, err := load.plan()
	if err != nil {
		return reports.Report{}, err
	}
	if plan.Hold > 0 {
		plan.HoldTo = until
	}
	slot, cancel := context.WithDeadline(ctx, until.Add(levelMargin/2))
	defer cancel()
	r, err := loadgen.Run(slot, plan, loadgen.Setup{
		ServerPID: f.serverPID, Progress: following.tell,
		Env: func(e *reports.Env) {
			e.Tool, e.Command = "fltool "+toolVersion(), append([]string{"fltool"}, f.reproduce(cmd)...)
		},
	})
	if err == nil && ctx.Err() == nil && slot.Err() != nil {
		r.Verdict = reports.VerdictRefused
		r.Reasons = append([]string{fmt.Sprintf("the level was not over when the next one had to begin: --level-every %s is too short", f.ladder.every)}, r.Reasons...)
	}
	return r, err
}

// keep writes a level's report into the folder, and prints it.
func (f *capacityFlags) keep(cmd *cobra.Command, r reports.Report) error {
	if f.output.out != "" {
		file := filepath.Join(f.output.out, fmt.Sprintf("%d-%d.json", r.Demand.Workers, r.Shard.Index))
		if err := reports.WriteFile(file, r); err != nil {
			return cantError("", "%w", err)
		}
	}
	return f.output.print(cmd, r)
}

// levels is the answer of the shards of a ladder.
func (all gathered) levels() (reports.Report, error) {
	merged, err := reports.MergeLevels(all.reports)
	if err != nil {
		return reports.Report{}, all.named(err)
	}
	found := loadgen.Climbed(merged)
	r := found.Report(0)
	r.Env = reports.Span(merged)
	if failed, ok := found.FailedReport(); ok {
		*r.Capacity = checks.Name(*r.Capacity, checks.Bind(failed, nil))
	}
	return r, nil
}
