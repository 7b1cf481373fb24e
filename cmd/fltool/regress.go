package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// The runs of regress without a command: rounds, which show CPU, bytes and
// errors, and a hold, which shows memory and descriptors. The workers of the
// hold arrive over a while: after a burst the memory is that of its garbage.
var defaultRuns = [][]string{
	{"fltool", "simulate", "--workers", "200", "--rounds", "10"},
	{"fltool", "simulate", "--workers", "1200", "--ramp", "4s", "--hold", "1s", "--max-lag", "100ms"},
}

// mostRuns bounds --runs: beyond it a difference that only shows then is no one's.
const mostRuns = 1000

func newRegress() *cobra.Command {
	var f regressFlags
	cmd := &cobra.Command{
		Use:   "regress (--baseline DIR | --baseline-binary FILE) [flags] [-- COMMAND... [-- COMMAND...]]",
		Short: "Repeat runs and tell whether they got worse than a baseline",
		Long: `regress runs the commands --runs times each and compares the reports with those
of a baseline, as fltool compare does: a folder of reports that --store made, or
runs made now, in turn with the new ones, with the server of another fltool,
--baseline-binary. The second is better where the machine has other tenants:
whatever slows it hurts both alike. The generator is this fltool in both.

The commands are those of fltool simulate, several behind -- each: one of rounds
and one of a hold measure all that decides. Without any they are
  fltool simulate --workers 200 --rounds 10
  fltool simulate --workers 1200 --ramp 4s --hold 1s --max-lag 100ms
A command of another name is run as it is, with --out FILE behind it.

The metrics that decide are those that a machine's other tenants hardly change:
errors, bytes per worker and round, server.cpuRatio (CPU of the server for each
second of the generator's), memory and descriptors per held poll. --gate names
others, --limit how much worse each may get; see fltool compare --help.

Exit codes: 0 nothing got worse; 1 a regression, or a run failed that did not in
the baseline; 2 usage; 3 fltool can't tell: a run could not be made, too few
runs, or another demand than the baseline's.`,
		Example: `  fltool regress --baseline .baseline --store
  fltool regress --baseline .baseline
  fltool regress --baseline-binary old/fltool --out runs -- fltool simulate --rounds 5`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.baseline, "baseline", "", "`folder` of the reports to compare with, or to --store")
	fl.StringVar(&f.binary, "baseline-binary", "", "fltool `file` whose server is run in turn with the new one")
	fl.IntVar(&f.runs, "runs", 8, "runs of each command, and of each side")
	fl.BoolVar(&f.store, "store", false, "make --baseline anew from these runs; nothing is compared")
	fl.StringVar(&f.out, "out", "", "keep the reports and the comparison in this new `folder`")
	fl.BoolVar(&f.strict, "strict", false, "refuse runs that differ in CPU, kernel or versions")
	f.judge.add(cmd)
	cmd.MarkFlagsMutuallyExclusive("store", "baseline-binary")
	return cmd
}

type regressFlags struct {
	baseline, binary, out string
	runs                  int
	store, strict         bool
	judge                 compareFlags
}

func (f *regressFlags) run(cmd *cobra.Command, args []string) error {
	gate, err := f.judge.check(reports.QuietGate())
	if err != nil {
		return err
	}
	commands, err := f.check(cmd, args)
	if err != nil {
		return err
	}
	// What is wrong with the baseline is told before the runs, not after them.
	var base []reports.Report
	if f.binary == "" && !f.store {
		if base, err = readBaseline(f.baseline); err != nil {
			return err
		}
	}
	if f.store {
		if err := replaceable(f.baseline); err != nil {
			return cantError("", "store baseline: %w", err)
		}
	}
	if f.binary != "" && f.baseline != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "fltool: --baseline %s is not read: --baseline-binary's runs, made now, are the better base\n", f.baseline)
	}
	m := measurement{commands: commands, runs: f.runs, binary: f.binary, stderr: cmd.ErrOrStderr()}
	if m.dir, err = os.MkdirTemp("", "fltool-regress-"); err != nil {
		return cantError("", "%w", err)
	}
	err = f.judged(cmd, &m, base, gate)
	return errors.Join(err, os.RemoveAll(m.dir))
}

// judged makes the runs, keeps them where asked, and compares or stores them.
func (f *regressFlags) judged(cmd *cobra.Command, m *measurement, base []reports.Report, gate reports.Gate) error {
	fresh, new, err := m.measure(cmd.Context(), base)
	if err != nil {
		return err
	}
	if f.binary != "" {
		base = fresh
	}
	if f.out != "" {
		if err := keepRuns(f.out, base, new); err != nil {
			return err
		}
	}
	if f.store {
		return storeBaseline(cmd.OutOrStdout(), f.baseline, new)
	}
	if d := reports.DemandDifferences(base, new); len(d) > 0 {
		return cantError("run the command that made the baseline, or --store a new one", "the baseline's runs were of another demand: %s", strings.Join(d, "; "))
	}
	c, err := reports.Compare(base, new, gate)
	if err != nil {
		return cantError("", "compare: %w", err)
	}
	if f.strict && len(c.Environment) > 0 {
		return cantError("without --strict they are compared, and the differences listed", "the runs are not alike: %s", strings.Join(c.Environment, "; "))
	}
	if f.out != "" {
		if err := keepComparison(f.out, c); err != nil {
			return cantError("", "--out: %w", err)
		}
	}
	return f.judge.write(cmd, c)
}

// check says what is wrong with the flags, and gives the commands.
func (f *regressFlags) check(cmd *cobra.Command, args []string) ([][]string, error) {
	const example = "fltool regress --baseline DIR -- fltool simulate --workers 200 --rounds 10"
	dash := cmd.ArgsLenAtDash()
	switch {
	case dash > 0 || dash < 0 && len(args) > 0:
		return nil, usageError(example, "%q: a command stands behind --", args[0])
	case f.baseline == "" && f.binary == "":
		return nil, usageError(example, "nothing to compare with: want --baseline or --baseline-binary")
	case f.store && f.baseline == "":
		return nil, usageError("", "--store needs --baseline")
	case f.runs < 1 || f.runs > mostRuns:
		return nil, usageError("", "--runs %d: want 1 to %d", f.runs, mostRuns)
	}
	if f.binary != "" {
		if _, err := exec.LookPath(f.binary); err != nil {
			return nil, usageError("", "--baseline-binary: %w", err)
		}
	}
	if f.out != "" {
		if _, err := os.Stat(f.out); !errors.Is(err, fs.ErrNotExist) {
			return nil, usageError("name a new one: reports of two measurements don't mix", "--out %s: it is there already", f.out)
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
		commands = append(commands, command)
		if i < 0 {
			return commands, nil
		}
		rest = rest[i+1:]
	}
}

// measurement is the making of runs.
type measurement struct {
	commands [][]string
	runs     int
	binary   string // of the base's server; empty: no runs of the base
	dir      string // for reports
	stderr   io.Writer
}

// measure makes the runs of the base, if a binary is to make them, and the new
// ones, in turn. Base are the stored runs, if any: a demand that is not theirs
// is told after the first run, not after the last.
func (m *measurement) measure(ctx context.Context, stored []reports.Report) (base, new []reports.Report, err error) {
	kinds := map[string]int{} // of demand, by the command
	for n := range m.runs {
		for i, command := range m.commands {
			var took []string
			if m.binary != "" {
				r, err := m.one(ctx, append(slices.Clone(command), "--server-binary", m.binary))
				if err != nil {
					return nil, nil, err
				}
				base = append(base, r)
				took = append(took, fmt.Sprintf("base %s in %.1f s", r.Verdict, r.Env.Seconds))
			}
			r, err := m.one(ctx, command)
			if err != nil {
				return nil, nil, err
			}
			kind := reports.KindOfRun(r.Demand)
			if other, seen := kinds[kind]; seen && other != i {
				return nil, nil, usageError("a command of rounds and one of a hold", "two commands make runs of one kind, %s: they could not be told apart", kind)
			}
			kinds[kind] = i
			new = append(new, r)
			if d := reports.DemandDifferences(ofKind(stored, kind), []reports.Report{r}); len(stored) > 0 && len(d) > 0 {
				return nil, nil, cantError("run the command that made the baseline, or --store a new one", "the baseline's runs were of another demand: %s", strings.Join(d, "; "))
			}
			took = append(took, fmt.Sprintf("new %s in %.1f s", r.Verdict, r.Env.Seconds))
			fmt.Fprintf(m.stderr, "run %d of %d, %s: %s\n", n+1, m.runs, kind, strings.Join(took, ", "))
		}
	}
	return base, new, nil
}

func ofKind(rs []reports.Report, kind string) []reports.Report {
	return slices.DeleteFunc(slices.Clone(rs), func(r reports.Report) bool { return reports.KindOfRun(r.Demand) != kind })
}

// stopPatience is how long a run may take to end after it was told to.
const stopPatience = 15 * time.Second

// mostTries is how often a run is made whose verdict is refused: it tells nothing
// of the server, and whether it is refused has nothing to do with it.
const mostTries = 5

func (m *measurement) one(ctx context.Context, command []string) (r reports.Report, err error) {
	for range mostTries {
		if r, err = m.try(ctx, command); err != nil || r.Verdict != reports.VerdictRefused {
			break
		}
		fmt.Fprintf(m.stderr, "a run is of no use: %s\n", strings.Join(r.Reasons, "; "))
	}
	return r, err
}

// try makes one run and reads its report.
func (m *measurement) try(ctx context.Context, command []string) (reports.Report, error) {
	path := filepath.Join(m.dir, "run.json")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return reports.Report{}, cantError("", "%w", err)
	}
	exe := command[0]
	if exe == "fltool" {
		self, err := os.Executable() // whatever the PATH has
		if err != nil {
			return reports.Report{}, cantError("", "find fltool itself: %w", err)
		}
		exe = self
	}
	run := exec.CommandContext(ctx, exe, append(slices.Clone(command[1:]), "--out", path)...)
	var said strings.Builder
	run.Stderr = &said
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
	run.WaitDelay = stopPatience
	ended := run.Run()
	if ctx.Err() != nil {
		return reports.Report{}, cantError("", "interrupted")
	}
	r, err := reports.Read(path)
	switch {
	case err == nil:
		// What the exit code tells stands in the report, too.
		r.Env.Command = slices.DeleteFunc(r.Env.Command, func(arg string) bool { return arg == "--out="+path })
		return r, nil
	case !errors.Is(err, fs.ErrNotExist):
		return r, cantError("", "%s: %w", strings.Join(command, " "), err)
	}
	if ended == nil {
		ended = errors.New("it ended well without a report")
	}
	code := exitCant
	var exit *exec.ExitError
	if errors.As(ended, &exit) && exit.ExitCode() == exitUsage {
		code = exitUsage
	}
	return r, &exitError{code: code, err: fmt.Errorf("%s: %w: %s", strings.Join(command, " "), ended, lastWords(said.String()))}
}

// lastWords is the error that a run ended with, without its hint.
func lastWords(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	for _, l := range slices.Backward(lines) {
		if !strings.HasPrefix(l, "hint: ") {
			return strings.TrimPrefix(l, "fltool: ")
		}
	}
	return lines[0]
}

// readBaseline reads the reports of a folder.
func readBaseline(dir string) ([]reports.Report, error) {
	const hint = "fltool regress --baseline DIR --store makes one"
	if _, err := os.Stat(dir); err != nil {
		return nil, cantError(hint, "read baseline: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.json"))
	switch {
	case err != nil:
		return nil, cantError("", "read baseline: %w", err)
	case len(files) == 0:
		return nil, cantError(hint, "read baseline: no report in %s", dir)
	case len(files) > len(defaultRuns)*mostRuns:
		return nil, cantError("", "read baseline: %d reports in %s, more than regress makes", len(files), dir)
	}
	var rs []reports.Report
	for _, file := range files {
		r, err := reports.Read(file)
		if err != nil {
			return nil, cantError("", "%w", err)
		}
		switch {
		case r.Kind != reports.KindSimulate:
			return nil, cantError(hint, "read baseline: %s is a %s report, no run", file, r.Kind)
		case r.Shard != nil:
			return nil, cantError("fltool report merges shards", "read baseline: %s is shard %d of %d alone", file, r.Shard.Index, r.Shard.Count)
		case r.Verdict == reports.VerdictRefused || r.Verdict == reports.VerdictFail:
			return nil, cantError(hint, "read baseline: the verdict of %s is %s", file, r.Verdict)
		}
		rs = append(rs, r)
	}
	return rs, nil
}

func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// keepRuns writes the reports of the runs to a new folder, those of the two
// sides apart, so that fltool compare takes them.
func keepRuns(dir string, base, new []reports.Report) error {
	for side, rs := range map[string][]reports.Report{"base": base, "new": new} {
		if err := writeRuns(filepath.Join(dir, side), rs); err != nil {
			return cantError("", "--out: %w", err)
		}
	}
	return nil
}

// keepComparison writes the comparison beside the runs, in every format that has
// a file of its own.
func keepComparison(dir string, c reports.Comparison) error {
	for format, name := range map[string]string{"html": "comparison.html", "markdown": "comparison.md", "json": "comparison.json"} {
		show, err := render.ForComparison(format, render.Options{})
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := show(&b, c); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeRuns writes reports to a folder, by kind and number.
func writeRuns(dir string, rs []reports.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	number := map[string]int{}
	for _, r := range rs {
		kind := strings.ReplaceAll(reports.KindOfRun(r.Demand), " ", "-")
		number[kind]++
		if err := reports.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%02d.json", kind, number[kind])), r); err != nil {
			return err
		}
	}
	return nil
}

// storeBaseline makes the folder of these runs, or leaves what is there as it
// is: a run that failed or was refused is no baseline.
func storeBaseline(stdout io.Writer, dir string, rs []reports.Report) error {
	for _, r := range rs {
		if err := verdictError(r.Verdict); err != nil {
			var exit *exitError
			errors.As(err, &exit)
			return &exitError{code: exit.code, err: fmt.Errorf("not stored: a run's verdict is %s: %s", r.Verdict, strings.Join(r.Reasons, "; "))}
		}
	}
	if err := replaceRuns(dir, rs); err != nil {
		return cantError("", "store baseline: %w", err)
	}
	_, err := fmt.Fprintf(stdout, "stored %d runs in %s\n", len(rs), dir)
	return err
}

// replaceable says whether a folder is absent or has nothing but reports.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" || e.IsDir() {
			return fmt.Errorf("%s has other things than reports: %s", dir, e.Name())
		}
	}
	return nil
}

// replaceRuns puts the folder of the runs in the place of one that is replaceable.
func replaceRuns(dir string, rs []reports.Report) error {
	dir = filepath.Clean(dir)
	if err := replaceable(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*")
	if err != nil {
		return err
	}
	made := filepath.Join(fresh, "new")
	old := filepath.Join(fresh, "old")
	err = writeRuns(made, rs)
	if err == nil {
		if err = os.Rename(dir, old); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		if err = os.Rename(made, dir); err != nil {
			if back := os.Rename(old, dir); back != nil && !errors.Is(back, fs.ErrNotExist) {
				return fmt.Errorf("%w; the old baseline is in %s", errors.Join(err, back), old)
			}
		}
	}
	return errors.Join(err, os.RemoveAll(fresh))
}
