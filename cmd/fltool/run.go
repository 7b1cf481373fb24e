package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newRun() *cobra.Command {
	return &cobra.Command{
		Use:   "run PLAN [flags of its command]",
		Short: "Run a command whose flags stand in a file",
		Long: `run reads a plan, a file of YAML, and runs the command that it names, simulate
by default: its keys are the command's flags. Flags behind the file override its
keys. ${NAME} in a value is the environment's variable. - reads stdin.

A plan of simulate may have stages, through which one fleet goes: its workers stay
from one to the next, more come, or the surplus leaves.
  stages:
    - {ramp: 1000, for: 30s}   # evenly, over 30 s
    - {hold: 1000, for: 5m}    # from when all are held
    - {spike: 3000, for: 20s}  # the others come at once
    - {steps: {from: 100, to: 1000, by: 300}, for: 1m}
    - {wave: {from: 100, to: 1000, times: 3}, for: 1m}
    - {churn: {workers: 1000, leave: 5}, for: 5m}  # each second 5 leave and come back

The exit code is the command's.`,
		Example: `  fltool plan -- simulate --workers 200 --rounds 2 > plan.yaml
  fltool run plan.yaml
  fltool run plan.yaml --workers 50`,
		DisableFlagParsing: true, // they are those of the plan's command
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(cmd.CommandPath()+" --help tells what it takes", "run: want PLAN, got 0 arguments")
			}
			if args[0] == "--help" || args[0] == "-h" {
				return cmd.Help()
			}
			p, err := readPlan(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return p.run(cmd, args[1:])
		},
	}
}

// argv is the plan's command line with overriding flags; flags are the plan's own in it.
func (p plan) argv(more []string) (argv []string, flags []planFlag, err error) {
	given, err := p.overridden(more)
	if err != nil {
		return nil, nil, err
	}
	argv = slices.Clone(p.command)
	flags = slices.DeleteFunc(slices.Clone(p.flags), func(f planFlag) bool { return slices.Contains(given, f.name) })
	for _, f := range flags {
		for _, v := range f.values {
			argv = append(argv, "--"+f.name+"="+resolved(v))
		}
	}
	argv = append(argv, more...)
	for _, arg := range p.args {
		argv = append(argv, resolved(arg))
	}
	return argv, flags, nil
}

// run runs the plan's command with overriding flags.
func (p plan) run(cmd *cobra.Command, more []string) error {
	argv, flags, err := p.argv(more)
	if err != nil {
		return err
	}
	root := newRoot()
	root.SetArgs(argv)
	root.SetIn(cmd.InOrStdin())
	root.SetOut(cmd.OutOrStdout())
	root.SetErr(cmd.ErrOrStderr())
	return p.located(root.ExecuteContext(cmd.Context()), flags)
}

// overridden are the flags that are given behind the plan's file.
func (p plan) overridden(flags []string) (names []string, err error) {
	cmd := planned(p.command)
	if err := cmd.ParseFlags(flags); err != nil {
		return nil, flagError(cmd, err)
	}
	cmd.Flags().Visit(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names, nil
}

// saysFlag is how an error of a flag's value begins.
var saysFlag = regexp.MustCompile(`^--([a-z][a-z-]*)`)

// located says of an error of usage that names a flag of the plan where that stands.
func (p plan) located(err error, flags []planFlag) error {
	var exit *exitError
	if !errors.As(err, &exit) || exit.code != exitUsage || exit.err == nil {
		return err
	}
	at := p.file
	if m := saysFlag.FindStringSubmatch(exit.err.Error()); m != nil {
		for _, f := range flags {
			if f.name == m[1] {
				at = fmt.Sprintf("%s:%d:%d", p.file, f.at.line, f.at.column)
			}
		}
	}
	return usageError(exit.hint, "%s: %w", at, exit.err)
}
