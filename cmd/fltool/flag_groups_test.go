package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestFlagGroups holds the groups to the commands: every flag is shown once, and no
// group names a command or a flag that there is not.
func TestFlagGroups(t *testing.T) {
	named := map[string]bool{} // family and flag, of which a command must have it
	met := map[string]bool{}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		shown := map[string]int{}
		for _, g := range grouped(cmd) {
			g.flags.VisitAll(func(f *pflag.Flag) { shown[f.Name]++ })
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if shown[f.Name] != 1 {
				t.Errorf("%s --help shows --%s %d times", cmd.CommandPath(), f.Name, shown[f.Name])
			}
		})
		path := strings.TrimPrefix(cmd.CommandPath(), "fltool ")
		if groups := flagGroups[path]; groups != nil {
			met[path] = true
			for _, g := range groups {
				for _, name := range strings.Fields(g.flags) {
					key := groups[0].flags + ": --" + name
					named[key] = named[key] || cmd.LocalFlags().Lookup(name) != nil
				}
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot())
	for path := range flagGroups {
		if !met[path] {
			t.Errorf("groups of %q, which is no command", path)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(named)) {
		if !named[key] {
			t.Errorf("no command has a flag of the groups that begin with %s", key)
		}
	}
}
