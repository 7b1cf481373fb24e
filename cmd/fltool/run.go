package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newRun() *cobra.Command {
	return &cobra.Command{
		Use:   "run PLAN [flags of its command]",
		Short: "Run a command whose flags stand in a file, once or in stages",
		Long: `run reads a plan, a file of YAML, and runs the command that it names, simulate
by default: its keys are the command's flags. Flags behind the file override its
keys. ${NAME} in a value is the environment's variable. - reads stdin.

A plan may have stages, which are run in turn, each with keys of its own over
those of the plan, or with a word for its load:
  stages:
    - {ramp: 1000, for: 30s}   # arrive over 30 s
    - {hold: 1000, for: 5m}
    - {spike: 3000, for: 20s}  # all at once
    - {steps: {from: 100, to: 1000, by: 300}, for: 1m}
    - {wave: {from: 100, to: 1000, times: 3}, for: 1m}
Each stage has a fleet of its own; ${STAGE} is its number. The first one that does
not pass ends the run.

The exit code is the command's: of a plan with stages that of the last one run.`,
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

// run runs the plan's stages, or the plan itself where it has none, with overriding
// flags.
func (p plan) run(cmd *cobra.Command, flags []string) error {
	given, err := p.overridden(flags)
	if err != nil {
		return err
	}
	stages := p.stages
	if len(stages) == 0 {
		stages = [][]planFlag{nil}
	}
	if err := p.keepsApart(len(stages), given); err != nil {
		return err
	}
	for i, stage := range stages {
		if len(stages) > 1 {
			fmt.Fprintln(cmd.ErrOrStderr(), stageTitle(i+1, len(stages), stage))
		}
		if err := p.runStage(cmd, over(p.flags, stage), given, flags, i+1); err != nil {
			return err
		}
		if err := context.Cause(cmd.Context()); err != nil {
			return cantError("", "%w", err)
		}
	}
	return nil
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

// keepsApart says whether what a flag has each stage write is a file of its own.
func (p plan) keepsApart(stages int, given []string) error {
	for _, f := range p.flags {
		if stages > 1 && (f.name == "out" || f.name == "results") && !slices.Contains(given, f.name) && !strings.Contains(f.values[0], "${"+stageVariable+"}") {
			return usageError("", "%s:%d:%d: %s: all stages would write %s: name it by the stage, such as run-${STAGE}.json", p.file, f.at.line, f.at.column, f.name, f.values[0])
		}
	}
	return nil
}

// runStage runs the command with the flags of a stage, those that are given on the
// command line over them.
func (p plan) runStage(cmd *cobra.Command, flags []planFlag, given, more []string, stage int) error {
	argv := slices.Clone(p.command)
	flags = slices.DeleteFunc(flags, func(f planFlag) bool { return slices.Contains(given, f.name) })
	for _, f := range flags {
		for _, v := range f.values {
			argv = append(argv, "--"+f.name+"="+resolved(v, stage))
		}
	}
	argv = append(argv, more...)
	for _, arg := range p.args {
		argv = append(argv, resolved(arg, stage))
	}
	root := newRoot()
	root.SetArgs(argv)
	root.SetIn(cmd.InOrStdin())
	root.SetOut(cmd.OutOrStdout())
	root.SetErr(cmd.ErrOrStderr())
	return p.located(root.ExecuteContext(cmd.Context()), flags)
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
