package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/reports"
)

// run runs the fltool that is proved and decodes the report on its stdout. Exit
// codes 1 and 3 are what overloaded deployments are for.
func (r *room) run(args ...string) (reports.Report, error) {
	var rep reports.Report
	cmd := exec.CommandContext(r.ctx, r.fltool, args...)
	cmd.Dir = r.dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && (exit.ExitCode() == 1 || exit.ExitCode() == 3) && len(out) > 0) {
		return rep, fmt.Errorf("fltool %s: %w: %s", args[0], err, strings.ReplaceAll(strings.TrimSpace(errs.String()), "\n", " "))
	}
	if err := json.Unmarshal(out, &rep); err != nil {
		return rep, fmt.Errorf("fltool %s: %w", args[0], err)
	}
	return rep, nil
}

// preflight judges the deployment in the room by the built binary.
func (r *room) preflight(args ...string) (reports.Report, error) {
	return r.run(append([]string{"preflight", "--port", strconv.Itoa(appPort), "--format", "json"}, args...)...)
}

// predict tells what the ledger of preflight says of the row's check.
func (r *room) predict(b bound, times float64, args ...string) (Prediction, error) {
	rep, err := r.preflight(args...)
	if err != nil {
		return Prediction{}, err
	}
	i := slices.IndexFunc(rep.Capacity.Ledger, func(l reports.Row) bool { return l.Limit == r.row.check })
	if i < 0 || rep.Capacity.Ledger[i].Workers == nil {
		return Prediction{}, fmt.Errorf("preflight's ledger says nothing of %s: %s", r.row.check, reason(rep, r.row.check))
	}
	l := rep.Capacity.Ledger[i]
	p := Prediction{float64(*l.Workers), float64(*l.Workers)}
	if l.WorkersHard != nil {
		p.Hard = float64(*l.WorkersHard)
	}
	p = b.of(p, times)
	return p, r.tell(p)
}

func (r *room) tell(p Prediction) error { return r.out.Encode(message{Prediction: &p}) }

func reason(rep reports.Report, check string) string {
	for _, f := range rep.Findings {
		if f.Check == check {
			return fmt.Sprintf("%s %s %s", f.Status, f.Got, f.Reason)
		}
	}
	return "no such finding"
}

// largest predicts by the check's verdict: the largest demand that it still
// passes.
func (r *room) largest(most int64, demand func(int64) reports.Demand, args ...string) (Prediction, error) {
	n, err := r.passes(most, demand, args...)
	if err != nil {
		return Prediction{}, err
	}
	p := Prediction{float64(n), float64(n)}
	return p, r.tell(p)
}

// passes is the largest demand that the check passes, found by bisection over the
// facts that the built binary saved.
func (r *room) passes(most int64, demand func(int64) reports.Demand, args ...string) (int64, error) {
	file := filepath.Join(r.dir, "facts.json")
	if _, err := r.preflight(append([]string{"--save-facts", file}, args...)...); err != nil {
		return 0, err
	}
	in, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	f, err := facts.Read(in)
	if err != nil {
		return 0, err
	}
	status := func(n int64) (reports.Status, string) {
		findings, _ := checks.Run(checks.OneHost(f), demand(n), nil, time.Now())
		i := slices.IndexFunc(findings, func(f reports.Finding) bool { return f.Check == r.row.check })
		if i < 0 {
			return reports.StatusUnknown, "no such check"
		}
		return findings[i].Status, findings[i].Reason
	}
	lo, hi := int64(1), most // passes, does not
	if s, why := status(lo); s != reports.StatusPass {
		return 0, fmt.Errorf("%s does not pass for a demand of %d: %s %s", r.row.check, lo, s, why)
	}
	if s, why := status(hi); s != reports.StatusFail && s != reports.StatusWarn {
		return 0, fmt.Errorf("%s does not fail for a demand of %d: %s %s", r.row.check, hi, s, why)
	}
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; first(status(mid)) == reports.StatusPass {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}

func first[A, B any](a A, _ B) A { return a }

// simulate loads a target by the built binary. A generator that was the limit
// proves nothing.
func (r *room) simulate(target string, workers int, args ...string) (reports.Report, error) {
	rep, err := r.run(append([]string{
		"simulate", "--target", target, "--unsafe", "--workers", strconv.Itoa(workers), "--ramp", "0s", "--hold", "3s",
		"--round-timeout", "6s", "--request-timeout", "3s", "--max-lag", "1m", "--seed", "1", "--format", "json",
	}, args...)...)
	if err != nil {
		return rep, err
	}
	if rep.Verdict == reports.VerdictRefused {
		return rep, fmt.Errorf("the generator was the limit: %s", strings.Join(rep.Reasons, "; "))
	}
	if rep.Held == nil {
		return rep, errors.New("simulate reports no held polls")
	}
	return rep, nil
}

// logged finds the line of the check's symptom in the log of any of the room's
// processes, as fltool explain --log does: one that leaves no doubt before one that
// has other causes, too.
func (r *room) logged(check string) (string, error) {
	logs, err := filepath.Glob(filepath.Join(r.dir, "*.log"))
	if err != nil {
		return "", err
	}
	perhaps := ""
	for _, name := range logs {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		log, err := symptoms.Scan(f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		for _, s := range log.Found {
			switch {
			case s.MayBe(check) && len(s.Causes) == 1:
				return s.Example, nil
			case s.MayBe(check):
				perhaps = s.Example
			}
		}
	}
	return perhaps, nil
}

// symptom is what told of the limit: a line of a log, or what clients met.
func (r *room) symptom(rep reports.Report) (string, error) {
	if len(r.row.clients) == 0 {
		return r.logged(r.row.check)
	}
	var out []string
	for _, e := range rep.Errors {
		if slices.Contains(r.row.clients, e.Class) {
			out = append(out, fmt.Sprintf("%s: %d workers", e.Class, e.Workers))
		}
	}
	return strings.Join(out, ", "), nil
}

// found is what preflight finds wrong by a check now; "" where it finds nothing.
func (r *room) found(check string) (string, error) {
	rep, err := r.preflight()
	if err != nil {
		return "", err
	}
	for _, f := range rep.Findings {
		if f.Check == check && (f.Status == reports.StatusWarn || f.Status == reports.StatusFail) {
			return fmt.Sprintf("%s: %s", f.Title, f.Got), nil
		}
	}
	return "", nil
}

// during looks again and again while something is done.
func (r *room) during(look, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var failed error
	for {
		select {
		case err := <-done:
			return errors.Join(err, failed)
		case <-tick.C:
			if failed == nil {
				failed = look()
			}
		}
	}
}

// queue keeps the longest accept queue seen of a port's listeners.
func (r *room) queue(port uint16, longest *int) error {
	f, err := facts.Gather(facts.NewRoot("/"), facts.Scope{Asked: facts.Asked{Port: appPort}, Specs: kinds.Specs(), Now: time.Now()})
	if err != nil {
		return err
	}
	for _, p := range f.Processes.V {
		for _, l := range p.Listen.V {
			if l.Addr.Port() == port {
				*longest = max(*longest, l.Queued)
			}
		}
	}
	return nil
}

// listening waits until something accepts connections there.
func (r *room) listening(address string, p *process) error {
	return r.until("wait for "+address, 20*time.Second, func() (bool, error) {
		select {
		case <-p.done:
			return false, fmt.Errorf("it ended: %s", p.tail())
		default:
		}
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false, nil // not yet
		}
		return true, c.Close()
	})
}
