package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

func newPreflight() *cobra.Command {
	var j judgeFlags
	var format, out, failOn string
	cmd := &cobra.Command{
		Use:   "preflight",
		Short: "Can this deployment hold N workers, and what breaks first?",
		Long: `Preflight reads this host's limits, the running server's and nginx's, and tells
how many workers can hold a poll at once, which limit binds first, what users
would see there, and the change that mends it.

It reads and never writes; run it as root, since other users' processes tell
their limits to nobody else. Facts saved by --save-facts can be judged
elsewhere by --facts; they hold no secrets.

Exit codes: 0 good; 1 a check failed; 2 usage; 3 an error-severity check can't
be told (waive it by --ignore).`,
		Example: `  fltool preflight --workers 1000 --hold 6h --model-size 13MB
  fltool preflight --service fl.service --ignore app/keepalive='workers never idle'
  fltool preflight --facts proxy=a.json --facts app=b.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			help := cmd.CommandPath() + " --help lists the flags"
			write, ok := preflightFormats[format]
			if !ok {
				return usageError(help, "--format %q: want table or json", format)
			}
			if failOn != "error" && failOn != "warn" {
				return usageError(help, "--fail-on %q: want error or warn", failOn)
			}
			start := time.Now()
			res, err := j.run(cmd, start)
			if err != nil {
				return err
			}
			if note := j.assumptions(cmd); note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), note)
			}
			r := res.report(start)
			if out != "" {
				if err := reports.WriteFile(out, r); err != nil {
					return cantError("", "%w", err)
				}
			}
			if err := write(cmd.OutOrStdout(), r); err != nil {
				return cantError("", "write the report: %w", err)
			}
			return verdictError(r, failOn)
		},
	}
	j.register(cmd)
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	cmd.Flags().StringVar(&out, "out", "", "write the report as JSON to this file, too")
	cmd.Flags().StringVar(&failOn, "fail-on", "error", "least severity that makes the exit code 1: error or warn")
	return cmd
}

var preflightFormats = map[string]func(io.Writer, reports.Report) error{
	"table": func(w io.Writer, r reports.Report) error { return render.Preflight(w, r, colored(w)) },
	"json":  reports.Encode,
}

// colored says whether w is a terminal whose user wants colours.
func colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// report is the document of a preflight.
func (res judged) report(start time.Time) reports.Report {
	h := res.deployment.App.Host
	verdict, reasons := checks.Verdict(res.findings)
	return reports.Report{
		Schema: reports.Schema, Kind: reports.KindPreflight, Verdict: verdict, Reasons: reasons,
		Env: reports.Env{
			Tool: "fltool " + toolVersion(), Command: os.Args, Started: start.UTC().Format(time.RFC3339),
			Seconds: time.Since(start).Seconds(), Hostname: h.Hostname.V, Kernel: h.Kernel.V, CPU: h.CPU.V, CPUs: h.CPUs.V,
		},
		Demand: res.demand, Findings: res.findings, Capacity: &res.capacity,
	}
}

// verdictError is the exit code of a verdict; the output has said the rest.
func verdictError(r reports.Report, failOn string) error {
	code := exitGood
	switch r.Verdict {
	case reports.VerdictFail:
		code = exitFail
	case reports.VerdictRefused:
		code = exitCant
	}
	if failOn == "warn" && code != exitFail {
		for _, f := range r.Findings {
			switch {
			case f.Severity != reports.SeverityWarn:
			case f.Status == reports.StatusWarn:
				return &exitError{code: exitFail}
			case f.Status == reports.StatusUnknown:
				code = exitCant
			}
		}
	}
	if code == exitGood {
		return nil
	}
	return &exitError{code: code}
}
