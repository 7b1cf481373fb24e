package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/reports/render"
)

func newExplain() *cobra.Command {
	var log string
	cmd := &cobra.Command{
		Use:   "explain [ID]",
		Short: "What a check asks, why, and how to mend it; or what a log tells",
		Long: `Explain prints a check's page: what it asks and why, the formula of the workers
it supports, what users see where it fails, and how to mend it. Without an id
it lists the checks.

With --log it reads a log of nginx, gunicorn or the kernel (- is standard input)
and names the checks whose symptoms stand in it.`,
		Example: `  fltool explain app/nofile
  journalctl -k | fltool explain --log -
  fltool explain --log /var/log/nginx/error.log`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return checkIDs(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			switch {
			case log != "" && len(args) > 0:
				return usageError("", "--log names the checks itself: give no id")
			case log != "":
				return explainLog(w, cmd.InOrStdin(), log)
			case len(args) == 0:
				return listChecks(w)
			}
			c, ok := checks.ByID(args[0])
			if !ok {
				return usageError(didYouMean(near(args[0], checkIDs()), "fltool explain lists the checks"), "there is no check %q", args[0])
			}
			return printTo(w, "the page", checks.Page(c))
		},
	}
	cmd.Flags().StringVar(&log, "log", "", "read this log instead, - for standard input")
	return cmd
}

// listChecks writes a table of the checks.
func listChecks(w io.Writer) error {
	width := 0
	for _, id := range checkIDs() {
		width = max(width, len(id))
	}
	var b strings.Builder
	for _, c := range checks.All() {
		head := fmt.Sprintf("%-*s %-5s ", width, c.ID, c.Severity)
		b.WriteString(render.Wrap(head+c.Title, len(head), columns) + "\n")
	}
	return printTo(w, "the list", b.String())
}

func checkIDs() []string {
	var ids []string
	for _, c := range checks.All() {
		ids = append(ids, c.ID)
	}
	return ids
}

func explainLog(w io.Writer, stdin io.Reader, name string) error {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return cantError("", "read the log: %w", err)
		}
		defer f.Close()
		in = f
	}
	log, err := checks.ScanLog(in)
	if err != nil {
		return cantError("", "read the log: %w", err)
	}
	var b strings.Builder
	for _, s := range log.Symptoms {
		fmt.Fprintf(&b, "%7d× %s: %s\n", s.Lines, s.Check.ID, s.Check.Title)
		line := fmt.Sprintf("         line %d: ", s.First)
		fmt.Fprintf(&b, "%s%s\n", line, around(s.Example, s.From, s.To, columns-len(line)))
	}
	if log.Unknown > 0 {
		fmt.Fprintf(&b, "%7d× of level error or worse, and no check knows it\n", log.Unknown)
		line := fmt.Sprintf("         line %d: ", log.First)
		fmt.Fprintf(&b, "%s%s\n", line, around(log.Example, len(stamp.FindString(log.Example)), len(log.Example), columns-len(line)))
	}
	lines := render.Plural(log.Lines, "line")
	if len(log.Symptoms) == 0 {
		fmt.Fprintf(&b, "no known symptom in %s\n", lines)
	} else {
		fmt.Fprintf(&b, "in %s; fltool explain ID tells how to mend it\n", lines)
	}
	return printTo(w, "the symptoms", b.String())
}

// stamp is what stands before the message in a line of nginx's or gunicorn's.
var stamp = regexp.MustCompile(`^(\d{4}/\d\d/\d\d [\d:]{8} \[\w+\] \d+#\d+: (\*\d+ )?|\[[-+ :\d]+\] \[\d+\] \[\w+\] )`)

// around shortens a line to n characters that show its bytes from from to to, with
// more of what is before them where all of them fit; what can't be printed becomes
// a dot.
func around(s string, from, to, n int) string {
	before, match, after := printable(s[:from]), printable(s[from:to]), printable(s[to:])
	all := slices.Concat(before, match, after)
	if len(all) <= n {
		return string(all)
	}
	// Room for two ellipses; of what is left of it a third shows how the line comes to the match.
	lead := max(0, n-2-len(match))
	lead = max(min(len(before), lead/3), lead-len(after))
	start := max(0, len(before)-lead)
	for start > 0 && start < len(before) && before[start-1] != ' ' { // at a word
		start++
	}
	text := all[start:]
	if start > 0 {
		text = append([]rune{'…'}, text...)
	}
	if len(text) > n {
		text = append(slices.Clone(text[:n-1]), '…')
	}
	return string(text)
}

func printable(s string) []rune {
	return []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == '\uFFFD' {
			return '.'
		}
		return r
	}, s))
}
