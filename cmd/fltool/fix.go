package main

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/remedy"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

func newFix() *cobra.Command {
	var j judgeFlags
	var diff bool
	var dir string
	cmd := &cobra.Command{
		Use:   "fix",
		Short: "Print a script that fixes what preflight finds",
		Long: `Fix asks what preflight asks and prints a shell script that fixes it by drop-in
files of its own: limits.d, units, sysctl.d. It changes nothing itself: read
the script, then run it as root. With --diff it prints the file changes instead.
Of many hosts' facts it writes a script for each group of hosts that want the same
into --dir, as fix-1.sh, and beside it fix-1.hosts with their names.

Exit codes: 0 the script fixes all that fails; 1 something is left to do by
hand, named on stderr; 2 usage; 3 a check of error severity can't be told.`,
		Example: `  fltool fix --workers 5000 --service fl.service > fix.sh
  fltool fix --workers 5000 --diff
  fltool fix --facts 'hosts/*.json' --workers 5000 --dir fixes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			members, many, err := manyFacts(j.facts)
			switch {
			case err != nil:
				return err
			case many != (dir != ""):
				return usageError("fltool fix --facts 'hosts/*.json' --dir fixes", "--dir and the facts of many hosts belong together")
			case many && diff:
				return usageError("", "--diff is of one host")
			case many:
				return j.fixMany(cmd, members, dir)
			}
			res, err := j.run(cmd, time.Now())
			if err != nil {
				return err
			}
			if note := j.assumptions(cmd); note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), fitted(cmd.ErrOrStderr(), note))
			}
			if res.deployment.App == nil {
				return usageError("give the facts of a host", "fix is for hosts, and a probe is of none")
			}
			if !res.deployment.Single() {
				return usageError("save and judge each host's facts by itself", "fix writes one script for one host: give --facts FILE alone")
			}
			return errors.Join(res.saved, res.fix(cmd, diff))
		},
	}
	j.register(cmd)
	cmd.Flags().BoolVar(&diff, "diff", false, "print the file changes as a unified diff instead")
	cmd.Flags().StringVar(&dir, "dir", "", "of many hosts: write the scripts into this `folder`")
	return cmd
}

// fix prints the script, or what it changes, and names what it leaves to do.
func (res judged) fix(cmd *cobra.Command, diff bool) error {
	plan := remedy.Make(res.findings, maps.Clone(res.deployment.App.Own.V))
	text := plan.Script(fmt.Sprintf("Written by fltool fix for %s.", render.Plural(res.demand.Workers, "worker")))
	if diff {
		text = plan.Diff()
	}
	if err := printTo(cmd.OutOrStdout(), "the script", text); err != nil {
		return err
	}
	left, code := leftOver(res.findings, plan)
	for _, what := range left {
		fmt.Fprintln(cmd.ErrOrStderr(), fitted(cmd.ErrOrStderr(), what))
	}
	return exitWith(code)
}

// leftOver is what a script does not fix, and the exit code for it.
func leftOver(findings []reports.Finding, plan remedy.Steps) (left []string, code int) {
	for _, unknown := range checks.Unknown(findings, reports.SeverityError) {
		left, code = append(left, "can't tell: "+unknown), exitCant
	}
	for _, f := range plan.Manual {
		if f.Status == reports.StatusFail {
			left, code = append(left, fmt.Sprintf("by hand: %s: %s", f.Check, f.Remedy.Text)), exitFail
		}
	}
	return left, code
}

// exitWith is the error of a code whose reason the output said.
func exitWith(code int) error {
	if code == exitGood {
		return nil
	}
	return &exitError{code: code}
}
