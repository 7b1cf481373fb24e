package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// The runs of regress without a command: rounds, which show CPU, bytes and
// errors, and a hold, which shows memory and descriptors. The workers of the
// hold arrive over a while: after a burst the memory is that of its garbage.
var defaultRuns = [][]string{
	{"fltool", "simulate", "--workers", "200", "--rounds", "10"},
	{"fltool", "simulate", "--workers", "1200", "--ramp", "3s", "--hold", "3s", "--max-lag", "100ms"},
}

// mostRuns bounds --runs: beyond it a difference that only shows then is no one's.
const mostRuns = 1000

func newRegress() *cobra.Command {
	f := regressFlags{judge: outcomeFlags[reports.Comparison]{what: "comparison", formats: render.Comparisons}}
	cmd := &cobra.Command{
		Use:   "regress (--baseline DIR | --baseline-binary FILE | --baseline-command COMMAND | --history FILE) [flags] [-- COMMAND... [-- COMMAND...]]",
		Short: "Repeat runs and tell whether they got worse than a baseline",
		Long: `regress runs the commands --runs times each and compares the reports with those
of a baseline, as fltool compare does: a folder of reports that --store made, or
runs made now, in turn with the new ones: with the server of another fltool,
--baseline-binary, or with the old build of any server, --baseline-command beside
--server-command. The second is better where the machine has other tenants:
whatever slows it hurts both alike. The generator is this fltool in both.

The commands are those of fltool simulate, several behind -- each: one of rounds
and one of a hold measure all that decides. Without any they are
  fltool simulate --workers 200 --rounds 10
  fltool simulate --workers 1200 --ramp 3s --hold 3s --max-lag 100ms
A command of another name is run as it is, with --out FILE behind it.

The metrics that decide are those that a machine's other tenants hardly change:
errors, bytes per worker and round, memory and descriptors per held poll, and the
server's CPU: of stored runs server.cpuRatio (for each second of the generator's), of
runs in turn server.cpu (per round), since both meet the same machine. --gate names
others, --limit how much worse each may get; see fltool compare --help. Where
both commands decide it takes 7 --runs to tell, for the baseline as well; where
they can't tell more are made, up to --max-runs.

--history appends the new runs to a file, a line each, of which fltool trend
tells since which commit they are worse; without a baseline nothing else is done.

Exit codes: 0 nothing got worse; 1 a regression, or a run failed that did not in
the baseline; 2 usage; 3 fltool can't tell: a run could not be made, too few
runs, or another demand than the baseline's.`,
		Example: `  fltool regress --baseline .baseline --store
  fltool regress --baseline .baseline
  fltool regress --history history.jsonl && fltool trend history.jsonl
  fltool regress --baseline-binary old/fltool --out runs -- fltool simulate --rounds 5
  fltool regress --baseline-command 'cd old && exec gunicorn …' --server-command 'exec gunicorn …' \
    -- fltool simulate --target http://127.0.0.1:5000 --keys keys --workers 50 --rounds 5 --ramp 500ms --hold 500ms`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.baseline, "baseline", "", "`folder` of the reports to compare with, or to --store")
	fl.StringVar(&f.binary, "baseline-binary", "", "fltool `file` whose server is run in turn with the new one")
	fl.StringVar(&f.baseCommand, "baseline-command", "", "shell `command` that starts the old server, for runs in turn with those of --server-command")
	fl.IntVar(&f.runs, "runs", 8, "runs of each command, and of each side")
	fl.IntVar(&f.maxRuns, "max-runs", 0, "go on up to so many where fewer can't tell (default 3 times --runs)")
	fl.BoolVar(&f.store, "store", false, "make --baseline anew from these runs; nothing is compared")
	fl.StringVar(&f.out, "out", "", "keep the reports and the comparison in this new `folder`, those made before an error, too")
	fl.BoolVar(&f.strict, "strict", false, "refuse runs that differ in CPU, kernel or versions")
	fl.StringVar(&f.command.line, "server-command", "", "start the server of the commands' --target by this shell `command` for each run")
	fl.StringVar(&f.command.ready, "ready", "", "`URL` that tells when that server is ready")
	f.follow.addProgress(cmd)
	f.follow.addMetrics(cmd)
	f.history.add(cmd)
	f.judge.add(cmd)
	cmd.MarkFlagsMutuallyExclusive("store", "baseline-binary")
	cmd.MarkFlagsMutuallyExclusive("store", "baseline-command")
	cmd.MarkFlagsMutuallyExclusive("server-command", "baseline-binary")
	return cmd
}

type regressFlags struct {
	baseline, binary, out string
	baseCommand           string
	runs, maxRuns         int
	store, strict         bool
	command               commandFlags
	follow                followFlags
	history               historyFlags
	judge                 outcomeFlags[reports.Comparison]
}

// inTurn says whether the runs of the base are made now.
func (f *regressFlags) inTurn() bool { return f.binary != "" || f.baseCommand != "" }

func (f *regressFlags) run(cmd *cobra.Command, args []string) (err error) {
	gate := reports.QuietGate()
	if f.inTurn() {
		gate = reports.InTurnGate()
	}
	gate, err = f.judge.check(gate)
	if err != nil {
		return err
	}
	if err := f.follow.check(); err != nil {
		return err
	}
	commands, err := f.check(cmd, args)
	if err != nil {
		return err
	}
	// What is wrong with the baseline is told before the runs, not after them.
	var base []reports.Report
	if f.baseline != "" && !f.inTurn() && !f.store {
		if base, err = readBaseline(f.baseline); err != nil {
			return err
		}
	}
	if !f.follow.quiet {
		f.warnOfFew(cmd, base, gate)
	}
	if f.store {
		// Not after an hour of runs.
		if err := errors.Join(replaceable(f.baseline), writable(filepath.Dir(filepath.Clean(f.baseline)))); err != nil {
			return cantError("", "store baseline: %w", err)
		}
	}
	if f.inTurn() && f.baseline != "" && !f.follow.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "fltool: --baseline %s is not read: runs made now, in turn, are the better base\n", f.baseline)
	}
	following, err := f.follow.listen(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, following.close()) }()
	m := measurement{commands: commands, base: side{name: "base"}, new: side{name: "new"}, following: following}
	if m.dir, err = os.MkdirTemp("", "fltool-regress-"); err != nil {
		return tempError(err)
	}
	tidies(cmd.Context()) // the folder, a run's server, the runs that are made, the terminal
	f.follow.show(cmd, following)
	logs := cmp.Or(f.out, m.dir)
	if f.command.line != "" {
		m.new.server = f.server(f.command.line, filepath.Join(logs, "server.log"))
	}
	switch {
	case f.binary != "":
		m.base.server = []string{"--server-binary", f.binary}
	case f.baseCommand != "":
		m.base.server = f.server(f.baseCommand, filepath.Join(logs, "base-server.log"))
	}
	if f.store {
		m.check = func(r reports.Report) error { return storable(r, gate) }
	}
	err = f.judged(cmd, &m, base, gate)
	return errors.Join(err, os.RemoveAll(m.dir))
}

// server are the flags by which a run starts a server.
func (f *regressFlags) server(line, log string) []string {
	flags := []string{"--server-command", line, "--server-output", log}
	if f.command.ready != "" {
		flags = append(flags, "--ready", f.command.ready)
	}
	return flags
}

// warnOfFew says that the runs of a baseline, or those to come, are too few for any
// verdict.
func (f *regressFlags) warnOfFew(cmd *cobra.Command, base []reports.Report, gate reports.Gate) {
	if len(base) == 0 {
		return
	}
	each := f.maxRuns
	for _, r := range base {
		each = min(each, len(ofKind(base, reports.KindOfRun(r.Demand))))
	}
	if needed := reports.RunsNeeded(base, gate, f.looks()); each < needed {
		fmt.Fprintf(cmd.ErrOrStderr(), "fltool: %s too few to tell a change: it takes %d of each command, on each side (--runs %d)\n", are(each, "run"), needed, needed)
	}
}

// alone says whether the runs are for the history and nothing else.
func (f *regressFlags) alone() bool { return f.baseline == "" && !f.inTurn() }

// more is how many runs are added at a time where fewer can't tell.
func (f *regressFlags) more() int { return max(1, f.runs/2) }

// looks is how often the runs are compared at most.
func (f *regressFlags) looks() int { return 1 + (f.maxRuns-f.runs+f.more()-1)/f.more() }

// judged makes the runs, keeps them where asked, and compares or stores them.
func (f *regressFlags) judged(cmd *cobra.Command, m *measurement, base []reports.Report, gate reports.Gate) error {
	c, err := f.compared(cmd, m, base, gate)
	m.following.giveBack()
	if f.inTurn() {
		base = m.base.runs
	}
	if f.out != "" && len(m.base.runs)+len(m.new.runs) > 0 {
		kept := keepRuns(f.out, base, m.new.runs)
		if err != nil && kept == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "the runs that were made until then are in %s\n", f.out)
		}
		err = errors.Join(err, kept)
	}
	if err != nil {
		if f.out != "" {
			_ = os.Remove(f.out) // if nothing was put there
		}
		return err
	}
	if err := f.history.keep(cmd.Context(), m.following.stderr, m.new.runs); err != nil {
		return err
	}
	if f.alone() {
		return nil
	}
	if f.store {
		if err := storeBaseline(cmd.OutOrStdout(), f.baseline, m.new.runs); err != nil {
			return err
		}
		f.warnOfFew(cmd, m.new.runs, gate)
		return nil
	}
	if f.strict && len(c.Environment) > 0 {
		return cantError("without --strict they are compared, and the differences listed", "the runs are not alike: %s", strings.Join(c.Environment, "; "))
	}
	if f.out != "" {
		if err := keepComparison(f.out, c); err != nil {
			return cantError("", "--out: %w", err)
		}
	}
	return f.judge.write(cmd, c, c.Trend)
}

// compared makes the runs and compares them, and makes more where more may tell; runs
// that are to be stored are only made.
func (f *regressFlags) compared(cmd *cobra.Command, m *measurement, stored []reports.Report, gate reports.Gate) (c reports.Comparison, err error) {
	for runs := f.runs; ; runs = min(runs+f.more(), f.maxRuns) {
		if err := m.measure(cmd.Context(), stored, runs); err != nil || f.store || f.alone() {
			return c, err
		}
		base := stored
		if f.inTurn() {
			base = m.base.runs
		}
		if d := reports.DemandDifferences(base, m.new.runs); len(d) > 0 {
			return c, cantError("run the command that made the baseline, or --store a new one", "the baseline's runs were of another demand: %s", strings.Join(d, "; "))
		}
		if c, err = reports.Compare(base, m.new.runs, gate, f.looks()); err != nil {
			return c, cantError("", "compare: %w", err)
		}
		if runs == f.maxRuns || !c.MoreMayTell() {
			return c, nil
		}
		fmt.Fprintf(m.following.stderr, "%s can't tell yet: %s\n", render.Plural(runs, "run"), strings.Join(c.Reasons, "; "))
	}
}

// check says what is wrong with the flags, and gives the commands.
func (f *regressFlags) check(cmd *cobra.Command, args []string) ([][]string, error) {
	const example = "fltool regress --baseline DIR -- fltool simulate --workers 200 --rounds 10"
	dash := cmd.ArgsLenAtDash()
	switch {
	case dash > 0 || dash < 0 && len(args) > 0:
		return nil, usageError(example, "%q: a command stands behind --", args[0])
	case f.baseline == "" && !f.inTurn() && f.history.file == "":
		return nil, usageError(example, "nothing to compare with: want --baseline, --baseline-binary, --baseline-command or --history")
	case f.baseCommand != "" && f.command.line == "":
		return nil, usageError("it starts the new server, for runs in turn", "--baseline-command needs --server-command")
	case f.store && f.baseline == "":
		return nil, usageError("", "--store needs --baseline")
	case f.runs < 1 || f.runs > mostRuns:
		return nil, usageError("", "--runs %d: want 1 to %d", f.runs, mostRuns)
	case !cmd.Flags().Changed("max-runs"):
		f.maxRuns = 3 * f.runs
	case f.maxRuns < f.runs || f.maxRuns > mostRuns:
		return nil, usageError("", "--max-runs %d: want --runs (%d) to %d", f.maxRuns, f.runs, mostRuns)
	}
	if err := f.history.check(); err != nil {
		return nil, err
	}
	if f.command.line == "" && f.command.ready != "" {
		return nil, usageError("", "--ready is for the server of --server-command")
	}
	if f.binary != "" {
		if _, err := exec.LookPath(f.binary); err != nil {
			return nil, usageError("", "--baseline-binary: %w", err)
		}
	}
	if f.out != "" {
		if _, err := os.Stat(f.out); err == nil {
			return nil, usageError("name a new one: reports of two measurements don't mix", "--out %s: it is there already", f.out)
		}
		// Not after an hour of runs.
		if err := os.MkdirAll(f.out, 0o777); err != nil { // #nosec G301 -- as the umask has it, like any tool's output
			return nil, cantError("", "--out: %w", err)
		}
	}
	if len(args) == 0 {
		return defaultRuns, nil
	}
	var commands [][]string
	for rest := args; ; {
		i := slices.Index(rest, "--")
		command := rest
		if i >= 0 {
			command = rest[:i]
		}
		if len(command) == 0 {
			return nil, usageError(example, "no command behind --")
		}
		if f.binary != "" && filepath.Base(command[0]) != "fltool" {
			return nil, usageError(example, "--baseline-binary needs fltool simulate: %s may not start a server at all", command[0])
		}
		if f.command.line != "" && filepath.Base(command[0]) != "fltool" {
			return nil, usageError(example, "--server-command needs fltool simulate or capacity: %s takes no such flag", command[0])
		}
		commands = append(commands, command)
		if i < 0 {
			return commands, nil
		}
		rest = rest[i+1:]
	}
}
