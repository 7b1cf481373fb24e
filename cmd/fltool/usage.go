package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fltool/fltool/reports/render"
)

// plainUsage has every command say in fltool's words what is wrong with its command
// line: cobra's and pflag's are a programmer's.
func plainUsage(cmd *cobra.Command) {
	args := cmd.Args
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if args == nil {
			args = cobra.ArbitraryArgs
		}
		var own *exitError
		if err := args(cmd, given); errors.As(err, &own) {
			return err
		} else if err != nil {
			return argsError(cmd, given)
		}
		// cobra asks this too, but after the arguments and in words of its own.
		return groupError(cmd, cmd.ValidateFlagGroups())
	}
	for _, sub := range cmd.Commands() {
		plainUsage(sub)
	}
}

// knowsTopics has the help command refuse what is no command: cobra's shows the help
// of the whole program, as if all were well.
func knowsTopics(root *cobra.Command) {
	for _, help := range root.Commands() {
		if help.Name() == "help" {
			help.Args = func(_ *cobra.Command, topic []string) error {
				found, rest, err := root.Find(topic)
				if err == nil && found.HasSubCommands() && len(rest) > 0 {
					return argsError(found, rest)
				}
				return err
			}
		}
	}
}

// usage prints how a command is called, with lists of flags that fit a terminal of 80
// columns. cobra's own way is a template, which would have the linker keep every
// method of everything.
func usage(cmd *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:")
	if cmd.Runnable() {
		b.WriteString("\n  " + cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n  " + cmd.CommandPath() + " [command]")
	}
	if len(cmd.Aliases) > 0 {
		b.WriteString("\n\nAliases:\n  " + cmd.NameAndAliases())
	}
	if cmd.HasExample() {
		b.WriteString("\n\nExamples:\n" + cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n\nAvailable Commands:")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(&b, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	for _, group := range grouped(cmd) {
		if group.flags.HasAvailableFlags() {
			b.WriteString("\n\n" + group.title + ":\n" + strings.TrimRightFunc(group.flags.FlagUsagesWrapped(80), unicode.IsSpace))
		}
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n\nUse \"%s [command] --help\" for more information about a command.", cmd.CommandPath())
	}
	_, err := fmt.Fprintln(cmd.OutOrStderr(), b.String())
	return err
}

// argsError is of arguments that a command can't take.
func argsError(cmd *cobra.Command, given []string) error {
	help := cmd.CommandPath() + " --help"
	name := strings.TrimPrefix(cmd.CommandPath(), "fltool ")
	_, want, _ := strings.Cut(cmd.Use, " ")
	switch {
	case cmd.HasSubCommands():
		var names []string
		for _, sub := range cmd.Commands() {
			names = append(names, sub.Name())
		}
		return usageError(didYouMean(near(given[0], names), help+" lists the commands"), "unknown command %q for %q", given[0], cmd.CommandPath())
	case want == "" || strings.HasPrefix(want, "(") || strings.HasPrefix(want, "["):
		return usageError(help+" tells what it takes", "%s: %q is one argument too many", name, given[len(given)-1])
	}
	return usageError(help+" tells what it takes", "%s: want %s, got %s", name, want, render.Plural(len(given), "argument"))
}

// groupError is of flags that do not go together.
func groupError(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	// cobra keeps the groups of a flag as its annotation, the names with a space between.
	const annotation = "cobra_annotation_mutually_exclusive"
	var clash []string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, group := range f.Annotations[annotation] {
			var set []string
			for _, name := range strings.Fields(group) {
				if cmd.Flags().Changed(name) {
					set = append(set, "--"+name)
				}
			}
			if len(set) > 1 && clash == nil {
				clash = set
			}
		}
	})
	if clash == nil {
		return usageError(cmd.CommandPath()+" --help lists the flags", "%w", err)
	}
	return usageError("choose one of them", "%s exclude each other", listed(clash, "and"))
}

// flagError is of a flag that there is not, or a value that it can't have.
func flagError(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help lists the flags"
	var none *pflag.NotExistError
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &none):
		names := flagsMeant(cmd.Flags(), none)
		for i := range names {
			names[i] = "--" + names[i]
		}
		return usageError(didYouMean(names, help), "%w", err)
	case errors.As(err, &value):
		want, hint := wantOf(value)
		if hint == "" {
			hint = help
		}
		return usageError(hint, "--%s %q: %s", value.GetFlag().Name, value.GetValue(), want)
	}
	return usageError(help, "%w", err)
}

// flagsMeant are the names that one of no flag may have meant.
func flagsMeant(flags *pflag.FlagSet, none *pflag.NotExistError) []string {
	var names []string
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	letters, _, _ := strings.Cut(none.GetSpecifiedShortnames(), "=")
	if letters == "" {
		return near(none.GetSpecifiedName(), names)
	}
	// -workers, a long name with one dash, is read as letters, of which those before the
	// first unknown one are gone: -verbose is "erbose" where there is a -v.
	for _, name := range names {
		if name == letters || name[1:] == letters && flags.ShorthandLookup(name[:1]) != nil {
			return []string{name}
		}
	}
	return near(letters, names)
}

// wantOf says what a flag's value should have been, and perhaps gives a hint.
func wantOf(e *pflag.InvalidValueError) (want, hint string) {
	return wantOfText(e.GetFlag(), e.GetValue(), errors.Unwrap(e))
}

// wantOfText is wantOf of a text that the flag refused with an error.
func wantOfText(f *pflag.Flag, text string, err error) (want, hint string) {
	tooLarge := errors.Is(err, strconv.ErrRange)
	switch kind := f.Value.Type(); {
	case kind == "duration" && days(text):
		return "want a time such as 90s, 10m or 6h", "a day is 24h"
	case kind == "duration":
		return "want a time such as 90s, 10m or 6h", ""
	case tooLarge && slices.Contains([]string{"int", "uint64"}, kind):
		return "too large a number", ""
	case kind == "int":
		return "want a whole number", ""
	case kind == "uint64":
		return "want a whole number, not below 0", ""
	case kind == "bool":
		return "want true or false", ""
	}
	return err.Error(), ""
}

// days says whether a text is a number of days, which Go's durations have no unit for.
func days(text string) bool {
	n, ok := strings.CutSuffix(text, "d")
	_, err := strconv.ParseFloat(n, 64)
	return ok && err == nil
}

// listed joins words as a sentence does: "a, b and c".
func listed(words []string, last string) string {
	n := len(words)
	if n < 2 {
		return strings.Join(words, "")
	}
	return fmt.Sprintf("%s %s %s", strings.Join(words[:n-1], ", "), last, words[n-1])
}
