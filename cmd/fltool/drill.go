package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen"
)

type drillFlags struct {
	loadFlags
	acts     []string
	patience time.Duration
	longest  time.Duration
	output   outputFlags
}

func newDrill() *cobra.Command {
	var f drillFlags
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Rehearse a reload, a restart or a failure under held polls",
		Long: `Hold the polls of simulated workers, run your commands, and tell what the fleet
went through: polls lost and how, seconds until 50, 90, 99 and 100 % were held
again, the storm of connects and requests, models missed, updates lost or counted
twice, and how many of dc_federated's own workers would have ended for good.

An --act is a shell command, and runs only because you gave it. A time before it
counts from the moment when all workers are held (with --rounds: have registered):
'30s: systemctl reload nginx'. kill:PID sends SIGKILL, pause:PID:10s stops a
process for so long. What a command leaves running in the background stays.

Exit code 0: all workers were held again; 1: some were not, or a service level was
missed; 3: a command failed, or the generator was the limit.`,
		Example: `  fltool drill --target http://127.0.0.1:8080 --keys keys --workers 1000 --act 'systemctl reload nginx'
  fltool drill --target http://127.0.0.1:5000 --keys keys --act kill:4711 --worker-behaviour supervised:5s
  fltool drill --target URL --keys keys --act '10s: nginx -s reload' --act '60s: systemctl restart fl' \
    --slo 'recovered.p99<30s' --slo 'cut<=0' --slo 'connects.peak<500/s'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringArrayVar(&f.acts, "act", nil, "`'[TIME: ]COMMAND'`, kill:PID or pause:PID:TIME; may be given more than once")
	fl.IntVar(&f.workers, "workers", 1000, "number of workers")
	fl.IntVar(&f.rounds, "rounds", 0, "play so many rounds meanwhile, and hold the polls afterwards")
	fl.DurationVar(&f.patience, "patience", time.Minute, "longest wait, after the last act, for all workers to be held again")
	fl.DurationVar(&f.longest, "act-timeout", time.Minute, "a command that takes longer is ended, and has failed")
	f.add(cmd)
	f.output.add(cmd)
	return cmd
}

func (f *drillFlags) run(cmd *cobra.Command) (err error) {
	if f.target == "" {
		return usageError("fltool simulate starts a server of its own", "--target: want the URL of the deployment that the commands act on")
	}
	if f.command.line != "" {
		return usageError("start the server yourself, and name its commands by --act", "--server-command is not for a drill: the server ends with the process that fltool started")
	}
	if len(f.acts) == 0 {
		return usageError("for example --act 'systemctl reload nginx'", "a drill needs an --act")
	}
	for name, d := range map[string]time.Duration{"patience": f.patience, "act-timeout": f.longest} {
		if d <= 0 {
			return usageError("", "--%s %s: want more than 0", name, d)
		}
	}
	var acts []loadgen.Act
	for _, s := range f.acts {
		a, err := parseAct(s, f.longest)
		if err != nil {
			return err
		}
		acts = append(acts, a)
	}
	f.hold = f.patience
	return f.drive(cmd, &f.output, loadgen.Setup{Acts: acts, Patience: f.patience})
}

// parseAct reads an act: a command, after a time if there is one.
func parseAct(s string, longest time.Duration) (loadgen.Act, error) {
	a := loadgen.Act{Name: strings.TrimSpace(s)}
	if before, after, found := strings.Cut(s, ":"); found {
		if at, err := time.ParseDuration(strings.TrimSpace(before)); err == nil {
			if at < 0 {
				return a, usageError("", "--act %q: want a time of 0 or more", s)
			}
			a.At, a.Name = at, strings.TrimSpace(after)
		}
	}
	var err error
	if a.Do, err = loadgen.ParseDeed(a.Name, longest); err != nil {
		return a, usageError("for example --act '30s: systemctl reload nginx', kill:4711 or pause:4711:10s", "--act %q: %v", s, err)
	}
	return a, nil
}
