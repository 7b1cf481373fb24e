package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server"
)

// flagWords are the flags whose values a shell can complete, whatever command has
// them, but for --format, whose words are a command's own.
var flagWords = map[string]func() []string{
	"fail-on":          words(string(reports.SeverityError), string(reports.SeverityWarn)),
	"first":            words(string(loadgen.FirstPoll), string(loadgen.FirstUpdate)),
	"gate":             gateNames,
	"ignore":           checkIDs,
	"lb":               kinds.Balancers,
	"limit":            gateNames,
	"log-format":       words("text", "json"),
	"progress":         progressWays,
	"log-level":        words("debug", "info", "warn", "error"),
	"nginx-flavour":    nginx.Flavours,
	"scenario":         loadgen.ScenarioNames,
	"slo":              reports.MetricNames,
	"update-policy":    words(string(server.FirstUpdate), string(server.LastUpdate)),
	"worker-behaviour": loadgen.PolicyForms,
}

// after is what a user goes on with where the word is not all of the value.
var after = map[string]string{"ignore": "=", "limit": "=", "slo": ""} // a shell would take an SLO's < for its own

func words(all ...string) func() []string { return func() []string { return all } }

func gateNames() []string { return slices.Sorted(maps.Keys(reports.AllGate())) }

// completeFlags has the shell complete the values of flags that are words.
func completeFlags(cmd *cobra.Command) {
	for name, of := range flagWords {
		if cmd.Flags().Lookup(name) != nil {
			completeBy(cmd, name, of)
		}
	}
	for _, sub := range cmd.Commands() {
		completeFlags(sub)
	}
}

// completeBy has the shell complete the value of a flag that the command has. Of a
// list between commas it is the last word that is completed.
func completeBy(cmd *cobra.Command, flag string, of func() []string) {
	list := cmd.Flags().Lookup(flag).Value.Type() == "stringSlice"
	more, open := after[flag]
	_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) { // fails only without the flag
		how := cobra.ShellCompDirectiveNoFileComp
		if open || list {
			how |= cobra.ShellCompDirectiveNoSpace
		}
		before := ""
		if list {
			before = typed[:strings.LastIndex(typed, ",")+1]
		}
		all := slices.Clone(of())
		for i := range all {
			all[i] = before + all[i] + more
		}
		return slices.DeleteFunc(all, func(word string) bool { return !strings.HasPrefix(word, typed) }), how
	})
}
