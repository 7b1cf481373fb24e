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

Of many hosts' facts, by a folder or a quoted pattern, it makes one table, those
that hold least first. With --drift it tells what changed between two readings of
a host, and exits with 1 where a check fails that did not.

Exit codes: 0 good; 1 a check failed; 2 usage; 3 an error-severity check can't
be told (waive it by --ignore), or facts can't be read.`,
		Example: `  fltool preflight --workers 1000 --hold 6h --model-size 13MB
  fltool preflight --service fl.service --ignore app/keepalive='workers never idle'
  fltool preflight --url https://fl.example.org --probe-key probe.key --hold 10m
  fltool preflight --facts proxy=a.json --facts app=b.json
  fltool preflight --facts 'hosts/*.json' --format junit
  fltool preflight --facts 'proxy=proxies/*.json' --facts 'app=apps/*.json' --workers 10000
  fltool preflight --drift old.json new.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			const quote = "quote a pattern, so that the shell leaves it: --facts 'hosts/*.json'"
			switch {
			case j.drift && len(args) != 2:
				return usageError("fltool preflight --drift old.json new.json", "--drift: want two files of facts, of before and of now, and got %d", len(args))
			case !j.drift && len(args) > 0 && len(j.facts) > 0:
				return usageError(quote, "%s: preflight takes no arguments", args[0])
			case !j.drift:
				return cobra.NoArgs(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
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
			r, kept, err := j.preflight(cmd, args, reports.Severity(failOn))
			if err != nil {
				return err
			}
			r.Env.Command = append([]string{"fltool"}, append(commandLine(cmd), args...)...)
			return errors.Join(kept, out.write(cmd, r))
		},
	}
	j.register(cmd)
	outside.register(cmd)
	out.add(cmd)
	out.addVerbose(cmd)
	cmd.Flags().BoolVar(&j.drift, "drift", false, "tell what changed between two readings of one host's facts: --drift OLD NEW")
	cmd.MarkFlagsMutuallyExclusive("drift", "facts")
	cmd.MarkFlagsMutuallyExclusive("drift", "url")
	cmd.Flags().StringVar(&failOn, "fail-on", "error", "least severity that makes the exit code 1: error or warn")
	return cmd
}

// preflight judges what the flags and arguments name: a deployment, many hosts, or
// what changed. What was judged stands where only the keeping of facts failed.
func (j *judgeFlags) preflight(cmd *cobra.Command, args []string, least reports.Severity) (r reports.Report, kept, err error) {
	start := time.Now()
	note := func() {
		if note := j.assumptions(cmd); note != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), fitted(cmd.ErrOrStderr(), note))
		}
	}
	members, many, err := manyFacts(j.facts)
	switch {
	case err != nil:
		return r, nil, err
	case j.drift:
		r, err = j.judgeDrift(cmd, args, start)
	case many:
		r, err = j.judgeMany(cmd, members, start, least)
	default:
		res, err := j.run(cmd, start)
		if err != nil {
			return r, nil, err
		}
		note()
		if res.hidden() {
			fmt.Fprintln(cmd.ErrOrStderr(), "some facts are hidden from this user: root sees them all")
		}
		return res.report(start, least), res.saved, nil
	}
	if err == nil {
		note()
	}
	return r, nil, err
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
