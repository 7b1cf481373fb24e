package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
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
			var ids []string
			for _, c := range checks.All() {
				ids = append(ids, c.ID)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			switch {
			case log != "" && len(args) > 0:
				return usageError("", "--log names the checks itself: give no id")
			case log != "":
				return explainLog(w, cmd.InOrStdin(), log)
			case len(args) == 0:
				var list strings.Builder
				for _, c := range checks.All() {
					fmt.Fprintf(&list, "%-24s %-6s %s\n", c.ID, c.Severity, c.Title)
				}
				return printTo(w, "the list", list.String())
			}
			c, ok := checks.ByID(args[0])
			if !ok {
				return usageError("fltool explain lists the checks", "there is no check %q", args[0])
			}
			return printTo(w, "the page", checks.Page(c))
		},
	}
	cmd.Flags().StringVar(&log, "log", "", "read this log instead, - for standard input")
	return cmd
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
	found, lines, err := checks.ScanLog(in)
	if err != nil {
		return cantError("", "read the log: %w", err)
	}
	if len(found) == 0 {
		return printTo(w, "the symptoms", fmt.Sprintf("no known symptom in %d lines\n", lines))
	}
	var list strings.Builder
	for _, s := range found {
		fmt.Fprintf(&list, "%7d× %s: %s\n", s.Lines, s.Check.ID, s.Check.Title)
		fmt.Fprintf(&list, "         line %d: %s\n", s.First, cut(s.Example, 60))
	}
	fmt.Fprintf(&list, "in %d lines; fltool explain ID tells how to mend it\n", lines)
	return printTo(w, "the symptoms", list.String())
}

// cut shortens a line for a terminal; what can't be printed becomes a dot.
func cut(s string, n int) string {
	r := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '.'
		}
		return r
	}, s))
	if len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return string(r)
}
