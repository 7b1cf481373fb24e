package main

import (
	"bytes"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

func newCompare() *cobra.Command {
	var (
		judge  = outcomeFlags[reports.Comparison]{what: "comparison", formats: render.Comparisons}
		strict bool
	)
	cmd := &cobra.Command{
		Use:   "compare BASE... -- NEW...",
		Short: "Tell whether new runs are worse than base runs",
		Long: `compare reads the reports of base runs and, behind --, of new ones, a file each,
and tells which metrics changed: by the Mann-Whitney test over runs, after
Holm's correction over the metrics that decide, and beyond a practical limit.

The metrics that decide, and their limits, which --limit changes: round and
fanout 10% (the mean over a run's rounds), server.cpu 5% (CPU per round), bytes
2% (per worker and round), server.rss 10% and server.fds 5% (per worker; holds
measure them), errors 0.1% of all requests more. --gate names others, such as
server.cpuRatio: the server's CPU for each second of the generator's, which a
machine's other tenants hardly change.

A new run that failed is a regression if none of the base did.

It takes 4 runs on each side to tell of one metric, 5 of up to six, 6 of more:
of fewer, not even those that all lie apart would be significant.

Exit codes: 0 nothing got worse; 1 a regression; 2 usage; 3 inconclusive, such
as too few runs (--allow-inconclusive makes that 0).`,
		Example: `  fltool compare base-*.json -- new-*.json
  fltool compare --limit round=5% base-*.json -- new-*.json`,
		RunE: func(cmd *cobra.Command, files []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash < 1 || dash == len(files) {
				return usageError("fltool compare base-*.json -- new-*.json", "want the base reports, --, and the new reports")
			}
			gate, err := judge.check(reports.DefaultGate())
			if err != nil {
				return err
			}
			var runs []reports.Report
			for _, file := range files {
				r, err := reports.Read(file)
				if err != nil {
					return cantError("", "%w", err)
				}
				runs = append(runs, r)
			}
			c, err := reports.Compare(runs[:dash], runs[dash:], gate, 1)
			if err != nil {
				return compareError(err, files)
			}
			if strict && len(c.Environment) > 0 {
				return cantError("without --strict they are compared, and the differences listed", "compare: the runs are not alike: %s", strings.Join(c.Environment, "; "))
			}
			return judge.write(cmd, c, c.Trend)
		},
	}
	judge.add(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "refuse runs that differ in CPU, kernel, versions or demand")
	return cmd
}

// compareError names the files that are to blame.
func compareError(err error, files []string) error {
	var c *reports.CompareError
	if !errors.As(err, &c) || len(c.Of) == 0 {
		return cantError("", "compare: %w", err)
	}
	var names []string
	for _, i := range c.Of {
		names = append(names, files[i])
	}
	return cantError("", "compare %s: %s", strings.Join(names, " and "), c.Reason)
}

// outcomeFlags are how a command that ends in an outcome judges and shows it.
type outcomeFlags[T any] struct {
	what       string // is shown: "comparison"
	formats    render.Formats[T]
	format     string
	gate       []string
	limits     []string
	allowUndef bool
}

func (f *outcomeFlags[T]) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", render.Default, "print the "+f.what+" as "+strings.Join(f.formats.Names(), ", "))
	fl.StringSliceVar(&f.gate, "gate", nil, "the `metrics` that decide, comma-separated")
	fl.StringArrayVar(&f.limits, "limit", nil, "how much worse a metric may get: `METRIC=SHARE`, such as round=10%")
	fl.BoolVar(&f.allowUndef, "allow-inconclusive", false, "exit 0 where the runs can't tell")
	completeBy(cmd, "format", f.formats.Names)
}

// check finds a wrong flag before the work is done, and gives the gate: that of
// --gate, or else the default, with the limits of --limit.
func (f *outcomeFlags[T]) check(gate reports.Gate) (reports.Gate, error) {
	if _, err := f.formats.For(f.format, render.Style{}); err != nil {
		return nil, usageError("", "--format: %w", err)
	}
	if len(f.gate) > 0 {
		var err error
		if gate, err = reports.GateOf(f.gate); err != nil {
			return nil, usageError("", "--gate: %w", err)
		}
	}
	for _, s := range f.limits {
		if err := gate.SetLimit(s); err != nil {
			return nil, usageError("", "%w", err)
		}
	}
	return gate, nil
}

// write prints what was judged and turns its outcome into the exit code.
func (f *outcomeFlags[T]) write(cmd *cobra.Command, judged T, outcome reports.Trend) error {
	stdout := cmd.OutOrStdout()
	show, err := f.formats.For(f.format, render.Style{Color: colored(stdout), Columns: columnsOf(stdout)})
	if err != nil {
		return usageError("", "--format: %w", err)
	}
	var b bytes.Buffer
	if err := show(&b, judged); err != nil {
		return cantError("", "print the %s: %w", f.what, err)
	}
	if err := printTo(stdout, "the "+f.what, b.String()); err != nil {
		return err
	}
	switch {
	case outcome == reports.TrendWorse:
		return &exitError{code: exitFail}
	case outcome == reports.TrendInconclusive && !f.allowUndef:
		return &exitError{code: exitCant}
	}
	return nil
}
