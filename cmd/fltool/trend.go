package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
	"github.com/fltool/fltool/reports/trend"
)

func newTrend() *cobra.Command {
	judge := outcomeFlags[trend.Analysis]{what: "trend", formats: render.Trends}
	var since string
	cmd := &cobra.Command{
		Use:   "trend FILE",
		Short: "Tell since which commit runs are worse, over a history of them",
		Long: fmt.Sprintf(`trend reads the runs that fltool regress --history FILE appended, and tells since
which commit a metric has another level: by E-divisive means with a t-test, as
Apache Otava does. A commit's figure is the median of its runs. So it finds the
slow drift that no comparison with the commit before can see.

A change is worse if today's level is worse than that before the change by more
than the metric's limit: steps add up, and what was undone does not count. After a
change that is meant, --since leaves out what was before it.

The metrics that decide, and their limits, are those of fltool regress; --gate
names others, --limit how much worse each may get; the others are shown. It takes
%d commits to tell.

Exit codes: 0 nothing is worse than it was; 1 a regression; 2 usage; 3
inconclusive, such as too few commits (--allow-inconclusive makes that 0).`, trend.Fewest),
		Example: `  fltool regress --history history.jsonl
  fltool trend history.jsonl
  fltool trend history.jsonl --format html > trend.html`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			gate, err := judge.check(reports.QuietGate())
			if err != nil {
				return err
			}
			history, err := trend.Read(files[0])
			if err != nil {
				return cantError("fltool regress --history FILE makes one", "%w", err)
			}
			a, err := trend.Analyze(history, gate, since)
			if err != nil {
				return usageError("", "--since: %w", err)
			}
			return judge.write(cmd, a, a.Outcome)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&since, "since", "", "the first `commit` that counts, or how its name begins")
	judge.add(cmd)
	return cmd
}

// commitHere is what the runs of this folder are of: git's word, with "-dirty" where
// files of the commit were changed, or else that of GitHub's runner; "" if nobody says.
func commitHere(ctx context.Context) string {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "--verify", "HEAD").Output()
	if err != nil {
		return os.Getenv("GITHUB_SHA")
	}
	commit := strings.TrimSpace(string(head))
	if exec.CommandContext(ctx, "git", "diff-index", "--quiet", "HEAD").Run() != nil {
		commit += "-dirty"
	}
	return commit
}

// historyFlags say where runs are kept to be looked at over many commits.
type historyFlags struct{ file, commit string }

func (f *historyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "history", "", "append a line for each run to this `file`, for fltool trend")
	cmd.Flags().StringVar(&f.commit, "commit", "", "the `name` of what was run, for --history (default: that of git, here)")
}

// check says before the runs what would keep them from being appended.
func (f *historyFlags) check() error {
	if f.file == "" {
		if f.commit != "" {
			return usageError("", "--commit is for --history")
		}
		return nil
	}
	if _, err := trend.Read(f.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return cantError("another file would be a new history", "--history: %w", err)
	}
	if err := trend.Append(f.file, nil); err != nil {
		return cantError("", "--history: %w", err)
	}
	return nil
}

// keep appends the runs.
func (f *historyFlags) keep(ctx context.Context, stderr io.Writer, runs []reports.Report) error {
	if f.file == "" || len(runs) == 0 {
		return nil
	}
	commit := cmp.Or(f.commit, commitHere(ctx))
	var lines []trend.Entry
	for _, r := range runs {
		lines = append(lines, trend.EntryOf(r, commit))
	}
	if err := trend.Append(f.file, lines); err != nil {
		return cantError("", "--history: %w", err)
	}
	if commit == "" {
		commit = "an unknown commit (--commit names it)"
	}
	fmt.Fprintf(stderr, "%s of %s appended to %s\n", render.Plural(len(lines), "run"), commit, f.file)
	return nil
}
