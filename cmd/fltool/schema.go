package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/docs/schema"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema NAME",
		Short: "Print the JSON Schema of a plan, a report, facts, waivers or a history",
		Long: `schema prints the JSON Schema (2020-12) of a document that fltool reads or writes:
` + strings.Join(schema.Names, ", ") + `. Of waivers and of a history it is that of all lines.`,
		Example: `  fltool schema plan > plan.schema.json`,
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return schema.Names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := schema.Of(args[0])
			if err != nil {
				return usageError(didYouMean(near(args[0], schema.Names), ""), "schema %w", err)
			}
			return printTo(cmd.OutOrStdout(), "the schema", text)
		},
	}
}
