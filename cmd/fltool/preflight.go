package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/reports"
)

func newPreflight() *cobra.Command {
	var outside probeFlags
	j := judgeFlags{outside: &outside}
	var out outputFlags
	var failOn string
	cmd := &cobra.Command{
		Use:   "preflight",
		Short: "Can this deployment hold N workers, and what breaks first?",
		Long: `Preflight reads this host's limits, the running server's and nginx's, and tells
how many workers can hold a poll at once, which limit comes first, what users
would see there, and the change that fixes it.

It reads and never writes; run it as root, since other users' processes tell
their limits to nobody else. Facts saved by --save-facts can be judged
elsewhere by --facts; they hold no secrets.

With --url it asks the running deployment, too, as a worker would: what answers,
how large an update comes through, and how long a poll is held before some hop
cuts it. It says first how much it will send, and sends no more.

Exit codes: 0 good; 1 a check failed; 2 usage; 3 an error-severity check can't
be told (waive it by --ignore).`,
		Example: `  fltool preflight --workers 1000 --hold 6h --model-size 13MB
  fltool preflight --service fl.service --ignore app/keepalive='workers never idle'
  fltool preflight --url https://fl.example.org --probe-key probe.key --hold 10m
  fltool preflight --facts proxy=a.json --facts app=b.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			help := cmd.CommandPath() + " --help lists the flags"
			if err := out.check(); err != nil {
				return err
			}
			if failOn != "error" && failOn != "warn" {
				return usageError(help, "--fail-on %q: want error or warn", failOn)
			}
			if err := outside.check(cmd); err != nil {
				return err
			}
			start := time.Now()
			res, err := j.run(cmd, start)
			if err != nil {
				return err
			}
			if note := j.assumptions(cmd); note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), fitted(cmd.ErrOrStderr(), note))
			}
			if res.hidden() {
				fmt.Fprintln(cmd.ErrOrStderr(), "some facts are hidden from this user: root sees them all")
			}
			r := res.report(start, reports.Severity(failOn))
			r.Env.Command = append([]string{"fltool"}, commandLine(cmd)...)
			return errors.Join(res.saved, out.write(cmd, r))
		},
	}
	j.register(cmd)
	outside.register(cmd)
	out.add(cmd)
	out.addVerbose(cmd)
	cmd.Flags().StringVar(&failOn, "fail-on", "error", "least severity that makes the exit code 1: error or warn")
	return cmd
}

// hidden says whether a check is unknown for want of permission.
func (res judged) hidden() bool {
	return slices.ContainsFunc(res.findings, func(f reports.Finding) bool {
		return f.Status == reports.StatusUnknown && strings.Contains(f.Reason, syscall.EACCES.Error())
	})
}

// report is the document of a preflight; findings of the least severity and worse
// decide its verdict.
func (res judged) report(start time.Time, least reports.Severity) reports.Report {
	asked := res.deployment.App
	if asked == nil {
		asked = res.deployment.Outside
	}
	h := asked.Host
	verdict, reasons := checks.Verdict(res.findings, least)
	return reports.Report{
		Schema: reports.Schema, Kind: reports.KindPreflight, Verdict: verdict, Reasons: reasons,
		Env: reports.Env{
			Tool: "fltool " + toolVersion(), Started: start.UTC().Format(time.RFC3339),
			Seconds: time.Since(start).Seconds(), Hostname: h.Hostname.V, Kernel: h.Kernel.V, CPU: h.CPU.V, CPUs: h.CPUs.V,
		},
		Demand: res.demand, Chain: checks.Chain(res.deployment, res.demand, res.capacity.Ledger), Findings: res.findings, Capacity: &res.capacity,
	}
}
