package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

type capacityFlags struct {
	loadFlags
	search    loadgen.Search
	holdLevel time.Duration
	settle    time.Duration
	perLevel  int
	ladder    ladder
	plan      int
	numbers   sizingFlags
	facts     []string
	logs      []string
	output    outputFlags
}

// noErrors is the threshold of errors where --slo names none: any would end a
// worker of dc_federated's, or make it spin.
const noErrors = "errors<=0"

func newCapacity() *cobra.Command {
	_, cmd := capacityCommand()
	return cmd
}

// capacityCommand is capacity, and where its flags are read into.
func capacityCommand() (*capacityFlags, *cobra.Command) {
	f := &capacityFlags{loadFlags: loadFlags{roundTimeout: time.Minute}}
	cmd := &cobra.Command{
		Use:   "capacity",
		Short: "How many workers can this deployment really hold?",
		Long: `Raise the number of workers level by level, and find the highest at which all
are held and every service level is met. Without --step the levels double up to
one that does not hold, and then halve what lies between.

Without --target each level gets a reference server of its own, started and
stopped by fltool. A --target is held only, unless --rounds-per-level says that
its rounds end with as many updates as there are workers.

The answer stands beside the prediction of preflight's checks, from this host or
from --facts. With --replicas-for it tells what to deploy for more workers, from
this search or from a stored report (--measured), and --emit writes that for a
cluster. By several machines, each a --shard, levels are fixed (--levels) and begin at
common times; fltool report makes one answer of what they write. Exit codes: 0: as many as --to asks for (or, without --to, any);
1: fewer; 2: usage; 3: the generator was the limit, or no level could be run.`,
		Example: `  fltool capacity --to 1000 --slo 'fanout.p99<2s'
  fltool capacity --from 200 --step 200 --to 1000 --hold-level 10s
  fltool capacity --target http://127.0.0.1:8080 --keys keys --server-log /var/log/nginx/error.log
  fltool capacity --target http://127.0.0.1:5000 --keys keys --shard auto --levels 250,500,1000 --start-at +30s --out levels
  fltool capacity --to 2000 --plan 50000 --out capacity.json
  fltool capacity --measured capacity.json --replicas-for 20000 --spare 1
  fltool capacity --measured capacity.json --replicas-for 20000 --spare 1 --emit kubernetes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.IntVar(&f.search.From, "from", 100, "workers of the first level")
	fl.IntVar(&f.search.To, "to", 0, "workers of the last level, and those asked for (0: up to where a level fails)")
	fl.IntVar(&f.search.Step, "step", 0, "workers from level to level (0: double, then halve)")
	fl.IntVar(&f.search.Within, "within", 0, "halve until the answer is known to so many workers (0: to 2 %)")
	fl.IntVar(&f.search.Confirm, "confirm", 1, "how many more times the answer must hold")
	fl.DurationVar(&f.holdLevel, "hold-level", 30*time.Second, "hold every level for so long")
	fl.IntVar(&f.perLevel, "rounds-per-level", 0, "rounds before the hold of each level (default 1 without --target)")
	fl.IntVar(&f.plan, "plan", 0, "tell what so many workers would need, by the slopes of this search")
	fl.StringArrayVar(&f.logs, "server-log", nil, "log of the server or its proxy: what it says during a level names the limit")
	fl.StringArrayVar(&f.facts, "facts", nil, "predict from saved facts: FILE, or proxy=FILE and app=FILE")
	fl.DurationVar(&f.settle, "settle", loadgen.DefaultSettle, "longest wait for the server to let go of the level before")
	f.addLadder(cmd)
	f.numbers.add(cmd)
	f.add(cmd)
	f.output.add(cmd)
	return f, cmd
}

func (f *capacityFlags) run(cmd *cobra.Command) (err error) {
	start := time.Now()
	if err := f.check(cmd); err != nil {
		return err
	}
	if f.numbers.measured != "" {
		return f.numbers.ofStored(cmd, &f.output)
	}
	thresholds, err := f.thresholds()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(thresholds, func(t reports.Threshold) bool { return t.Metric == "errors" }) {
		none, err := reports.ParseThreshold(noErrors)
		if err != nil {
			return err
		}
		thresholds = append(thresholds, none)
	}
	if f.shard != "" {
		return f.climb(cmd, thresholds)
	}
	asked := f.search.To
	var notes []string
	if f.keys != "" {
		if notes, err = f.boundByKeys(); err != nil {
			return err
		}
	}
	ctx := cmd.Context()
	if f.target != "" {
		target, err := parseTarget(f.target)
		if err != nil {
			return err
		}
		if err := agreeToLoad(cmd, target, f.search.To, loadgen.Scenario{}, f.yes); err != nil {
			return err
		}
	}
	l := levels{f: f, thresholds: thresholds, said: map[int][]symptoms.Found{}}
	if f.target != "" && f.command.line == "" {
		if err := l.aim(ctx); err != nil {
			return err
		}
	}
	if len(f.facts) > 0 {
		if l.deployment, err = readDeployment(f.facts); err != nil {
			return err
		}
	}
	tidies(ctx)
	if l.following, err = f.follow.begin(cmd); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.following.close()) }()
	found, err := f.search.Find(ctx, l.run)
	if err != nil && len(found.Tried) == 0 {
		return err
	}
	if err != nil {
		// What was found until then may have taken an hour.
		found.Cut, found.AtLeast = true, true
		found.Notes = append(found.Notes, fmt.Sprintf("the search was ended by an error: %v", err))
	}
	rep := found.Report(asked)
	rep.Notes = append(append(f.notes(), notes...), append(l.notes, rep.Notes...)...)
	rep.Env.Tool, rep.Env.Command = "fltool "+toolVersion(), append([]string{"fltool"}, f.reproduce(cmd)...)
	rep.Env.Started, rep.Env.Seconds = start.UTC().Format(time.RFC3339Nano), time.Since(start).Seconds()
	if f.target == "" {
		rep.Env.Target = "" // of one level's server alone
		rep.Demand.ModelBytes = int64(f.modelSize)
	}
	if l.deployment != nil {
		_, ledger := checks.Run(*l.deployment, rep.Demand, nil, start)
		*rep.Capacity = checks.Predict(*rep.Capacity, ledger.Ledger)
	}
	if failed, ok := found.FailedReport(); ok {
		*rep.Capacity = checks.Name(*rep.Capacity, checks.Bind(failed, l.said[found.Failed]))
	}
	if f.plan > 0 {
		rep.Plan = reports.Extrapolate(f.plan, rep.Slopes)
	}
	l.following.report(rep)
	l.following.giveBack()
	if f.numbers.replicasFor > 0 {
		return errors.Join(asExit(err), f.numbers.write(cmd, &f.output, rep))
	}
	return errors.Join(asExit(err), f.output.write(cmd, rep))
}

func (f *capacityFlags) check(cmd *cobra.Command) error {
	output := f.output
	if f.shard != "" {
		output.out = "" // a folder
	}
	if err := output.check(); err != nil {
		return err
	}
	if err := f.loadFlags.check(cmd.Flags().Changed); err != nil {
		return err
	}
	if err := f.numbers.check(cmd); err != nil {
		return err
	}
	s := f.search
	switch {
	case s.From < 1 || s.To < 0 || s.Step < 0 || s.Within < 0 || s.Confirm < 0:
		return usageError("", "--from must be at least 1, and --to, --step, --within and --confirm not negative")
	case s.To > 0 && s.To < s.From && cmd.Flags().Changed("from"):
		return usageError("", "--to %d is below --from %d", s.To, s.From)
	case s.Step > 0 && s.Within > 0:
		return usageError("--within is for halving", "--step and --within exclude each other")
	case f.holdLevel < 0 || f.perLevel < 0 || f.plan < 0 || f.settle < 0:
		return usageError("", "--hold-level, --rounds-per-level, --plan and --settle can't be negative")
	}
	if s.To > 0 {
		f.search.From = min(s.From, s.To)
	}
	if f.target == "" && !cmd.Flags().Changed("rounds-per-level") {
		f.perLevel = 1
	}
	if f.holdLevel == 0 && f.perLevel == 0 {
		return usageError("", "--hold-level 0 without rounds: there is nothing to do")
	}
	return f.checkLadder(cmd.Flags().Changed)
}

// boundByKeys ends the search with the last worker that has a key.
func (f *capacityFlags) boundByKeys() (notes []string, err error) {
	n, err := countKeys(f.keys)
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, usageError("fltool keys generate makes a key folder", "--keys %s: it has no %s0", f.keys, wire.KeyFilePrefix)
	case n < f.search.To:
		return nil, usageError("fltool keys generate makes a key folder", "--keys %s: it has %d keys, and --to is %d", f.keys, n, f.search.To)
	case f.search.To == 0:
		f.search.To, f.search.From = n, min(f.search.From, n)
		notes = []string{fmt.Sprintf("the search ends at %d workers: the key folder has no more keys", n)}
	}
	return notes, nil
}

// notes are what the figures mean.
func (f *capacityFlags) notes() []string {
	notes := []string{"nothing is left out as a warm-up: in every level registration, the first model and the first round count; a hold counts from the moment when all polls are held"}
	switch {
	case f.target == "":
		notes = append(notes, "every level had a reference server of its own, started anew")
	case f.command.line != "":
		notes = append(notes, "every level had a server of its own, started by --server-command")
	case f.perLevel == 0:
		notes = append(notes, "polls were held only, no rounds run: how the target ends a round is not known (--rounds-per-level)")
	}
	if f.target != "" && f.command.line == "" {
		notes = append(notes, "one server lived through all levels: memory that it keeps counts in the levels after")
	}
	return notes
}

func readDeployment(args []string) (*checks.Deployment, error) {
	d, err := readFacts(args)
	return &d, err
}
