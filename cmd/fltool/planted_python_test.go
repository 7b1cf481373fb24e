//go:build planted

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// pythonFaults, by the environment of testdata/server.py that plants them. BURN becomes a
// fifth of what the server as it is takes for each update.
var pythonFaults = []plantedFault{
	{"", "no fault", "", nil},
	{"BURN", "20 % more processor time", "server.cpuPerRound", nil},
	{"LEAK=4000", "4 KB that each poll leaves behind", "server.rssPerWorker", nil},
	{"LEAK_FDS=1", "a descriptor that each poll leaves behind", "server.fdsPerWorker", nil},
}

// TestPlantedPython plants faults in a server of Python's and has fltool regress compare
// it with the server as it is, as people do: all at once, on a machine that is busy with
// the others.
func TestPlantedPython(t *testing.T) {
	const workers, rounds = 50, 5
	keys := filepath.Join(t.TempDir(), "keys")
	if err := wire.GenerateKeys(t.Context(), keys, workers); err != nil {
		t.Fatal(err)
	}
	server := func(address, plant string) string { // that looks at its version as rarely as a tenth of what upstream's does
		return fmt.Sprintf("export INTERVAL=.2 KEYS=%s %s; %s", filepath.Join(keys, wire.KeyListFile), plant, python(t, address, "--graceful-timeout", "0"))
	}
	simulate := func(address string) []string {
		return []string{"simulate", "--target", "http://" + address, "--keys", keys, "--workers", fmt.Sprint(workers),
			"--rounds", fmt.Sprint(rounds), "--ramp", "500ms", "--hold", "500ms"}
	}

	used := make([]float64, 2*len(pythonFaults)) // seconds of processor time in a run, of as many at once
	var g errgroup.Group
	g.SetLimit(len(pythonFaults))
	for i := range used {
		g.Go(func() error {
			file, address := filepath.Join(keys, fmt.Sprint(i, ".json")), factstest.FreeAddress(t)
			args := append(simulate(address), "--server-command", server(address, ""), "--out", file)
			if out, err := exec.Command("fltool", args...).CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			r, err := reports.Read(file)
			if err == nil {
				used[i], _, _, err = r.Metric("server.cpu")
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(used)
	burn := fmt.Sprintf("BURN=%g", .2*used[len(used)/2]/(workers*rounds))

	regressions(t, pythonFaults, len(pythonFaults), func(f plantedFault) []string {
		address, plant := factstest.FreeAddress(t), f.name
		if plant == "BURN" {
			plant = burn
		}
		return slices.Concat([]string{"--baseline-command", server(address, ""), "--server-command", server(address, plant), "--", "fltool"}, simulate(address))
	})
}

// TestSame has fltool regress compare fltool's server with itself, by the commands that
// it runs where it is given none.
func TestSame(t *testing.T) {
	exe, err := exec.LookPath("fltool")
	if err != nil {
		t.Fatal(err)
	}
	regressions(t, []plantedFault{{"", "no fault", "", nil}}, 4, func(plantedFault) []string { return []string{"--baseline-binary", exe} })
}

// regressions makes the experiments: an fltool regress with these arguments for each
// fault, so many at once.
func regressions(t *testing.T, faults []plantedFault, atOnce int, args func(plantedFault) []string) {
	all := newTallies(faults)
	began := time.Now()
	var counting sync.Mutex
	var g errgroup.Group
	g.SetLimit(atOnce)
	for n := range *experiments {
		for _, f := range faults {
			flags := []string{"regress", "--format", "json", "--runs", fmt.Sprint(*runsOfEach)}
			if *keep != "" {
				flags = append(flags, "--out", filepath.Join(*keep, fmt.Sprintf("%02d-%s", n+1, strings.ReplaceAll(f.what, " ", "-"))))
			}
			cmd := exec.Command("fltool", append(flags, args(f)...)...)
			g.Go(func() error {
				var out, said bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &said
				err := cmd.Run() // its exit code stands in the comparison
				var c reports.Comparison
				if bad := json.Unmarshal(out.Bytes(), &c); bad != nil {
					return fmt.Errorf("%v: %w: %s", cmd, err, said.String())
				}
				counting.Lock()
				defer counting.Unlock()
				all.add(t, f, n, c)
				all.publish(t, faults, began)
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	all.check(t, faults)
}
