//go:build planted

package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fltool/fltool/reports"
)

var (
	experiments = flag.Int("experiments", 20, "of each fault")
	runsOfEach  = flag.Int("runs", 8, "of each side of an experiment")
	tableFile   = flag.String("table", "", "write the table to this `file`, too")
	keep        = flag.String("keep", "", "keep the reports of fltool regress in this `folder`")
)

// plantedFault must be found in its metric, and in no other but those that follow from it.
type plantedFault struct {
	name, what, metric string
	follow             []string
}

var plantedFaults = []plantedFault{
	{"none", "no fault", "", nil},
	{"slow", "20 % slower handler", "server.cpuPerRound", []string{"round.mean"}},
	{"memory", "30 % more memory per poll", "server.rssPerWorker", nil},
	{"descriptor", "one extra descriptor per poll", "server.fdsPerWorker", nil},
	// What failed is sent again after a while: in each round some are late, and rounds that
	// last longer cost more.
	{"errors", "one error in 500", "errors", []string{"round.mean", "server.cpuPerRound"}},
}

// TestPlanted is the experiment that shows what fltool regress finds on a real,
// noisy machine.
func TestPlanted(t *testing.T) {
	dir := t.TempDir()
	good, faulty := filepath.Join(dir, "fltool"), filepath.Join(dir, "faulty")
	for path, tags := range map[string]string{good: "", faulty: "faulty"} {
		build := exec.Command("go", "build", "-tags", tags, "-o", path, ".")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	experiment(t, plantedFaults, func(fault string, command int) *exec.Cmd {
		server := faulty
		if fault == noFault {
			server = good
		}
		cmd := exec.Command(good, slices.Concat([]string{"simulate", "--server-binary", server}, defaultRuns[command][2:])...)
		cmd.Env = append(os.Environ(), "FLTOOL_FAULT="+fault)
		return cmd
	})
}

// noFault names the runs of the server as it is.
const noFault = "base"

// experiment makes the experiments. One is: runs of the server as it is and of one with
// each fault, in turn, and the comparison of each fault's runs with those of the server
// as it is, with the gate of fltool regress; where these can't tell more runs are made, as
// that does. A command of rounds, 0, or of a hold, 1, is given by run, a new one each time.
func experiment(t *testing.T, faults []plantedFault, run func(fault string, command int) *exec.Cmd) {
	dir := t.TempDir()
	all := newTallies(faults)
	began := time.Now()
	most, more := 3**runsOfEach, max(1, *runsOfEach/2)
	looks := 1 + (most-*runsOfEach+more-1)/more
	for n := range *experiments {
		files := map[string][]string{}
		unclear := faults
		for runs, next := 0, *runsOfEach; len(unclear) > 0; next = min(more, most-runs) {
			for i := range next {
				for command := range atOnce {
					var g errgroup.Group
					g.SetLimit(atOnce[command])
					for _, f := range slices.Insert(slices.Clone(unclear), 0, plantedFault{name: noFault}) {
						file := filepath.Join(dir, fmt.Sprintf("%d-%s-%d-%d.json", n, f.name, runs+i, command))
						files[f.name] = append(files[f.name], file)
						g.Go(func() error {
							return makePlanted(func() *exec.Cmd { return run(f.name, command) }, file)
						})
					}
					if err := g.Wait(); err != nil {
						t.Fatal(err)
					}
				}
			}
			runs += next
			unclear = slices.DeleteFunc(slices.Clone(unclear), func(f plantedFault) bool {
				c := compareFiles(t, files[noFault], files[f.name], looks)
				told := runs == most || !c.MoreMayTell()
				if told {
					all.add(t, f, n, c)
				}
				return told
			})
		}
		all.publish(t, faults, began)
	}
	all.check(t, faults)
}

// atOnce is how many runs of rounds and of a hold share the machine: rounds show CPU
// and have it to themselves; holds, which mostly wait, show memory and descriptors.
var atOnce = []int{1, 6}

// makePlanted makes a run, and, as regress does, makes one again that tells nothing.
func makePlanted(run func() *exec.Cmd, file string) error {
	for range mostTries {
		cmd := run()
		cmd.Args = append(cmd.Args, "--out", file)
		out, err := cmd.CombinedOutput()
		switch code := cmd.ProcessState.ExitCode(); {
		case err == nil || code == exitFail:
			return nil
		case code != exitCant:
			return fmt.Errorf("%v: %w: %s", cmd, err, out)
		}
	}
	return nil // compare leaves it out, and says so
}

// compareFiles compares reports as regress does.
func compareFiles(t *testing.T, base, new []string, looks int) reports.Comparison {
	t.Helper()
	read := func(files []string) (all []reports.Report) {
		for _, file := range files {
			r, err := reports.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		return all
	}
	c, err := reports.Compare(read(base), read(new), reports.InTurnGate(), looks)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
