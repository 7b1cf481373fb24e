//go:build man

package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func init() { forPackages = append(forPackages, newMan) }

// newMan is for packages of fltool, and in no fltool of theirs: it takes a quarter of a
// megabyte, and users have --help.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages of all commands into a folder",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- pages are for everybody
				return cantError(writableHint, "manual pages: %w", err)
			}
			root := cmd.Root()
			// The day of a release is SOURCE_DATE_EPOCH's.
			root.DisableAutoGenTag = true
			header := doc.GenManHeader{Section: "1", Source: "fltool " + toolVersion(), Manual: "fltool"}
			if err := doc.GenManTree(root, &header, dir); err != nil {
				return cantError(writableHint, "manual pages: %w", err)
			}
			return nil
		},
	}
}
