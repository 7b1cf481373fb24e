package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/reports"
)

// TestRegressCommands has the runs of two server commands made in turn, the first of
// each pair by turns, and the new server sends larger models.
func TestRegressCommands(t *testing.T) {
	t.Parallel()
	address, out := factstest.FreeAddress(t), filepath.Join(t.TempDir(), "out")
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

// TestRegressInterrupted ends regress while it makes runs: those it has made are kept, and
// neither a server nor a file of its own stays.
func TestRegressInterrupted(t *testing.T) {
	t.Parallel()
	address, temp, out := factstest.FreeAddress(t), t.TempDir(), filepath.Join(t.TempDir(), "out")
	cmd := exec.Command("fltool", "regress", "--runs", "100", "--out", out, "--baseline-command", "exec fltool serve --listen "+address+" --unsafe --round 4",
		"--server-command", "exec fltool serve --listen "+address+" --unsafe --round 4",
		"--", "fltool", "simulate", "--target", "http://"+address, "--unsafe", "--workers", "4", "--rounds", "1", "--max-lag", "1m")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for b := make([]byte, 1); !strings.Contains(text.String(), "run 1 of 100"); {
		n, err := said.Read(b)
		if text.Write(b[:n]); err != nil {
			t.Fatalf("%v: %s", err, text.String())
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != exitCant {
		t.Error(cmd.ProcessState)
	}
	for _, kept := range []string{"base/rounds-01.json", "new/rounds-01.json"} {
		if _, err := reports.Read(filepath.Join(out, kept)); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("%v, left in its folder for temporary files: %v", err, left)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal("a server stays: ", err)
	}
	l.Close()
}
