package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// result is a row that has been run.
type result struct {
	row
	value float64
	err   error
	peers []measured
}

// measured is what a peer gave.
type measured struct {
	name  string
	value float64
	err   error
}

func (r result) met() bool { return r.err == nil && r.value <= r.most }

func (r result) line() string {
	switch {
	case r.err != nil:
		return "not measured: " + r.err.Error()
	case !r.met():
		return fmt.Sprintf("%s, MISSED: %s wanted", r.show(r.value), r.target())
	}
	return fmt.Sprintf("%s of %s", r.show(r.value), r.target())
}

func (r row) target() string { return "≤ " + r.show(r.most) }

// show is a value in the row's unit, with three digits.
func (r row) show(v float64) string {
	digits := max(0, 2-int(math.Floor(math.Log10(max(math.Abs(v), .01)))))
	s := fmt.Sprintf("%.*f", digits, v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return strings.TrimSpace(s + " " + r.unit)
}

// others are the peers in words.
func (r result) others() string {
	var all []string
	for _, p := range r.peers {
		text := "not measured"
		if p.err == nil {
			text = r.show(p.value)
		}
		all = append(all, p.name+" "+text)
	}
	return strings.Join(all, ", ")
}

func printTable(w io.Writer, results []result) {
	for _, r := range results {
		outcome, got := "met", ""
		switch {
		case r.err != nil:
			outcome, got = "can't", r.err.Error()
		case !r.met():
			outcome = "MISSED"
		}
		if r.err == nil {
			got = r.show(r.value)
		}
		fmt.Fprintf(w, "%-18s %-7s %s; target %s\n", r.id, outcome, got, r.target())
		if len(r.peers) > 0 {
			fmt.Fprintf(w, "%-18s         %s\n", "", r.others())
		}
	}
}

// writePage writes the results down, with the machine and the commit.
func writePage(path string, results []result) error {
	host := facts.ReadHost(facts.NewRoot("/"))
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	commit, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return fmt.Errorf("which commit was measured: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Made by %[1]smake bench%[1]s, which writes this page anew; %[1]smake bench-peers%[1]s installs
the tools beside, %[1]smake bench ROWS=…%[1]s tries single rows. Both ends of each load are on
the one machine. Peers hold 2000 polls or, where whole rounds are played, have 1000
workers, and are given what they need: descriptors, connections, one user a worker.

%[2]s, %[3]d processors, %.1[4]f GiB, %[5]s, %[6]s; commit %[7]s, %[8]s; load average at the
end, which is mostly its own: %[9]s.

| figure | target | measured | | others |
| --- | --- | --- | --- | --- |
`, "`", host.CPU.V, host.CPUs.V, float64(host.MemoryBytes.V)/(1<<30), host.Kernel.V, host.Distro.V,
		strings.TrimSpace(string(commit)), time.Now().UTC().Format(time.DateOnly), strings.Join(strings.Fields(string(load))[:3], " "))
	for _, r := range results {
		got, outcome := "not measured", ""
		switch {
		case r.met():
			got, outcome = r.show(r.value), "met"
		case r.err == nil:
			got, outcome = r.show(r.value), "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.figure, r.target(), got, outcome, r.others())
	}
	for _, r := range results {
		if r.err != nil {
			fmt.Fprintf(&b, "\n%s was not measured: %s\n", r.id, strings.ReplaceAll(r.err.Error(), "\n", " "))
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o644) // #nosec G306 -- a page of the manual
}
