package main

import "github.com/spf13/cobra"

// needLinux has commands that load or serve say so on another system: they stand on
// Linux's epoll and /proc.
func needLinux(goos string, cmds ...*cobra.Command) []*cobra.Command {
	if goos == linux {
		return cmds
	}
	for _, cmd := range cmds {
		cmd.Short += " (needs Linux)"
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			return usageError("run it on Linux; reports are shown and compared anywhere", "%s needs Linux, and this is %s", cmd.CommandPath(), goos)
		}
	}
	return cmds
}

const linux = "linux"
