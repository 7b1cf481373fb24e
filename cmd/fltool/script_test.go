package main

import (
	"errors"
	"flag"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestMain makes fltool a command of the scripts: the test binary runs itself,
// as a process of its own, so that exit codes, signals and streams are real.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"fltool": main})
}

// TestScript runs testdata/script/*.txtar, one file a behaviour. A script runs
// fltool by `exec fltool …`, waits for an exit code by `exits CODE fltool …`,
// and may bring files, such as a fake root, in its archive. -update rewrites
// what `cmp stdout file` compares with.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command and requires its exit code, which exec does not tell:
//
//	exits 3 fltool report missing.json
//	stderr 'no such file'
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command [arg...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v: %v", args[1:], err)
		}
		got = exit.ExitCode() // -1: ended by a signal
	}
	if got != want {
		ts.Fatalf("%v exited %d, want %d", args[1:], got, want)
	}
}
