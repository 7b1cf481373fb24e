package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// planSchema is where an editor finds what a plan may have.
const planSchema = "https://raw.githubusercontent.com/fltool/fltool/main/docs/schema/plan.json"

func newPlan() *cobra.Command {
	return &cobra.Command{
		Use:   "plan -- COMMAND [flags]",
		Short: "Print a command line as a plan that fltool run takes",
		Long: `plan prints the flags of a command line as a file of YAML, which fltool run runs.
Editors that know YAML's language server complete and check it by its schema.`,
		Example: `  fltool plan -- simulate --workers 1000 --rounds 3 --slo 'round<10s' > plan.yaml`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			const example = "fltool plan -- simulate --workers 1000"
			if cmd.ArgsLenAtDash() != 0 || len(args) == 0 {
				return usageError(example, "plan: want a command behind --")
			}
			if args[0] == "fltool" {
				args = args[1:]
			}
			text, err := planText(args)
			if err != nil {
				return err
			}
			return printTo(cmd.OutOrStdout(), "the plan", text)
		},
	}
}

// planText is the plan of a command line.
func planText(args []string) (string, error) {
	words := 1
	if len(args) > 1 && planned(args[:2]) != nil {
		words = 2
	}
	cmd := planned(args[:words])
	if cmd == nil {
		return "", usageError("fltool --help lists the commands", "plan: %q is no command that a plan may have", args[0])
	}
	if err := cmd.ParseFlags(args[words:]); err != nil {
		return "", flagError(cmd, err)
	}
	if err := groupError(cmd, cmd.ValidateFlagGroups()); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# yaml-language-server: $schema=%s\n%s: %s\n", planSchema, planCommand, strings.Join(args[:words], " "))
	for _, group := range grouped(cmd) {
		group.flags.VisitAll(func(f *pflag.Flag) {
			if !f.Changed || f.Name == "help" {
				return
			}
			list, many := f.Value.(pflag.SliceValue)
			switch {
			case !many:
				fmt.Fprintf(&b, "%s: %s\n", f.Name, planValue(f, f.Value.String()))
			default:
				fmt.Fprintf(&b, "%s:\n", f.Name)
				for _, v := range list.GetSlice() {
					text := planValue(f, v)
					if f.Name == planStages {
						text = stageYAML(v)
					}
					fmt.Fprintf(&b, "  - %s\n", text)
				}
			}
		})
	}
	rest := cmd.Flags().Args()
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		rest = slices.Insert(slices.Clone(rest), dash, "--")
	}
	if len(rest) > 0 {
		fmt.Fprintf(&b, "%s:\n", planArgs)
		for _, arg := range rest {
			fmt.Fprintf(&b, "  - %s\n", planValue(nil, arg))
		}
	}
	return b.String(), nil
}

// plainYAML is text that YAML takes for itself, without quotes.
var plainYAML = regexp.MustCompile(`^[A-Za-z/.][\w./%<=>-]*(:[\w./%<=>-]+)*$`)

// wordsOfYAML are no text where they stand without quotes, in some reader.
var wordsOfYAML = []string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}

// planValue is a flag's value in YAML.
func planValue(f *pflag.Flag, v string) string {
	if f != nil && slices.Contains([]string{"int", "int64", "uint64", "bool", "float64", "duration", "size"}, f.Value.Type()) {
		return v
	}
	v = strings.ReplaceAll(v, "${", "$${")
	if plainYAML.MatchString(v) && !slices.Contains(wordsOfYAML, strings.ToLower(v)) {
		return v
	}
	var quoted strings.Builder
	enc := json.NewEncoder(&quoted) // a string of JSON is one of YAML
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // of a string, which can't fail
	return strings.TrimSpace(quoted.String())
}
