package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fltool/fltool/checks/facts"
)

// commandLine is the subcommand with the flags that were given, to make the same
// report again, but for what may be secret in them.
func commandLine(cmd *cobra.Command) []string {
	args := strings.Fields(strings.TrimPrefix(cmd.CommandPath(), "fltool"))
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "progress" || f.Name == "quiet" {
			return // they change nothing of it
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok { // its String is no value that a flag takes
			values = list.GetSlice()
		}
		for _, v := range values {
			v, _ = facts.RedactURL(v)
			args = append(args, "--"+f.Name+"="+v)
		}
	})
	return args
}

// reproduce is the command line that makes this run again.
func (f *loadFlags) reproduce(cmd *cobra.Command) []string {
	args := commandLine(cmd)
	for i, arg := range args {
		if strings.HasPrefix(arg, "--start-at=") {
			args[i] = "--start-at=+30s" // that time is over
		}
	}
	if !cmd.Flags().Changed("seed") {
		args = append(args, "--seed="+strconv.FormatUint(f.seed, 10))
	}
	return args
}
