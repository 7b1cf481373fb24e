package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/reports/render"
)

func newExplain() *cobra.Command {
	var log string
	cmd := &cobra.Command{
		Use:   "explain [ID]",
		Short: "What a check asks, why, and how to fix it; or what a log tells",
		Long: `Explain prints a check's page: what it asks and why, the formula of the workers
it supports, what users see where it fails, and how to fix it. Without an id
it lists the checks.

With --log it reads a log (- is standard input) and tells what stands in it, what
may be behind it and what to do: logs of nginx, gunicorn, uWSGI, HAProxy, Envoy,
Apache, gRPC, Node and Go, of systemd and the kernel, and access logs, where the
time that a request took names the hop that cut it.`,
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
				return explainLog(cmd.Context(), w, cmd.InOrStdin(), log)
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
