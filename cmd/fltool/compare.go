package main

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

func newCompare() *cobra.Command {
	var (
		format             string
		limits             []string
		strict, allowUndef bool
	)
	cmd := &cobra.Command{
		Use:   "compare BASE... -- NEW...",
		Short: "Tell whether new runs are worse than base runs",
		Long: `compare reads the reports of base runs and, behind --, of new ones, a file a run,
and tells which metrics changed: by the Mann-Whitney test over runs, after
Holm's correction over the metrics that decide, and beyond a practical limit.

The metrics that decide, and their limits, which --limit changes: round and
fanout 10% (the mean over a run's rounds), server.cpu (CPU per round),
server.rss and server.fds (per worker) 5%, errors 0.1% of all requests more.

Exit codes: 0 nothing got worse; 1 a regression; 2 usage; 3 inconclusive, such
as too few runs (--allow-inconclusive makes that 0).`,
		Example: `  fltool compare base-*.json -- new-*.json
  fltool compare --limit round=5% base-*.json -- new-*.json`,
		RunE: func(cmd *cobra.Command, files []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash < 1 || dash == len(files) {
				return usageError("fltool compare base-*.json -- new-*.json", "want the base reports, --, and the new reports")
			}
			show, err := render.ForComparison(format, render.Options{Color: colored(cmd.OutOrStdout())})
			if err != nil {
				return usageError("", "--format: %w", err)
			}
			by := map[string]float64{}
			for _, s := range limits {
				metric, limit, err := reports.ParseLimit(s)
				if err != nil {
					return usageError("", "%w", err)
				}
				by[metric] = limit
			}
			var runs []reports.Report
			for _, file := range files {
				r, err := reports.Read(file)
				if err != nil {
					return cantError("", "%w", err)
				}
				runs = append(runs, r)
			}
			c, err := reports.Compare(runs[:dash], runs[dash:], by)
			if err != nil {
				return cantError("", "compare: %w", err)
			}
			if strict && len(c.Environment) > 0 {
				return cantError("without --strict they are compared, and the differences listed", "compare: the runs are not alike: %s", strings.Join(c.Environment, "; "))
			}
			var b bytes.Buffer
			if err := show(&b, c); err != nil {
				return cantError("", "print the comparison: %w", err)
			}
			if _, err := cmd.OutOrStdout().Write(b.Bytes()); err != nil {
				return cantError("", "print the comparison: %w", err)
			}
			switch {
			case c.Outcome == reports.OutcomeWorse:
				return &exitError{code: exitFail}
			case c.Outcome == reports.OutcomeInconclusive && !allowUndef:
				return &exitError{code: exitCant}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", render.Default, "print the comparison as "+strings.Join(render.CompareFormats(), ", "))
	cmd.Flags().StringArrayVar(&limits, "limit", nil, "how much worse a metric may get: `METRIC=SHARE`, such as round=10%")
	cmd.Flags().BoolVar(&strict, "strict", false, "refuse runs that differ in CPU, kernel, versions or demand")
	cmd.Flags().BoolVar(&allowUndef, "allow-inconclusive", false, "exit 0 where the runs can't tell")
	return cmd
}
