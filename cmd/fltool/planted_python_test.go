//go:build planted

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// pythonFaults, by the environment of testdata/server.py that plants them. BURN becomes a
// fifth of what the server as it is takes for each update.
var pythonFaults = []plantedFault{
	{"none", "no fault", ""},
	{"BURN", "20 % more processor time", "server.cpuRatio"},
	{"LEAK=14000", "14 KB that each poll leaves behind", "server.rssPerWorker"},
	{"LEAK_FDS=1", "a descriptor that each poll leaves behind", "server.fdsPerWorker"},
}

// TestPlantedPython is TestPlanted for a server of Python's, started anew for every run.
func TestPlantedPython(t *testing.T) {
	const workers, rounds = 50, 10
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	if err := wire.GenerateKeys(t.Context(), keys, workers); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{{"--rounds", fmt.Sprint(rounds)}, {"--ramp", "500ms", "--hold", "500ms"}}
	run := func(plant string, command int) *exec.Cmd {
		address := freeAddress(t)
		server := fmt.Sprintf("export KEYS=%s %s; %s", filepath.Join(keys, wire.KeyListFile), plant, python(t, address))
		return exec.Command("fltool", append([]string{"simulate", "--target", "http://" + address, "--keys", keys, "--workers", fmt.Sprint(workers),
			"--server-command", server}, commands[command]...)...)
	}
	var used []float64 // seconds of processor time in a run
	for i := range 5 {
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := makePlanted(func() *exec.Cmd { return run("", 0) }, file); err != nil {
			t.Fatal(err)
		}
		r, err := reports.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		v, _, ok, err := r.Metric("server.cpu")
		if err != nil || !ok {
			t.Fatalf("the server's processor time was not measured: %v", err)
		}
		used = append(used, v)
	}
	slices.Sort(used)
	burn := fmt.Sprintf("BURN=%g", .2*used[len(used)/2]/(workers*rounds))
	experiment(t, pythonFaults, func(fault string, command int) *exec.Cmd {
		plant := map[string]string{noFault: "", "none": "", "BURN": burn}
		if p, ok := plant[fault]; ok {
			fault = p
		}
		return run(fault, command)
	})
}
