package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

// TestRegressCommands has the runs of two server commands made in turn, the first of
// each pair by turns, and the new server sends larger models.
func TestRegressCommands(t *testing.T) {
	t.Parallel()
	address, out := freeAddress(t), filepath.Join(t.TempDir(), "out")
	server := "exec fltool serve --log-level info --listen " + address + " --unsafe --round 4 --model-size "
	cmd := exec.Command("fltool", "regress", "--format", "json", "--runs", "4", "--max-runs", "4", "--gate", "bytes", "--out", out,
		"--baseline-command", server+"1KB", "--server-command", server+"20KB", "--ready", "http://"+address+"/challenge_phrase/x",
		"--", "fltool", "simulate", "--target", "http://"+address, "--unsafe", "--workers", "4", "--rounds", "1", "--max-lag", "1m")
	var said strings.Builder
	cmd.Stderr = &said
	printed, err := cmd.Output()
	var c reports.Comparison
	if bad := json.Unmarshal(printed, &c); bad != nil {
		t.Fatalf("%v, %v: %s", bad, err, said.String())
	}
	if c.Trend != reports.TrendWorse || c.BaseRuns != 4 || c.NewRuns != 4 || cmd.ProcessState.ExitCode() != exitFail {
		t.Errorf("%s of %d and %d runs, %v: %v", c.Trend, c.BaseRuns, c.NewRuns, c.Reasons, err)
	}
	for _, want := range []string{"run 1 of 4, rounds: base pass in ", "run 2 of 4, rounds: new pass in "} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not in: %s", want, said.String())
		}
	}
	for _, log := range []string{"base-server.log", "server.log"} {
		if n := strings.Count(readFile(t, filepath.Join(out, log)), "listening on"); n != 4 {
			t.Errorf("%s has %d starts", log, n)
		}
	}
}
