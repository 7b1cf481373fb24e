package main

import (
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
