package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen"
)

type simulateFlags struct {
	loadFlags
	scenario string
	staged   []string
	output   outputFlags
}

func newSimulate() *cobra.Command {
	_, cmd := simulateCommand()
	return cmd
}

// simulateCommand is simulate, and where its flags are read into.
func simulateCommand() (*simulateFlags, *cobra.Command) {
	f := &simulateFlags{}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Drive simulated workers through whole rounds, or hold their polls",
		Long: `Drive simulated dc_federated workers against a server: whole rounds with
--rounds, polls held for a while with --hold, or first the rounds and then the
hold. --stages have one fleet grow and shrink: fltool run --help names them.
Without --target it starts the reference server as a child process with fresh
keys and stops it afterwards. A --scenario befalls the workers meanwhile:

  rounds   nothing: 3 rounds, or as many as --rounds says
  hold     nothing: polls held for 30 s, or as long as --hold says
  storm    all held polls are cut at once; ends when all are held again
  abandon  workers poll again, and leave the polls before open: times=20, after=1
  churn    6 rounds, and during the last of them join=5/s, leave=3/s and vanish=2/s, never
           more than away=10% gone at a time
  flaky    3 rounds through a relay that delays, cuts and resets: every=8000 (bytes),
           delay=0.2, silence=2 (seconds)
  hostile  6 rounds, and beside the last of them requests=10000 over connections=8
           that no honest client sends
  slow     6 rounds, and beside the last of them clients=20 that dribble heads, as many
           updates, and as many that read the model at rate=10 (bytes a second)

The report goes to stdout, progress to stderr. Exit code 0: every worker did all
that was asked; 1: a worker was lost, an update not accepted or a service level
missed; 3: the generator itself was the limit, or the run could not be made.`,
		Example: `  fltool simulate --workers 1000 --rounds 3
  fltool simulate --workers 5000 --hold 30s
  fltool simulate --target http://127.0.0.1:5000 --keys keys --workers 1000 --rounds 3
  fltool simulate --workers 1000 --rounds 3 --slo 'round<10s' --slo 'errors<0.1%'
  fltool simulate --stages hold:500,for=1m --stages spike:2000,for=1m --stages hold:500,for=1m
  fltool simulate --workers 1000 --scenario storm --slo 'recovered.max<10s'
  fltool simulate --workers 1000 --rounds 3 --results run.bin && vegeta report run.bin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.IntVar(&f.workers, "workers", 1000, "number of workers")
	fl.StringVar(&f.scenario, "scenario", "", "what befalls the workers: "+strings.Join(loadgen.ScenarioNames(), ", ")+", or `NAME:NUMBER=VALUE,…`")
	fl.IntVar(&f.rounds, "rounds", 0, "rounds that each worker takes part in (default 3 without --hold)")
	fl.DurationVar(&f.hold, "hold", 0, "hold every worker's poll for so long, after the rounds if there are any")
	fl.StringArrayVar(&f.staged, "stages", nil, "hold as many workers as this `STAGE` says, such as hold:1000,for=5m, ramp:1000,for=30s or spike:3000,for=20s; given several times one fleet goes through all")
	fl.StringVar(&f.shard, "shard", "", shardUsage)
	fl.StringVar(&f.startAt, "start-at", "", startUsage)
	fl.IntVar(&f.procs, "procs", 1, "drive the workers from so `many` processes, each with descriptors of its own")
	fl.StringVar(&f.results, "results", "", "write every request in vegeta's encoding, by suffix .bin, .json or .csv")
	f.add(cmd)
	f.output.add(cmd)
	for _, name := range []string{"workers", "rounds", "hold", "ramp", "scenario"} {
		cmd.MarkFlagsMutuallyExclusive("stages", name)
	}
	cmd.MarkFlagsMutuallyExclusive("procs", "shard")
	cmd.MarkFlagsMutuallyExclusive("procs", "results")
	return f, cmd
}

func (f *simulateFlags) run(cmd *cobra.Command) (err error) {
	if err := f.pick(cmd.Flags().Changed); err != nil {
		return err
	}
	if err := f.checkProcs(); err != nil {
		return err
	}
	if f.shard == autoShard {
		if f.shard, err = environment(os.LookupEnv).shard(); err != nil {
			return err
		}
	}
	return f.drive(cmd, &f.output, loadgen.Setup{Patience: f.hold})
}
